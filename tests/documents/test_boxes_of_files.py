"""Boxes of documents that are files: what has them, and what comes of files and readers that fail."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "formats"))

from format_samples import docx, page_of, pdf

from batchrun.document import Document
from batchrun.documents import GivenUp, NeedsChild, unguarded
from batchrun.documents.files import FileSource
from batchrun.documents.formats import ReadOptions
from batchrun.documents.formats.pdf_boxes import Box

CONTRACT = pdf([page_of("The first page."), page_of("The term is two years.", "No more is said.")])


def given(root: Path, name: str = "a.pdf", data: bytes = CONTRACT, **options: str) -> tuple[FileSource, Document]:
    (root / name).write_bytes(data)
    source = FileSource(root=root, include=["*"], options=ReadOptions(**options))  # type: ignore[arg-type]
    (document,) = source.scan()
    assert isinstance(document, Document)
    return source, document


def boxes(source: FileSource, document: Document, quote: str = "The term is two years.") -> list[list[Box]]:
    start = document.text.index(quote)
    return source.boxes(document, [(start, start + len(quote))], unguarded)


@pytest.mark.parametrize("kind", ["text", "native"])
def test_a_pdf_has_boxes_whether_its_text_or_its_file_is_sent(tmp_path: Path, kind: str) -> None:
    ((box,),) = boxes(*given(tmp_path, pdf=kind))

    assert box.page == 2
    assert box.bottom < 706 < box.top


def test_a_document_of_another_format_has_none(tmp_path: Path) -> None:
    source, document = given(tmp_path, "a.docx", docx())

    assert source.boxes(document, [(0, 5)], unguarded) == []


@pytest.mark.parametrize(
    "data", [pdf([page_of("Another text.")]), b"no PDF at all", None], ids=["other", "text", "gone"]
)
def test_a_file_that_has_changed_has_none(tmp_path: Path, data: bytes | None) -> None:
    source, document = given(tmp_path)
    (tmp_path / "a.pdf").unlink()
    if data:
        (tmp_path / "a.pdf").write_bytes(data)

    assert boxes(source, document) == []


def test_boxes_are_made_under_a_name_of_their_own(tmp_path: Path) -> None:
    source, document = given(tmp_path)
    guarded = list[str]()

    def guard(name: str) -> AbstractContextManager[object]:
        guarded.append(name)
        return nullcontext()

    assert source.boxes(document, [(0, 5)], guard)
    assert guarded == ["the boxes of a.pdf"], "what ends a process here is no reason to give the document up"


def test_a_pdf_whose_boxes_were_given_up_has_none(tmp_path: Path) -> None:
    def guard(_: str) -> AbstractContextManager[object]:
        raise GivenUp("it took more than 25 seconds")

    source, document = given(tmp_path)

    assert source.boxes(document, [(0, 5)], guard) == []


def test_boxes_are_never_made_in_the_process_of_the_run(tmp_path: Path) -> None:
    def guard(_: str) -> AbstractContextManager[object]:
        raise NeedsChild

    source, document = given(tmp_path)

    with pytest.raises(NeedsChild):
        source.boxes(document, [(0, 5)], guard)
