"""The output: a projection of the ledger, exactly once, in order, whoever else opens the file."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from run_caps import run_caps

from batchrun.budget.caps import Amount
from batchrun.document import DocumentRef
from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import BatchrunError, UsageProblem
from batchrun.estimation.text_class import TextClass
from batchrun.job.fields import Column, OutputFields
from batchrun.job.load import load_job
from batchrun.outcome import Outcome
from batchrun.reply import Reply, Usage
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Pending, RunPlan, Settlement
from batchrun.store.ledger.runs import Runs
from batchrun.store.output import publish as output_module
from batchrun.store.output.publish import Output, OutputTable

pytestmark = pytest.mark.slow

STRING = {"title": "VARCHAR"}


class Desk:
    """A ledger that answers come into, and the file they are brought to."""

    def __init__(self, folder: Path, ledger: Ledger, *, job: str = "trial") -> None:
        self.folder = folder
        self.ledger = ledger
        self.job = job
        self.database = folder / "out.duckdb"
        self.number = 0
        with ledger.transaction():
            self.run_no = Runs(ledger).begin_run(
                RunPlan(
                    job=job, job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
                    cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
                ),
                run_id=f"run of {job}",
            )  # fmt: skip

    def settle(
        self, doc_id: str, output: object, *, outcome: Outcome = Outcome.SUCCEEDED, model: str = "m", **times: float
    ) -> None:
        """An answer for a document, new or again."""
        self.number += 1
        run = self.ledger.connection.execute
        with self.ledger.transaction():
            seq = self.ledger.next_seq()
            request_no = run(
                "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 1, 'prose')",
                (f"{self.job} {self.number}",),
            ).lastrowid
            run(
                "insert into documents (job, doc_id, source, content_sha, request_no, run_no, seq)"
                " values (?, ?, 's', 'c', ?, ?, ?) on conflict (job, doc_id) do update"
                " set request_no = excluded.request_no, seq = excluded.seq",
                (self.job, doc_id, request_no, self.run_no, seq),
            )
            work = Pending(0, DocumentRef(doc_id, "s"), int(request_no or 0), "", 1, TextClass.PROSE, None)
            attempt_no = self.ledger.reserve(
                work,
                Amount(1),
                run_no=self.run_no,
                job=self.job,
                model="m",
                caps=run_caps(self.ledger, self.run_no),
            )
            assert isinstance(attempt_no, int)
        with self.ledger.transaction():
            self.ledger.settle(
                Settlement(
                    attempt_no=attempt_no,
                    state="answered",
                    cost_nusd=1,
                    outcome=outcome,
                    reason=None if outcome is Outcome.SUCCEEDED else "why",
                    output=json.dumps(output) if outcome is Outcome.SUCCEEDED else None,
                    reply=Reply(
                        "",
                        "end_turn",
                        Usage(1, output_tokens=1),
                        model,
                        None,
                        "{}",
                        first_byte_s=times.get("first_byte_s"),
                    ),
                    latency_s=times.get("latency_s"),
                )
            )

    def output(self, table: str = "trial", /, **columns: str) -> Output:
        """The output with these columns; one string `title` if none are given."""
        made = tuple(Column(name, sql_type, sql_type) for name, sql_type in (columns or STRING).items())
        return Output(self.ledger, self.job, OutputTable(self.database, table, made))

    def output_of(self, fields: OutputFields) -> Output:
        """The output with the columns of a job's fields."""
        return Output(self.ledger, self.job, OutputTable(self.database, "trial", fields.columns))

    def publish(self) -> int:
        return self.output().publish(wait_s=0)

    def ask(self, query: str = "select doc_id, title from trial order by doc_id") -> list[Any]:
        with contextlib.closing(duckdb.connect(str(self.database), read_only=True)) as connection:
            return connection.execute(query).fetchall()

    def change(self, statement: str) -> None:
        with contextlib.closing(duckdb.connect(str(self.database))) as connection:
            connection.execute(statement)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger.open(tmp_path / "ledger.sqlite3")) as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger) -> Desk:
    return Desk(tmp_path, ledger)


def behind(output: Output) -> bool:
    """Whether the ledger has changes that the file lacks."""
    if not output._table.database.exists():
        return output.head() > 0
    with output._opened(read_only=True, wait_s=0) as connection:
        return output._existing(connection) is None or output._position(connection) < output.head()


