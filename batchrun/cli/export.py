"""Rows of the output table: as a table for people, or as csv, jsonl, json and parquet for programs."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from batchrun.cli.find_run import FoundRun
from batchrun.cli.permissions import ordinary_permissions
from batchrun.cli.views.format import count, cut, table
from batchrun.cli.views.plan_text import gone_said
from batchrun.cli.views.terminal import Terminal
from batchrun.duckdb_file import LockedByAnother, opened
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.outcome import statuses
from batchrun.planning.gone_documents import gone_rows
from batchrun.planning.selection import Selection
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.catalog import columns
from batchrun.store.output.documents_view import own_names
from batchrun.store.output.schema import quoted
from batchrun.store.output.side_tables import side_schema
from batchrun.workflow.open_job import open_output

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN_WIDTH = 40
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet runs instead of showing it."""
AT_ONCE = 100
"""How many rows are in memory at once: an answer may be large."""
OWN_COLUMNS = ("id", "status", "problem", "source", "run_id")
"""What batchrun tells of a document, besides the columns of its row."""
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
PARQUET_ROWS = 8_192
"""How many rows a group of a Parquet file has. DuckDB keeps a whole group in memory."""


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
            raise no_rows_yet(job.paths.database)
        with opened(job.paths.database, read_only=True, wait_s=5) as connection:
            if side_schema(connection) is None:
                raise no_rows_yet(job.paths.database)
            connection.execute("set TimeZone = 'UTC'")
            query, values = query_of(connection, job.job.spec.store.table, found.story.job, wanted)
            write(connection, query, values, wanted, terminal, stamped=found.story.simulated)
        count_failed(job.ledger, found.story.job, wanted, terminal)
        if (gone := gone_rows(job.ledger, found.story.job)) and not terminal.quiet:
            terminal.say(gone_said(gone, drops=job.job.spec.source.on_removed == "drop"))


def query_of(connection: "DuckDBPyConnection", table_name: str, job: str, wanted: Export) -> tuple[str, dict[str, Any]]:
    """The query for the wanted documents with their rows, and its values.

    A part of a long document that has succeeded is left out: its values are in the row of the long document.
    Raises UsageProblem for bad SQL and unknown columns.
    """
    import duckdb

    own = own_names(OWN_COLUMNS, columns(connection, "main", table_name))
    documents = f"{side_schema(connection)}.documents"
    values: dict[str, Any] = {"job": job, "statuses": statuses(wanted.statuses)}
    conditions = [f"{own['status']} in (select unnest($statuses))"]
    if wanted.run_id:
        conditions.append(f"{own['run_id']} = $run")
        values["run"] = wanted.run_id
    if wanted.selection.ids:
        conditions.append(f"{own['id']} in (select unnest($ids))")
        values["ids"] = sorted(wanted.selection.ids)
    if wanted.selection.sources:
        source = own["source"]
        file = f"split_part({source}, '#', 1)"
        matching = f"list_filter($sources, lambda pattern: {source} glob pattern or {file} glob pattern)"
        conditions.append(f"len({matching}) > 0")
        values["sources"] = list(wanted.selection.sources)
    if wanted.selection.where:
        conditions.append(f"({wanted.selection.where}\n)")
    query = (
        f"from (select d.doc_id as {own['id']}, d.status as {own['status']}, d.reason as {own['problem']},"
        f" d.source as {own['source']}, d.run_id as {own['run_id']}, r.* exclude (doc_id)"
        f" from {documents} d left join {quoted(table_name)} r using (doc_id)"
        f" where d.job = $job and (d.status <> 'succeeded' or r.doc_id is not null))"
        f" where {' and '.join(conditions)} order by {own['id']}"
    )
    query += f" limit {wanted.selection.limit}" if wanted.selection.limit else ""
    try:
        described = connection.execute(f"select * from (select * {query}) limit 0", values).description
    except duckdb.Error as error:
        raise not_understood(error) from error
    names = wanted.columns or [name for name, *_ in described if name not in hidden_columns(wanted, own)]
    if wanted.format == "parquet":
        return f"select {', '.join(map(quoted, names))} {query}", values
    # In a file of an earlier version, which others keep from being changed, this time has no zone.
    times = {"_finished_at", *(name.lower() for name, type_, *_ in described if "WITH TIME ZONE" in str(type_))}
    shown = ", ".join(time_as_text(name) if name.lower() in times else quoted(name) for name in names)
    return f"select {shown} {query}", values


def time_as_text(name: str) -> str:
    """The expression for a time with its zone, as text in UTC: DuckDB 1 hands such a time over with pytz only."""
    return f"strftime({quoted(name)}, '{TIME_FORMAT}') as {quoted(name)}"


