"""Rows of the output table: as a table for people, or as csv, jsonl, json and parquet for programs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from batchrun.cli.find_run import FoundRun
from batchrun.cli.permissions import ordinary_permissions
from batchrun.cli.views.format import count, cut, table
from batchrun.cli.views.terminal import Terminal
from batchrun.duckdb_file import LockedByAnother, opened
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.publish import quoted
from batchrun.workflow.open_job import open_output

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

SHOWN_WIDTH = 40
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet runs instead of showing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What a person wants of the rows."""

    run_id: str | None
    statuses: tuple[str, ...]
    selection: Selection
    columns: tuple[str, ...]
    format: str
    output: Path | None
    raw_cells: bool = False
    """Whether cells of csv that a spreadsheet would run as formulas stay as they are."""


def export(found: FoundRun, wanted: Export, terminal: Terminal) -> None:
    """Write the wanted rows to a file or to stdout. Raises UsageProblem, Busy, EnvironmentProblem."""
    with open_output(found.job_path, simulated=found.story.simulated) as job:
        try:
            job.output().publish(wait_s=0)
        except LockedByAnother as locked:
            terminal.say(f"rows may be missing: {locked}")
        if not job.paths.database.exists():
            raise UsageProblem(f"there are no rows yet in {job.paths.database}.")
        with opened(job.paths.database, read_only=True, wait_s=5) as connection:
            table_name, fields = job.job.spec.store.table, [column.name for column in job.job.fields.columns]
            found_rows = rows_of(connection, table_name, own_names(fields), found.story.job, wanted)
            write(found_rows, wanted, terminal, stamped=found.story.simulated)
        count_failed(job.ledger, found.story.job, wanted, terminal)


def own_names(fields: Sequence[str]) -> dict[str, str]:
    """The names of batchrun's own columns; a name that a field of the job has gets an underscore."""
    taken = {name.lower() for name in fields}
    return {name: f"_{name}" if name in taken else name for name in ("id", "status", "problem", "source", "run_id")}


def rows_of(
    connection: "DuckDBPyConnection", table_name: str, own: dict[str, str], job: str, wanted: Export
) -> "DuckDBPyRelation":
    """The wanted documents with their rows. Raises UsageProblem for bad SQL and unknown columns."""
    import duckdb

    values: dict[str, Any] = {"job": job, "statuses": statuses(wanted.statuses)}
    conditions = [f"{own['status']} in (select unnest($statuses))"]
    if wanted.run_id:
        conditions.append(f"{own['run_id']} = $run")
        values["run"] = wanted.run_id
    if wanted.selection.ids:
        conditions.append(f"{own['id']} in (select unnest($ids))")
        values["ids"] = sorted(wanted.selection.ids)
    if wanted.selection.sources:
        matching = f"list_filter($sources, lambda pattern: {own['source']} glob pattern)"
        conditions.append(f"len({matching}) > 0")
        values["sources"] = list(wanted.selection.sources)
    if wanted.selection.where:
        conditions.append(f"({wanted.selection.where}\n)")
    query = (
        f"from (select d.doc_id as {own['id']}, d.status as {own['status']}, d.reason as {own['problem']},"
        f" d.source as {own['source']}, d.run_id as {own['run_id']}, r.* exclude (doc_id)"
        f" from batchrun.documents d left join {quoted(table_name)} r using (doc_id) where d.job = $job)"
        f" where {' and '.join(conditions)} order by {own['id']}"
    )
    shown = ", ".join(quoted(name) for name in wanted.columns) or shown_columns(wanted, own)
    query = f"select {shown} {query}" + (f" limit {wanted.selection.limit}" if wanted.selection.limit else "")
    try:
        connection.execute(f"select * from ({query}) limit 0", values)
    except duckdb.Error as error:
        raise not_understood(error) from error
    return connection.sql(query, params=values)


def shown_columns(wanted: Export, own: dict[str, str]) -> str:
    """All columns except the columns that would have the same value on every line."""
    if wanted.statuses == ("succeeded",):
        return f"* exclude ({own['status']}, {own['problem']}, {own['source']}, {own['run_id']})"
    return f"* exclude ({own['run_id']})"