# --- exactly once, in order


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
    assert desk.ask("select count(*) from batchrun.attempts") == [(3,)]
    assert desk.ask("select count(*) from batchrun.documents") == [(2,)]


def test_a_failure_takes_the_row_away_and_leaves_a_reason(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()
    desk.settle("a", None, outcome=Outcome.INVALID)

    desk.publish()

    assert desk.ask() == []
    assert desk.ask("select doc_id, status, reason from batchrun.documents") == [("a", "invalid", "why")]


def test_many_changes_come_in_groups_and_all_arrive(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "GROUP", 7)
    for number in range(60):
        desk.settle(f"d{number % 40}", {"title": str(number)})

    assert desk.publish() == 40

    assert {title for _, title in desk.ask()} == {str(number) for number in range(20, 60)}
    assert desk.ask("select count(*) from batchrun.attempts") == [(60,)]


def test_two_jobs_share_a_file_and_no_rows(desk: Desk) -> None:
    other = Desk(desk.folder, desk.ledger, job="other")
    desk.settle("a", {"title": "ours"})
    other.settle("a", {"title": "theirs"})

    desk.publish()
    other.output("other").publish(wait_s=0)

    assert desk.ask() == [("a", "ours")]
    assert desk.ask("select doc_id, title from other") == [("a", "theirs")]
    assert desk.ask("select job, count(*) from batchrun.documents group by 1 order by 1") == [
        ("other", 1),
        ("trial", 1),
    ]


# --- rebuilt at will


def everything(desk: Desk) -> list[list[Any]]:
    return [
        desk.ask(query)
        for query in (
            "select * from trial order by doc_id",
            "select * from batchrun.runs",
            "select * from batchrun.documents order by doc_id",
            "select * from batchrun.attempts order by attempt_no",
        )
    ]


def fill(desk: Desk) -> None:
    for number in range(5):
        desk.settle(f"d{number}", {"title": str(number)})
    desk.settle("d3", None, outcome=Outcome.REFUSED)
    desk.publish()


def test_a_deleted_file_is_rebuilt_the_same(desk: Desk) -> None:
    fill(desk)
    before = everything(desk)
    desk.database.unlink()
    assert behind(desk.output())

    desk.publish()

    assert everything(desk) == before


@pytest.mark.parametrize("lost", ["drop table trial", "drop schema batchrun cascade", "drop table batchrun.positions"])
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


# --- a field list that changes


def test_an_added_field_is_a_new_column_and_old_rows_stay(desk: Desk) -> None:
    desk.settle("a", {"title": "old"})
    desk.publish()
    desk.settle("b", {"title": "new", "pages": 3})

    desk.output(title="VARCHAR", pages="BIGINT").publish(wait_s=0)

    assert desk.ask("select doc_id, title, pages from trial order by 1") == [("a", "old", None), ("b", "new", 3)]


def test_a_removed_field_keeps_its_column(desk: Desk) -> None:
    desk.settle("a", {"title": "old", "pages": 3})
    desk.output(title="VARCHAR", pages="BIGINT").publish(wait_s=0)
    desk.settle("b", {"title": "new"})

    desk.publish()

    assert desk.ask("select doc_id, title, pages from trial order by 1") == [("a", "old", 3), ("b", "new", None)]


def test_a_changed_type_is_refused_with_the_statement_to_type(desk: Desk) -> None:
    fill(desk)
    changed = desk.output(title="BIGINT")

    for attempt in (changed.check, lambda: changed.publish(wait_s=0)):
        with pytest.raises(UsageProblem, match="the field title is BIGINT in the job file, but VARCHAR") as problem:
            attempt()
    statement = str(problem.value.hint).split(": ", 1)[1].split(";")[0]
    desk.change(statement)
    changed.check()
    assert desk.ask("select count(*) from trial_old") == [(4,)]


@pytest.mark.parametrize("made", ["create table trial (doc_id varchar)", "create view trial as select 1 as doc_id"])
def test_a_table_of_somebody_else_is_refused_and_not_touched(desk: Desk, made: str) -> None:
    desk.change(made)
    desk.settle("a", {"title": "x"})
    before = desk.ask("select * from trial")

    with pytest.raises(UsageProblem, match="was not made by batchrun"):
        desk.output().check()
    with pytest.raises(UsageProblem):
        desk.publish()
    assert desk.ask("select * from trial") == before


@pytest.mark.parametrize("name", ["runs", "documents", "attempts", "positions", "Runs"])
def test_the_names_of_our_own_tables_are_refused(desk: Desk, name: str) -> None:
    with pytest.raises(UsageProblem, match="one of batchrun's own"):
        desk.output(name).check()


def test_other_tables_of_a_shared_database_are_left_alone(desk: Desk) -> None:
    desk.change("create table customers as select 1 as id")
    desk.change("create table positions as select 'of a ship' as what")
    fill(desk)

    assert desk.ask("select * from customers") == [(1,)]
    assert desk.ask("select * from positions") == [("of a ship",)]


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

    told = desk.ask("select doc_id, latency_s, first_byte_s from batchrun.attempts order by 1")
    assert told == [("a", 1.5, 0.25), ("b", None, None)]


# --- files of earlier versions

WITHOUT = [
    "alter table trial drop column _model",
    "alter table batchrun.attempts drop column latency_s",
    "alter table batchrun.attempts drop column first_byte_s",
]
"""What makes a file as an earlier version left it."""


@pytest.fixture(params=["out", "batchrun"])
def older(request: pytest.FixtureRequest, desk: Desk) -> Desk:
    """A desk whose file is of an earlier version."""
    desk.database = desk.folder / f"{request.param}.duckdb"
    desk.settle("a", {"title": "x"}, model="claude-a", latency_s=1.0)
    desk.settle("b", None, outcome=Outcome.INVALID)
    desk.publish()
    for statement in WITHOUT:
        desk.change(statement)
    return desk


def test_a_file_of_an_earlier_version_is_accepted_and_gets_what_is_new(older: Desk) -> None:
    older.output().check()
    older.settle("c", {"title": "y"}, model="claude-c", latency_s=1.5, first_byte_s=0.25)

    assert behind(older.output())
    assert older.publish() == 1
    assert older.publish() == 0

    rows = older.ask("select doc_id, title, _model from trial order by 1")
    assert rows == [("a", "x", "claude-a"), ("c", "y", "claude-c")], "the attempts in the file told it of the old row"
    told = older.ask("select doc_id, ended_at is not null, latency_s, first_byte_s from batchrun.attempts order by 1")
    assert told == [("a", True, None, None), ("b", True, None, None), ("c", True, 1.5, 0.25)]


def test_a_file_of_an_earlier_version_has_in_the_end_the_same_columns_as_a_new_one(older: Desk) -> None:
    def columns() -> list[Any]:
        return older.ask(
            "select table_name, column_name, data_type from information_schema.columns order by table_name,"
            " ordinal_position"
        )

    older.publish()
    before = columns()
    older.database.unlink()
    older.publish()

    assert columns() == before


def test_a_new_field_comes_to_a_file_of_an_earlier_version(older: Desk) -> None:
    older.settle("c", {"title": "y", "pages": 3})
    older.output(title="VARCHAR", pages="BIGINT").publish(wait_s=0)

    assert older.ask("select doc_id, pages, _model from trial order by 1") == [("a", None, "claude-a"), ("c", 3, "m")]


def test_rows_of_an_earlier_version_without_its_history_do_not_know_their_model(older: Desk) -> None:
    older.change("delete from batchrun.attempts")

    older.publish()

    assert older.ask("select doc_id, _model from trial") == [("a", None)]


# --- names of files and fields

NAMES = ["out", "batchrun", "Batchrun", "BATCHRUN", "main", "temp", "system", "select", "batchrun.simulated", "a b'c"]


@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_found_under_one_name_whatever_the_file_is_called(desk: Desk, name: str) -> None:
    desk.database = desk.folder / f"{name}.duckdb"
    fill(desk)

    assert desk.ask("select count(*) from batchrun.documents") == [(5,)]
    assert desk.ask("select count(*) from batchrun.runs") == [(1,)]
    assert len(desk.ask()) == 4


def test_fields_may_be_called_like_sql(desk: Desk) -> None:
    names = ["select", "order", "at", "table", "Group"]
    desk.settle("a", dict.fromkeys(names, "x"))

    desk.output("from", **dict.fromkeys(names, "VARCHAR")).publish(wait_s=0)

    assert desk.ask('select "select", "order", "at", "table", "group" from "from"') == [("x",) * 5]


# --- values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quotes ' \" and \\ slashes",
        "'); drop table trial; --",
        "lines\r\nand\ttabs",
        "a NUL \0 inside",
        "emoji 👩‍👩‍👧 and 漢字",
        "\u2028\uffff\x7f",
        "x" * 200_000,
        '{"looks": "like JSON"}',
        "null",
    ],
)
def test_strings_arrive_as_they_are(desk: Desk, text: str) -> None:
    desk.settle(f"id of {text[:50]}", {"title": text})

    desk.publish()

    assert desk.ask() == [(f"id of {text[:50]}", text)]


