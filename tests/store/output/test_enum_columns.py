"""Columns of fields with `enum`: they know their values, and no change of the job file costs a row."""

from typing import Any

import pytest
from old_output import make_old
from output_desk import Desk
from pydantic import TypeAdapter
from recorded_statements import definitions, recorded

from batchrun.errors import UsageProblem
from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.store.output import changes, column_types

pytestmark = pytest.mark.slow


def fields(**definitions: Any) -> OutputFields:
    return OutputFields(TypeAdapter(ColumnFields).validate_python(definitions))


def publish(desk: Desk, *values: str, **more: Any) -> int:
    """Publish with a field `kind` of these values."""
    output = desk.output_of(fields(kind={"enum": values}, **more))
    output.check()
    return output.publish(wait_s=0)


def type_of(desk: Desk, name: str = "kind") -> str:
    ((found,),) = desk.ask(
        f"select data_type from duckdb_columns() where table_name = 'trial' and column_name = '{name}'"
    )
    return str(found)


def kinds(desk: Desk, name: str = "kind") -> list[Any]:
    return [value for (value,) in desk.ask(f"select {name} from trial order by doc_id")]


def test_values_are_gained(desk: Desk) -> None:
    desk.settle("1", {"kind": "a"})
    publish(desk, "a")
    desk.settle("2", {"kind": "it's"})

    assert publish(desk, "it's", "a") == 1

    assert type_of(desk) == "ENUM('it''s', 'a')"
    assert kinds(desk) == ["a", "it's"]
    assert desk.ask("select doc_id, kind from trial_all order by 1") == [("1", "a"), ("2", "it's")]


def test_a_lost_value_stays_while_a_row_has_it(desk: Desk) -> None:
    desk.settle("1", {"kind": "a"})
    desk.settle("2", {"kind": "b"})
    publish(desk, "a", "b", "c")

    publish(desk, "a")
    assert type_of(desk) == "ENUM('a', 'b')"
    assert kinds(desk) == ["a", "b"]

    desk.settle("2", {"kind": "a"})
    publish(desk, "a")
    publish(desk, "a")
    assert type_of(desk) == "ENUM('a')"
    assert kinds(desk) == ["a", "a"]


def test_a_rebuilt_file_has_the_rows_of_lost_values_too(desk: Desk) -> None:
    for number, kind in enumerate("abca"):
        desk.settle(str(number), {"kind": kind})
    publish(desk, "a", "b", "c")
    desk.database.unlink()

    assert publish(desk, "c", "x") == 4

    assert kinds(desk) == ["a", "b", "c", "a"]
    assert type_of(desk) == "ENUM('c', 'x', 'a', 'b')"
    assert desk.ask("select kind from trial_all where doc_id = '1'") == [("b",)]


def test_an_old_column_of_text_becomes_an_enum(desk: Desk) -> None:
    desk.settle("1", {"kind": "a"})
    desk.settle("2", {"kind": "from before; it's"})
    desk.settle("3", {"kind": None})
    desk.settle("4", {"kind": ""})
    desk.output(kind="VARCHAR").publish(wait_s=0)
    make_old(desk.database, "trial")

    assert publish(desk, "b", "a") == 0

    assert type_of(desk) == "ENUM('b', 'a', '', 'from before; it''s')"
    assert kinds(desk) == ["a", "from before; it's", None, ""]


def test_inside_lists_and_objects_an_enum_is_text(desk: Desk) -> None:
    kind = {"enum": ["a"]}
    more = {
        "kinds": {"type": "array", "items": kind},
        "part": {"type": "object", "fields": {"kind": kind, "of": {"type": "array", "items": kind}}},
    }
    desk.settle("1", {"kind": "a", "kinds": ["a", "old"], "part": {"kind": "old", "of": ["a"]}})

    publish(desk, "a", **more)
    publish(desk, "a", **more)

    assert (type_of(desk, "kinds"), type_of(desk, "part")) == ("VARCHAR[]", 'STRUCT(kind VARCHAR, "of" VARCHAR[])')
    assert kinds(desk, "kinds") == [["a", "old"]]
    assert kinds(desk, "part") == [{"kind": "old", "of": ["a"]}]


