"""The tables beside the rows: where they are in a file of any name and version, and their move out of an old place."""

from typing import TYPE_CHECKING

from batchrun.store.output.catalog import catalog, columns, comment, qualified
from batchrun.store.output.schema import LATER_COLUMNS, MOST_USD, OLD_SCHEMAS, SIDE_SCHEMA, SIDE_TABLES, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KINDS = ("tables", "views", "functions", "sequences", "types")
"""What a schema may have."""


def side_schema(connection: "DuckDBPyConnection") -> str | None:
    """Find the schema that has the side tables, qualified. Returns None if batchrun has not published into the file.

    The schema is known by the exact columns of `positions`: a table of this name may be anybody's.
    """
    wanted = [tuple(column.split()) for column in SIDE_TABLES["positions"][0].split(", ")]
    for schema in (SIDE_SCHEMA, *OLD_SCHEMAS):
        if [(name, type_.lower()) for name, type_ in columns(connection, schema, "positions").items()] == wanted:
            return qualified(connection, schema)
    return None


def make_side_tables(connection: "DuckDBPyConnection") -> None:
    """Make the side tables that are missing, and move those of an earlier version, inside a transaction."""
    old, new = side_schema(connection), qualified(connection)
    connection.execute(f"create schema if not exists {new}")
    for table, (definition, said) in SIDE_TABLES.items():
        connection.execute(f"create table if not exists {new}.{table} ({definition})")
        _add_columns(connection, table, definition)
        comment(connection, "table", SIDE_SCHEMA, table, said, {})
    for schema in OLD_SCHEMAS:
        if old == qualified(connection, schema):
            _move(connection, schema)


def _add_columns(connection: "DuckDBPyConnection", table: str, definition: str) -> None:
    """Add the columns that a table of an earlier version lacks. They are the last ones: rows come by position."""
    there = columns(connection, SIDE_SCHEMA, table)
    for name, type_ in (column.split(" ", 1) for column in definition.replace("(18, 9)", "(18,9)").split(", ")):
        if name in LATER_COLUMNS and name not in there:
            connection.execute(f"alter table {qualified(connection)}.{table} add column {name} {type_}")


def _move(connection: "DuckDBPyConnection", schema: str) -> None:
    """Move the rows of all jobs. A table that lacks some of our columns is somebody else's and stays where it is."""
    for table in SIDE_TABLES:
        there, ours = columns(connection, schema, table), columns(connection, SIDE_SCHEMA, table)
        if not ours.keys() - LATER_COLUMNS <= there.keys():
            continue
        both = {name: type_ for name, type_ in ours.items() if name in there}
        values = ", ".join(_value(name, type_) for name, type_ in both.items())
        old, new = (f"{qualified(connection, place)}.{table}" for place in (schema, SIDE_SCHEMA))
        connection.execute(f"insert into {new} ({', '.join(both)}) select {values} from {old}")
        connection.execute(f"drop table {old}")
    # DuckDB 2.0 finds the name of a schema ambiguous, however it is written, where the catalog has the same name.
    if schema not in {"main", catalog(connection).lower()} and _is_empty(connection, schema):
        connection.execute(f"drop schema {quoted(schema)}")


def _value(name: str, sql_type: str) -> str:
    """Return the expression for a value of an old table. Old times are in UTC, as those of the connection are."""
    return f"if({name} > {MOST_USD}, {MOST_USD}, {name})" if sql_type.startswith("DECIMAL") else name


def _is_empty(connection: "DuckDBPyConnection", schema: str) -> bool:
    query = "select 1 from duckdb_{}() where database_name = current_catalog() and schema_name = $1"
    return not any(connection.execute(query.format(kind), [schema]).fetchone() for kind in KINDS)
