"""Parts of a file that are read back a few at a time, as sending does: the file is read once."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import files, formats
from batchrun.documents.files import FileSource
from batchrun.documents.formats import FORMATS, Part, ReadOptions

pytestmark = pytest.mark.slow


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the reader was given: it makes a document of each line, and names them by the line's number."""
    read = list[bytes]()

    def reads(data: bytes, options: ReadOptions) -> Iterator[formats.Found]:
        read.append(data)
        for number, line in enumerate(data.decode().splitlines()):
            yield Part(name=f"line {number}", text=line)

    lines = replace(FORMATS["text"], revision=99)
    lines.__dict__["read"] = reads
    monkeypatch.setitem(FORMATS, "text", lines)
    return read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"text {number}\n" for number in range(100)))
    return path


def refs(source: FileSource) -> list[DocumentRef]:
    return [DocumentRef(one.doc_id, one.source, one.place) for one in source.scan()]


def texts(found: list[Document | Unreadable]) -> list[str]:
    return [one.text if isinstance(one, Document) else one.reason for one in found]


def test_a_file_is_read_once_for_all_its_parts(path: Path, read: list[bytes]) -> None:
    source = FileSource(root=path.parent, include=["*"])
    wanted = refs(source)
    read.clear()

    found = [text for at in range(0, 100, 8) for text in texts(source.read(wanted[at : at + 8]))]

    assert found == [f"text {number}" for number in range(100)]
    assert len(read) == 1


def rewritten(path: Path) -> None:
    path.write_text(path.read_text().replace("text", "new text"))


def replaced(path: Path) -> None:
    before, new = path.stat(), path.with_name("b.new")
    new.write_text(path.read_text().replace("text", "TEXT"))
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.rename(path)


@pytest.mark.parametrize("change", [rewritten, replaced])
def test_a_file_that_changed_in_between_is_read_again(path: Path, read: list[bytes], change: Any) -> None:
    source = FileSource(root=path.parent, include=["a*"])
    wanted = refs(source)
    source.read(wanted[:8])
    change(path)

    assert texts(source.read(wanted[:1])) == path.read_text().splitlines()[:1]


def test_a_file_that_is_gone_in_between_says_so(path: Path, read: list[bytes]) -> None:
    source = FileSource(root=path.parent, include=["*"])
    wanted = refs(source)
    source.read(wanted[:8])
    path.unlink()

    assert all(isinstance(one, Unreadable) for one in source.read(wanted[:2]))


def test_other_options_and_ids_read_again(path: Path, read: list[bytes]) -> None:
    by_path = FileSource(root=path.parent, include=["*"])
    by_stem = FileSource(root=path.parent, include=["*"], id_from="stem")
    as_rows = FileSource(root=path.parent, include=["*"], options=ReadOptions(rows=True))
    wanted = refs(by_path)[:2]

    assert [one.doc_id for one in by_path.read(wanted)] == ["a.txt#line 0", "a.txt#line 1"]
    assert [one.doc_id for one in by_stem.read(wanted)] == ["a#line 0", "a#line 1"]
    read.clear()
    as_rows.read(wanted)
    assert len(read) == 1


def test_very_much_text_is_not_kept(path: Path, read: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_KEPT", 100)
    source = FileSource(root=path.parent, include=["*"])
    wanted = refs(source)
    read.clear()

    for at in range(0, 16, 8):
        source.read(wanted[at : at + 8])

    assert len(read) == 2
