"""Prices on the command line: which file is asked, and what is said of old ones, of later ones and of a model's end."""

from datetime import timedelta

import pytest
from command_line import CommandLine
from price_files import ROW, today, write_prices
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

PLAN = "plan jobs/trial.toml"


@pytest.fixture(autouse=True)
def documents(project: TrialProject) -> None:
    project.documents(3)


def test_the_environment_names_a_file_for_all_jobs(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prices(project.root / "ours.toml", usd="7")
    monkeypatch.setenv("BATCHRUN_PRICES", "ours.toml")
    assert "claude-haiku-4-5 $7 in, $5 out per million tokens" in batchrun(PLAN).out


def test_a_jobs_own_file_wins_over_the_environment(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prices(project.root / "ours.toml", usd="7")
    write_prices(project.root / "jobs.toml", usd="9")
    project.job(budget='max_cost_usd = 1.0\nprices_file = "jobs.toml"')
    monkeypatch.setenv("BATCHRUN_PRICES", "ours.toml")
    assert "claude-haiku-4-5 $9 in" in batchrun(PLAN).out


def test_a_file_of_the_environment_that_is_wrong_is_said_with_where_it_was_named(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHRUN_PRICES", "nowhere.toml")
    ran = batchrun(PLAN)
    assert ran.code == ExitCode.USAGE
    assert "nowhere.toml cannot be read" in ran.err
    assert "BATCHRUN_PRICES" in ran.err


def test_the_plan_tells_prices_to_come(
    project: TrialProject, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = ROW.format(usd="3", more=f"valid_from = {today() + timedelta(days=10)}")
    monkeypatch.setenv("BATCHRUN_PRICES", str(write_prices(project.root / "ours.toml", rows=later)))
    said = f"from {today() + timedelta(days=10)} on: $3 in, $5 out per million tokens"
    assert said in batchrun(PLAN).out
    assert "claude-haiku-4-5 $1 in" in batchrun(PLAN).out


@pytest.mark.parametrize(
    ("age", "more", "said"),
    [(61, "", "61 days old"), (60, "", None), (0, "retires", "retires on"), (0, "", None)],
)
def test_old_prices_and_a_near_end_are_said_before_money_is_spent(
    project: TrialProject,
    batchrun: CommandLine,
    api: SimulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    age: int,
    more: str,
    said: str | None,
) -> None:
    retires = f"retires = {today() + timedelta(days=3)}" if more else ""
    path = write_prices(project.root / "ours.toml", age=age, more=retires)
    monkeypatch.setenv("BATCHRUN_PRICES", str(path))
    planned, told, ran = batchrun(PLAN).out, batchrun(f"{PLAN} --json").json, batchrun("submit jobs/trial.toml")
    assert ran.code == ExitCode.OK
    if said is None:
        assert "warning" not in planned + ran.err
        assert told["prices"]["warnings"] == []
        return
    assert [line for line in planned.splitlines() if line.startswith("warning  ") and said in line]
    assert [line for line in ran.err.splitlines() if line.startswith("warning: ") and said in line]
    (warning,) = told["prices"]["warnings"]
    assert said in warning


def test_quiet_is_quiet(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHRUN_PRICES", str(write_prices(project.root / "ours.toml", age=100)))
    assert batchrun("submit -q jobs/trial.toml").words == ""
