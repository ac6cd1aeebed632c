"""What the file has: names by which things are meant, columns, and comments for those who look at the file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from batchrun.store.output.schema import SIDE_SCHEMA, literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS = """
select column_name, data_type, comment from duckdb_columns() where database_name = current_catalog()
    and schema_name = $1 and lower(table_name) = lower($2) order by column_index
"""
COMMENT = """
select comment from duckdb_{kind}s() where database_name = current_catalog() and schema_name = $1
    and lower({kind}_name) = lower($2)
"""
Kind = Literal["table", "view"]


def catalog(connection: "DuckDBPyConnection") -> str:
    """Return the name by which DuckDB knows the file."""
    row = connection.execute("select current_catalog()").fetchone()
    assert row is not None
    return str(row[0])


def qualified(connection: "DuckDBPyConnection", schema: str = SIDE_SCHEMA) -> str:
    """Return the name of a schema with its catalog: in a file called _batchrun, `_batchrun.runs` is ambiguous."""
    return f"{quoted(catalog(connection))}.{quoted(schema)}"


def columns(connection: "DuckDBPyConnection", schema: str, name: str) -> dict[str, str]:
    """Read the columns of a table or view and their types, in order, with the names as they were written."""
    return {column: type_ for column, type_, _ in connection.execute(COLUMNS, [schema, name]).fetchall()}


def column_comments(connection: "DuckDBPyConnection", schema: str, name: str) -> dict[str, str | None]:
    """Read what is said of the columns of a table or view."""
    return {column: said for column, _, said in connection.execute(COLUMNS, [schema, name]).fetchall()}


def comment_of(connection: "DuckDBPyConnection", kind: Kind, schema: str, name: str) -> str | None:
    """Return what is said of a table or view, if there is one."""
    row = connection.execute(COMMENT.format(kind=kind), [schema, name]).fetchone()
    return row[0] if row else None


def comment(
    connection: "DuckDBPyConnection",
    kind: Kind,
    schema: str,
    name: str,
    said: str,
    of_columns: Mapping[str, str | None],
) -> None:
    """Say something of a table or view and of its columns, where something else was said before.

    A column of which nothing is to be said keeps the comment that it has.
    """
    place = f"{qualified(connection, schema)}.{quoted(name)}"
    if literal(comment_of(connection, kind, schema, name) or "") != literal(said):
        connection.execute(f"comment on {kind} {place} is {literal(said)}")
    there = {column.lower(): text for column, text in column_comments(connection, schema, name).items()}
    for column, text in of_columns.items():
        if text and literal(there[column.lower()] or "") != literal(text):
            connection.execute(f"comment on column {place}.{quoted(column)} is {literal(text)}")
