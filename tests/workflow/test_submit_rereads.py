"""Files that have not changed are opened again only when a person says so, and so are texts of older readers."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.documents.files import FileSource
from batchrun.planning import settled_files
from batchrun.strategy.plan import Plan
from batchrun.workflow.open_job import SubmitOptions

pytestmark = pytest.mark.slow

LONG_AGO_NS = 1_700_000_000_500_000_000


def document(project: TrialProject, name: str, text: str) -> None:
    project.document(name, text)
    os.utime(project.root / "docs" / name, ns=(LONG_AGO_NS, LONG_AGO_NS))


@pytest.fixture(autouse=True)
def old_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are old enough for their times to tell of every change."""
    monkeypatch.setattr(settled_files, "TICK_NS", -(10**18))


def hide_the_change(project: TrialProject) -> None:
    """Let the ledger have a file as it is now, as on a file system whose times tell of no change."""
    now = (project.root / "docs" / "a.txt").stat()
    project.ask(
        "update read_files set size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?",
        now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, commit=True,
    )  # fmt: skip


@pytest.fixture
def opened_files() -> Iterator[list[str]]:
    """The names of the files that were opened."""
    names = list[str]()
    bytes_of = FileSource._bytes

    def opened(source: FileSource, path: str) -> bytes:
        names.append(Path(path).name)
        return bytes_of(source, path)

    with mock.patch.object(FileSource, "_bytes", opened):
        yield names


def submitted(project: TrialProject, provider: ScriptedProvider, options: SubmitOptions | None = None) -> Plan:
    project.submit(provider, options=options or SubmitOptions())
    return project.plans[-1]


def test_rescan_opens_what_has_not_changed(project: TrialProject, opened_files: list[str]) -> None:
    document(project, "a.txt", "text")
    provider = ScriptedProvider()
    submitted(project, provider)
    opened_files.clear()

    submitted(project, provider)
    assert opened_files == []
    submitted(project, provider, SubmitOptions(rescans=True))

    assert opened_files == ["a.txt"]
    assert provider.sent == ["text"]


def test_rescan_finds_what_no_time_shows(project: TrialProject) -> None:
    document(project, "a.txt", "text")
    provider = ScriptedProvider()
    submitted(project, provider)
    document(project, "a.txt", "TEXT")
    hide_the_change(project)

    submitted(project, provider)
    assert provider.sent == ["text"]
    submitted(project, provider, SubmitOptions(rescans=True))

    assert provider.sent == ["text", "TEXT"]


def test_a_touched_file_is_opened_once(project: TrialProject, opened_files: list[str]) -> None:
    document(project, "a.txt", "text")
    provider = ScriptedProvider()
    submitted(project, provider)
    os.utime(project.root / "docs" / "a.txt", ns=(LONG_AGO_NS + 10**9, LONG_AGO_NS + 10**9))
    opened_files.clear()

    for _ in range(3):
        submitted(project, provider)

    assert opened_files == ["a.txt"]
    assert project.ask("select count(*) from runs") == [(1,)]


def test_an_older_reader_that_found_the_same_text_is_forgotten(project: TrialProject) -> None:
    document(project, "a.txt", "text")
    provider = ScriptedProvider()
    submitted(project, provider)
    project.ask("update documents set reader = 'text/0'", commit=True)

    assert submitted(project, provider).older == 1
    submitted(project, provider, SubmitOptions(rereads=True))

    assert submitted(project, provider).older == 0
    assert provider.sent == ["text"]


def older(project: TrialProject) -> None:
    """Let the ledger have what an older reader, which found another text, would have left there."""
    project.ask("update documents set reader = 'text/0', content_sha = 'another'", commit=True)


def test_what_an_older_reader_read_is_told_and_sent_only_when_asked(project: TrialProject) -> None:
    document(project, "a.txt", "text")
    provider = ScriptedProvider()
    submitted(project, provider)
    older(project)
    project.ask(
        "update requests set request_id = 'of another text' where request_no = (select request_no from documents)",
        commit=True,
    )

    assert submitted(project, provider).older == 1
    assert submitted(project, provider, SubmitOptions(rescans=True)).older == 1
    assert provider.sent == ["text"]
    assert submitted(project, provider, SubmitOptions(rereads=True, pay_again=True)).older == 0

    assert provider.sent == ["text", "text"]
    assert submitted(project, provider).older == 0
