"""Publishing when the fields change, into files of earlier versions, and with any names."""

from typing import Any

import pytest
from old_output import make_old
from output_desk import Desk, behind, fill

from batchrun.errors import UsageProblem
from batchrun.outcome import Outcome

pytestmark = pytest.mark.slow


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


def test_other_tables_of_a_shared_database_are_left_alone(desk: Desk) -> None:
    desk.change("create table customers as select 1 as id")
    desk.change("create table positions as select 'of a ship' as what")
    fill(desk)

    assert desk.ask("select * from customers") == [(1,)]
    assert desk.ask("select * from positions") == [("of a ship",)]


# --- files of earlier versions


WITHOUT = """
alter table trial drop column _attempts;
alter table trial drop column _model;
alter table batchrun.attempts drop column latency_s;
alter table batchrun.attempts drop column first_byte_s;
"""
"""What the first version did not have."""


@pytest.fixture(params=["out", "batchrun"])
def older(request: pytest.FixtureRequest, desk: Desk) -> Desk:
    """A desk whose file is of an earlier version."""
    desk.database = desk.folder / f"{request.param}.duckdb"
    desk.settle("a", {"title": "x"}, model="claude-a", latency_s=1.0)
    desk.settle("b", None, outcome=Outcome.INVALID)
    desk.publish()
    make_old(desk.database, "trial", before=WITHOUT)
    return desk


def test_a_file_of_an_earlier_version_is_accepted_and_gets_what_is_new(older: Desk) -> None:
    older.output().check()
    older.settle("c", {"title": "y"}, model="claude-c", latency_s=1.5, first_byte_s=0.25)

    assert behind(older.output())
    assert older.publish() == 1
    assert older.publish() == 0

    rows = older.ask("select doc_id, title, _model from trial order by 1")
    assert rows == [("a", "x", "claude-a"), ("c", "y", "claude-c")], "the attempts in the file told it of the old row"
    told = older.ask("select doc_id, ended_at is not null, latency_s, first_byte_s from _batchrun.attempts order by 1")
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

    assert desk.ask("select count(*) from _batchrun.documents") == [(5,)]
    assert desk.ask("select count(*) from _batchrun.runs") == [(1,)]
    assert len(desk.ask()) == 4


def test_fields_may_be_called_like_sql(desk: Desk) -> None:
    names = ["select", "order", "at", "table", "Group"]
    desk.settle("a", dict.fromkeys(names, "x"))

    desk.output("from", **dict.fromkeys(names, "VARCHAR")).publish(wait_s=0)

    assert desk.ask('select "select", "order", "at", "table", "group" from "from"') == [("x",) * 5]
