"""A query that gives other documents when it runs again is refused by the plan, with the cure."""

import sqlite3
from pathlib import Path

import duckdb
import pytest

from batchrun.documents import duckdb as rows_module
from batchrun.documents.duckdb import DuckdbSource
from batchrun.errors import Refused, UsageProblem

pytestmark = pytest.mark.slow

TABLES = """
    CREATE TABLE t AS SELECT i AS id, 'text ' || i AS text, TIMESTAMP '2026-01-01' AS d FROM range(2000) r(i);
    CREATE TABLE dates AS SELECT i AS id, 'x' AS text, DATE '2026-01-01' AS "current_date" FROM range(3) r(i);
    CREATE VIEW "as sampled" AS SELECT * FROM t USING SAMPLE 5;
    CREATE VIEW over_it AS FROM "as sampled";
    CREATE VIEW recent AS FROM t WHERE d < now();
    CREATE MACRO noisy(x) AS x || random();
    CREATE MACRO some_ids(n) AS TABLE SELECT uuid() AS id, 'x' AS text FROM range(n);
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queries")
    with duckdb.connect(str(folder / "in.duckdb")) as connection:
        connection.execute(TABLES)
    return folder


def scan(root: Path, query: str) -> list[str]:
    return [document.doc_id for document in DuckdbSource(root=root, database="in.duckdb", query=query).scan()]


SAMPLE, CLOCK, RANDOM = "REPEATABLE (1)", "DATE '2026-11-21'", "ORDER BY md5(id::VARCHAR)"


@pytest.mark.parametrize(
    ("query", "message", "cure"),
    [
        ("SELECT id, text FROM t USING SAMPLE 50 ROWS", "a sample without REPEATABLE", SAMPLE),
        ("SELECT id, text FROM t TABLESAMPLE 10%", "a sample without REPEATABLE", SAMPLE),
        ("SELECT id, text FROM (FROM t USING SAMPLE 10% (bernoulli))", "a sample without REPEATABLE", SAMPLE),
        ("SELECT id, text FROM over_it", "a sample without REPEATABLE (in as sampled)", SAMPLE),
        ("SELECT id, text FROM t ORDER BY random() LIMIT 50", "random() gives something else each time", RANDOM),
        ("SELECT id, text FROM t WHERE random() < 0.1", "random() gives", RANDOM),
        ("SELECT uuid() AS id, text FROM t", "uuid() gives", RANDOM),
        ("SELECT Gen_Random_UUID() AS id, text FROM t", "gen_random_uuid() gives", RANDOM),
        ("WITH a AS (SELECT random() AS x) SELECT id, text, x FROM t, a", "random() gives", RANDOM),
        ("SELECT id, text, sum(random()) OVER () AS n FROM t", "random() gives", RANDOM),
        ("SELECT id, first(text ORDER BY random()) AS text FROM t GROUP BY id", "random() gives", RANDOM),
        ("SELECT id, noisy(text) AS text FROM t", "random() gives something else each time (in noisy)", RANDOM),
        ("FROM some_ids(3)", "uuid() gives something else each time (in some_ids)", RANDOM),
        ("SELECT id, text || now() AS text FROM t", "now is in what the query returns", CLOCK),
        ("SELECT id, text, CURRENT_DATE AS today FROM t", "current_date is in what the query returns", CLOCK),
        ("SELECT id, text, CASE WHEN d < now() THEN 'late' END AS late FROM t", "now is in what", CLOCK),
        ("SELECT id, text, age(d) AS old FROM t", "age is in what", CLOCK),
    ],
)
def test_it_is_refused_with_the_cure(root: Path, query: str, message: str, cure: str) -> None:
    with pytest.raises(Refused) as caught:
        scan(root, query)
    assert message in str(caught.value)
    assert cure in str(caught.value.hint)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, text FROM t USING SAMPLE reservoir(50 ROWS) REPEATABLE (1)",
        "SELECT id, text FROM t ORDER BY md5(id::VARCHAR) LIMIT 50",
        "SELECT id, text FROM t WHERE d < now() - INTERVAL 7 DAY LIMIT 50",
        "SELECT id, text FROM t WHERE d < current_date LIMIT 50",
        "SELECT id, text FROM recent LIMIT 50",
        "SELECT id, text, age(d, d) AS none FROM t LIMIT 50",
        "-- random()\nSELECT id, 'now()' AS text, 'USING SAMPLE 5' AS s FROM t LIMIT 50 /* uuid() */",
        'SELECT id, text AS "random()" , text FROM t LIMIT 50',
        "SELECT id, CASE WHEN id > 5000 THEN error('no') ELSE text END AS text FROM t LIMIT 50",
    ],
)
def test_what_is_the_same_each_time_is_read(root: Path, query: str) -> None:
    found = scan(root, query)
    assert len(found) == 50
    assert scan(root, query) == found


def test_a_column_with_the_name_of_a_clock_is_a_column(root: Path) -> None:
    assert scan(root, "SELECT id, text, dates.current_date FROM dates") == ["0", "1", "2"]


def test_ids_that_differ_on_a_second_look(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parse tree does not show, such as the choice of threads in a LIMIT, is seen in the ids."""
    monkeypatch.setattr(rows_module, "require_repeatable", lambda connection, query: None)
    with pytest.raises(Refused, match="a second look found other ids"):
        scan(root, "SELECT id, text FROM t ORDER BY random() LIMIT 50")
    with pytest.raises(Refused, match="a second look found other ids"):
        scan(root, "SELECT id, text FROM t WHERE random() < 0.5")


def test_an_empty_result_is_the_same_on_a_second_look(root: Path) -> None:
    assert scan(root, "SELECT id, text FROM t WHERE id < 0") == []


@pytest.mark.parametrize("name", ["old.db", "old.duckdb"])
def test_an_sqlite_database_says_how_to_export(tmp_path: Path, name: str) -> None:
    connection = sqlite3.connect(tmp_path / name)
    connection.execute("CREATE TABLE t(id, text)")
    connection.commit()
    connection.close()
    with pytest.raises(UsageProblem, match="is an SQLite database") as caught:
        list(DuckdbSource(root=tmp_path, database=name, query="FROM t").scan())
    assert "sqlite3 -header -csv" in str(caught.value.hint)
    assert 'type = "table"' in str(caught.value.hint)