FIELDS = """
text = "string?"
whole = "integer"
part = "number"
yes = "boolean?"
day = "date"
moment = "datetime"
kind = { enum = ["a", "b"] }
tags = { type = "array", items = "string" }
days = { type = "array", items = "date?" }
party = { type = "object", fields = { name = "string", since = "date?" } }
lines = { type = "array", items = { type = "object", fields = { due = "date", usd = "number?" } } }
"""
VALUES: dict[str, Any] = {
    "text": None,
    "whole": -(2**63),
    "part": 0.1,
    "yes": True,
    "day": "2024-02-29",
    "moment": "2024-02-29 12:30:00.123456",
    "kind": "b",
    "tags": ["x", "", "ü"],
    "days": ["1999-12-31", None],
    "party": {"name": "O'Hara", "since": None},
    "lines": [{"due": "2025-01-01", "usd": 1e-7}, {"due": "2025-02-01", "usd": None}],
}


def fields_of(folder: Path, text: str) -> OutputFields:
    path = folder / "job.toml"
    path.write_text(
        'version = 1\n[job]\nname = "trial"\n[source]\ntype = "files"\ninclude = ["*"]\n'
        '[model]\nname = "claude-haiku-4-5"\nmax_tokens = 100\n[prompt]\nuser = "{{ doc.text }}"\n'
        f"[budget]\nmax_cost_usd = 1\n[output.fields]\n{text}"
    )
    return load_job(path).fields


