"""--fail-fast and --max-run-time: what the command says over the job file."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.execution.stop_conditions import Tolerance
from batchrun.simulator.http.server import SimulatorServer
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.submit import tolerance_of

TOLERANCES = {
    "nothing is said": ("", "", SubmitOptions(), Tolerance()),
    "the job file": (
        "fail_fast = true\nmax_failure_rate = 0.5",
        'max_run_time = "2h"',
        SubmitOptions(),
        Tolerance(fail_fast=True, max_failure_rate=0.5, max_run_time_s=7_200),
    ),
    "the command": (
        "",
        "",
        SubmitOptions(fail_fast=True, max_run_time_s=60.0),
        Tolerance(fail_fast=True, max_run_time_s=60),
    ),
    "the command is stricter": (
        "",
        'max_run_time = "2h"',
        SubmitOptions(max_run_time_s=60.0),
        Tolerance(max_run_time_s=60),
    ),
    "the job file is stricter": (
        "",
        'max_run_time = "1m"',
        SubmitOptions(max_run_time_s=90.0),
        Tolerance(max_run_time_s=60),
    ),
}


@pytest.mark.parametrize(("run", "budget", "options", "expected"), TOLERANCES.values(), ids=TOLERANCES)
def test_the_stricter_one_counts(
    project: TrialProject, run: str, budget: str, options: SubmitOptions, expected: Tolerance
) -> None:
    project.job(run=run, budget=f"max_cost_usd = 1.0\n{budget}")
    with project.opened() as opened:
        assert tolerance_of(opened, options) == expected


@pytest.mark.slow
def test_fail_fast(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run="max_concurrency = 1")
    project.documents(9)
    api.simulator.extend_script(["ok", "refused"])
    ran = batchrun("submit jobs/trial.toml --fail-fast --max-run-time 1h")
    assert ran.code == ExitCode.STOPPED
    assert "fail_fast" in ran.words
    assert len(api.books.entries) < 9
    again = batchrun("retry last --status refused --fail-fast --max-run-time 1h")
    assert again.code == ExitCode.OK


def test_no_time(project: TrialProject, batchrun: CommandLine) -> None:
    ran = batchrun("submit jobs/trial.toml --max-run-time soon")
    assert ran.code == ExitCode.USAGE
    assert "soon" in ran.err
