"""A query of the job file can read the output and do nothing else, in bounded time and memory."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from batchrun.documents import unguarded
from batchrun.quality.checks.query import Answer, Ask, NoAnswer, answer, asking
from batchrun.workers.limits import Limits


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "out.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table t as select i, 'text' as text from range(1000) _(i)")
    return path


HOSTILE = {
    "insert": ("insert into t values (1, 'a')", "one SELECT is needed, and this is INSERT"),
    "insert after with": ("with a as (select 1) insert into t select *, '' from a", "this is INSERT"),
    "two statements": ("select 1; drop table t", "this is SELECT, DROP"),
    "nothing": ("-- nothing", "this is nothing"),
    "copy to": ("copy t to '{folder}/made.csv'", "this is COPY"),
    "attach": ("attach '{folder}/made.duckdb'", "this is ATTACH"),
    "install": ("install httpfs", "this is LOAD"),
    "settings": ("set enable_external_access = true", "this is SET"),
    "a file": ("select * from read_text('{folder}/secret.txt')", "file system operations are disabled"),
    "a file by its name": ("select * from '{folder}/secret.csv'", "file system operations are disabled"),
    "a list of files": ("select * from glob('{folder}/*')", "file system operations are disabled"),
    "an address": ("select * from read_csv('https://example.com/x.csv')", "disabled"),
    "a variable of Python": ("select * from database", "Table with name database does not exist"),
    "a parameter": ("select $1", "parameters"),
    "a conversion": ("select cast(text as integer) from t", "Could not convert string 'text' to INT32"),
    "no such column": ("select txt from t", 'Candidate bindings: "text"'),
}


@pytest.mark.parametrize(("sql", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_query_has_no_answer(database: Path, sql: str, reason: str) -> None:
    folder = database.parent
    (folder / "secret.txt").write_text("secret")
    (folder / "secret.csv").write_text("secret")
    before = database.read_bytes()
    with pytest.raises(NoAnswer) as refused:
        answer(database, sql.format(folder=folder), unguarded)
    assert reason in str(refused.value)
    assert len(str(refused.value)) <= 500
    assert database.read_bytes() == before
    assert not [*folder.glob("made*")]


def test_a_query_cannot_make_duckdb_write_a_log(database: Path) -> None:
    """DuckDB 1.4 returns nothing, and DuckDB 2.0 says that its settings are locked."""
    made = database.parent / "made"
    with contextlib.suppress(NoAnswer):
        answer(database, f"from enable_logging('QueryLog', storage = 'file', storage_path = '{made}'), t", unguarded)
    assert not made.exists()


def test_an_output_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("no database")
    for name, reason in {"text": "not a DuckDB file", "none": "no such file"}.items():
        with pytest.raises(NoAnswer, match=reason):
            answer(tmp_path / f"{name}.duckdb", "select 1", unguarded)


def test_names_and_values_are_cut_and_counted(database: Path) -> None:
    found = answer(database, f'select 1 as "{"n" * 10_000}", 2 as b, 3 as b', unguarded)
    assert [(len(name), value) for name, value in found.rows[0].items()] == [(200, "1"), (1, "2"), (3, "3")]


@pytest.fixture
def ask(database: Path) -> Iterator[Ask]:
    with asking(database, Limits(cpu_s=0.3, wall_s=20)) as function:
        yield function


@pytest.mark.slow
def test_memory_that_duckdb_does_not_count_is_bounded_too(ask: Ask) -> None:
    """In this process the query would take 4 GB, and two minutes that nothing can interrupt."""
    with pytest.raises(NoAnswer, match="memory"):
        ask("select repeat('a', 4_000_000_000)")


@pytest.mark.slow
def test_an_endless_query_is_stopped_and_the_next_one_answered(ask: Ask) -> None:
    with pytest.raises(NoAnswer, match=r"took too long and was stopped: it may take 0\.3 seconds"):
        ask("select count(*) from t a, t b, t c, t d")
    assert ask("select count(*) from t") == Answer(({"count_star()": "1000"},), 1)
