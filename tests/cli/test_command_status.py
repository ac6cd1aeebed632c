"""`batchrun status`: where the runs are, for people and for scripts."""

import time

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.server import SimulatorServer
from batchrun.store.ledger import Ledger
from batchrun.store.lock import job_lock

SUBMIT = "submit jobs/trial.toml"


def rewrite(project: TrialProject, statement: str, *values: object) -> None:
    """Make the ledger say what a process would have left."""
    ledger = Ledger.open(project.ledger_path)
    with ledger.transaction():
        ledger.connection.execute(statement, values)
    ledger.close()


def test_no_run_yet(batchrun: CommandLine) -> None:
    ran = batchrun("status")
    assert (ran.code, ran.out) == (ExitCode.OK, "")
    assert "no runs yet" in ran.err
    assert batchrun("status --json").out == ""
    assert batchrun("status --check").code == ExitCode.USAGE


def test_a_finished_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    api.simulator.extend_script(["schema_violation"])
    batchrun(SUBMIT)
    header, row = batchrun("status").out.splitlines()
    assert header.split()[:6] == ["RUN", "JOB", "STATE", "DONE", "PROBLEMS", "COST"]
    assert row.split()[1:6] == ["trial", "finished", "3/3", "100%", "1"]
    assert row.endswith("exit 1")
    (told,) = batchrun("status --json").events
    assert (told["state"], told["exit_code"], told["settled"], told["failed"]) == ("finished", 1, 3, 1)
    assert batchrun("status trial --check").code == ExitCode.SOME_FAILED


def test_an_interrupted_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run="max_concurrency = 1")
    project.documents(3)
    api.simulator.extend_script(["ok", "billing"])
    batchrun(SUBMIT)
    (told,) = batchrun("status --json").events
    assert (told["state"], told["settled"], told["admitted"]) == ("stopped", 1, 3)
    assert "credit balance" in told["note"]
    assert "1/3 33%" in batchrun("status").out
    assert batchrun("status trial --check").code == ExitCode.STOPPED, "its own code: it will not go on by itself"


def test_running_is_what_somebody_still_holds(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(1)
    batchrun(SUBMIT)
    rewrite(project, "update runs set state = 'running', exit_code = null")
    assert " interrupted " in batchrun("status").out, "its process died without a word"
    assert batchrun("status trial --check").code == ExitCode.UNFINISHED
    with job_lock(project.ledger_path, "trial"):
        assert " running " in batchrun("status").out
        assert batchrun("status trial --check").code == ExitCode.UNFINISHED


def test_which_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(1)
    project.job("other", store='database = "results/out.duckdb"')
    for job in ("trial", "other"):
        assert batchrun(f"submit jobs/{job}.toml").code == ExitCode.OK
    latest, earlier = (event["run"] for event in batchrun("status --json").events)
    assert [event["run"] for event in batchrun("status trial --json").events] == [earlier]
    assert [event["run"] for event in batchrun(f"status {latest} --json").events] == [latest]
    assert [event["run"] for event in batchrun("status last --json").events] == [latest]


def test_the_beginning_of_an_id_must_be_of_one_run(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    for number in range(2):
        batchrun(f"{SUBMIT} --id docs/000{number}.txt")
    rewrite(project, "update runs set run_id = 'abc' || run_no")
    assert batchrun("status abc1").code == ExitCode.OK
    ran = batchrun("status abc")
    assert ran.code == ExitCode.USAGE
    assert "abc begins the ids of 2 runs: abc2, abc1" in ran.err


def test_watch_ends_when_nothing_runs(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    rewrite(project, "update runs set state = 'running', exit_code = null")
    pauses: list[float] = []

    def meanwhile(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            rewrite(project, "update runs set state = 'finished', exit_code = 0")

    monkeypatch.setattr(time, "sleep", meanwhile)
    with job_lock(project.ledger_path, "trial"):
        ran = batchrun("status trial --watch --interval 5 --check")
    assert ran.code == ExitCode.OK
    assert pauses == [5.0, 5.0]
    assert [line.split()[2] for line in ran.out.splitlines()] == ["STATE", "running", "STATE", "finished"], (
        "without a terminal only what changed is printed again"
    )


def test_another_ledger(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    store = 'database = "results/out.duckdb"\nledger = "elsewhere/books.sqlite3"'
    project.job(store=store)
    project.documents(1)
    batchrun(SUBMIT)
    assert batchrun("status").out == ""
    assert "finished" in batchrun("status --ledger elsewhere/books.sqlite3").out
    assert len(batchrun("results --ledger elsewhere/books.sqlite3 --format jsonl").events) == 1
