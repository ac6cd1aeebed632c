"""A host that shares the caps of a lease service."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, clean_environment, serving, talking_to
from lease_service import TOKEN, Service
from trial_project import TrialProject

from batchrun.simulator.http.server import SimulatorServer


@pytest.fixture(autouse=True)
def here(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the project of a host, with an environment that says nothing but the secret."""
    clean = clean_environment(project.root)
    for name in os.environ.keys() - clean.keys():
        monkeypatch.delenv(name)
    for name, value in (clean | {"BATCHRUN_LEASES_TOKEN": TOKEN}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)


@pytest.fixture
def batchrun(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorServer]:
    with serving() as server:
        for name, value in talking_to(server).items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "service" / "leases.sqlite3", limit_usd=0.005)
