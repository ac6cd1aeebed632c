"""Caps on the command line: what plan shows of them, what a run that reached one says, and who may raise it."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

SUBMIT, PLAN = "submit jobs/trial.toml", "plan jobs/trial.toml"
PROJECT = """[budget]
max_cost_usd = 0.5
max_cost_per_day_usd = 2
max_tokens_per_day = 1_000_000
[budget.models."claude-haiku-4-5"]
max_cost_per_month_usd = 30
[budget.models."claude-opus-5"]
max_cost_per_day_usd = 1
"""


@pytest.mark.slow
def test_a_plan_shows_every_cap_and_what_is_left_of_it(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "batchrun.toml").write_text(PROJECT)
    monkeypatch.setenv("BATCHRUN_MAX_COST_PER_DOCUMENT", "0.25")
    project.documents(3)

    said = batchrun(PLAN)
    lines = said.out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("budget   $0.5000: OK"))

    assert lines[start + 1 : start + 6] == [
        "         as budget.max_cost_usd of batchrun.toml says",
        "         $2.00 left of $2.00, the day's budget (budget.max_cost_per_day_usd of batchrun.toml)",
        "         1,000,000 tokens left of 1,000,000 tokens, the day's budget of tokens"
        " (budget.max_tokens_per_day of batchrun.toml)",
        "         $30.00 left of $30.00, the month's budget for claude-haiku-4-5"
        ' (budget.models."claude-haiku-4-5".max_cost_per_month_usd of batchrun.toml)',
        "         $0.2500 for each document at most (BATCHRUN_MAX_COST_PER_DOCUMENT of the environment)",
    ]
    assert lines[start + 6].startswith("prices")
    caps = batchrun(f"{PLAN} --json").json["caps"]
    assert [(cap["per"], cap["counts"], cap["model"], cap["limit"], cap["left"]) for cap in caps] == [
        ("run", "cost", None, 0.5, 0.5),
        ("day", "cost", None, 2, 2),
        ("day", "tokens", None, 1_000_000, 1_000_000),
        ("month", "cost", "claude-haiku-4-5", 30, 30),
        ("document", "cost", None, 0.25, None),
    ]
    assert {cap["of"] for cap in caps} == {"batchrun.toml", "the environment"}


@pytest.mark.slow
def test_a_plan_without_other_caps_speaks_of_none(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(3)

    said = batchrun(PLAN).out

    assert "left of" not in said
    assert "of the job file" not in said


@pytest.mark.slow
def test_a_plan_says_which_cap_is_too_small(project: TrialProject, batchrun: CommandLine) -> None:
    (project.root / "batchrun.toml").write_text("[budget]\nmax_cost_per_day_usd = 0.001\nmax_cost_per_month_usd = 9\n")
    project.documents(9)

    said = batchrun(f"{PLAN} --check")

    assert said.code == ExitCode.REFUSED
    assert "the estimate is above the day's budget" in said.err
    assert "00:00 UTC" not in said.err, "it will not fit tomorrow either"
    (line,) = [line for line in said.out.splitlines() if "the day's budget" in line]
    assert "(budget.max_cost_per_day_usd of batchrun.toml): too little by $0.00" in line
    project.job(budget="max_cost_usd = 1\npartial = true")
    said = batchrun(f"{PLAN} --check")
    assert said.code == ExitCode.OK
    assert "         it is begun anyway, and stops there" in said.out.splitlines()


@pytest.mark.slow
def test_a_run_that_reached_its_cap_says_what_is_left_and_how_to_finish(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(budget="max_cost_usd = 0.005")
    project.documents(60)

    refused = batchrun(SUBMIT)
    said = batchrun(f"{SUBMIT} --partial")

    assert (refused.code, said.code) == (ExitCode.REFUSED, ExitCode.STOPPED)
    assert "--partial" in refused.err
    assert "the budget is reached" in said.err
    (left,) = [line for line in said.out.splitlines() if line.startswith("  left ")]
    pending = len([status for status in project.statuses().values() if status == "pending"])
    assert left.startswith(f"  left     {pending} documents, about $0.0")
    assert "; to finish: raise budget.max_cost_usd to 0.0" in left
    assert left.endswith(" or more in the job file and submit again")
    needed = left.partition("max_cost_usd to ")[2].split()[0]
    project.job(budget=f"max_cost_usd = {needed}")
    assert batchrun(SUBMIT).code == ExitCode.OK, "what it said is enough"


@pytest.mark.slow
def test_a_run_that_reached_its_cap_of_tokens_says_what_would_be_enough(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(budget="max_cost_usd = 1\nmax_tokens = 6_000")
    project.documents(60)

    plan, refused = batchrun(f"{PLAN} --check"), batchrun(SUBMIT)
    said = batchrun(f"{SUBMIT} --partial")

    assert (plan.code, refused.code, said.code) == (ExitCode.REFUSED, ExitCode.REFUSED, ExitCode.STOPPED)
    (line,) = [line for line in plan.out.splitlines() if "the budget of tokens" in line]
    assert line.startswith(
        "         6,000 tokens left of 6,000 tokens, the budget of tokens (budget.max_tokens of the job"
    )
    assert ": too little by " in line
    assert "the budget of tokens is reached" in said.err
    (used,) = [line for line in said.out.splitlines() if line.startswith("  tokens ")]
    assert used.endswith(" of 6,000")
    (left,) = [line for line in said.out.splitlines() if line.startswith("  left ")]
    assert left.endswith(" or more in the job file and submit again")
    needed = left.partition("raise budget.max_tokens to ")[2].split()[0]
    cap = batchrun(f"{PLAN} --json").json["caps"][1]
    assert (cap["per"], cap["counts"], cap["tag"], cap["limit"]) == ("run", "tokens", None, 6_000)
    project.job(budget=f"max_cost_usd = 1\nmax_tokens = {needed}")
    assert batchrun(SUBMIT).code == ExitCode.OK, "what it said is enough"


@pytest.mark.slow
def test_a_run_that_reached_a_cap_tells_programs_what_is_left(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHRUN_MAX_COST_PER_DAY", "0.005")
    project.documents(60)

    said = batchrun(f"{SUBMIT} --partial --json")

    assert said.code == ExitCode.STOPPED
    (end,) = [event for event in said.events if event["event"] == "run_end"]
    assert end["left"] == end["counts"]["pending"] > 0
    assert 0 < end["left_usd"]["low"] < end["left_usd"]["mean"] < end["left_usd"]["high"]
    assert (end["cap"]["per"], end["cap"]["key"]) == ("day", "BATCHRUN_MAX_COST_PER_DAY")
    human = batchrun(f"{SUBMIT} --partial")
    assert "to finish: submit again after 00:00 UTC, or ask whoever set BATCHRUN_MAX_COST_PER_DAY" in human.out


@pytest.mark.slow
def test_a_run_without_a_cap_in_its_way_says_nothing_of_it(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(2)

    said = batchrun(f"{SUBMIT} --json")

    (end,) = [event for event in said.events if event["event"] == "run_end"]
    assert not {"left", "left_usd", "cap"} & end.keys()


@pytest.mark.slow
def test_a_retry_may_be_partial(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.documents(40)
    api.simulator.extend_script(["ok", *["truncated"] * 39])
    assert batchrun(SUBMIT).code == ExitCode.SOME_FAILED

    refused = batchrun("retry last --max-cost 0.003")
    partial = batchrun("retry last --max-cost 0.003 --partial")

    assert (refused.code, partial.code) == (ExitCode.REFUSED, ExitCode.STOPPED)


def test_the_environment_of_an_option_and_of_a_ceiling_are_two(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(2)
    monkeypatch.setenv("BATCHRUN_MAX_COST", "0.3")
    monkeypatch.setenv("BATCHRUN_PLAN_MAX_COST", "0.4")
    assert "BATCHRUN_MAX_COST of the environment" in batchrun(PLAN).out
    monkeypatch.setenv("BATCHRUN_PLAN_MAX_COST", "0.2")
    assert "as --max-cost of the command says" in batchrun(PLAN).out


@pytest.mark.parametrize("command", [PLAN, SUBMIT])
def test_a_variable_that_cannot_be_read_is_told(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    project.documents(2)
    monkeypatch.setenv("BATCHRUN_MAX_COST_PER_DAY", "5\x1b[31m USD")

    said = batchrun(command)

    assert said.code == ExitCode.USAGE
    assert "BATCHRUN_MAX_COST_PER_DAY" in said.err
    assert "\x1b[31m" not in said.words


@pytest.mark.parametrize("command", [PLAN, SUBMIT])
def test_a_model_that_is_denied_is_refused(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    project.documents(2)
    monkeypatch.setenv("BATCHRUN_ALLOWED_MODELS", "claude-opus-5,claude-sonnet-5-5")

    said = batchrun(command)

    assert said.code == ExitCode.REFUSED
    assert "BATCHRUN_ALLOWED_MODELS of the environment forbids it" in said.err
    assert "claude-opus-5, claude-sonnet-5-5" in said.err