def statuses(words: Sequence[str]) -> list[str]:
    """The statuses that the words name. Raises UsageProblem."""
    every = [*map(str, Outcome), "pending"]
    groups = {"all": every, "failed": [str(outcome) for outcome in Outcome if outcome.failed]}
    if unknown := [word for word in words if word not in {*every, *groups}]:
        raise UsageProblem(
            f"--status {', '.join(unknown)} is no outcome.", hint=f"choose from {', '.join([*groups, *every])}"
        )
    return [status for word in words for status in groups.get(word, [word])]


def write(found_rows: "DuckDBPyRelation", wanted: Export, terminal: Terminal, *, stamped: bool) -> None:
    """Write the rows in the wanted format, to a file or to stdout."""
    import duckdb

    if wanted.format == "parquet" and wanted.output is None:
        raise UsageProblem("parquet is not text.", hint="name a file: -o rows.parquet")
    try:
        if wanted.format == "parquet":
            with ordinary_permissions():
                found_rows.write_parquet(str(wanted.output))
            return
        names, rows = found_rows.columns, found_rows.fetchall()
    except duckdb.IOException as error:
        raise EnvironmentProblem(f"{wanted.output} cannot be written: {str(error).splitlines()[0]}") from error
    except duckdb.Error as error:
        raise not_understood(error) from error
    if wanted.format == "table":
        cells = [[shown(cell) for cell in row] for row in rows]
        text = ("SIMULATED\n" if stamped else "") + table(names, cells, width=terminal.width())
        text += f"\n{count(len(rows), 'row')}\n"
    else:
        text = serialized(wanted.format, names, rows, raw_cells=wanted.raw_cells)
    if wanted.output is None:
        terminal.exact(text)
        return
    try:
        with ordinary_permissions():
            wanted.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(f"{wanted.output} cannot be written: {error.strerror}.") from error
    terminal.say(f"{count(len(rows), 'row')} written to {wanted.output}")


def not_understood(error: Exception) -> UsageProblem:
    """The problem of a selection that is no SQL, or names a column that does not exist."""
    return UsageProblem(
        f"the selection is not understood: {str(error).splitlines()[0]}",
        hint="columns: id, status, problem, source, run_id and the job's fields",
    )


def serialized(format_: str, names: Sequence[str], rows: Sequence[Sequence[object]], *, raw_cells: bool = False) -> str:
    """Rows as csv, jsonl or json."""
    if format_ == "csv":
        import csv
        import io

        buffer = io.StringIO()
        # Told that lines end with CR LF, the writer puts a lone CR in quotes, which many readers take for a line's end.
        lines = SimpleNamespace(write=lambda line: buffer.write(line.removesuffix("\r\n") + "\n"))
        writer = csv.writer(lines)
        cells = ([as_cell(cell) for cell in row] for row in (names, *rows))
        writer.writerows(row if raw_cells else map(inert, row) for row in cells)
        return buffer.getvalue()
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    if format_ == "json":
        return json.dumps(objects, default=str, indent=2) + "\n"
    return "".join(json.dumps(one, default=str) + "\n" for one in objects)


def as_cell(value: object) -> object:
    """Lists and objects as JSON inside a csv cell."""
    return json.dumps(value, default=str) if isinstance(value, list | dict) else value


def inert(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: text of this kind gets an apostrophe; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def shown(value: object) -> str:
    """A value as the short text in a table's cell."""
    return cut("" if value is None else str(as_cell(value)), SHOWN_WIDTH)


def count_failed(ledger: Ledger, job: str, wanted: Export, terminal: Terminal) -> None:
    """Say how many documents are not shown because they failed."""
    if wanted.statuses != ("succeeded",) or terminal.quiet:
        return
    (failed,) = ledger.connection.execute(
        "select count(*) from document_status where job = ? and status not in ('succeeded', 'skipped', 'pending')",
        (job,),
    ).fetchone()
    if failed:
        terminal.say(f"{count(failed, 'document')} without a row: add --status failed to see them")
