"""Publishing: rows come exactly once and in order, beside other processes and trouble."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from output_desk import Desk, behind, fill

from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import BatchrunError
from batchrun.outcome import Outcome
from batchrun.store.output import changes as output_module
from batchrun.store.output.positions import Position

pytestmark = pytest.mark.slow


def test_rows_come_once_and_the_latest_answer_counts(desk: Desk) -> None:
    desk.settle("a", {"title": "first"})
    desk.settle("b", {"title": "of b"})
    assert desk.publish() == 2
    assert desk.publish() == 0
    desk.settle("a", {"title": "second"})

    assert behind(desk.output())
    assert desk.publish() == 1

    assert desk.ask() == [("a", "second"), ("b", "of b")]
    assert not behind(desk.output())
    assert desk.ask("select count(*) from _batchrun.attempts") == [(3,)]
    assert desk.ask("select count(*) from _batchrun.documents") == [(2,)]


def test_a_failure_takes_the_row_away_and_leaves_a_reason(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    desk.settle("a", None, outcome=Outcome.INVALID)

    desk.publish()

    assert desk.ask() == []
    assert desk.ask("select doc_id, status, reason from _batchrun.documents") == [("a", "invalid", "why")]


def test_many_changes_come_in_groups_and_all_arrive(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "GROUP", 7)
    for number in range(60):
        desk.settle(f"d{number % 40}", {"title": str(number)})

    assert desk.publish() == 40

    assert {title for _, title in desk.ask()} == {str(number) for number in range(20, 60)}
    assert desk.ask("select count(*) from _batchrun.attempts") == [(60,)]


def test_two_jobs_share_a_file_and_no_rows(desk: Desk) -> None:
    other = Desk(desk.folder, desk.ledger, job="other")
    desk.settle("a", {"title": "ours"})
    other.settle("a", {"title": "theirs"})

    desk.publish()
    other.output("other").publish(wait_s=0)

    assert desk.ask() == [("a", "ours")]
    assert desk.ask("select doc_id, title from other") == [("a", "theirs")]
    assert desk.ask("select job, count(*) from _batchrun.documents group by 1 order by 1") == [
        ("other", 1),
        ("trial", 1),
    ]


# --- rebuilt at will


def everything(desk: Desk) -> list[list[Any]]:
    return [
        desk.ask(query)
        for query in (
            "select columns(*)::varchar from trial order by doc_id",
            "select columns(*)::varchar from _batchrun.runs",
            "select columns(*)::varchar from _batchrun.documents order by doc_id",
            "select columns(*)::varchar from _batchrun.attempts order by attempt_no",
        )
    ]


def test_a_deleted_file_is_rebuilt_the_same(desk: Desk) -> None:
    fill(desk)
    before = everything(desk)
    desk.database.unlink()
    assert behind(desk.output())

    desk.publish()

    assert everything(desk) == before


def test_a_restored_ledger_brings_what_it_learns_although_the_file_was_ahead(desk: Desk) -> None:
    desk.settle("a", {"title": "old"})
    desk.publish()
    backup = sqlite3.connect(":memory:")
    desk.ledger.connection.backup(backup)
    for title in ("1", "2", "3"):
        desk.settle("b", {"title": title})
    desk.publish()
    backup.backup(desk.ledger.connection)

    desk.output().check()
    for doc_id in ("c", "d", "e", "f"):
        desk.settle(doc_id, {"title": "since"})
    desk.publish()

    assert desk.ask() == [("a", "old"), ("b", "3"), *((doc_id, "since") for doc_id in "cdef")]


@pytest.mark.parametrize(
    "lost", ["drop table trial", "drop schema _batchrun cascade", "drop table _batchrun.positions"]
)
def test_a_dropped_table_is_brought_again_and_nothing_doubles(desk: Desk, lost: str) -> None:
    fill(desk)
    before = everything(desk)
    desk.change(lost)

    desk.publish()

    assert everything(desk) == before


def test_a_table_under_another_name_is_filled_from_the_beginning(desk: Desk) -> None:
    fill(desk)

    desk.output("fresh").publish(wait_s=0)

    assert desk.ask("select doc_id, title from fresh order by 1") == desk.ask()


# --- who answered, and how fast


def test_rows_say_which_model_answered(desk: Desk) -> None:
    desk.settle("a", {"title": "x"}, model="claude-a")
    desk.settle("b", {"title": "x"}, model="claude-b")
    desk.publish()
    desk.settle("a", {"title": "y"}, model="claude-b")
    desk.publish()

    assert desk.ask("select doc_id, _model from trial order by 1") == [("a", "claude-b"), ("b", "claude-b")]


def test_attempts_say_how_long_they_took(desk: Desk) -> None:
    desk.settle("a", {"title": "x"}, latency_s=1.5, first_byte_s=0.25)
    desk.settle("b", {"title": "x"})
    desk.publish()

    told = desk.ask("select doc_id, latency_s, first_byte_s from _batchrun.attempts order by 1")
    assert told == [("a", 1.5, 0.25), ("b", None, None)]


# --- other processes


HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
print("held", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def held(path: Path, how: str) -> Iterator[int]:
    """Another process has the file open."""
    command = [sys.executable, "-c", HOLD, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.stdin.close()


def test_who_holds_the_file_delays_the_rows_and_is_named(desk: Desk) -> None:
    fill(desk)
    with held(desk.database, "writing") as pid:
        desk.settle("late", {"title": "x"})
        for attempt in (desk.publish, desk.output().check, lambda: behind(desk.output())):
            with pytest.raises(LockedByAnother, match=f"PID {pid}"):
                attempt()

    assert desk.publish() == 1
    assert ("late", "x") in desk.ask()


def test_a_reader_delays_writing_too_and_may_look_between(desk: Desk) -> None:
    fill(desk)
    with held(desk.database, "reading"):
        desk.output().check()
        assert not behind(desk.output())
        with pytest.raises(LockedByAnother):
            desk.publish()
    desk.publish()


LOOK = """
import sys, duckdb
for line in sys.stdin:
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            query = "select (select count(*) from trial), count(*), (select max(position) from _batchrun.positions)"
            found = connection.execute(query + " from _batchrun.documents").fetchone()
        print(*found, flush=True)
    except duckdb.Error as error:
        print("error", str(error).splitlines()[0], flush=True)
