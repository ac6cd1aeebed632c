"""`batchrun verify`: whether the ledger is as it was written, for people and for programs."""

import re

import pytest
from command_line import CommandLine
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

SUBMIT = "submit jobs/trial.toml"
QUICK = 'poll_interval = "0.05s"\nmax_poll_interval = "0.1s"'


@pytest.fixture
def ended(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> str:
    """A project whose job has run over four documents, one after the other. Returns the head that its summary has."""
    project.job(run="max_concurrency = 1")
    project.documents(4)
    (head,) = re.findall(r"^  chain    head ([0-9a-f]{12}), link 4$", batchrun(SUBMIT).out, re.MULTILINE)
    return str(head)


def test_nothing_yet(batchrun: CommandLine) -> None:
    ran = batchrun("verify")

    assert (ran.code, ran.out) == (ExitCode.OK, "ledger without a file\n  intact   0 links\n")
    assert "there are no runs yet" in ran.err
    assert batchrun("verify --json").json["ok"] is True


def test_a_real_ledger_counts_before_a_simulated_one_even_without_runs(
    project: TrialProject, batchrun: CommandLine, ended: str
) -> None:
    batchrun(f"{SUBMIT} --simulate --speed 1000 --limit 2")
    project.ask("delete from runs", commit=True)
    project.ask("delete from attempts", commit=True)

    ran = batchrun("verify")

    assert (ran.code, "SIMULATED" in ran.out) == (ExitCode.ENVIRONMENT, False)
    assert "link 1, attempt 1: the attempt was removed" in ran.out


def test_only_simulated_runs(project: TrialProject, batchrun: CommandLine) -> None:
    project.documents(2)
    batchrun(f"{SUBMIT} --simulate --speed 1000")

    assert "SIMULATED" in batchrun("verify").out


def test_a_ledger_that_is_as_it_was_written(batchrun: CommandLine, ended: str) -> None:
    ran = batchrun("verify")

    assert (ran.code, ran.err) == (ExitCode.OK, "")
    assert ran.out == f"ledger .batchrun/ledger.sqlite3\n  intact   4 links, head {ended}\n"
    assert batchrun("verify -q").words == ""


def test_as_json(project: TrialProject, batchrun: CommandLine, ended: str) -> None:
    told = batchrun("verify --json").json

    assert re.fullmatch(f"{ended}[0-9a-f]{{52}}", told.pop("head"))
    assert told == {
        "v": 1, "ok": True, "ledger": str(project.ledger_path), "simulated": False, "links": 4, "settled_before": 0,
        "noted_link": None, "broken": None,
    }  # fmt: skip


def test_both_routes_and_failures_are_in_the_chain(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    project.documents(6)
    api.simulator.extend_script(["overloaded", "schema_violation"])
    batchrun(f"{SUBMIT} --limit 3")
    project.job(run='route = "batch"', batch=QUICK)
    batchrun(SUBMIT)

    told = batchrun("verify --json").json

    ((attempts, in_batches),) = project.ask("select count(*), count(batch_no) from attempts")
    assert (told["ok"], told["links"]) == (True, attempts)
    assert attempts > in_batches > 0


def test_simulated_runs_have_a_chain_of_their_own(project: TrialProject, batchrun: CommandLine, ended: str) -> None:
    batchrun(f"{SUBMIT} --simulate --speed 1000 --limit 2")

    ran = batchrun("verify --simulate")

    assert ran.out.startswith("SIMULATED  ledger .batchrun/")
    assert "  intact   2 links" in ran.out
    assert batchrun("verify sim- --json").json["links"] == 2
    assert batchrun("verify --json").json["links"] == 4


def test_the_summary_tells_the_head_to_programs_and_afterwards(batchrun: CommandLine, ended: str) -> None:
    (shown,) = batchrun("status last --json").events

    assert (shown["chain_head"][:12], shown["chain_link"]) == (ended, 4)
    assert f"  chain    head {ended}, link 4" in batchrun("status last").out
    assert batchrun("verify --json").json["head"] == shown["chain_head"]


@pytest.mark.parametrize(
    ("statement", "words", "flaw"),
    [
        (
            "update attempts set cost_nusd = 1 where attempt_no = 3",
            "link 3, attempt 3 for docs/0002.txt of job trial: the attempt, its reply or its output was changed",
            "attempt_changed",
        ),
        (
            "update replies set raw = '{}' where attempt_no = 1",
            "link 1, attempt 1 for docs/0000.txt of job trial: the attempt, its reply or its output was changed",
            "attempt_changed",
        ),
        ("delete from attempts where attempt_no = 2", "link 2, attempt 2: the attempt was removed", "attempt_missing"),
        ("delete from chain where link_no = 2", "link 2 is missing", "link_missing"),
        (
            "delete from chain where link_no = 4",
            "the ledger has recorded link 4 as the last, and the chain ends otherwise, with link 3",
            "end_wrong",
        ),
        (
            "update chain set attempt_no = 1 where link_no = 2",
            "link 2, attempt 1 for docs/0000.txt of job trial, does not follow from the link before",
            "link_wrong",
        ),
        (
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd, started_at)"
            " select request_no, run_no, job, 'docs/\x1b[2J.txt', state, 1, 1, 1.0 from attempts where attempt_no = 1",
            r"attempt 5 for docs/\x1b[2J.txt of job trial has no link, so it was inserted",
            "attempt_inserted",
        ),
        (
            "update chain_end set settled_before = 2, digest = null, links = 0",
            "link 1, attempt 1 for docs/0000.txt of job trial, does not follow from the link before",
            "link_wrong",
        ),
    ],
    ids=["cost", "reply", "attempt gone", "link gone", "end cut", "link changed", "inserted", "beginning"],
)
def test_the_first_link_that_is_wrong_is_named(
    project: TrialProject, batchrun: CommandLine, ended: str, statement: str, words: str, flaw: str
) -> None:
    project.ask(statement, commit=True)

    ran = batchrun("verify")

    assert ran.code == ExitCode.ENVIRONMENT
    assert f"  broken   {words}" in ran.out
    assert ran.out.endswith("  next     batchrun docs trust\n")
    assert batchrun("verify -q").out == ran.out
    told = batchrun("verify --json").json
    assert (told["ok"], told["broken"]["flaw"]) == (False, flaw)
    assert words in told["broken"]["words"]


def test_a_noted_head_is_in_the_chain(batchrun: CommandLine, ended: str) -> None:
    batchrun(f"{SUBMIT} --pay-again")

    ran = batchrun(f"verify --head {ended.upper()}")

    assert (ran.code, f"  noted    head {ended} is link 4" in ran.out) == (ExitCode.OK, True)
    assert batchrun(f"verify --head {ended} --json").json["noted_link"] == 4


def test_an_end_that_was_removed_without_trace_shows_by_a_noted_head(
    project: TrialProject, batchrun: CommandLine, ended: str
) -> None:
    project.ask("delete from chain where link_no > 2", commit=True)
    project.ask("delete from attempts where attempt_no > 2", commit=True)
    project.ask("update chain_end set links = 2, digest = (select digest from chain where link_no = 2)", commit=True)
    assert batchrun("verify").code == ExitCode.OK

    ran = batchrun(f"verify --head {ended}")

    assert ran.code == ExitCode.ENVIRONMENT
    assert f"  broken   no link has the head {ended}: links were removed or written anew" in ran.out
    assert batchrun(f"verify --head {ended} --json").json["ok"] is False


@pytest.mark.parametrize("head", ["3f2a", "not-a-head", "3f2a91c0" * 9])
def test_what_is_no_head(batchrun: CommandLine, head: str) -> None:
    ran = batchrun(f"verify --head {head}")

    assert ran.code == ExitCode.USAGE
    assert "is not a head: 8 to 64 of the characters 0-9 and a-f" in ran.err


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("drop table chain", "the chain over its attempts is missing"),
        ("delete from chain_end", "the end of the chain over its attempts is missing"),
        ("update replies set raw = cast(x'73ff' as text) where attempt_no = 2", "damaged"),
    ],
    ids=["no chain", "no end", "no text"],
)
def test_a_half_written_ledger_gives_words(
    project: TrialProject, batchrun: CommandLine, ended: str, statement: str, words: str
) -> None:
    project.ask(statement, commit=True)

    ran = batchrun("verify")

    assert (ran.code, "Traceback" in ran.err) == (ExitCode.ENVIRONMENT, False)
    assert words in ran.err
    assert "ledger.sqlite3 is damaged" in ran.err
