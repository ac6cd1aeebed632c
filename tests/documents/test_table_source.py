"""The rows of table files as documents: every kind of file, broken ones, places, and how little is held at a time."""

import csv
import gzip
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import duckdb
import pytest
from bucket_server import serving_buckets
from hypothesis import given
from hypothesis import strategies as st

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents.tables import TableFile, opening, text_table
from batchrun.documents.tables import documents as documents_module
from batchrun.documents.tables import parquet as parquet_module
from batchrun.documents.tables.locked_duckdb import unreachable
from batchrun.documents.tables.source import TableSource
from batchrun.errors import Busy, EnvironmentProblem, Refused, UsageProblem

pytestmark = pytest.mark.slow

CSV = 'no,text,customer\n007,1.10,Ada\n008,"two\nlines, ""quoted""",\n009,,Bo\n'
TSV = 'no\ttext\tcustomer\n007\t1.10\tAda\n008\tsay "hi"\t\n009\t\tBo\n'
JSONL = (
    '{"no": "007", "text": "1.10", "customer": "Ada"}\n\n'
    '{"no": "008", "text": "zwei\\nZeilen \\u00e4"}\n{"no": "009", "text": null, "customer": "Bo"}'
)


def source(root: Path, *path: str, id_column: str | None = "no", text: str | None = "text") -> TableSource:
    return TableSource(root=root, path=path, id_column=id_column, text=text)


def scan(found: TableSource) -> list[Document]:
    documents = []
    for document in found.scan():
        assert isinstance(document, Document)
        documents.append(document)
    return documents


def ref(document: Document | Unreadable) -> DocumentRef:
    return DocumentRef(document.doc_id, document.source, document.place)


def write_parquet(path: Path, sql: str, options: str = "") -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet {options})")


