"""Documents that a program gives: from mappings and data frames, taken once, and refused with their place."""

import datetime as dt
import math
import pickle
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import scan
from batchrun.documents.memory import MemorySource, rows_of
from batchrun.errors import Refused, UsageProblem

ROWS = [{"doc_id": "a", "text": "one", "who": "Ada"}, {"doc_id": "b", "text": "two", "year": 1904}]


def read(documents: object) -> list[tuple[str, str, dict[str, Any]]]:
    found = list(scan(MemorySource(documents)))
    assert all(isinstance(one, Document) and one.source == "memory" for one in found)
    return [(one.doc_id, one.text, dict(one.columns)) for one in found if isinstance(one, Document)]


def test_mappings_are_taken_once_and_read_often() -> None:
    taken: list[str] = []

    def rows() -> Iterator[dict[str, Any]]:
        for row in ROWS:
            taken.append(row["doc_id"])
            yield row

    source = MemorySource(rows())
    assert source.columns == {"who", "year"}
    for _ in range(2):
        assert [one.doc_id for one in scan(source)] == ["a", "b"]
    assert taken == ["a", "b"]
    assert read(ROWS) == [("a", "one", {"who": "Ada", "year": None}), ("b", "two", {"who": None, "year": 1904})]


class Polars(SimpleNamespace):
    to_dicts = None

    def iter_rows(self, *, named: bool) -> Iterator[dict[str, Any]]:
        assert named
        yield from ROWS


class Pandas(SimpleNamespace):
    """A frame of pandas has NaN where a value is missing."""

    def __len__(self) -> int:
        return 2_500

    @property
    def iloc(self) -> Any:
        class Rows:
            def __getitem__(self, part: slice) -> Any:
                numbers = range(2_500)[part]
                rows = [{"doc_id": number, "text": "t", "who": math.nan} for number in numbers]
                return SimpleNamespace(to_dict=lambda kind: rows if kind == "records" else None)

        return Rows()


class Arrow(SimpleNamespace):
    def to_batches(self, *, max_chunksize: int) -> list[Any]:
        return [SimpleNamespace(to_pylist=lambda row=row: [row]) for row in ROWS[:max_chunksize]]


def test_frames() -> None:
    assert read(Polars()) == read(Arrow()) == read(ROWS)
    ids = [doc_id for doc_id, _, _ in read(Pandas())]
    assert ids == [str(number) for number in range(2_500)]
    assert read(Pandas())[0][2] == {"who": None}


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_real_frames_where_they_are(package: str) -> None:
    module = pytest.importorskip(package)
    columns = {"doc_id": ["a", "b"], "text": ["one", "two"], "n": [1, None]}
    frame = module.table(columns) if package == "pyarrow" else module.DataFrame(columns)
    assert read(frame) == [("a", "one", {"n": 1}), ("b", "two", {"n": None})]


def test_values_of_columns() -> None:
    values = {"d": dt.date(1904, 6, 16), "m": Decimal("1.50"), "l": [1, {"x": None}], "t": True, "n": math.nan}
    assert read([{"doc_id": "a", "text": "", **values}]) == [
        ("a", "", {"d": "1904-06-16", "m": "1.50", "l": '[1, {"x": null}]', "t": True, "n": None})
    ]


WRONG = {
    "no id": ({"text": "t"}, "document 2: doc_id is missing"),
    "id is None": ({"doc_id": None, "text": "t"}, "document 2: doc_id is missing"),
    "id is empty": ({"doc_id": "", "text": "t"}, "document 2: doc_id is missing"),
    "id is NaN": ({"doc_id": math.nan, "text": "t"}, "document 2: doc_id is missing"),
    "id is a fraction": ({"doc_id": 1.0, "text": "t"}, "document 2: doc_id is of the type float"),
    "id is a truth": ({"doc_id": True, "text": "t"}, "document 2: doc_id is of the type bool"),
    "no text": ({"doc_id": "b"}, "document 2 (b): text is missing"),
    "text is NaN": ({"doc_id": "b", "text": math.nan}, "document 2 (b): text is missing"),
    "text is bytes": ({"doc_id": "b", "text": b"t"}, "document 2 (b): text is of the type bytes"),
    "text is a number": ({"doc_id": "b\x1b[2J", "text": 7}, r"document 2 (b\x1b[2J): text is of the type int"),
    "half a character": ({"doc_id": "b", "text": "\ud800"}, "document 2: half of a character"),
    "a column is infinite": ({"doc_id": "b", "text": "t", "x": math.inf}, "document 2 (b): a column has"),
    "a column is a set": (
        {"doc_id": "b", "text": "t", "x": {1}},
        "document 2 (b): a column has a value of the type set",
    ),
    "a column is bytes": ({"doc_id": "b", "text": "t", "x": b""}, "a column has a value of the type bytes"),
    "no mapping": ("b", "document 2: it is of the type str"),
    "names are numbers": ({1: "b"}, "document 2: it is of the type dict"),
    "too long": ({"doc_id": "b", "text": "", "x": "\1" * 11_000_000}, "document 2 (b): it has more than 64 MB"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused_with_its_place(case: str) -> None:
    wrong, words = WRONG[case]
    with pytest.raises(UsageProblem) as problem:
        MemorySource([{"doc_id": "a", "text": "t"}, wrong])
    assert words in str(problem.value)


@pytest.mark.parametrize("documents", ["text", b"bytes", 7, {"doc_id": "a", "text": "t"}])
def test_no_documents_at_all(documents: object) -> None:
    with pytest.raises(UsageProblem, match=r"documents: a .* has no documents"):
        list(rows_of(documents))


def test_an_empty_list_is_refused_when_it_is_planned() -> None:
    with pytest.raises(Refused, match="the program gave none"):
        list(MemorySource([]).shards())


def test_documents_are_found_again_wherever_they_stand() -> None:
    source = MemorySource([{"doc_id": f"{number}", "text": f"text {number}"} for number in range(100)])
    places = {one.doc_id: one.place for one in scan(source)}
    asked = [
        DocumentRef("7", "memory", places["7"]),
        DocumentRef("50", "memory", places["3"]),  # where an earlier program had the document
        DocumentRef("gone", "memory", "0"),
    ]
    first, moved, gone = source.read(asked)
    assert isinstance(first, Document)
    assert first.text == "text 7"
    assert isinstance(moved, Document)
    assert moved.text == "text 50"
    assert isinstance(gone, Unreadable)


def test_other_processes_can_read_and_the_file_is_removed_with_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource(ROWS)
    path = Path(source._file.path)
    assert path.stat().st_mode & 0o777 == 0o600
    copy = pickle.loads(pickle.dumps(source))
    assert [one.doc_id for one in scan(copy)] == ["a", "b"]
    del copy
    assert path.exists(), "a copy in another process removes nothing"
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: -1)  # as in a fork, which ends before the program
        del source
        assert path.exists()
    path.unlink()
    path = Path(MemorySource(ROWS)._file.path)
    assert not path.exists()
