"""`batchrun try`: some documents in full, paid once, whose answers the submit takes over."""

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow


@pytest.fixture
def letters(project: TrialProject) -> TrialProject:
    for number in range(1, 8):
        project.document(f"{number}.txt", f"Dear Ms Alder, {'we met. ' * number * number}")
    project.job(output="evidence = true\nmax_repairs = 0", model='name = "claude-haiku-4-5"\nmax_tokens = 400')
    return project


def test_it_shows_everything_and_pays_once(letters: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun("try jobs/trial.toml")
    assert ran.code == ExitCode.OK
    assert ran.err.startswith("trial: 3 documents, about $")
    for doc_id in ("docs/2.txt", "docs/4.txt", "docs/6.txt"):  # evenly from the smallest to the largest
        assert f"\n{doc_id}  succeeded  $" in ran.out
    assert "\nuser\n    Dear Ms Alder, we met. we met. " in ran.out
    assert "\n  title  " in ran.out
    assert "\nevidence\n  title: exact" in ran.out
    assert " input, " in ran.out
    assert ran.out.endswith("\nnext: batchrun submit jobs/trial.toml\n")
    paid = len(api.books.entries)
    again = batchrun("try jobs/trial.toml")
    assert again.err == "trial: 3 documents, answered already\n"
    assert again.out == ran.out
    assert len(api.books.entries) == paid == 3
    assert batchrun("submit jobs/trial.toml").code == ExitCode.OK
    assert len(api.books.entries) == 7


def test_the_cap_leaves_out_the_largest(letters: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    ran = batchrun("try jobs/trial.toml --n 7 --max-cost 0.0042")
    assert ran.code == ExitCode.OK
    assert 1 <= ran.out.count("  succeeded  $") == len(api.books.entries) < 7
    refused = batchrun("try jobs/trial.toml --id docs/7.txt --max-cost 0.000001")
    assert refused.code == ExitCode.REFUSED
    assert "raise --max-cost to 0.0" in refused.err


def test_what_cannot_be_tried(letters: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    letters.document("8.txt", "")
    letters.job(source='type = "files"\ninclude = ["docs/8.txt"]\non_empty = "skip"')
    assert batchrun("try jobs/trial.toml").code == ExitCode.REFUSED
    assert batchrun("try jobs/trial.toml --id docs/9.txt").code == ExitCode.USAGE
    assert api.books.entries == []


def test_for_programs(letters: TrialProject, batchrun: CommandLine) -> None:
    ran = batchrun("try jobs/trial.toml --simulate --n 1 --json")
    assert ran.code == ExitCode.OK
    (tried,) = [event for event in ran.events if event["event"] == "tried"]
    assert (tried["doc_id"], tried["simulated"], tried["status"]) == ("docs/4.txt", True, "succeeded")
    assert [one["role"] for one in tried["texts"]] == ["user"]
    assert tried["evidence"][0]["field"] == "title"
