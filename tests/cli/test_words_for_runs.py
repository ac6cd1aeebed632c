"""Commands take the same words for a run, and say what was probably meant."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

COMMANDS = ("status", "results", "cost", "retry", "batches", "cancel", "sync", "verify")
SUBMIT = "submit jobs/trial.toml"


def run_id(batchrun: CommandLine) -> str:
    return str(batchrun("status --json").events[0]["run"])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_job_file_a_job_a_run_and_last(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, command: str
) -> None:
    project.documents(2)
    batchrun(SUBMIT)
    said = {word: batchrun(f"{command} {word}") for word in ("jobs/trial.toml", "trial", run_id(batchrun), "last")}
    assert {ran.code for ran in said.values()} == {ExitCode.OK}
    assert all(ran.out for ran in said.values() if command != "batches"), said


@pytest.mark.parametrize("command", COMMANDS)
def test_simulated_runs_are_found_and_marked(project: TrialProject, batchrun: CommandLine, command: str) -> None:
    project.documents(2)
    batchrun(f"{SUBMIT} --simulate --speed 1000")
    for word in ("jobs/trial.toml", "trial", "last", run_id(batchrun)):
        ran = batchrun(f"{command} {word}")
        assert ran.code == ExitCode.OK, ran.err
        marked = "SIMULATED" in ran.out or "sim-" in ran.words or command == "cancel"
        assert marked, (word, ran.words)


@pytest.mark.parametrize("command", COMMANDS)
def test_near_names_are_suggested(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, command: str
) -> None:
    project.documents(1)
    batchrun(SUBMIT)
    ran = batchrun(f"{command} trail")
    assert (ran.code, "did you mean trial?" in ran.err) == (ExitCode.USAGE, True), ran.err
    ran = batchrun(f"{command} nothing-like-it")
    assert (ran.code, "did you mean" in ran.err) == (ExitCode.USAGE, False)
    assert "batchrun status" in ran.err
    ran = batchrun(f"{command} jobs/trail.toml")
    assert (ran.code, "did you mean jobs/trial.toml?" in ran.err) == (ExitCode.USAGE, True)


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_a_job_that_never_ran(project: TrialProject, batchrun: CommandLine, api: SimulatorServer, command: str) -> None:
    project.documents(1)
    project.job("other", store='database = "results/out.duckdb"')
    batchrun(SUBMIT)
    ran = batchrun(f"{command} jobs/other.toml")
    assert (ran.code, "the job other has no run yet" in ran.err) == (ExitCode.USAGE, True), ran.err
    assert "next: batchrun plan jobs/other.toml" in ran.err


@pytest.mark.parametrize(("typed", "meant"), [("sumbit", "submit"), ("result", "results"), ("stauts", "status")])
def test_a_misspelt_command_is_suggested(batchrun: CommandLine, typed: str, meant: str) -> None:
    ran = batchrun(f"{typed} jobs/trial.toml")
    assert ran.code == ExitCode.USAGE
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in ran.err


def test_a_command_that_is_like_none(batchrun: CommandLine) -> None:
    ran = batchrun("xyzzy")
    assert (ran.code, "Did you mean" in ran.err) == (ExitCode.USAGE, False)
