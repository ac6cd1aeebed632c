"""Output files of earlier versions: the next publish moves what they have, and loses nothing of it."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from old_output import SIDE_TABLES, make_old
from output_desk import Desk

from batchrun.outcome import Outcome
from batchrun.store.output.publish import Output

pytestmark = pytest.mark.slow

NAMES = ["out", "batchrun", "Batchrun"]
LOST = """
insert into batchrun.documents values ('lost', 'of a lost ledger', 's', 'succeeded', null, 'r', 'run');
insert into batchrun.runs values ('lost', 'run', 'm', 'finished', 0, false, 1, 1, 0.1, 0.000000001, 1e9,
    '2024-02-29 12:30:00.123', null, null);
insert into trial (doc_id, title, _request_id, _run_id, _finished_at)
    values ('of a lost ledger', 'kept', 'unknown', 'run', '2024-02-29 12:30:00.123');
"""


@pytest.fixture
def other(desk: Desk) -> Desk:
    return Desk(desk.folder, desk.ledger, job="other")


@pytest.fixture(params=NAMES)
def old(request: pytest.FixtureRequest, desk: Desk, other: Desk) -> Desk:
    """A file of an earlier version with the rows of two jobs, and rows that no ledger knows."""
    desk.database = other.database = desk.folder / f"{request.param}.duckdb"
    desk.settle("a", {"title": "x"}, latency_s=1.5)
    desk.settle("b", None, outcome=Outcome.INVALID)
    other.settle("a", {"title": "of the other"})
    desk.publish()
    other.output("other").publish(wait_s=0)
    make_old(desk.database, "trial", "other", before=LOST)
    return desk


def old_place(desk: Desk) -> str:
    return "main" if desk.database.stem.lower() == "batchrun" else "batchrun"


def side_rows(desk: Desk, schema: str) -> dict[str, list[Any]]:
    """The rows of the side tables; amounts and times are compared as what they mean."""
    found = {}
    with contextlib.closing(duckdb.connect(str(desk.database), read_only=True)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for table in SIDE_TABLES:
            columns = connection.execute(f"select * from {schema}.{table} limit 0").description
            values = [
                f"least({name}, 999999999)::double"
                if name.endswith("_usd")
                else f"{name}::timestamp"
                if name.endswith("_at")
                else name
                for name, *_ in columns
                if name not in {"tags", "reserved_usd", "thinking_tokens"}
                and (table, name) != ("documents", "note")  # no earlier version had
            ]
            found[table] = sorted(
                connection.execute(f"select {', '.join(values)} from {schema}.{table}").fetchall(), key=str
            )
    return found


def tables(desk: Desk) -> list[Any]:
    return desk.ask("select schema_name, table_name from duckdb_tables() order by 1, 2")


def test_everything_moves_for_all_jobs_and_nothing_is_published_again(
    old: Desk, other: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = side_rows(old, old_place(old))
    assert len(before["positions"]) == 2
    applied: list[Any] = []
    monkeypatch.setattr(Output, "_apply", lambda *some: applied.append(some))

    assert old.publish() == 0
    assert other.output("other").publish(wait_s=0) == 0

    assert applied == []
    assert side_rows(old, "_batchrun") == before
    assert tables(old) == [
        *(("_batchrun", table) for table in sorted(SIDE_TABLES)),
        ("main", "other"),
        ("main", "trial"),
    ]
    assert old.ask("select 1 from duckdb_schemas() where schema_name = 'batchrun'") == []
    assert old.ask() == [("a", "x"), ("of a lost ledger", "kept")]
    assert old.ask("select cost_usd::varchar, budget_usd::varchar from _batchrun.runs where job = 'lost'") == [
        ("0.000000001", "999999999.000000000")
    ]
    assert old.ask("select epoch_ms(_finished_at) from trial where title = 'kept'") == [(1709209800123,)]
    assert old.ask("select doc_id, title from other") == [("a", "of the other")]


def test_the_next_change_is_the_only_one_that_is_written(old: Desk) -> None:
    old.settle("c", {"title": "new"})

    assert old.publish() == 1

    assert old.ask() == [("a", "x"), ("c", "new"), ("of a lost ledger", "kept")]


def test_the_columns_are_those_of_a_new_file(old: Desk, other: Desk) -> None:
    query = "select schema_name, table_name, column_name, data_type, comment from duckdb_columns() order by all"
    old.publish()
    other.output("other").publish(wait_s=0)
    moved = old.ask(query)
    old.database.unlink()
    old.publish()
    other.output("other").publish(wait_s=0)

    assert moved == old.ask(query)


def test_who_is_killed_in_the_middle_begins_again(old: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = side_rows(old, old_place(old))

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Output, "_describe", killed)
        with pytest.raises(Killed):
            old.publish()
    assert side_rows(old, old_place(old)) == before
    assert old.ask("select typeof(_finished_at) from trial limit 1") == [("TIMESTAMP",)]

    assert old.publish() == 0
    assert side_rows(old, "_batchrun") == before


def test_an_old_file_is_read_before_it_is_moved(old: Desk) -> None:
    before = tables(old)

    old.output().check()
    with old.output().stored_rows(wait_s=0) as rows:
        assert rows
        assert rows.with_row(["unknown", "trial 1", "nobody's"]) == {"unknown", "trial 1"}
        (row,) = rows.rows(["unknown"])
    assert (row.answer, row.finished_at) == ('{"title":"kept"}', "2024-02-29 12:30:00.123")
    assert tables(old) == before

    old.publish()
    with old.output().stored_rows(wait_s=0) as rows:
        assert rows
        assert list(rows.rows(["unknown"])) == [row]


@pytest.mark.parametrize("name", ["runs", "documents"])
def test_a_job_may_have_the_name_of_a_table_that_was_ours(old: Desk, other: Desk, name: str) -> None:
    job = Desk(old.folder, old.ledger, job=name)
    job.database = old.database
    job.settle("a", {"title": "mine"})
    before = side_rows(old, old_place(old))["attempts"]

    job.output(name).check()
    assert job.output(name).publish(wait_s=0) == 1

    assert job.ask(f"select doc_id, title from {name}") == [("a", "mine")]
    after = side_rows(old, "_batchrun")["attempts"]
    assert [row for row in after if row[0] != name] == before


DYING = """
import os, sys
from pathlib import Path
from batchrun.job.fields import Column
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.output_table import OutputTable
from batchrun.store.output.publish import Output

