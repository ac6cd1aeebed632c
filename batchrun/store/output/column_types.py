"""Types of columns that change: times get a zone, and an ENUM keeps every value that rows have, at any depth."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from batchrun.job.fields import Column
from batchrun.store.output.catalog import qualified
from batchrun.store.output.schema import literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_VALUES = 1_000
"""A column with more values than this is left a VARCHAR: the values are no words to choose from."""

_ENUM = re.compile(r"ENUM\('(?:[^']|'')*'(?:, '(?:[^']|'')*')*\)")
_VALUE = re.compile(r"'((?:[^']|'')*)'")


def same_but_for_enums(connection: "DuckDBPyConnection", sql_type: str, there: str) -> bool:
    """Return whether a column can be changed to a type without a loss, whatever its rows have."""
    return _without_enums(_canonical(connection, sql_type)) == _without_enums(there)


def outdated_types(
    connection: "DuckDBPyConnection",
    table: str,
    existing: Mapping[str, str],
    wanted: Mapping[str, str],
    columns: Sequence[Column],
) -> dict[str, str]:
    """Find the columns whose type is not the wanted one, with the wanted types that have room for all rows."""
    changed = dict[str, str]()
    paths = {column.name: column.enum_paths for column in columns}
    for name, sql_type in wanted.items():
        there, fitting = existing.get(name.lower()), _canonical(connection, sql_type)
        if there is None:  # a column that is added
            continue
        if fitting != there:
            json = f"to_json({quoted(name)})"
            found = [_texts(connection, json, path, quoted(table)) for path in paths.get(name, ())]
            fitting = _with_values(fitting, found)
        if fitting != there:
            changed[name] = fitting
    return changed


def outgrown_types(
    connection: "DuckDBPyConnection", existing: Mapping[str, str], answers: Sequence[str], columns: Sequence[Column]
) -> dict[str, str]:
    """Find the columns whose ENUMs lack values of answers from before the job file was changed, with larger types."""
    changed = dict[str, str]()
    for column in columns:
        there, source = existing[column.name.lower()], "(select unnest($1)::json as answer)"
        if _ENUM.search(there):
            paths = [f'$."{column.name}"{path[1:]}' for path in column.enum_paths]
            larger = _with_values(there, [_texts(connection, "answer", path, source, [answers]) for path in paths])
            if larger != there:
                changed[column.name] = larger
    return changed


def change_types(connection: "DuckDBPyConnection", table: str, changed: Mapping[str, str]) -> list[str]:
    """Change types inside a transaction. Returns the statements that make the table's indexes again.

    An index keeps DuckDB from changing a table, so the indexes are dropped.
    """
    indexes = list(_indexes(connection, table)) if changed else []
    for index, _ in indexes:
        connection.execute(f"drop index {qualified(connection, 'main')}.{quoted(index)}")
    for name, sql_type in changed.items():
        column, plain = quoted(name), _without_enums(sql_type)
        # DuckDB computes the values again when it recovers from a crash, where it knows casts and no functions, and
        # takes a time without a zone for UTC, as this connection does.
        value = f"{column}::{plain}::{sql_type}"
        connection.execute(f"alter table {quoted(table)} alter {column} type {sql_type} using {value}")
    return [statement for _, statement in indexes]


def _indexes(connection: "DuckDBPyConnection", table: str) -> Iterator[tuple[str, str]]:
    yield from connection.execute(
        "select index_name, sql from duckdb_indexes() where database_name = current_catalog()"
        " and schema_name = 'main' and lower(table_name) = lower(?)",
        [table],
    ).fetchall()


def _canonical(connection: "DuckDBPyConnection", sql_type: str) -> str:
    """Return a type as DuckDB itself writes it."""
    row = connection.execute(f"select typeof(null::{sql_type})").fetchone()
    assert row is not None
    return str(row[0])


def _without_enums(sql_type: str) -> str:
    """Return the type with VARCHAR in the place of every ENUM."""
    return _ENUM.sub("VARCHAR", sql_type)


def _with_values(sql_type: str, more: Sequence[Iterable[str]]) -> str:
    """Add values to each ENUM of a type; values that the ENUM lacks come last."""
    enums = list[str]()
    for enum, added in zip(_ENUM.findall(sql_type), more, strict=True):
        known = [value.replace("''", "'") for value in _VALUE.findall(enum)]
        values = dict.fromkeys([*known, *sorted(added)])
        if len(values) > MOST_VALUES or "\0" in "".join(values):
            return _without_enums(sql_type)
        enums.append(f"ENUM({', '.join(map(literal, values))})")
    following = iter(enums)
    return _ENUM.sub(lambda _: next(following), sql_type)


def _texts(
    connection: "DuckDBPyConnection", json: str, path: str, source: str, parameters: Sequence[object] = ()
) -> set[str]:
    """Find the distinct texts at a path of a JSON expression over the rows of a source."""
    found = f"json_extract_string({json}, {literal(path)})"
    listed = found if "[*]" in path else f"[{found}]"
    rows = connection.execute(f"select distinct unnest({listed}) from {source}", list(parameters)).fetchall()
    return {text for (text,) in rows if text is not None}
