"""Rows as documents: what a query may be, its ids, its types, and how little of it is held at a time."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pytest

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import duckdb as rows_module
from batchrun.documents.duckdb import DuckdbSource
from batchrun.duckdb_file import LockedByAnother, opened
from batchrun.errors import Busy, EnvironmentProblem, Refused, UsageProblem

pytestmark = pytest.mark.slow

TICKETS = """
    CREATE TABLE tickets(number INTEGER, customer VARCHAR, body VARCHAR);
    INSERT INTO tickets VALUES (3, 'Ada', 'broken'), (1, 'Bo', NULL), (2, 'Cy', 'late');
"""
QUERY = "SELECT number AS id, body AS text, customer FROM tickets"


def make(path: Path, sql: str = TICKETS) -> Path:
    with opened(path, read_only=False, wait_s=0) as connection:
        connection.execute(sql)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path / "inbox.duckdb")
    return tmp_path


def source(root: Path, query: str = QUERY) -> DuckdbSource:
    return DuckdbSource(root=root, database="inbox.duckdb", query=query, wait_s=0)


def ref(doc_id: str) -> DocumentRef:
    return DocumentRef(doc_id, "inbox.duckdb")


def test_rows_come_in_the_order_of_the_query_and_are_read_again(root: Path) -> None:
    found = source(root)
    documents = list(found.scan())
    assert documents == [
        Document("3", "inbox.duckdb", "broken", columns={"customer": "Ada"}),
        Document("1", "inbox.duckdb", "", columns={"customer": "Bo"}),
        Document("2", "inbox.duckdb", "late", columns={"customer": "Cy"}),
    ]
    assert found.columns == frozenset({"customer"})
    assert found.read([ref("2"), ref("9"), ref("abc"), ref("3")]) == [
        documents[2],
        Unreadable("9", "inbox.duckdb", "no longer in the query's result"),
        Unreadable("abc", "inbox.duckdb", "no longer in the query's result"),
        documents[0],
    ]
    assert found.read([]) == []


@pytest.mark.parametrize(
    "query",
    [
        QUERY + ";",
        QUERY + " -- the newest",
        QUERY + "; -- done\n;",
        "-- tickets\nWITH t AS (FROM tickets) " + QUERY.replace("tickets", "t"),
        "FROM (" + QUERY + ")",
        "SELECT number AS ID, body AS Text, customer FROM tickets ORDER BY number DESC LIMIT 100",
        "SELECT body AS text, customer, number AS id FROM tickets",
    ],
)
def test_queries_as_people_write_them(root: Path, query: str) -> None:
    assert {document.doc_id for document in source(root, query).scan()} == {"1", "2", "3"}
    (document,) = source(root, query).read([ref("3")])
    assert document == Document("3", "inbox.duckdb", "broken", columns={"customer": "Ada"})


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("SELECT number AS id FROM tickets", "no column text; there are id", "SELECT … AS text"),
        ("SELECT * FROM tickets", "no column id and no column text; there are number, customer, body", "AS id"),
        ("SELECT nope AS id FROM tickets", 'Referenced column "nope" not found', "Candidate bindings"),
        ("SELECT id FROM ticket", "Table with name ticket does not exist", 'Did you mean "tickets"?'),
        ("SELEC 1", "syntax error", "duckdb -readonly"),
        ("SELECT 1 AS id, 'a' AS text; DROP TABLE tickets", "one SELECT is needed, and this is SELECT, DROP", "SELECT"),
        ("DELETE FROM tickets", "one SELECT is needed, and this is DELETE", "SELECT ticket_id AS id"),
        ("-- nothing", "one SELECT is needed, and this is nothing", "SELECT"),
        ("SELECT 1 AS id, 'x'::BLOB AS text", "the column text is a BLOB", "decode(text) AS text"),
        ("SELECT * FROM read_csv('/etc/passwd')", "file system operations are disabled", "only the tables of"),
        ("SELECT * FROM 'other.csv'", "file system operations are disabled", "only the tables of"),
        ("SELECT ? AS id, 'a' AS text", "parameters", ""),
    ],
)
def test_a_wrong_query_is_explained(root: Path, query: str, message: str, hint: str) -> None:
    for use in (lambda: list(source(root, query).scan()), lambda: source(root, query).columns):
        with pytest.raises(UsageProblem) as caught:
            use()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert hint in str(caught.value.hint)


def test_an_error_in_the_middle_of_the_rows_is_the_querys(root: Path) -> None:
    with pytest.raises(UsageProblem, match="Could not convert"):
        list(source(root, "SELECT number AS id, CAST(customer AS INTEGER)::VARCHAR AS text FROM tickets").scan())


def test_a_missing_database_and_a_file_that_is_none(root: Path) -> None:
    with pytest.raises(UsageProblem, match=r"there is no file .*none\.duckdb"):
        list(DuckdbSource(root=root, database="none.duckdb", query=QUERY).scan())
    (root / "text.duckdb").write_text("id,text\n" * 1000)
    with pytest.raises(EnvironmentProblem, match="it is not a DuckDB file"):
        list(DuckdbSource(root=root, database="text.duckdb", query=QUERY).scan())


def test_the_query_can_change_nothing(root: Path) -> None:
    for query in ("WITH x AS (DELETE FROM tickets RETURNING *) SELECT number AS id, body AS text FROM x",):
        with pytest.raises((UsageProblem, EnvironmentProblem)):
            list(source(root, query).scan())
    assert len(list(source(root).scan())) == 3


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("TRUE", True),
        ("7::TINYINT", 7),
        ("170141183460469231731687303715884105727::HUGEINT", 2**127 - 1),
        ("0.1::FLOAT", 0.1),
        ("0.25::DOUBLE", 0.25),
        ("1.50::DECIMAL(9,2)", "1.50"),
        ("DATE '2026-11-21'", "2026-11-21"),
        ("TIMESTAMP '2026-11-21 10:00:00'", "2026-11-21 10:00:00"),
        ("TIMESTAMPTZ '2026-11-21 10:00:00+02'", "2026-11-21 08:00:00+00"),
        ("[1, 2]", "[1, 2]"),
        ("{'a': 1}", "{'a': 1}"),
        ("'open'::ENUM('open', 'closed')", "open"),
        ("NULL::INTEGER", None),
        ("NULL::DATE", None),
    ],
)
def test_other_columns_are_plain_values(root: Path, sql: str, value: object) -> None:
    (document,) = source(root, f"SELECT 1 AS id, 'x' AS text, {sql} AS \"the value\"").scan()
    assert isinstance(document, Document)
    assert document.columns == {"the value": value}
    assert type(document.columns["the value"]) is type(value)
    assert document.content_sha


@pytest.mark.parametrize(
    ("sql", "doc_id"),
    [
        ("-5::BIGINT", "-5"),
        ("'it''s'", "it's"),
        ("'über'", "über"),
        ("UUID '8f3c0000-0000-0000-0000-000000000001'", "8f3c0000-0000-0000-0000-000000000001"),
        ("DATE '2026-11-21'", "2026-11-21"),
        ("1.50::DECIMAL(9,2)", "1.50"),
        ("TIMESTAMPTZ '2026-11-21 10:00:00+02'", "2026-11-21 08:00:00+00"),
    ],
)
def test_any_type_can_be_an_id(root: Path, sql: str, doc_id: str) -> None:
    found = source(root, f"SELECT {sql} AS id, 'x' AS text")
    (document,) = found.scan()
    assert document.doc_id == doc_id
    assert found.read([ref(doc_id)]) == [document]


def test_ids_that_differ_in_case_stay_different(tmp_path: Path) -> None:
    make(tmp_path / "inbox.duckdb", "CREATE TABLE t AS SELECT unnest(['a', 'B', 'b', 'é']) COLLATE NOCASE AS id")
    found = source(tmp_path, "SELECT id, id || '!' AS text FROM t")
    assert [document.doc_id for document in found.scan()] == ["a", "B", "b", "é"]
    assert [d.text for d in found.read([ref("B"), ref("a")]) if isinstance(d, Document)] == ["B!", "a!"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "b", "a"], "1 ids are NULL or occur more than once: a (2 rows)"),
        (["a", None, "b"], "1 ids are NULL or occur more than once: NULL (1 rows)"),
        (["a", None, "b", "b", None, "a", "a"], "3 ids are NULL or occur more than once: a (3 rows), "),
    ],
)
def test_duplicate_and_null_ids_are_refused_before_the_first_row(tmp_path: Path, ids: list[Any], message: str) -> None:
    values = ", ".join("(NULL)" if doc_id is None else f"('{doc_id}')" for doc_id in ids)
    make(tmp_path / "inbox.duckdb", f"CREATE TABLE t(id VARCHAR); INSERT INTO t VALUES {values}")
    with pytest.raises(Refused) as caught:
        next(iter(source(tmp_path, "SELECT id, 'x' AS text FROM t").scan()))
    assert message in str(caught.value)
    assert caught.value.hint


def test_only_ten_of_many_bad_ids_are_named(tmp_path: Path) -> None:
    make(tmp_path / "inbox.duckdb", "CREATE TABLE t AS SELECT range // 2 AS id, 'x' AS text FROM range(2000)")
    with pytest.raises(Refused) as caught:
        next(iter(source(tmp_path, "FROM t").scan()))
    assert str(caught.value).count("(2 rows)") == 10
    assert "1,000 ids" in str(caught.value)
    assert str(caught.value).endswith(", …")


def test_an_id_that_became_ambiguous_after_the_plan(root: Path) -> None:
    make(root / "inbox.duckdb", "INSERT INTO tickets VALUES (3, 'Di', 'again')")
    (document,) = source(root).read([ref("3")])
    assert isinstance(document, Unreadable)
    assert "more than once" in document.reason


def test_texts_that_no_request_can_hold_are_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_BYTES", 5)
    (document,) = source(root, "SELECT 1 AS id, 'ééé' AS text").scan()
    assert isinstance(document, Unreadable)
    (document,) = source(root, "SELECT 1 AS id, 'éé' || chr(0) AS text").scan()
    assert document == Document("1", "inbox.duckdb", "éé", note="1 NUL byte removed")


def test_a_database_held_by_another_process_is_busy(root: Path) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(root / "inbox.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedByAnother, match=f"PID {holder.pid}"):
            list(source(root).scan())
        holder.kill()
    assert len(list(source(root).scan())) == 3


def test_the_file_is_free_between_reads_and_after_an_abandoned_scan(root: Path) -> None:
    found = source(root)
    scan = found.scan()
    next(scan)
    with pytest.raises(LockedByAnother):
        found.read([ref("3")])
    scan.close()  # type: ignore[attr-defined]
    found.read([ref("3")])
    with duckdb.connect(str(root / "inbox.duckdb")) as writer:
        writer.execute("UPDATE tickets SET body = 'mended' WHERE number = 3")
    (document,) = found.read([ref("3")])
    assert isinstance(document, Document)
    assert document.text == "mended"


LONG_TEXTS = """
    CREATE TABLE t AS
    SELECT range AS id, repeat(md5(range::VARCHAR), CASE WHEN range < 4000 THEN 3 ELSE 3000 END) AS text
    FROM range(5000)