def test_every_type_of_field_has_its_type_in_sql(desk: Desk) -> None:
    desk.settle("a", VALUES)
    desk.settle("b", {**VALUES, "tags": [], "days": [], "lines": [], "yes": None})
    output = desk.output_of(fields_of(desk.folder, FIELDS))

    output.publish(wait_s=0)
    output.check()

    names = ", ".join(VALUES)
    (row,) = desk.ask(f"select {names} from trial where doc_id = 'a'")
    assert dict(zip(VALUES, row, strict=True)) == {
        **VALUES,
        "day": date(2024, 2, 29),
        "moment": datetime.fromisoformat(VALUES["moment"]),
        "days": [date(1999, 12, 31), None],
        "lines": [{"due": date(2025, 1, 1), "usd": 1e-7}, {"due": date(2025, 2, 1), "usd": None}],
    }
    assert desk.ask("select tags, lines, yes from trial where doc_id = 'b'") == [([], [], None)]
    types = dict(desk.ask("select column_name, data_type from information_schema.columns where table_name = 'trial'"))
    assert types["lines"] == "STRUCT(due DATE, usd DOUBLE)[]"
    assert types["moment"] == types["_finished_at"] == "TIMESTAMP"


def test_a_reader_needs_no_pytz_and_times_are_utc(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()

    ((finished_at,),) = desk.ask("select _finished_at from trial")
    ((ended_at,),) = desk.ledger.connection.execute("select ended_at from attempts").fetchall()
    assert finished_at.replace(tzinfo=UTC).timestamp() == pytest.approx(ended_at, abs=0.002)


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
            query = "select (select count(*) from trial), count(*), (select max(position) from batchrun.positions)"
            print(*connection.execute(query + " from batchrun.documents").fetchone(), flush=True)
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
    move, calls = Output._move, []

    def failing(self: Output, connection: duckdb.DuckDBPyConnection, position: int) -> None:
        calls.append(position)
        if len(calls) == 3:
            raise duckdb.IOException("No space left on device")
        move(self, connection, position)

    with monkeypatch.context() as patched:
        patched.setattr(Output, "_move", failing)
        with pytest.raises(BatchrunError, match="No space left"):
            desk.publish()
    ((rows, position),) = desk.ask(
        "select (select count(*) from trial), (select max(position) from batchrun.positions)"
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