"""


def test_a_reader_between_two_publishes_sees_whole_transactions(desk: Desk) -> None:
    command = [sys.executable, "-c", LOOK, str(desk.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin
        assert reader.stdout
        for number in range(1, 6):
            desk.settle(f"d{number}", {"title": "x"})
            desk.publish()
            print("look", file=reader.stdin, flush=True)
            assert reader.stdout.readline().split() == [str(number), str(number), str(desk.ledger.head("trial"))]
        reader.stdin.close()


# --- trouble


def test_a_failure_in_the_middle_leaves_whole_groups_and_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "GROUP", 3)
    for number in range(10):
        desk.settle(f"d{number}", {"title": str(number)})
    move, calls = Position.move, []

    def failing(self: Position, connection: duckdb.DuckDBPyConnection, position: int) -> None:
        calls.append(position)
        if len(calls) == 3:
            raise duckdb.IOException("No space left on device")
        move(self, connection, position)

    with monkeypatch.context() as patched:
        patched.setattr(Position, "move", failing)
        with pytest.raises(BatchrunError, match="No space left"):
            desk.publish()
    ((rows, position),) = desk.ask(
        "select (select count(*) from trial), (select max(position) from _batchrun.positions)"
    )
    assert 0 < rows < 10
    assert position == calls[1]

    desk.publish()

    assert len(desk.ask()) == 10


def test_a_file_that_is_no_database_is_told_and_not_touched(desk: Desk) -> None:
    desk.database.write_text("id,text\n" * 1_000)

    with pytest.raises(BatchrunError, match="it is not a DuckDB file"):
        desk.output().check()
    assert desk.database.read_text().startswith("id,text")
