"""What batchrun makes is its owner's alone, whatever the umask; what a person exports is the person's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow


@pytest.fixture(params=[0o000, 0o022, 0o027], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A person's umask."""
    before = os.umask(request.param)
    yield request.param
    assert os.umask(before) == request.param, "a command leaves the umask as it was"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("route", ["stream", "batch"])
@pytest.mark.usefixtures("api")
def test_files_of_ours(
    project: TrialProject, batchrun: CommandLine, umask: int, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.job(batch='poll_interval = "0.05s"\nmax_poll_interval = "0.1s"')
    project.documents(3)
    seen: set[tuple[str, int]] = set()

    def listen(*_: object) -> None:
        seen.update((path.name, mode(path)) for path in project.ledger_path.parent.iterdir())

    monkeypatch.setattr("batchrun.cli.views.log.Log.__call__", listen)  # while the ledger is open, with its journal
    assert batchrun(f"submit jobs/trial.toml --route {route} --log run.log").code == ExitCode.OK
    assert {"ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "ballast", "ledger.trial.lock"} <= {
        name for name, _ in seen
    }
    assert {held for _, held in seen} == {0o600}
    for folder in (project.ledger_path.parent, project.database.parent):
        assert mode(folder) == 0o700
        assert (folder / ".gitignore").read_text() == "*\n"
    assert {mode(path) for path in (project.ledger_path, project.database, project.root / "run.log")} == {0o600}


@pytest.mark.usefixtures("api")
def test_a_folder_of_the_persons_stays_as_it_is(project: TrialProject, batchrun: CommandLine, umask: int) -> None:
    project.documents(1)
    project.database.parent.mkdir()
    before = mode(project.database.parent)
    batchrun("submit jobs/trial.toml")
    assert mode(project.database.parent) == before == 0o777 & ~umask
    assert mode(project.database) == 0o600
    assert not (project.database.parent / ".gitignore").exists()


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_exports_are_the_persons(project: TrialProject, batchrun: CommandLine, umask: int, name: str) -> None:
    project.documents(1)
    batchrun("submit jobs/trial.toml")
    assert batchrun(f"results trial -o {name}").code == ExitCode.OK
    assert mode(project.root / name) == 0o666 & ~umask
    assert batchrun("init jobs/new.toml").code == ExitCode.OK
    assert mode(project.root / "jobs" / "new.toml") == 0o666 & ~umask