def test_an_enum_becomes_text_again(desk: Desk) -> None:
    desk.settle("1", {"kind": "a"})
    publish(desk, "a")
    desk.settle("2", {"kind": "anything"})

    output = desk.output_of(fields(kind="string"))
    output.check()
    output.publish(wait_s=0)

    assert type_of(desk) == "VARCHAR"
    assert kinds(desk) == ["a", "anything"]


def test_another_type_is_still_refused(desk: Desk) -> None:
    desk.settle("1", {"kind": "a"})
    publish(desk, "a")

    with pytest.raises(UsageProblem, match=r"the field kind is BIGINT in the job file, but ENUM\('a'\) in"):
        desk.output_of(fields(kind="integer")).check()


def test_many_values_are_no_words_to_choose_from(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_types, "MOST_VALUES", 3)
    for number in range(5):
        desk.settle(str(number), {"kind": str(number)})
    desk.output(kind="VARCHAR").publish(wait_s=0)

    publish(desk, "a")
    desk.settle("5", {"kind": "5"})
    publish(desk, "a")
    assert (type_of(desk), len(kinds(desk))) == ("VARCHAR", 6)

    desk.database.unlink()
    assert publish(desk, "a") == 6
    assert (type_of(desk), len(kinds(desk))) == ("VARCHAR", 6)


def test_answers_that_were_no_words_are_their_text(desk: Desk) -> None:
    for number, kind in enumerate([5, True, {"b": [1, "x"]}, "a", None]):
        desk.settle(str(number), {"kind": kind})
    desk.settle("without", {})

    assert publish(desk, "a") == 6

    assert kinds(desk) == ["5", "true", '{"b":[1,"x"]}', "a", None, None]


def test_a_nul_in_a_value_does_not_end_a_statement(desk: Desk) -> None:
    desk.settle("1", {"kind": "a\0b"})

    publish(desk, "a\0b")
    assert (type_of(desk), kinds(desk)) == ("VARCHAR", ["a\0b"])

    desk.database.unlink()
    publish(desk, "a")
    assert (type_of(desk), kinds(desk)) == ("VARCHAR", ["a\0b"])


def test_values_of_a_table_with_an_index(desk: Desk) -> None:
    desk.settle("1", {"kind": "a"})
    publish(desk, "a")
    desk.change("create unique index by_id on trial (doc_id)")
    desk.settle("2", {"kind": "b"})

    publish(desk, "a", "c")
    publish(desk, "a", "c", "d")

    assert kinds(desk) == ["a", "b"]
    assert type_of(desk) == "ENUM('a', 'c', 'd', 'b')"
    assert desk.ask("select index_name from duckdb_indexes()") == [("by_id",)]
    assert desk.ask("select kind from trial where doc_id = '2'") == [("b",)]


def test_nothing_is_changed_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.settle("1", {"kind": "b"})
    publish(desk, "b")
    publish(desk, "a")
    statements = recorded(monkeypatch)
    desk.settle("2", {"kind": "b"})

    assert publish(desk, "a") == 1

    assert statements
    assert definitions(statements) == []


def test_values_come_slice_by_slice_and_rows_are_replaced(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "GROUP", 2)
    for number in range(9):
        desk.settle(str(number), {"kind": str(number)})
    publish(desk, *map(str, range(9)))
    desk.change("delete from _batchrun.positions")
    desk.change("update trial set kind = '0'")

    assert publish(desk, "x") == 9

    assert kinds(desk) == list(map(str, range(9)))
    ((values,),) = desk.ask("select enum_range(kind) from trial limit 1")
    assert sorted(values) == [*map(str, range(9)), "x"]
