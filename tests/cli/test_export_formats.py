"""The formats of exported rows: their endings, their types, their limits, and the mark of simulated runs."""

import json
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from python_calamine import CalamineWorkbook

from batchrun.cli import export_xlsx
from batchrun.cli.export_formats import FILES, TEXTS, chosen_format
from batchrun.cli.export_rows import ExportRows
from batchrun.errors import BatchrunError, EnvironmentProblem, UsageProblem
from batchrun.escaping import readable_json

QUERY = """
from (values
    ('1 ä', '=1+1', 12, 1.5::double, date '2026-01-31', timestamptz '2026-01-31 12:00:00+00', true, ['ü'],
        0.1::decimal(38, 9)),
    ('2 b', null, 12345678901234567, 'nan'::double, date '1815-06-18', null, false, [],
        1234567890123.4567::decimal(38, 9)))
    t(doc_id, title, pages, score, signed, _at, valid, tags, amount) order by doc_id
"""
NAMES = ["doc_id", "title", "pages", "score", "signed", "_at", "valid", "tags", "amount"]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, query: str = QUERY, *, simulated: bool = False) -> ExportRows:
    names = [*NAMES, "_simulated"] if simulated else NAMES
    wanted = f"from (select *, true as _simulated {query})"
    return ExportRows(connection, names, {"_at"}, wanted, {}, simulated, 0)


ENDINGS = {
    "an ending": ("rows.csv", None, "csv"),
    "in capitals": ("ROWS.CSV", None, "csv"),
    "of mixed case": ("rows.Parquet", None, "parquet"),
    "both agree": ("rows.XLSX", "xlsx", "xlsx"),
    "another name": ("rows.ndjson", None, "jsonl"),
    "neither": (None, None, None),
    "no ending": ("/dev/stdout", "csv", "csv"),
    "a table": ("rows.txt", "table", "table"),
}


@pytest.mark.parametrize(("output", "named", "format_"), ENDINGS.values(), ids=ENDINGS)
def test_the_ending_says_the_format(output: str | None, named: str | None, format_: str | None) -> None:
    assert chosen_format(output and Path(output), named) == format_


FALSE_NAMES = {
    "compressed": ("rows.csv.gz", None, "rows.csv.gz: rows are not written as .gz"),
    "compressed, and named": ("rows.csv.gz", "csv", "rows are not written as .gz"),
    "unknown": ("rows.dat", None, "rows are not written as .dat"),
    "an older workbook": ("rows.xls", "xlsx", "rows are not written as .xls"),
    "nothing": ("rows", None, "no ending says the format"),
    "contradiction": ("rows.parquet", "csv", "rows.parquet ends like parquet, and --format says csv"),
    "a table": ("rows.csv", "table", "--format says table"),
    "not for a pipe": (None, "xlsx", "xlsx is not text"),
}


@pytest.mark.parametrize(("output", "named", "said"), FALSE_NAMES.values(), ids=FALSE_NAMES)
def test_no_file_gets_a_false_name(output: str | None, named: str | None, said: str) -> None:
    with pytest.raises(UsageProblem, match=said) as refused:
        chosen_format(output and Path(output), named)
    assert refused.value.hint


def test_a_workbook_has_typed_cells(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert FILES["xlsx"](rows(connection), tmp_path / "rows.xlsx") == 2
    sheet = CalamineWorkbook.from_path(str(tmp_path / "rows.xlsx")).get_sheet_by_name("rows")
    header, first, second = sheet.to_python()
    assert header == NAMES
    at = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - a cell has no zone; its format says UTC
    assert first == ["1 ä", "=1+1", 12.0, 1.5, date(2026, 1, 31), at, True, '["ü"]', 0.1]
    assert second == ["2 b", "", "12345678901234567", "nan", "1815-06-18", "", False, "[]", "1234567890123.456700000"]
    with zipfile.ZipFile(tmp_path / "rows.xlsx") as parts:
        styles, cells = (parts.read(f"xl/{name}.xml").decode() for name in ("styles", "worksheets/sheet1"))
    assert 'state="frozen"' in cells
    assert "<f>" not in cells, "no cell is a formula"
    assert "UTC" in styles
    assert "<b/>" in styles


WHOLE = {
    "a row too many": ("from range(3) t(doc_id)", "3 rows are more than the 2"),
    "a text too long": (
        "from (select repeat('\U0001f600', 16_384) as doc_id)",
        "row 1: the text in doc_id has more than 32,767",
    ),
}


@pytest.mark.parametrize(("query", "said"), WHOLE.values(), ids=WHOLE)
def test_what_a_workbook_does_not_hold_is_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, said: str
) -> None:
    monkeypatch.setattr(export_xlsx, "MOST_ROWS", 2)
    with pytest.raises(UsageProblem, match=said):
        FILES["xlsx"](ExportRows(connection, ["doc_id"], set(), query, {}, False, 0), tmp_path / "rows.xlsx")
    assert not (tmp_path / "rows.xlsx").exists()


def test_a_text_that_just_fits(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    query = "from (select repeat('x', 32_767) as doc_id)"
    assert FILES["xlsx"](ExportRows(connection, ["doc_id"], set(), query, {}, False, 0), tmp_path / "rows.xlsx") == 1


def test_simulated_rows_are_marked_in_every_format(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = rows(connection, simulated=True)
    for format_ in TEXTS:
        assert "_simulated" in "".join(TEXTS[format_](found.names, found.each(), False))
    FILES["xlsx"](found, tmp_path / "rows.xlsx")
    (name,) = CalamineWorkbook.from_path(str(tmp_path / "rows.xlsx")).sheet_names
    assert name == "SIMULATED rows"
    FILES["parquet"](found, tmp_path / "rows.parquet")
    metadata = connection.execute(f"select key, value from parquet_kv_metadata('{tmp_path}/rows.parquet')").fetchall()
    assert metadata == [(b"simulated", b"true")]
    assert connection.execute(f"select distinct _simulated from '{tmp_path}/rows.parquet'").fetchall() == [(True,)]


def test_arrow_keeps_the_types(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    assert FILES["arrow"](rows(connection, simulated=True), tmp_path / "rows.arrow") == 2
    with pa.memory_map(str(tmp_path / "rows.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
        assert table.schema.metadata == {b"simulated": b"true"}
        assert str(table.schema.field("_at").type) == "timestamp[us, tz=UTC]"
        assert table.column("tags").to_pylist() == [["ü"], []]


def test_arrow_without_its_package(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EnvironmentProblem) as missing:
        FILES["arrow"](rows(connection), tmp_path / "rows.arrow")
    assert isinstance(missing.value, BatchrunError)
    assert "pip install 'batchrun-documents[arrow]'" in (missing.value.hint or "")
    assert not (tmp_path / "rows.arrow").exists()


def test_tsv_keeps_cells_apart(connection: duckdb.DuckDBPyConnection) -> None:
    assert "".join(TEXTS["tsv"](["a", "b"], [["x\ty", "=1"], [1, None]], False)) == 'a\tb\n"x\ty"\t\'=1\n1\t\n'


def test_json_for_people_has_umlauts_and_nothing_active() -> None:
    value = {"ü": "契約 \x1b\x9b\u202e\ud800\x7f ❤️ \U000e0041"}
    text = readable_json(value)
    assert text == '{"ü": "契約 \\u001b\\u009b\\u202e\\ud800\\u007f ❤\\ufe0f \\udb40\\udc41"}'
    assert json.loads(text) == value
