"""Every exit code, reached by a command that a person may type."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.planning.planner import Planner
from batchrun.simulator.http.server import SimulatorServer
from batchrun.store.ledger.job_lock import job_lock

SUBMIT = "submit jobs/trial.toml"
ANSWERS = {
    "every document has its row": ([], ExitCode.OK),
    "an overloaded API is asked again": (["overloaded", "reset_before"], ExitCode.OK),
    "one answer is no row": (["schema_violation"], ExitCode.SOME_FAILED),
    "one answer is cut off": (["truncated"], ExitCode.SOME_FAILED),
    "the model refuses": (["refused"], ExitCode.SOME_FAILED),
    "one document is rejected": (["invalid_request"], ExitCode.SOME_FAILED),
    "one document fails again and again": (["ok", *["overloaded"] * 3], ExitCode.SOME_FAILED),
    "the tier's spend limit": (["spend_limit"], ExitCode.STOPPED),
    "the console's spend limit": (["usage_limit"], ExitCode.STOPPED),
    "the bill is not paid": (["billing"], ExitCode.STOPPED),
    "all are rejected alike": (["invalid_request"] * 9, ExitCode.STOPPED),
    "nobody answers": (["overloaded"] * 9, ExitCode.ENVIRONMENT),
    "the key is wrong": (["authentication"], ExitCode.ENVIRONMENT),
    "the key may not": (["permission"], ExitCode.ENVIRONMENT),
    "the model is gone": (["unknown_model"], ExitCode.ENVIRONMENT),
}


@pytest.mark.slow
@pytest.mark.parametrize(("script", "code"), ANSWERS.values(), ids=ANSWERS)
def test_what_the_api_answers_decides(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, script: list[str], code: ExitCode
) -> None:
    project.job(run="max_concurrency = 1")  # the script is followed document by document
    project.documents(9)
    api.simulator.extend_script(script)
    ran = batchrun(SUBMIT)
    assert ran.code == code
    assert "Traceback" not in ran.words
    assert (f"exit {int(code)}" in ran.out) == (code != ExitCode.OK)


WRONG = {
    "no such command": "sumbit jobs/trial.toml",
    "no command": "",
    "no such option": f"{SUBMIT} --frobnicate",
    "no number": f"{SUBMIT} --limit many",
    "no money": f"{SUBMIT} --max-cost 0",
    "no such document": f"{SUBMIT} --id docs/none.txt",
    "no job file": "submit jobs/nowhere.toml",
    "a folder for a job file": "submit jobs",
    "a job file with a mistake": "plan jobs/wrong.toml",
    "no SQL": "plan jobs/trial.toml --where 'tokens >'",
    "SQL that does more": "plan jobs/trial.toml --where '1); drop table planned; --'",
    "no such run": "results nothing",
    "no run yet": "retry last",
    "no such profile": f"{SUBMIT} --simulate=rainy",
    "no such shell": "completion tcsh",
}


@pytest.mark.parametrize("command", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_and_nothing_is_sent(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, command: str
) -> None:
    project.documents(1)
    project.job("wrong", model='nmae = "claude-haiku-4-5"\nmax_tokens = 100')
    ran = batchrun(command)
    assert ran.code == ExitCode.USAGE
    assert ran.out == ""
    assert ran.err
    assert "Traceback" not in ran.err
    assert not api.books.entries


def test_too_dear_is_refused(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(3)
    ran = batchrun(f"{SUBMIT} --max-cost 0.0005")
    assert (ran.code, ran.out) == (ExitCode.REFUSED, "")
    assert not api.books.entries
    assert not project.database.exists()


@pytest.mark.slow
def test_the_cap_stops_a_run(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(budget="max_cost_usd = 0.002")
    project.documents(1)
    api.simulator.extend_script(["reset_after"])  # its worst case stays on the account: no room for another attempt
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.STOPPED
    assert "the budget is reached" in ran.words
    assert len(api.books.entries) == 1


def test_no_key(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(1)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    ran = batchrun(SUBMIT)
    assert (ran.code, ran.out) == (ExitCode.ENVIRONMENT, "")
    assert "ANTHROPIC_API_KEY" in ran.err
    assert "SIMULATED" not in ran.err
    assert not api.books.entries
    assert project.statuses() == {}, "a run without a key leaves nothing behind"


@pytest.mark.slow
def test_unfinished(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(2)
    api.simulator.extend_script(["authentication"])
    batchrun(SUBMIT)
    assert batchrun("status trial --check").code == ExitCode.ENVIRONMENT
    project.ask("update runs set state = 'running', exit_code = null", commit=True)  # as if the process had died
    assert batchrun("status trial --check").code == ExitCode.UNFINISHED
    assert batchrun(SUBMIT).code == ExitCode.OK
    assert batchrun("status trial --check").code == ExitCode.OK


def test_a_bug_shows_where_it_is(project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("this cannot happen")

    monkeypatch.setattr(Planner, "plan", broken)
    ran = batchrun("plan jobs/trial.toml")
    assert ran.code == ExitCode.BUG
    assert "Traceback" in ran.err
    assert "this cannot happen" in ran.err
    assert "this is a bug in batchrun" in ran.err


def test_busy(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(1)
    with job_lock(project.ledger_path, "trial"):
        ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.BUSY
    assert "process" in ran.err, "who holds it"
    assert not api.books.entries


def test_no_code_is_forgotten() -> None:
    here = {code for _, code in ANSWERS.values()} | {
        ExitCode.USAGE, ExitCode.REFUSED, ExitCode.AMBIGUOUS, ExitCode.UNFINISHED, ExitCode.BUG, ExitCode.BUSY,
    }  # fmt: skip
    by_signals = {ExitCode.INTERRUPTED, ExitCode.TERMINATED}  # tests/crash
    assert here | by_signals == set(ExitCode)
