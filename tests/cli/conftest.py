"""What the tests of the commands share: a project to stand in, an API, and a command line."""

import os
from collections.abc import Iterator

import pytest
from command_line import CommandLine, clean_environment, serving, talking_to
from trial_project import TrialProject

from batchrun.simulator.http.server import SimulatorServer


@pytest.fixture(autouse=True)
def here(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the project, with an environment that says nothing."""
    clean = clean_environment(project.root)
    for name in os.environ.keys() - clean.keys():
        monkeypatch.delenv(name)
    for name, value in clean.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)


@pytest.fixture
def batchrun(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line."""
    return CommandLine(capsys)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorServer]:
    """An API that has a key; `api.simulator.extend_script([...])` gives it faults to make."""
    with serving() as server:
        for name, value in talking_to(server).items():
            monkeypatch.setenv(name, value)
        yield server