def dies(self, connection):
    connection.execute("commit")
    os._exit(9)

Output._commit = dies
table = OutputTable(Path(sys.argv[2]), "trial", (Column("kind", "ENUM('a')", "VARCHAR"),))
Output(Ledger.open(Path(sys.argv[1])), "trial", table).publish(wait_s=0)
"""
LOOKING = """
import sys, duckdb
with duckdb.connect(sys.argv[1]) as connection:
    query = "select doc_id, kind, epoch_ms(_finished_at), typeof(kind), status from trial_all"
    print(connection.execute(query).fetchall())
"""


def test_who_is_killed_after_the_commit_leaves_a_whole_file_in_any_time_zone(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    row = "update trial set kind = 'old', _finished_at = '2024-02-29 12:30:00.123'"
    before = f"alter table trial add column kind varchar; {row}; create index by_id on trial (doc_id)"
    make_old(desk.database, "trial", before=before)
    place = {**os.environ, "TZ": "America/New_York"}

    dying = [sys.executable, "-c", DYING, str(desk.folder / "ledger.sqlite3"), str(desk.database)]
    assert subprocess.run(dying, env=place, check=False).returncode == 9
    assert Path(f"{desk.database}.wal").exists()

    looking = [sys.executable, "-c", LOOKING, str(desk.database)]
    told = subprocess.run(looking, env=place, check=True, capture_output=True, text=True).stdout
    assert told == "[('a', 'old', 1709209800123, \"ENUM('a', 'old')\", 'succeeded')]\n"


@pytest.mark.parametrize(("name", "renamed"), [("out", "batchrun"), ("batchrun", "out"), ("out", "_batchrun")])
def test_an_old_file_may_have_been_renamed(desk: Desk, name: str, renamed: str) -> None:
    desk.database = desk.folder / f"{name}.duckdb"
    desk.settle("a", {"title": "x"})
    desk.publish()
    make_old(desk.database, "trial", before=LOST)
    desk.database = desk.database.rename(desk.folder / f"{renamed}.duckdb")
    desk.settle("b", {"title": "y"})

    desk.output().check()
    assert desk.publish() == 1
    assert desk.publish() == 0

    assert desk.ask("select title from trial order by 1") == [("kept",), ("x",), ("y",)]
    assert desk.ask(f"select job, doc_id from {renamed}._batchrun.documents order by all") == [
        ("lost", "of a lost ledger"),
        *(("trial", doc_id) for doc_id in "ab"),
    ]
    assert desk.ask("select table_name from duckdb_tables() where schema_name != '_batchrun'") == [("trial",)]


MINE = "create table {0} as select 'mine' as what; create table main.documents as select 1 as job, 2 as doc_id"


def test_tables_of_somebody_else_are_not_touched(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    make_old(desk.database, "trial", before=MINE.format("main.runs") + "; create table batchrun.mine as select 3 as x")

    desk.publish()

    assert desk.ask("from main.runs") == [("mine",)]
    assert desk.ask("from main.documents") == [(1, 2)]
    assert desk.ask("from batchrun.mine") == [(3,)], "the schema is not empty"
    assert desk.ask("select count(*) from _batchrun.runs") == [(1,)]


def test_a_table_of_somebody_else_among_ours_is_not_touched(desk: Desk) -> None:
    desk.database = desk.folder / "batchrun.duckdb"
    desk.settle("a", {"title": "x"})
    desk.publish()
    make_old(desk.database, "trial", before="drop table runs; " + MINE.format("runs").split(";")[0])

    desk.publish()

    assert desk.ask("from main.runs") == [("mine",)]
    assert desk.ask("select count(*) from _batchrun.runs") == [(1,)]
    assert desk.ask("select count(*) from _batchrun.attempts") == [(1,)]


def test_indexes_on_our_table_stay(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    make_old(desk.database, "trial", before='create unique index "by id" on trial (doc_id)')
    desk.settle("b", {"title": "y"})

    desk.publish()
    desk.publish()

    assert desk.ask("select index_name from duckdb_indexes()") == [("by id",)]
    assert desk.ask("select title from trial where doc_id = 'b'") == [("y",)]
    assert desk.ask("select typeof(_finished_at) from trial limit 1") == [("TIMESTAMP WITH TIME ZONE",)]
