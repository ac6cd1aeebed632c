"""`batchrun status`: where the runs are, for people and for scripts."""

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer
from batchrun.store.ledger.connection import SCRIPTS
from batchrun.store.ledger.job_lock import job_lock
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import MinuteUse, Waited
from batchrun.store.ledger.run_metrics import RunMetrics

pytestmark = pytest.mark.slow

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
    told = [line.split()[2] for line in ran.out.splitlines() if line.startswith("RUN ") or " trial " in line]
    assert told == ["STATE", "running", "STATE", "finished"], "without a terminal only what changed is printed again"


# --- one run in detail


def minute(number: int, **changes: object) -> MinuteUse:
    """One minute of a run that reaches its limit of input tokens."""
    use = MinuteUse(
        model="claude-haiku-4-5", minute=number, requests=40, input_tokens=1_860_000, output_tokens=8_000,
        requests_limit=1_000, input_tokens_limit=2_000_000, output_tokens_limit=None,
    )  # fmt: skip
    return replace(use, **changes)


def paced(project: TrialProject, minutes: Sequence[MinuteUse] = (), waits: Sequence[Waited] = ()) -> None:
    """Note of the first run what an executor would, and that it took two minutes."""
    with contextlib.closing(Ledger.open(project.ledger_path)) as ledger, ledger.transaction():
        ledger.connection.execute("delete from minutes")
        ledger.connection.execute("delete from waits")
        ledger.connection.execute(
            "update attempts set started_at = 6000, ended_at = 6000 + 60 * attempt_no, latency_s = attempt_no,"
            " first_byte_s = attempt_no / 2.0"
        )
        RunMetrics(ledger).add(1, minutes, waits)


def test_one_run_shows_how_fast_it_is_and_what_holds_it_up(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    paced(project, [minute(100), minute(101)], [Waited("input tokens", 240.0, 9), Waited("http_429", 12.0, 1)])

    lines = batchrun("status trial").out.splitlines()

    pace = lines.index("  speed    1.0 documents/min · input tokens 93% of the limit")
    assert lines[pace : pace + 4] + lines[-4:] == [
        "  speed    1.0 documents/min · input tokens 93% of the limit",
        "  latency  p50 1.0 s · p95 2.0 s · p99 2.0 s · first byte p50 0.5 s",
        "  waited   input tokens 4 min · http_429 12 s (all requests together)",
        "",
        "",
        "MINUTE (UTC)  MODEL             REQUESTS  INPUT      OUTPUT",
        "01:40         claude-haiku-4-5  40 4%     1.86M 93%  8.0k",
        "01:41         claude-haiku-4-5  40 4%     1.86M 93%  8.0k",
    ]


def test_only_the_last_ten_minutes_are_shown_and_all_are_told(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    paced(project, [minute(number) for number in (50, *range(100, 115), 115)])

    shown = batchrun("status trial").out.split("MINUTE")[1].splitlines()[1:]
    (told,) = batchrun("status trial --json").events

    assert [line.split()[0] for line in shown] == [f"01:{number - 60}" for number in range(106, 116)]
    assert [one["minute"][-6:] for one in told["minutes"]][:2] == ["00:50Z", "01:40Z"]
    assert len(told["minutes"]) == 17


def test_one_run_for_programs(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    api.simulator.extend_script(["overloaded"])
    batchrun(SUBMIT)
    paced(project, [minute(100), minute(101)], [Waited("requests", 1.23456, 2)])

    (told,) = batchrun("status trial --json").events

    assert told["utilisation"] == {"requests": 0.04, "input_tokens": 0.93, "output_tokens": None}
    assert set(told["latency_s"]) == set(told["first_byte_s"]) == {"p50", "p95", "p99"}
    assert told["waits"] == {"requests": 1.235}
    assert told["retried"] == {"http_529": 1}
    assert list(told["models"].values()) == [2]
    assert told["minutes"][0] == {
        "minute": "1970-01-01T01:40Z", "model": "claude-haiku-4-5", "requests": 40, "input_tokens": 1_860_000,
        "output_tokens": 8_000, "requests_limit": 1_000, "input_tokens_limit": 2_000_000, "output_tokens_limit": None,
        "utilisation": {"requests": 0.04, "input_tokens": 0.93, "output_tokens": None},
    }  # fmt: skip


def test_all_runs_are_shown_as_lines_only(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    paced(project, [minute(100)])

    assert len(batchrun("status").out.splitlines()) == 2
    (told,) = batchrun("status --json").events
    assert not {"minutes", "latency_s", "waits"} & set(told)


def test_a_ledger_of_an_earlier_version_says_what_to_do(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(1)
    project.ledger_path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(project.ledger_path)) as connection:
        for script in SCRIPTS[:2]:
            connection.executescript(resources.files("batchrun.store.migrations").joinpath(script).read_text("utf-8"))
        connection.execute("insert into meta values ('ledger_id', 'old'), ('sequence', 0)")
        connection.execute("pragma user_version = 2")
        connection.commit()

    ran = batchrun("status")
    assert ran.code == ExitCode.ENVIRONMENT
    assert "is a ledger of an older batchrun" in ran.err
    assert batchrun("plan jobs/trial.toml").code == ExitCode.OK, "a plan comes before the next submit"
    assert batchrun("status").code == ExitCode.OK
    assert batchrun(SUBMIT).code == ExitCode.OK
    assert batchrun("status trial").code == ExitCode.OK


def test_another_ledger(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    store = 'database = "results/out.duckdb"\nledger = "elsewhere/books.sqlite3"'
    project.job(store=store)
    project.documents(1)
    batchrun(SUBMIT)
    assert batchrun("status").out == ""
    assert "finished" in batchrun("status --ledger elsewhere/books.sqlite3").out
    assert len(batchrun("results --ledger elsewhere/books.sqlite3 --format jsonl").events) == 1