def hidden_columns(wanted: Export, own: dict[str, str]) -> set[str]:
    """The columns that would have the same value on every line."""
    same = ("status", "problem", "source", "run_id") if wanted.statuses == ("succeeded",) else ("run_id",)
    return {own[name] for name in same}


def write(
    connection: "DuckDBPyConnection",
    query: str,
    values: dict[str, Any],
    wanted: Export,
    terminal: Terminal,
    *,
    stamped: bool,
) -> None:
    """Write the rows in the wanted format, to a file or to stdout."""
    import duckdb

    if wanted.format == "parquet" and wanted.output is None:
        raise UsageProblem("parquet is not text.", hint="name a file: -o rows.parquet")
    try:
        if wanted.format == "parquet":
            with ordinary_permissions():
                connection.sql(query, params=values).write_parquet(str(wanted.output), row_group_size=PARQUET_ROWS)
            (written,) = connection.execute(f"select count(*) from ({query})", values).fetchone() or (0,)
            terminal.say(f"{count(written, 'row')} written to {wanted.output}")
            return
        found = connection.execute(query, values)
        names = [column[0] for column in found.description]
        numbers = itertools.count()
        rows = (row for row, _ in zip(rows_of(found), numbers))  # noqa: B905 - numbers do not end
        if wanted.format == "table":
            text = as_table(names, rows, terminal)
            write_text((("SIMULATED\n" if stamped else "") + text,), wanted.output, terminal)
        else:
            parts = serialized(wanted.format, names, rows, raw_cells=wanted.raw_cells)
            write_text(parts, wanted.output, terminal)
        if wanted.output:
            terminal.say(f"{count(next(numbers), 'row')} written to {wanted.output}")
    except duckdb.IOException as error:
        raise EnvironmentProblem(f"{wanted.output} cannot be written: {str(error).splitlines()[0]}") from error
    except duckdb.OutOfMemoryException as error:
        raise EnvironmentProblem(
            "the rows need more memory than there is.",
            hint="ask for fewer at a time: --limit, --where, --source or --columns",
        ) from error
    except duckdb.Error as error:
        raise not_understood(error) from error


def rows_of(found: "DuckDBPyConnection") -> Iterator[Sequence[object]]:
    """The rows of a query one by one."""
    while rows := found.fetchmany(AT_ONCE):
        yield from rows


def as_table(names: Sequence[str], rows: Iterable[Sequence[object]], terminal: Terminal) -> str:
    """Rows as a table for people, with short cells."""
    cells = [[shown(cell) for cell in row] for row in rows]
    return f"{table(names, cells, width=terminal.width())}\n{count(len(cells), 'row')}\n"


def write_text(parts: Iterable[str], output: Path | None, terminal: Terminal) -> None:
    """Write text part by part, to a file or to stdout."""
    if output is not None:
        to_file(parts, output)
        return
    for part in parts:
        terminal.exact(part)


def to_file(parts: Iterable[str], output: Path) -> None:
    """Write text part by part to a file that a person has named. Raises EnvironmentProblem."""
    try:
        with ordinary_permissions(), output.open("w", encoding="utf-8") as file:
            file.writelines(parts)
    except OSError as error:
        raise EnvironmentProblem(f"{output} cannot be written: {error.strerror}.") from error


def no_rows_yet(database: Path) -> UsageProblem:
    """The problem of an output that has not been published into."""
    return UsageProblem(f"there are no rows yet in {database}.")


def not_understood(error: Exception) -> UsageProblem:
    """The problem of a selection that is no SQL, or names a column that does not exist."""
    return UsageProblem(
        f"the selection is not understood: {str(error).splitlines()[0]}",
        hint="columns: id, status, problem, source, run_id and the job's fields",
    )


def serialized(
    format_: str, names: Sequence[str], rows: Iterable[Sequence[object]], *, raw_cells: bool = False
) -> Iterator[str]:
    """Rows as csv, jsonl or json, part by part."""
    if format_ == "csv":
        lines = ([as_cell(cell) for cell in row] for row in itertools.chain([names], rows))
        yield from (csv_line(line, raw_cells=raw_cells) for line in lines)
        return
    objects = (dict(zip(names, row, strict=True)) for row in rows)
    if format_ == "jsonl":
        yield from (json.dumps(one, default=str) + "\n" for one in objects)
        return
    before = "["
    for one in objects:
        yield before + "\n" + indent(json.dumps(one, default=str, indent=2), "  ")
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def csv_line(cells: Sequence[object], *, raw_cells: bool) -> str:
    """One line of csv."""
    import csv
    import io

    buffer = io.StringIO()
    # Told that lines end with CR LF, the writer puts a lone CR in quotes, which many readers take for a line's end.
    lines = SimpleNamespace(write=lambda line: buffer.write(line.removesuffix("\r\n") + "\n"))
    csv.writer(lines).writerow(cells if raw_cells else map(inert, cells))
    return buffer.getvalue()


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
