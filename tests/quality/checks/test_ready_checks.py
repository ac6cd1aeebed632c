"""What checks find in a table of rows: the ready ones and queries, over a small DuckDB file."""

import functools
from pathlib import Path

import duckdb
import pytest
from small_job import HEAD

from batchrun.documents import unguarded
from batchrun.job.load import load_job
from batchrun.quality.checks.query import MOST_ROWS, answer
from batchrun.quality.checks.result import CheckResult, CheckStatus, any_fails
from batchrun.quality.checks.run import check_output

JOB = (
    HEAD
    + """\
[output]
evidence = true
[output.fields]
kind = { enum = ["lease", "sale"] }
title = "string?"
term = "integer?"
signed = "date?"
seen = "datetime?"
fees = { type = "array?", items = { type = "object", fields = { amount = "number" } } }
[budget]
max_cost_usd = 5.00
[[check]]
name = "the check"
"""
)
ROWS = """
create table good (doc_id varchar, kind enum('lease', 'sale'), title varchar, term bigint, signed date, seen timestamp,
    fees struct(amount double)[], _evidence json);
insert into good values
    ('a', 'lease', 'One', 12, '2024-01-31', '2024-01-31 12:00', [{'amount': 1}],
        '{"title": {"status": "exact"}, "fees": [{"status": "exact"}, {"status": "missing", "problem": "not there"}]}'),
    ('b', 'lease', 'One', null, '2024-02-29', null, [], '{"title": {"status": "differs", "problem": "differs"}}'),
    ('c', 'sale', null, 400, null, '2025-01-01', null, null),
    ('d', 'sale', 'Two', 24, '2025-06-30', null, null, '{"title": {"status": "close"}, "term": {"value": "x"}}');
create table empty as from good limit 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checks")
    with duckdb.connect(str(path / "out.duckdb")) as connection:
        connection.execute(ROWS)
    return path


def checked(folder: Path, section: str, table: str = "good") -> CheckResult:
    (folder / "job.toml").write_text(f'{JOB}{section}\n[store]\ntable = "{table}"\n')
    job = load_job(folder / "job.toml")
    ask = functools.partial(answer, folder / "out.duckdb", guard=unguarded)
    return check_output(job.spec.check[0], job, ask)


def documents(result: CheckResult) -> str:
    return "".join(row["doc_id"] or "" for row in result.rows)


MEASURED = {
    "nulls within": ('type = "null_rate"\nfield = "term"\nmax = 0.25', 0.25, ""),
    "too many nulls": ('type = "null_rate"\nfield = "term"\nmax = 0.2', 0.25, "b"),
    "too few nulls": ('type = "null_rate"\nfield = "term"\nmin = 0.5', 0.25, "-"),
    "the worst of several": ('type = "null_rate"\nfields = ["kind", "seen", "term"]\nmax = 0.3', 0.5, "bd"),
    "two of several": ('type = "null_rate"\nfields = ["kind", "seen", "term"]\nmax = 0.2', 0.5, "bd"),
    "not unique": ('type = "unique"\nfield = "title"', 2, "ab"),
    "a list that is unique": ('type = "unique"\nfield = "fees"', 0, ""),
    "unique together": ('type = "unique"\nfields = ["title", "signed"]', 0, ""),
    "not unique together": ('type = "unique"\nfields = ["kind", "title"]', 2, "ab"),
    "above": ('type = "in_range"\nfield = "term"\nmax = 100', 1, "c"),
    "below and above": ('type = "in_range"\nfield = "term"\nmin = 12.5\nmax = 399', 2, "ac"),
    "a number without end": ('type = "in_range"\nfield = "term"\nmin = -1e300\nmax = 400', 0, ""),
    "days": ('type = "in_range"\nfield = "signed"\nmin = 2024-02-01\nmax = 2024-12-31', 2, "ad"),
    "times": ('type = "in_range"\nfield = "seen"\nmax = 2024-12-31T23:59:59', 1, "c"),
    "distinct": ('type = "distinct_at_least"\nfield = "title"\nmin = 2', 2, ""),
    "not distinct": ('type = "distinct_at_least"\nfields = ["term", "kind"]\nmin = 3', 2, "-"),
    "unsupported": ('type = "unsupported_rate"\nfield = "title"\nmax = 0.3', 1 / 3, "b"),
    "unsupported entries": ('type = "unsupported_rate"\nfields = ["title", "fees"]\nmax = 0.4', 0.5, "a"),
    "supported": ('type = "unsupported_rate"\nmax = 0.5', 0.5, ""),
    "rows": ('sql = "select doc_id, term from good where term > 100"', 1, "c"),
    "no row": ('sql = "from good where false"', 0, ""),
    "a number": ('sql = "select avg(term) from good"\nmin = 100\nmax = 200', 436 / 3, ""),
    "a number outside": ('sql = "select count(*) from good;  -- all"\nmax = 3', 4, "-"),
}  # fmt: skip


@pytest.mark.parametrize(("section", "number", "rows"), MEASURED.values(), ids=MEASURED)
def test_what_is_measured(folder: Path, section: str, number: float, rows: str) -> None:
    """`rows` are the documents to blame, "-" for none, and nothing where the check passes."""
    result = checked(folder, section)
    assert result.number == pytest.approx(number)
    assert (result.status, documents(result)) == (CheckStatus.FAILED if rows else CheckStatus.PASSED, rows.strip("-"))
    assert result.fails == bool(rows)


SENTENCES = {
    "share": ('type = "null_rate"\nfield = "term"\nmax = 0.2', "term is null in 25% of the rows; ALLOWED"),
    "one row": ('type = "in_range"\nfield = "term"\nmin = 1\nmax = 100', "term is below 1 or above 100 in 1 row"),
    "both fields": (
        'type = "null_rate"\nfields = ["term", "seen"]\nmax = 0.2',
        "seen is null in 50% of the rows; ALLOWED; term is null in 25% of the rows; ALLOWED",
    ),
    "a number without bounds": (
        'sql = "select count(*) from good"',
        "the query returned 1 row; a query for one number needs `min` or `max`",
    ),
    "text": (
        'sql = "select title from good where term = 12"\nmax = 1',
        "the check could not run: with `min` or `max` a query has to return one number, in one row and one column",
    ),
    "NULL": (
        'sql = "select sum(term) from good where false"\nmax = 1',
        "the check could not run: with `min` or `max` a query has to return one number, in one row and one column",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("section", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_what_is_said(folder: Path, section: str, sentence: str) -> None:
    result = checked(folder, section)
    assert result.sentence == sentence.replace("ALLOWED", "allowed is at most 20%")
    assert any_fails([result]), "a check that could not run counts as one that failed"


@pytest.mark.parametrize("kind", ["null_rate", "unsupported_rate"])
def test_nothing_to_measure_passes(folder: Path, kind: str) -> None:
    result = checked(folder, f'type = "{kind}"\nfield = "term"\nmax = 0', table="empty")
    assert (result.status, result.number, result.sentence) == ("passed", None, "there is nothing to measure yet")


def test_more_fields_are_measured_than_an_answer_has_columns(folder: Path) -> None:
    with duckdb.connect(str(folder / "wide.duckdb")) as connection:
        columns = ", ".join(f"{'null' if number == 40 else number}::integer as n{number}" for number in range(50))
        connection.execute(f"create table good as select 'a' as doc_id, {columns}")
    fields = "".join(f'n{number} = "integer"\n' for number in range(50))
    job_file = folder / "wide.toml"
    named = [f"n{number}" for number in range(50)]
    check = f'type = "null_rate"\nfields = {named}\nmax = 0\n[store]\ntable = "good"\n'
    job_file.write_text(JOB.replace("kind = {", f"{fields}kind = {{") + check)
    job = load_job(job_file)
    result = check_output(job.spec.check[0], job, functools.partial(answer, folder / "wide.duckdb", guard=unguarded))
    assert result.sentence.startswith("n40 is null in 100% of the rows")


def test_a_warning_fails_nothing(folder: Path) -> None:
    result = checked(folder, 'sql = "from good"\nseverity = "warn"')
    assert (result.status, result.fails) == (CheckStatus.FAILED, False)


def test_few_rows_are_read_and_all_are_counted(folder: Path) -> None:
    result = checked(folder, "sql = \"select n, repeat('x', 1000) as text from range(100_000) _(n)\"")
    assert result.number == 100_000
    assert len(result.rows) == MOST_ROWS
    assert {len(row["text"] or "") for row in result.rows} == {200}
