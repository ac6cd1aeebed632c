"""What is printed of a run that stopped: the reason first, what happened, and once what to type."""

import contextlib
import sqlite3
import subprocess
import time

import pytest
from command_line import CommandLine, process, talking_to
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"


def test_a_wrong_key_is_told_first_and_without_a_block_of_zeros(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(24)
    api.simulator.extend_script(["authentication"])
    running = process(SUBMIT, cwd=project.root, environment=talking_to(api), stderr=subprocess.STDOUT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == ExitCode.ENVIRONMENT
    assert said.index("error: the API refused the key") < said.index(" stopped after ")
    assert said.count("API key is invalid") == 1
    assert ": 24 documents pending\n" in said
    for nothing in ("$0.00 of", "succeeded", "retried", "rows "):
        assert nothing not in said, nothing
    assert said.count("submit jobs/trial.toml") == 1
    assert "stopped after" in batchrun("status last").out


def test_no_key_is_told_once(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.ENVIRONMENT
    assert ran.err.count("no API key") == 1
    assert "did not count" not in ran.err


def test_what_stops_a_run_is_no_retry(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.job(run="max_concurrency = 1")
    project.documents(4)
    api.simulator.extend_script(["ok", "overloaded", "ok", "billing"])
    ran = batchrun(SUBMIT)
    assert ran.code == ExitCode.STOPPED
    assert "  retried  1 after 529\n" in ran.out


def test_what_earlier_parts_of_a_run_spent_is_told_apart(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.job(run="max_concurrency = 1")
    project.documents(4)
    api.simulator.extend_script(["ok", "billing"])
    first = batchrun(SUBMIT)
    assert "earlier" not in first.out
    (cost,) = [line.split()[1] for line in first.out.splitlines() if line.startswith("  cost ")]
    second = batchrun(SUBMIT)
    assert f"  earlier  {cost} of it was spent before this submit\n" in second.out
    assert f"  earlier  {cost} of it was spent before this submit\n" in batchrun("status last").out


def is_sending(project: TrialProject) -> bool:
    """Whether a request is in progress."""
    with contextlib.suppress(sqlite3.OperationalError):  # the ledger is just being made
        return bool(project.ask("select 1 from attempts where state = 'open'"))
    return False


def test_a_killed_stream_is_not_said_to_wait_for_batches(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(1)
    api.simulator.extend_script(["hang"])
    running = process(SUBMIT, cwd=project.root, environment=talking_to(api))
    while not is_sending(project):
        assert running.poll() is None
        time.sleep(0.02)
    running.kill()
    running.communicate()
    shown = batchrun("status last").out
    assert "for requests whose end is not recorded yet" in shown
    assert "batches" not in shown
