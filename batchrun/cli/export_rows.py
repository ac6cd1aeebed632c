"""The rows that a person wants of the output, as a query that every format runs in its own way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.errors import UsageProblem
from batchrun.escaping import readable_json
from batchrun.outcome import statuses
from batchrun.planning.selection import Selection
from batchrun.store.output import schema
from batchrun.store.output.catalog import columns
from batchrun.store.output.documents_view import own_names
from batchrun.store.output.schema import quoted
from batchrun.store.output.side_tables import side_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AT_ONCE = 100
"""How many rows are in memory at once: an answer may be large."""
OWN_COLUMNS = ("id", "status", "problem", "source", "run_id", "_simulated")
"""What batchrun tells of a document, besides the columns of its row. `id` is what `doc_id` was called before."""
ABOUT_ANSWERS = frozenset({*schema.OWN_COLUMNS, *schema.FINDING_COLUMNS} - {"doc_id"})
"""The columns that tell of the answer instead of being in it."""
TIME_AS_TEXT = "strftime({}, '%Y-%m-%dT%H:%M:%SZ')"
"""A time with its zone, as text in UTC: DuckDB 1 hands such a time over with pytz only."""


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
    all_columns: bool = False
    """Whether a table has all columns, whose names begin with an underscore too."""


@dataclass(frozen=True, slots=True)
class ExportRows:
    """The wanted rows, which are read as often as a format needs them."""

    connection: "DuckDBPyConnection"
    names: Sequence[str]
    times: set[str]
    """The columns of times with a zone, in lower case."""
    wanted: str
    """The part of the query behind the columns."""
    values: dict[str, Any]
    simulated: bool
    left_out: int
    """How many columns a table leaves out unless it is asked for all."""

    def query(self, time: str | None = None) -> str:
        """Return the query, with `time` as the expression for times with a zone; None leaves them as they are."""
        shown = [
            f"{time.format(quoted(name))} as {quoted(name)}" if time and name.lower() in self.times else quoted(name)
            for name in self.names
        ]
        return f"select {', '.join(shown)} {self.wanted}"

    def each(self, time: str = TIME_AS_TEXT) -> Iterator[Sequence[object]]:
        """Yield the rows one by one."""
        found = self.connection.execute(self.query(time), self.values)
        while rows := found.fetchmany(AT_ONCE):
            yield from rows

    def number(self, query: str) -> int:
        """Return the one number that a query with these values tells."""
        (number,) = self.connection.execute(query, self.values).fetchone() or (0,)
        return int(number)


def rows_wanted(
    connection: "DuckDBPyConnection", table: str, job: str, export: Export, *, simulated: bool
) -> ExportRows:
    """Find the wanted documents with their rows.

    A part of a long document that has succeeded is left out: its values are in the row of the long document.
    Raises UsageProblem for bad SQL and unknown columns.
    """
    import duckdb

    own = own_names(OWN_COLUMNS, columns(connection, "main", table))
    values = {"job": job, "statuses": statuses(export.statuses)}
    conditions = list(conditions_of(export, own, values))
    mark = f", true as {own['_simulated']}" if simulated else ""
    wanted = (
        f"from (select d.doc_id, d.doc_id as {own['id']}, d.status as {own['status']}, d.reason as {own['problem']},"
        f" d.source as {own['source']}, d.run_id as {own['run_id']}, r.* exclude (doc_id){mark}"
        f" from {side_schema(connection)}.documents d left join {quoted(table)} r using (doc_id)"
        f" where d.job = $job and (d.status <> 'succeeded' or r.doc_id is not null))"
        f" where {' and '.join(conditions)} order by doc_id"
    )
    wanted += f" limit {export.selection.limit}" if export.selection.limit else ""
    try:
        described = connection.execute(f"select * from (select * {wanted}) limit 0", values).description
    except duckdb.Error as error:
        raise not_understood(error) from error
    same = ("status", "problem", "source") if export.statuses == ("succeeded",) else ()
    hidden = {own[name] for name in ("id", "run_id", *same, *(["_simulated"] if export.format == "table" else []))}
    every = [name for name, *_ in described if name not in hidden]
    beside = set() if export.all_columns or export.format != "table" else ABOUT_ANSWERS.difference(own.values())
    names = list(export.columns) or [name for name in every if name not in beside]
    if simulated and export.format != "table" and own["_simulated"] not in names:
        names.append(own["_simulated"])
    # In a file of an earlier version, which others keep from being changed, this time has no zone.
    times = {"_finished_at", *(name.lower() for name, type_, *_ in described if "WITH TIME ZONE" in str(type_))}
    left_out = 0 if export.columns else len(every) - len(names)
    return ExportRows(connection, names, times, wanted, values, simulated, left_out)


def conditions_of(export: Export, own: dict[str, str], values: dict[str, Any]) -> Iterator[str]:
    """Yield the conditions of SQL that choose the wanted documents, and add the values that they speak of."""
    selection = export.selection
    yield f"{own['status']} in (select unnest($statuses))"
    if export.run_id:
        values["run"] = export.run_id
        yield f"{own['run_id']} = $run"
    if selection.ids:
        values["ids"] = sorted(selection.ids)
        yield "doc_id in (select unnest($ids))"
    if selection.sources:
        values["sources"], source = list(selection.sources), own["source"]
        file = f"split_part({source}, '#', 1)"
        yield f"len(list_filter($sources, lambda pattern: {source} glob pattern or {file} glob pattern)) > 0"
    if selection.where:
        yield f"({selection.where}\n)"


def as_cell(value: object) -> object:
    """Return a value for a cell: lists and objects as JSON, the rest as it is."""
    return readable_json(value) if isinstance(value, list | dict) else value


def not_understood(error: Exception) -> UsageProblem:
    """Return the problem of a selection that is no SQL, or names a column that does not exist."""
    return UsageProblem(
        f"the selection is not understood: {str(error).splitlines()[0]}",
        hint="columns: doc_id, status, problem, source, run_id and the job's fields",
    )
