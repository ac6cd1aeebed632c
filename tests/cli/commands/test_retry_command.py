"""`batchrun retry`: new attempts for what ended badly, and for nothing else."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from command_line import CommandLine, submitted
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.simulator.http.server import SimulatorServer

pytestmark = pytest.mark.slow

BADLY = ["schema_violation", "truncated", "refused", "invalid_request", "ok", "overloaded", "overloaded", "overloaded"]
"""In this order: invalid, truncated, refused, rejected, succeeded, and errored after three attempts."""


@pytest.fixture(scope="module")
def once_ended_badly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six documents that ended in six ways."""
    project = TrialProject(tmp_path_factory.mktemp("ended_badly") / "project")
    project.job(run="max_concurrency = 1")
    project.documents(6)
    assert submitted(project.root, *BADLY) == ExitCode.SOME_FAILED
    outcomes = ["invalid", "truncated", "refused", "rejected", "succeeded", "errored"]
    assert list(project.statuses().values()) == outcomes
    return project.root


@pytest.fixture(autouse=True)
def ended_badly(project: TrialProject, once_ended_badly: Path) -> None:
    """Every test has a copy of that project."""
    shutil.copytree(once_ended_badly, project.root, dirs_exist_ok=True)


STATUSES = {
    "by default what another try may mend": ("", {"0000.txt", "0001.txt", "0005.txt"}),
    "one": ("--status refused", {"0002.txt"}),
    "two": ("--status refused,rejected", {"0002.txt", "0003.txt"}),
    "one document": ("--id docs/0005.txt", {"0005.txt"}),
    "a condition": ("--where \"id < 'docs/0001'\"", {"0000.txt"}),
    "at most": ("--limit 2", {"0000.txt", "0001.txt"}),
    "nothing of the kind": ("--status unreadable", set()),
    "an answered document": ("--id docs/0004.txt", set()),
}


@pytest.mark.parametrize(("options", "tried"), STATUSES.values(), ids=STATUSES)
def test_which_documents(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer, options: str, tried: set[str]
) -> None:
    before, sent = project.statuses(), len(api.books.entries)
    batchrun(f"retry trial {options}")
    mended = {name for name, status in project.statuses().items() if status != before[name]}
    assert mended == tried
    assert all(project.statuses()[name] == "succeeded" for name in tried)
    assert len(api.books.entries) == sent + len(tried)
    attempts = Counter(name.removeprefix("docs/") for (name,) in project.ask("select doc_id from attempts"))
    assert all(attempts[name] >= 2 for name in tried), "the old attempts stay"


def test_nothing_to_retry(batchrun: CommandLine, api: SimulatorServer) -> None:
    nothing = batchrun("retry trial --status unreadable").out
    assert nothing.startswith("trial: nothing to send\n\n  selected          0  of 6 documents\n")


def test_new_documents_are_left_alone(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    project.document("0009.txt", "new")
    sent = len(api.books.entries)
    batchrun("retry trial")
    assert len(api.books.entries) == sent + 3
    assert "0009.txt" not in project.statuses()


def test_the_truncated_get_twice_as_many_tokens(
    project: TrialProject, batchrun: CommandLine, api: SimulatorServer
) -> None:
    batchrun("retry trial --status truncated")
    assert project.ask("select max_tokens from documents where doc_id = 'docs/0001.txt'") == [(200,)]


def test_a_retried_document_stays_answered(project: TrialProject, batchrun: CommandLine, api: SimulatorServer) -> None:
    batchrun("retry trial --status invalid,truncated,refused,rejected,errored")
    sent = len(api.books.entries)
    ran = batchrun("submit jobs/trial.toml")
    assert ran.code == ExitCode.OK
    assert ran.out.startswith("trial: nothing to send\n")
    assert len(api.books.entries) == sent
    assert len(project.rows()) == 6


@pytest.mark.parametrize(
    ("where", "sent"),
    [("status = 'invalid'", 1), ("status = 'succeeded'", 0), ("kind = 'again' and status <> 'invalid'", 2)],
)
def test_where_speaks_of_how_a_document_ended(
    batchrun: CommandLine, api: SimulatorServer, where: str, sent: int
) -> None:
    before = len(api.books.entries)
    batchrun("retry trial --where", where)
    assert len(api.books.entries) == before + sent


@pytest.mark.parametrize("word", ["done", "succeeded", "skipped", "pending", "invalid,nonsense"])
def test_a_status_that_no_retry_can_mend(batchrun: CommandLine, api: SimulatorServer, word: str) -> None:
    sent = len(api.books.entries)
    ran = batchrun(f"retry trial --status {word}")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "choose from" in ran.err
    assert len(api.books.entries) == sent


@pytest.mark.parametrize("nothing", [",", "''"])
def test_no_status_is_no_submit(batchrun: CommandLine, api: SimulatorServer, nothing: str) -> None:
    sent = len(api.books.entries)
    assert batchrun(f"retry trial --status {nothing}").code == ExitCode.USAGE
    assert len(api.books.entries) == sent
