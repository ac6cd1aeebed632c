"""The values of rows, type by type."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from output_desk import Desk

from batchrun.job.fields import OutputFields
from batchrun.job.load import load_job

pytestmark = pytest.mark.slow


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
    assert types["moment"] == "TIMESTAMP"
    assert types["_finished_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["kind"] == "ENUM('a', 'b')"


def test_times_are_utc(desk: Desk) -> None:
    desk.settle("a", {"title": "x"})
    desk.publish()

    ((finished_at, attempt_ended_at),) = desk.ask(
        "select epoch(_finished_at), epoch(ended_at) from trial, _batchrun.attempts"
    )
    ((ended_at,),) = desk.ledger.connection.execute("select ended_at from attempts").fetchall()
    assert finished_at == attempt_ended_at == pytest.approx(ended_at, abs=0.002)
