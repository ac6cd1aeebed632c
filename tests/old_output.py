"""Makes an output file what an earlier version made of it, by that version's own statements."""

import contextlib
from pathlib import Path

import duckdb

TABLES = """
create table if not exists batchrun.positions (ledger_id varchar, job varchar, table_name varchar, position bigint);
create table if not exists batchrun.runs (
    job varchar, run_id varchar, model varchar, state varchar, exit_code integer, simulated boolean, documents bigint,
    to_send bigint, estimate_usd double, cost_usd double, budget_usd double, started_at timestamp, ended_at timestamp,
    note varchar);
create table if not exists batchrun.documents (
    job varchar, doc_id varchar, source varchar, status varchar, reason varchar, request_id varchar, run_id varchar);
create table if not exists batchrun.attempts (
    job varchar, attempt_no bigint, run_id varchar, doc_id varchar, request_id varchar, state varchar,
    outcome varchar, cause varchar, status integer, error_type varchar, error_code varchar, message varchar,
    stop_reason varchar, api_request_id varchar, model varchar, input_tokens bigint, cache_write_tokens bigint,
    cache_read_tokens bigint, output_tokens bigint, cost_usd double, started_at timestamp, ended_at timestamp,
    latency_s double, first_byte_s double);
"""
"""In a file called batchrun.duckdb, `batchrun` is not the schema but the file, whose schema is `main`."""
SIDE_TABLES = ("positions", "runs", "documents", "attempts")


def make_old(database: Path, *tables: str, before: str = "") -> None:
    """Move what was published to the old places, with the old types, and take away what is new."""
    with contextlib.closing(duckdb.connect(str(database))) as connection:
        connection.execute("set TimeZone = 'UTC'")
        if connection.execute("select lower(current_catalog())").fetchone() != ("batchrun",):
            connection.execute("create schema if not exists batchrun")
        connection.execute(TABLES)
        ((catalog,),) = connection.execute("select current_catalog()").fetchall()
        for table in SIDE_TABLES:
            new = f'"{catalog}"._batchrun.{table}'
            for later in ("tags", "reserved_usd", "thinking_tokens", *(["note"] if table == "documents" else [])):
                connection.execute(f"alter table {new} drop column if exists {later}")
            connection.execute(f"insert into batchrun.{table} by name select * from {new}")
            connection.execute(f"drop table {new}")
        if catalog != "_batchrun":  # DuckDB 2.0 cannot name the schema there
            connection.execute("drop schema _batchrun")
        for table in tables:
            connection.execute(f"drop view if exists {table}_all")
            old_types(connection, table)
        connection.execute(before)


def old_types(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Give the columns of a table the types that they had."""
    connection.execute(f"alter table {table} alter _finished_at type timestamp using _finished_at at time zone 'UTC'")
    query = "select column_name from duckdb_columns() where table_name = ? and data_type like 'ENUM%'"
    for (name,) in connection.execute(query, [table]).fetchall():
        connection.execute(f"alter table {table} alter {name} type varchar")