def workbook(path: Path, rows: str, *, sheet: str = "S") -> None:
    """An Excel file by hand, with one sheet."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    relation = (
        '<Relationships xmlns="{}/relationships"><Relationship Id="r1" Type="{}/{}" Target="{}"/></Relationships>'
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        file.writestr("_rels/.rels", relation.format(package, office, "officeDocument", "xl/workbook.xml"))
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="{sheet}" sheetId="1" r:id="r1"/>'
            "</sheets></workbook>",
        )
        file.writestr("xl/_rels/workbook.xml.rels", relation.format(package, office, "worksheet", "worksheets/s.xml"))
        file.writestr("xl/worksheets/s.xml", f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>')


def cell(place: str, value: str | float) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def sheet_rows(*rows: list[str | float]) -> str:
    cells = [
        [cell(f"{chr(65 + at)}{number}", value) for at, value in enumerate(row)] for number, row in enumerate(rows, 1)
    ]
    return "".join(f'<row r="{number}">{"".join(row)}</row>' for number, row in enumerate(cells, 1))


def make_csv(root: Path) -> str:
    (root / "t.csv").write_text(CSV)
    return "t.csv"


def make_tsv(root: Path) -> str:
    (root / "t.tsv").write_text(TSV)
    return "t.tsv"


def make_gz(root: Path) -> str:
    (root / "t.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    return "t.csv.gz"


def make_jsonl(root: Path) -> str:
    (root / "t.jsonl").write_text(JSONL)
    return "t.jsonl"


def make_parquet(root: Path) -> str:
    rows = "('007', '1.10', 'Ada'), ('008', 'two', NULL), ('009', NULL, 'Bo')"
    write_parquet(root / "t.parquet", f"FROM (VALUES {rows}) t(no, text, customer)")
    return "t.parquet"


def make_xlsx(root: Path) -> str:
    rows = sheet_rows(["no", "text", "customer"], ["007", "1.10", "Ada"], ["008", "two"], [], ["009", "", "Bo"])
    workbook(root / "t.xlsx", rows)
    return "t.xlsx"


EVERY_KIND = [make_csv, make_tsv, make_gz, make_jsonl, make_parquet, make_xlsx]


@pytest.fixture(params=EVERY_KIND, ids=lambda make: make.__name__)
def table(tmp_path: Path, request: pytest.FixtureRequest) -> TableSource:
    make: Callable[[Path], str] = request.param
    return source(tmp_path, make(tmp_path))


def test_rows_are_documents(table: TableSource) -> None:
    first, second, third = scan(table)
    assert (first.doc_id, first.text, dict(first.columns)) == ("007", "1.10", {"customer": "Ada"})
    assert second.doc_id == "008"
    assert dict(second.columns) == {"customer": None}
    assert (third.doc_id, third.text) == ("009", "")
    assert first.source.startswith("t.")
    assert table.columns == frozenset({"customer"})


def test_rows_are_read_again_in_any_order(table: TableSource) -> None:
    first, second, third = scan(table)
    gone = DocumentRef("000", first.source, second.place)
    assert table.read([ref(third), gone, ref(first)]) == [
        third,
        Unreadable("000", first.source, "no longer in the table", second.place),
        first,
    ]
    assert table.read([]) == []


def test_rows_are_found_without_their_places(table: TableSource) -> None:
    documents = scan(table)
    assert table.read([DocumentRef(one.doc_id, one.source) for one in documents]) == documents
    wrong = [DocumentRef(one.doc_id, one.source, "3") for one in documents]
    assert table.read(wrong) == documents


def test_another_process_reads_the_shards(table: TableSource) -> None:
    shards = list(table.shards())
    other, sent = pickle.loads(pickle.dumps((table, shards)))
    assert [shard.number for shard in sent] == list(range(len(sent)))
    assert [one for shard in sent for one in other.read_shard(shard)] == list(table.scan())
    assert table.parallel


@pytest.mark.parametrize("make", [make_csv, make_gz, make_jsonl])
def test_slices_of_any_size_have_every_row_once(
    tmp_path: Path, make: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = source(tmp_path, make(tmp_path))
    whole = scan(found)
    for size in (1, 5, 20, 30):
        monkeypatch.setattr(text_table, "SLICE", size)
        shards = list(found.shards())
        assert len(shards) > 1
        assert [one for shard in shards for one in found.read_shard(shard)] == whole
        assert [shard.number for shard in shards] == list(range(len(shards)))


def test_large_row_groups_are_cut(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "t.parquet", "SELECT range AS no, 'x' AS text FROM range(600_000)", ", row_group_size 600_000"
    )
    found = source(tmp_path, "t.parquet")
    shards = list(found.shards())
    assert len(shards) == 37
    read = [[one.doc_id for one in found.read_shard(shard)] for shard in shards]
    assert list(chain.from_iterable(read)) == [str(number) for number in range(600_000)]


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=12)


@given(rows=st.lists(st.tuples(values, values), min_size=1, max_size=8), delimiter=st.sampled_from(",;\t|"))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    folder = tmp_path_factory.mktemp("written")
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["no", "text", "customer"])
    writer.writerows((number, *row) for number, row in enumerate(rows))
    (folder / "t.csv").write_text(lines.getvalue(), "utf-8", newline="")
    with (folder / "t.jsonl").open("w", encoding="utf-8") as file:
        for number, (text, customer) in enumerate(rows):
            file.write(json.dumps({"no": number, "text": text, "customer": customer or None}) + "\n")
    found, same = source(folder, "t.csv"), source(folder, "t.jsonl")
    documents = scan(found)
    assert [(one.text, one.columns["customer"] or "") for one in documents] == rows
    assert [(one.doc_id, one.text, one.columns) for one in scan(same)] == [
        (one.doc_id, one.text, one.columns) for one in documents
    ]
    assert found.read([ref(one) for one in documents]) == documents


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("no;text\n1;a,b\n2;c,d\n", ["a,b", "c,d"]),
        ("no|text\n1|a\n", ["a"]),
        ("\ufeffno,text\r\n1,a\r\n", ["a"]),
        ("no , text\n1,a\n", ["a"]),
        ("sep=;\nno;text\n1;a\n", ["a"]),
        ("The tickets of July\n\nno,text\n1,a\n2,b\n", ["a", "b"]),
        ("no,text\n1,'a, b'\n2,'c, d'\n", ["a, b", "c, d"]),
        ('no,text\n1,"say \\"hi\\", so"\n2,"a, b"\n', ['say "hi", so', "a, b"]),
        ('no,text\n1,5" pipe\n2,"6"" pipe, bent"\n', ['5" pipe', '6" pipe, bent']),
        ("no,text,,\n1,a,,\n", ["a"]),
        ("no,text,x,x\n1,a,2,3\n", ["a"]),
        ("no,text\n1,a\n\n2,b", ["a", "b"]),
    ],
)
def test_csv_as_people_have_it(tmp_path: Path, content: str, texts: list[str]) -> None:
    (tmp_path / "t.csv").write_text(content, "utf-8", newline="")
    found = source(tmp_path, "t.csv")
    documents = scan(found)
    assert [one.text for one in documents] == texts
    assert found.read([ref(one) for one in documents]) == documents


def test_columns_without_and_with_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("no,text,x,,x\n1,a,2,3,4\n")
    (document,) = scan(source(tmp_path, "t.csv"))
    assert document.columns == {"x": "2", "x_1": "4"}


CUT_GZIP = gzip.compress(CSV.encode(), mtime=0)[:-9]
"""Without a time, which would be in the names of tests."""


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("t.csv", b"no,text\n1,a\n2,b,c\n", "line 3 has 3 fields, and the header has 2 fields", "quotation marks"),
        ("t.csv", b"no,text\n1,a\n2\n", "t.csv: line 3 has 1 field, and", "quotation marks"),
        ("t.csv", b'no,text\n1,"a,b"\n2,"b\n3,c\n', "t.csv: line 3: a quotation mark that is never closed", "doubled"),
        ("t.csv", b"no,text\n1,a\n2,caf\xe9\n", "t.csv: line 3 is not UTF-8 (byte 0xe9)", "iconv -f WINDOWS-1252"),
        ("t.csv", "no,text\n".encode("utf-16"), "t.csv: it is UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8 t.csv"),
        ("t.csv", b"", "t.csv: it has no header", "the names of the columns"),
        ("t.csv", b"nr,text\n1,a\n", "source.id: no column no; t.csv has nr, text", "first line"),
        ("t.csv", b"no,texts\n1,a\n", "source.text: no column text; t.csv has no, texts", "did you mean texts?"),
        ("t.jsonl", b'{"no": 1, "text": "a"}\n{"no": 2\n', "t.jsonl: line 2: Expecting", "one JSON object"),
        ("t.jsonl", b'{"no": 1, "text": "a"}\n[1]\n', "t.jsonl: line 2: no object", "one JSON object"),
        ("t.jsonl", b'{"no": 1, "text": "\\ud800"}\n', "t.jsonl: line 1: half of a character", "one JSON object"),
        ("t.jsonl", b'{"no": ' + b"[" * 100_000, "t.jsonl: line 1: ", "one JSON object"),
        ("t.jsonl", b'{"no": ' + b"1" * 5_000 + b"}", "t.jsonl: line 1: Exceeds the limit", "one JSON object"),
        ("t.jsonl", b'{"no": 1, "text": "caf\xe9"}\n', "t.jsonl: line 1 is not UTF-8", "iconv"),
        ("t.csv.gz", b"no,text\n1,a\n", "t.csv.gz: the compressed data is damaged", "gunzip -t"),
        ("t.csv.gz", CUT_GZIP, "t.csv.gz: the compressed data is damaged", "gunzip -t"),
        ("t.parquet", b"no,text\n1,a\n" * 9, "t.parquet: Invalid Input Error: No magic bytes", "no Parquet file"),
        ("t.xlsx", b"no,text\n1,a\n", "t.xlsx: ", "save the sheet as CSV"),
        ("t.txt", b"no,text\n1,a\n", "t.txt: no table, by its name", "name files that end with csv"),
        ("t.json", b'[{"no": 1, "text": "a"}]', "t.json: no table, by its name", "jq -c '.[]' a.json > a.jsonl"),
    ],
)  # fmt: skip
def test_a_bad_file_is_explained(tmp_path: Path, name: str, content: bytes, message: str, hint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageProblem) as caught:
        scan(source(tmp_path, name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint in str(caught.value.hint)
    assert pickle.loads(pickle.dumps(caught.value)).hint == caught.value.hint, "it may come from another process"


def test_id_and_text_have_to_be_named(tmp_path: Path) -> None:
    make_csv(tmp_path)
    with pytest.raises(UsageProblem, match=r"a table needs `id`, the name of a column; t\.csv has no, text, customer"):
        assert source(tmp_path, "t.csv", id_column=None).columns
    with pytest.raises(
        UsageProblem, match=r"a table needs `text`, the name of a column; t\.csv has no, text, customer"
    ) as caught:
        assert source(tmp_path, "t.csv", text=None).columns
    assert caught.value.hint == 'such as text = "customer"', "hardly the id"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "no,text\n1,a\n,b\n", "source.id: t.csv, line 3: nothing in the column no"),
        ("t.jsonl", '{"no": 1, "text": "a"}\n{"no": null}\n', "source.id: t.jsonl, line 2: nothing in the column no"),
    ],
)
def test_a_row_without_an_id_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(Refused, match=message):
        scan(source(tmp_path, name))


def test_a_sheet_row_without_an_id_is_refused_by_its_number(tmp_path: Path) -> None:
    workbook(tmp_path / "t.xlsx", sheet_rows([], ["no", "text"], [7.0, "a"], [], ["", "b"]))
    with pytest.raises(Refused, match=r"t\.xlsx, row 5: nothing in the column no"):
        scan(source(tmp_path, "t.xlsx"))


def test_text_may_be_a_template_over_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("no,subject,body\n1,Hello,World\n2,,{{ doc.no }}\n")
    found = source(tmp_path, "t.csv", text="{{ doc.subject }}: {{ doc.body }} ({{ doc.no }})")
    assert [one.text for one in scan(found)] == ["Hello: World (1)", ": {{ doc.no }} (2)"]
    assert found.columns == frozenset({"subject", "body"})
    with pytest.raises(UsageProblem, match=r"source\.text: no column bdy; t\.csv has no, subject, body"):
        scan(source(tmp_path, "t.csv", text="{{ doc.bdy }}"))


def test_values_of_json(tmp_path: Path) -> None:
    record = {"no": 7, "text": {"a": ["é"]}, "i": 1, "f": 1.5, "t": True, "n": None, "l": [1, "é"]}
    (tmp_path / "t.jsonl").write_text(json.dumps(record))
    (document,) = scan(source(tmp_path, "t.jsonl"))
    assert (document.doc_id, document.text) == ("7", '{"a": ["é"]}')
    assert document.columns == {"i": 1, "f": 1.5, "t": True, "n": None, "l": '[1, "é"]'}
    assert document.content_sha


def test_values_of_parquet_are_those_of_a_query(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "t.parquet",
        "SELECT 7 AS no, 'x' AS text, TRUE AS b, 0.1::FLOAT AS f, 1.50::DECIMAL(9,2) AS d, DATE '2026-11-21' AS day, "
        "TIMESTAMPTZ '2026-11-21 10:00:00+02' AS at, [1, 2] AS l, NULL::INTEGER AS n",
    )
    (document,) = scan(source(tmp_path, "t.parquet"))
    assert document.doc_id == "7"
    assert document.columns == {
        "b": True, "f": 0.1, "d": "1.50", "day": "2026-11-21", "at": "2026-11-21 08:00:00+00", "l": "[1, 2]", "n": None,
    }  # fmt: skip


def test_values_of_a_sheet(tmp_path: Path) -> None:
    workbook(tmp_path / "t.xlsx", sheet_rows(["no", "text", "price"], [7.0, "a", 1.5]), sheet="Offen")
    (document,) = scan(TableSource(root=tmp_path, path=["t.xlsx"], id_column="no", text="text", sheet="Offen"))
    assert (document.doc_id, document.columns) == ("7", {"price": 1.5})
    with pytest.raises(UsageProblem, match=r"t\.xlsx: there is no sheet Closed; there are Offen") as caught:
        scan(TableSource(root=tmp_path, path=["t.xlsx"], id_column="no", text="text", sheet="Closed"))
    assert caught.value.hint == 'name one of these: [source] sheet = "…"'


def test_a_cell_in_the_last_corner_is_a_named_failure(tmp_path: Path) -> None:
    workbook(tmp_path / "t.xlsx", f'<row r="1">{cell("A1", "no")}</row><row r="1048576">{cell("XFD1048576", 7)}</row>')
    with pytest.raises(UsageProblem, match="needs more than 2 GB of memory"):
        scan(source(tmp_path, "t.xlsx"))


def test_several_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/one.jsonl").write_text('{"no": 3, "text": "c"}')
    (tmp_path / "a.csv").write_text("no,text\n1,a\n")
    (tmp_path / "c.csv").write_text("text;no\nd;4\n")
    (tmp_path / "notes.txt").write_text("no table")
    found = source(tmp_path, "**/*.jsonl", "*.csv")
    documents = scan(found)
    assert [(one.source, one.doc_id, one.text) for one in documents] == [
        ("a.csv", "1", "a"), ("b/one.jsonl", "3", "c"), ("c.csv", "4", "d"),
    ]  # fmt: skip
    assert found.read([ref(one) for one in reversed(documents)]) == documents[::-1]


def test_a_name_that_is_no_text_is_shown_and_found(tmp_path: Path) -> None:
    (tmp_path / "a\n'b.csv").write_text("no,text\n1,a\n")
    write_parquet(tmp_path / "q.parquet", "SELECT 2 AS no, 'b' AS text")
    (tmp_path / "q.parquet").rename(tmp_path / "c'*.parquet")
    found = source(tmp_path, "*")
    documents = scan(found)
    assert [one.source for one in documents] == ["a\\x0a'b.csv", "c'*.parquet"]
    assert found.read([ref(one) for one in documents]) == documents


@pytest.mark.parametrize("path", ["none.csv", "none/*.parquet"])
def test_nothing_there_is_refused(tmp_path: Path, path: str) -> None:
    for use in (lambda: scan(source(tmp_path, path)), lambda: source(tmp_path, path).columns):
        with pytest.raises(Refused, match="no documents: nothing matches none"):
            use()


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("no,text\n")
    with pytest.raises(Refused, match=r"no documents: there are no rows in t\.csv"):
        scan(source(tmp_path, "t.csv"))


def test_a_link_out_of_the_project_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text(CSV)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.csv").symlink_to(tmp_path / "out.csv")
    with pytest.raises(UsageProblem, match="a symbolic link out of the project"):
        scan(source(tmp_path / "in", "*.csv"))
    os.mkfifo(tmp_path / "in/pipe.jsonl")
    with pytest.raises(UsageProblem, match="a named pipe, not a file"):
        scan(source(tmp_path / "in", "*.jsonl"))


def test_a_row_that_changed_moved_or_vanished(tmp_path: Path) -> None:
    found = source(tmp_path, make_csv(tmp_path))
    refs = [ref(one) for one in scan(found)]
    (tmp_path / "t.csv").write_text("no,text,customer\n001,new,\n007,1.10,Ada\n009,mended,Bo\n008,a,\n0010,,\n008,b,\n")
    first, second, third = found.read(refs)
    assert isinstance(first, Document)
    assert (first.text, first.place) != ("1.10", refs[0].place)
    assert second == Unreadable("008", "t.csv", "its id now occurs more than once in the table")
    assert isinstance(third, Document)
    assert third.text == "mended"
    (tmp_path / "t.csv").unlink()
    assert found.read(refs[:1]) == [Unreadable("007", "t.csv", "its file is no longer there", refs[0].place)]


def test_a_file_that_changes_after_it_was_listed_is_busy(tmp_path: Path) -> None:
    found = source(tmp_path, make_csv(tmp_path))
    (shard,) = found.shards()
    (tmp_path / "t.csv").write_text(CSV + "010,more,\n")
    with pytest.raises(Busy, match=r"t\.csv changed while it was being read"):
        list(found.read_shard(shard))


def test_texts_that_no_request_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_BYTES", 5)
    (tmp_path / "t.csv").write_text("no,text\n1,ééé\n2,é\0\n")
    large, other = source(tmp_path, "t.csv").scan()
    assert isinstance(large, Unreadable)
    assert large.reason.startswith("0.0 MB: more than")
    assert other == Document("2", "t.csv", "é", note="1 NUL byte removed", place="17")


def test_a_line_that_never_ends_is_a_named_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_table, "LONGEST_LINE", 1000)
    (tmp_path / "t.csv").write_text("no,text\n1," + "a" * 2000)
    with pytest.raises(UsageProblem, match="line 2 is longer than"):
        scan(source(tmp_path, "t.csv"))


def test_an_address_without_the_extension_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(EnvironmentProblem) as caught:
            scan(source(tmp_path, f"https://ada:geheim@example.invalid/{name}?signature=SECRET"))
        told = f"{caught.value} {caught.value.hint}"
        assert f"source.path: https://example.invalid/{name} needs DuckDB's extension httpfs" in told
        assert "INSTALL httpfs" in told
        assert "geheim" not in told
        assert "SECRET" not in told


def test_scanning_and_reading_hold_few_rows_at_a_time(tmp_path: Path) -> None:
    import tracemalloc

    rows = "SELECT 'no-' || range AS no, repeat(md5(range::VARCHAR), 32) AS text FROM range(20_000)"
    write_parquet(tmp_path / "t.parquet", rows)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({rows}) TO '{tmp_path / 't.csv'}'")
    for name in ("t.csv", "t.parquet"):
        found = source(tmp_path, name)
        next(iter(found.scan()))
        tracemalloc.start()
        count = sum(1 for _ in found.scan())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 20_000
        assert peak < 12_000_000  # of 20 MB: a slice of 4 MB, while it is cut


def test_long_texts_get_the_memory_they_need_and_no_row_twice(tmp_path: Path) -> None:
    length = "CASE WHEN range < 4000 THEN 3 ELSE 3000 END"
    write_parquet(
        tmp_path / "t.parquet", f"SELECT range AS no, repeat(md5(range::VARCHAR), {length}) AS text FROM range(5000)"
    )
    found = source(tmp_path, "t.parquet")
    count = 0
    for number, document in enumerate(found.scan()):
        assert document.doc_id == str(number)
        count += 1
    assert count == 5000
    assert [one.doc_id for one in found.read([DocumentRef("4999", "t.parquet", "4999")])] == ["4999"]


def test_a_lack_of_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(
        tmp_path / "t.parquet", "SELECT range AS no, repeat(md5(range::VARCHAR), 3000) AS text FROM range(3000)"
    )
    monkeypatch.setattr(parquet_module, "AMPLE", {"memory_limit": "64MB"})
    with pytest.raises(EnvironmentProblem, match=r"DuckDB ran out of memory over t\.parquet"):
        scan(source(tmp_path, "t.parquet"))


def test_a_zipped_table_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_table, "SLICE", 300)
    lines = "".join(f'{{"no": {number}, "text": "text {number}"}}\n' for number in range(200))
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    found, opened = source(tmp_path, "t.jsonl.gz"), list[object]()
    unzipped = opening._unzipped
    monkeypatch.setattr(opening, "_unzipped", lambda *given: opened.append(given) or unzipped(*given))

    documents = [one for shard in list(found.shards()) for one in found.read_shard(shard)]

    assert [one.doc_id for one in documents] == [str(number) for number in range(200)]
    for start in (*range(0, 200, 20), 40, 0):
        page = documents[start : start + 20]
        assert found.read([ref(one) for one in page]) == page
    assert len(opened) <= 2


@pytest.mark.parametrize(
    ("address", "secret", "expected"),
    [("s3://bucket/*.csv", True, False), ("s3://bucket/*.csv", False, True), ("gs://bucket/*.csv", True, True)],
)
def test_keys_of_the_environment_stay_in_this_process(
    address: str, secret: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    if secret:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-bucket")
    assert source(Path("/nowhere"), "local.csv", address).parallel is expected


def test_an_address_that_cannot_be_read_says_where_keys_come_from() -> None:
    for scheme, hint in (("s3", "AWS_ variables"), ("gs", "CREATE PERSISTENT SECRET (TYPE gcs"), ("https", "network")):
        told = unreachable(
            OSError(f"no answer from {scheme}://b/x.csv"), TableFile(f"{scheme}://b/x.csv", f"{scheme}://b/x.csv", None)
        )
        assert hint in (told.hint or "")


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_a_table_at_an_address_is_read_and_watched(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "t.parquet", "SELECT range AS no, 'text ' || range AS text FROM range(10)")
    lines = "".join(f'{{"no": {number}, "text": "text {number}"}}\n' for number in range(10))
    monkeypatch.setattr(opening, "_VERSION_LASTS_S", 1e-9)
    with serving_buckets({"t.jsonl": lines.encode(), "t.parquet": (tmp_path / "t.parquet").read_bytes()}) as served:
        found = source(tmp_path, f"{served.address}/open/{name}")
        try:
            documents = scan(found)
        except EnvironmentProblem as problem:
            if "httpfs" not in str(problem):
                raise
            pytest.skip("DuckDB's extension httpfs is not installed here")
        assert [one.text for one in documents] == [f"text {number}" for number in range(10)]
        assert found.read([ref(one) for one in documents]) == documents
        (shard,) = found.shards()
        served.files[name] += b'{"no": 10, "text": ""}\n'
        with pytest.raises(Busy, match="changed while it was being read"):
            list(found.read_shard(shard))