"""


def test_long_texts_get_the_memory_they_need_and_no_row_twice(tmp_path: Path) -> None:
    make(tmp_path / "inbox.duckdb", LONG_TEXTS)
    found = source(tmp_path, "FROM t")
    assert [document.doc_id for document in found.scan()] == [str(number) for number in range(5000)]
    assert [document.doc_id for document in found.read([ref("4999"), ref("0")])] == ["4999", "0"]


@pytest.fixture
def short_of_memory_after_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows_module._OpenQuery.rows
    failures = iter([duckdb.OutOfMemoryException("no memory")])

    def rows(query: Any, ids: Any) -> Iterator[tuple[Any, ...]]:
        failure = next(failures, None)
        yield from islice(whole(query, ids), 2 if failure else None)
        if failure:
            raise failure

    monkeypatch.setattr(rows_module._OpenQuery, "rows", rows)


@pytest.mark.usefixtures("short_of_memory_after_two_rows")
def test_a_scan_that_ran_out_of_memory_starts_again_without_repeating(root: Path) -> None:
    assert [document.doc_id for document in source(root).scan()] == ["3", "1", "2"]


@pytest.mark.usefixtures("short_of_memory_after_two_rows")
def test_a_database_that_changes_before_the_scan_starts_again_is_busy(root: Path) -> None:
    scan = source(root).scan()
    next(scan)
    os.utime(root / "inbox.duckdb", ns=(1, 1))
    with pytest.raises(Busy, match="changed while it was being read"):
        list(scan)


def test_out_of_memory_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_AMPLE", {"memory_limit": "32MB"})
    with pytest.raises(EnvironmentProblem, match="out of memory"):
        list(source(root, "SELECT range AS id, repeat('x', 100000 + range) AS text FROM range(4000) ORDER BY 2").scan())


def test_scanning_holds_few_texts_at_a_time(tmp_path: Path) -> None:
    make(
        tmp_path / "inbox.duckdb",
        "CREATE TABLE t AS SELECT range AS id, repeat(md5(range::VARCHAR), 32) AS text FROM range(20000)",
    )
    found = source(tmp_path, "FROM t")
    next(found.scan())

    tracemalloc.start()
    count = sum(1 for _ in found.scan())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 20_000
    assert peak < 500_000  # of 20 MB
