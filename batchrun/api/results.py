"""Rows for programs: a copy of what the output has, which is a file of its own and holds nobody up."""

import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.duckdb_file import LockedByAnother, opened
from batchrun.job.load import JobFile
from batchrun.outcome import statuses
from batchrun.store.output.catalog import columns
from batchrun.store.output.documents_view import OWN_COLUMNS, documents_query, own_names
from batchrun.store.output.schema import literal, quoted
from batchrun.workflow.open_job import OpenOutput, opened_output

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

WAIT_S = 5.0
"""How long reading waits for somebody who writes the output."""
_kept: "deque[DuckDBPyConnection]" = deque(maxlen=32)
"""The latest connections: DuckDB 1 closes a connection that nobody holds, whatever relations there are."""


def results(file: JobFile, status: str | Iterable[str], *, simulated: bool, run_id: str | None) -> "DuckDBPyRelation":
    """Return the rows of a job's documents, or of a run's, as a relation of a file that is gone with the relation.

    While somebody else holds the output, the rows are made again of what the ledger has.
    """
    import duckdb

    words = statuses([status] if isinstance(status, str) else list(status))
    with tempfile.TemporaryDirectory(prefix="batchrun-") as folder, opened_output(file, simulated=simulated) as output:
        copy = Path(folder) / "results.duckdb"
        try:
            output.output().publish(wait_s=0)
            _copy(output, copy, words, run_id, simulated=simulated)
        except LockedByAnother:
            again = replace(output, paths=replace(output.paths, database=Path(folder) / "again.duckdb"))
            again.output().publish(wait_s=0)
            _copy(again, copy, words, run_id, simulated=simulated)
        connection = duckdb.connect(str(copy), read_only=True)
    connection.execute("set TimeZone = 'UTC'")
    _kept.append(connection)
    return connection.table("results")


def _copy(output: OpenOutput, copy: Path, words: Iterable[str], run_id: str | None, *, simulated: bool) -> None:
    """Copy rows into a new file: the key, the fields and what the source had, what became of the document, the rest.

    A part of a long document that has succeeded is left out: its values are in the row of the long document.
    """
    table = output.job.spec.store.table
    with opened(output.paths.database, read_only=True, wait_s=WAIT_S) as connection:
        row = columns(connection, "main", table)
        own = own_names([*OWN_COLUMNS, "simulated"], row)
        del row["doc_id"]
        fields, rest = ([name for name in row if name.startswith("_") is ours] for ours in (False, True))
        names = [quoted(name) for name in ("doc_id", *fields, *(own[name] for name in OWN_COLUMNS), *rest)]
        status = own["status"]
        conditions = [
            f"{status} in ({', '.join(map(literal, words))})",
            f"({status} <> 'succeeded' or _request_id is not null)",
            *([f"{own['run_id']} = {literal(run_id)}"] if run_id else []),
        ]
        connection.execute(f"attach {literal(str(copy))} as copied (read_write)")
        connection.execute(
            f"create table copied.results as select {', '.join(names)}, {simulated} as {quoted(own['simulated'])}"
            f" from ({documents_query(output.name, table, own, row)}) where {' and '.join(conditions)} order by doc_id"
        )
        connection.execute("detach copied")
