"""What goes along with a row: facts of files, and cells of rows, as plain JSON."""

import json

import pytest

from batchrun.document import Document
from batchrun.documents import FoundFile
from batchrun.planning.source_columns import source_columns
from batchrun.store.output.source_columns import SourceColumn, fitting_types, joined, type_of, values_of

MODIFIED_NS = 1_772_368_215_250_999_999
ALL = ("path", "size", "modified", "pages")


def file(mtime_ns: int = MODIFIED_NS) -> FoundFile:
    return FoundFile(0, "docs/a.xlsx", 9, mtime_ns, 1, 1)


def columns(document: Document, of: FoundFile | None, *names: str) -> object:
    text = source_columns(document, of, names)
    return text and json.loads(text)


def test_facts_of_a_file() -> None:
    document = Document("docs/a.xlsx#Prices", "docs/a.xlsx#Prices", "text", place="Prices", pages=3)

    assert columns(document, file(), *ALL) == {
        "path": "docs/a.xlsx", "size": 9, "modified": "2026-03-01 12:30:15.250999", "pages": 3,
    }  # fmt: skip


def test_cells_of_a_sheet_beside_the_facts_of_its_file() -> None:
    document = Document("a", "docs/a.xlsx#1", "text", columns={"Price": 2.5, "size": "XL"})

    assert columns(document, file(), "Price", "size", "Colour") == {"Price": 2.5, "size": 9}


def test_columns_of_a_row_are_its_own() -> None:
    document = Document("a", "in.duckdb", "text", columns={"size": "XL", "path": None})

    assert columns(document, None, "size", "path", "modified") == {"size": "XL", "path": None}


def test_nothing_is_kept_where_nothing_is_named() -> None:
    assert source_columns(Document("a", "a", "text", columns={"x": 1}), file(), ()) is None


def test_the_order_of_the_names_says_nothing() -> None:
    document = Document("a", "a", "text")

    assert source_columns(document, file(), ALL) == source_columns(document, file(), ALL[::-1])


@pytest.mark.parametrize("mtime_ns", [-(2**62), 2**63 - 1, 10**30, -(10**19)])
def test_a_time_that_no_calendar_has(mtime_ns: int) -> None:
    found = columns(Document("a", "a", "text"), file(mtime_ns), "modified")

    assert isinstance(found, dict)
    assert found["modified"] is None or len(found["modified"]) == len("2026-03-01 12:30:15.250999")


@pytest.mark.parametrize(
    ("value", "sql_type", "text"),
    [
        (None, None, None),
        (True, "BOOLEAN", "true"),
        (7, "BIGINT", "7"),
        (2**63, "VARCHAR", str(2**63)),
        (-(2**63), "BIGINT", str(-(2**63))),
        (0.1, "DOUBLE", "0.1"),
        (float("inf"), "DOUBLE", "inf"),
        ("12", "VARCHAR", "12"),
    ],
)
def test_types_and_texts_of_values(value: object, sql_type: str | None, text: str | None) -> None:
    assert type_of(value) == sql_type
    assert values_of([SourceColumn("x", None)], json.dumps({"x": value})) == [text]


@pytest.mark.parametrize(
    ("types", "wide"),
    [
        ((None, None), None),
        ((None, "BIGINT"), "BIGINT"),
        (("BIGINT", "DOUBLE", None), "DOUBLE"),
        (("DOUBLE", "BIGINT"), "DOUBLE"),
        (("BOOLEAN", "BIGINT"), "VARCHAR"),
        (("VARCHAR", "DOUBLE", "DOUBLE"), "VARCHAR"),
        (("DATE", "DATE"), "DATE"),
    ],
)
def test_the_narrowest_type_with_room_for_all(types: tuple[str | None, ...], wide: str | None) -> None:
    assert joined(*types) == wide


def test_types_of_a_table() -> None:
    known = [SourceColumn("Size", "BIGINT"), SourceColumn("n", None), SourceColumn("nothing", None)]

    found = fitting_types(known, ['{"n": 1}', None, '{"n": 2.5}'], {"src_size": "BIGINT", "src_nothing": "BOOLEAN"})

    assert found == {"src_Size": "BIGINT", "src_n": "DOUBLE", "src_nothing": "BOOLEAN"}
