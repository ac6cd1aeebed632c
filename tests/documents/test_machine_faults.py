"""A machine that fails says nothing of a document: the read is tried again, and then the whole command ends."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from batchrun import file_system
from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents.files import FileSource
from batchrun.errors import EnvironmentProblem, ExitCode

OF_THE_MACHINE = [
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EAGAIN, errno.ENOBUFS,
    errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN,
]  # fmt: skip
OF_THE_FILE = [errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSource:
    """One document, and a machine that makes no pauses."""
    monkeypatch.setattr(file_system, "PAUSES_S", (0.0, 0.0))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("text")
    return FileSource(root=tmp_path, include=["docs/*.txt"])


def failing(monkeypatch: pytest.MonkeyPatch, call: str, number: int, *, times: int) -> None:
    """Let calls of the operating system on a document or its folder fail so many times."""
    real, left = getattr(os, call), [times]

    def fails(path: Any, *args: Any, **options: Any) -> Any:
        if "docs" in str(path) and left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return real(path, *args, **options)

    monkeypatch.setattr(os, call, fails)


@pytest.mark.parametrize("number", OF_THE_MACHINE, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["open", "scandir", "lstat"])
def test_a_plan_ends_when_the_machine_fails(
    source: FileSource, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    failing(monkeypatch, call, number, times=99)
    with pytest.raises(EnvironmentProblem, match=r"docs.* cannot be used now") as caught:
        list(source.scan())
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert "run the same command again" in str(caught.value.hint)


@pytest.mark.parametrize("call", ["open", "scandir", "lstat"])
def test_a_fault_that_passes_is_waited_out(source: FileSource, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    failing(monkeypatch, call, errno.EMFILE, times=2)
    assert [type(found) for found in source.scan()] == [Document]


def test_a_send_ends_when_the_machine_fails(source: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "open", errno.EIO, times=99)
    with pytest.raises(EnvironmentProblem, match="cannot be used now"):
        source.read([DocumentRef("docs/a.txt", "docs/a.txt")])


@pytest.mark.parametrize("number", OF_THE_FILE, ids=errno.errorcode.get)
def test_a_fault_of_the_file_is_the_documents(source: FileSource, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    failing(monkeypatch, "open", number, times=1)
    (found,) = source.scan()
    assert isinstance(found, Unreadable)
    assert found.reason == file_system.FILE_FAULTS[number]
