"""Types of columns that change: times get a zone, and an ENUM keeps every value that rows have."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from batchrun.store.output.catalog import qualified
from batchrun.store.output.schema import literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_VALUES = 1_000
"""A column with more values than this is left a VARCHAR: the values are no words to choose from."""

_ENUM = "ENUM("
_VALUE = re.compile(r"'((?:[^']|'')*)'")


def same_but_for_enums(connection: "DuckDBPyConnection", sql_type: str, there: str) -> bool:
    """Return whether a column can be changed to a type without a loss, whatever its rows have."""
    return _plain(_canonical(connection, sql_type)) == _plain(there)


def outdated_types(
    connection: "DuckDBPyConnection", table: str, existing: Mapping[str, str], wanted: Mapping[str, str]
) -> dict[str, str]:
    """Find the columns of a table whose type is not the wanted one, with types that have room for all rows."""
    changed = dict[str, str]()
    for name, sql_type in wanted.items():
        there, fitting = existing.get(name.lower()), _canonical(connection, sql_type)
        if fitting != there and fitting.startswith(_ENUM) and there:
            query = f"select distinct {quoted(name)}::varchar from {quoted(table)}"
            fitting = _with_values(fitting, connection.execute(query).fetchall())
        if there not in {fitting, None}:
            changed[name] = fitting
    return changed


def outgrown_types(
    connection: "DuckDBPyConnection", existing: Mapping[str, str], answers: Sequence[str], fields: Iterable[str]
) -> dict[str, str]:
    """Find the columns whose ENUM lacks values of answers from before the job file was changed, with larger types."""
    changed = dict[str, str]()
    for name in fields:
        there = existing[name.lower()]
        if there.startswith(_ENUM):
            value = f"json_transform(answer::json, {literal(json.dumps({name: 'VARCHAR'}))}).{quoted(name)}"
            query = f"select distinct {value} from (select unnest($1) as answer)"
            larger = _with_values(there, connection.execute(query, [answers]).fetchall())
            if larger != there:
                changed[name] = larger
    return changed


def change_types(connection: "DuckDBPyConnection", table: str, changed: Mapping[str, str]) -> list[str]:
    """Change types inside a transaction. Returns the statements that make the table's indexes again.

    An index keeps DuckDB from changing a table, so the indexes are dropped.
    """
    if not changed:
        return []
    indexes = connection.execute(
        "select index_name, sql from duckdb_indexes() where database_name = current_catalog()"
        " and schema_name = 'main' and lower(table_name) = lower(?)",
        [table],
    ).fetchall()
    for index, _ in indexes:
        connection.execute(f"drop index {qualified(connection, 'main')}.{quoted(index)}")
    for name, sql_type in changed.items():
        # DuckDB computes the values again when it recovers from a crash, where it knows casts and no functions, and
        # takes a time without a zone for UTC, as this connection does.
        value = f"{quoted(name)}::{_plain(sql_type)}::{sql_type}"
        connection.execute(f"alter table {quoted(table)} alter {quoted(name)} type {sql_type} using {value}")
    return [statement for _, statement in indexes]


def _canonical(connection: "DuckDBPyConnection", sql_type: str) -> str:
    """Return a type as DuckDB itself writes it."""
    row = connection.execute(f"select typeof(null::{sql_type})").fetchone()
    assert row is not None
    return str(row[0])


def _plain(sql_type: str) -> str:
    """Return the type that any ENUM can be changed to."""
    return "VARCHAR" if sql_type.startswith(_ENUM) else sql_type


def _with_values(enum: str, rows: Iterable[tuple[str | None]]) -> str:
    """Add the values of rows to an ENUM; values that the ENUM lacks come last."""
    known = [value.replace("''", "'") for value in _VALUE.findall(enum)]
    values = dict.fromkeys([*known, *sorted(value for (value,) in rows if value is not None)])
    if len(values) > MOST_VALUES or "\0" in "".join(values):
        return "VARCHAR"
    return f"{_ENUM}{', '.join(map(literal, values))})"
