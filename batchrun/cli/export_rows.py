"""The rows that a person wants of the output, as a query that every format runs in its own way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.errors import UsageProblem
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.store.output import schema
from batchrun.store.output.catalog import columns
from batchrun.store.output.documents_view import own_names
from batchrun.store.output.schema import quoted
from batchrun.store.output.side_tables import side_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

AT_ONCE = 100
"""How many rows are in memory at once: an answer may be large."""
OWN_COLUMNS = ("id", "status", "problem", "source", "run_id", "_simulated")
"""What batchrun tells of a document, besides the columns of its row. `id` is what `doc_id` was called before."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRows:
    """The wanted rows, which are read as often as a format needs them."""

    connection: "DuckDBPyConnection"
    names: Sequence[str]
    """The columns."""
    times: frozenset[str]
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

    def execute(self, query: str) -> "DuckDBPyConnection":
        """Run a query with the values of this one."""
        return self.connection.execute(query, self.values)

    def each(self, time: str = TIME_AS_TEXT) -> Iterator[Sequence[object]]:
        """Yield the rows one by one."""
        found = self.execute(self.query(time))
        while rows := found.fetchmany(AT_ONCE):
            yield from rows

    def relation(self) -> "DuckDBPyRelation":
        """Return the rows for readers of whole columns."""
        return self.connection.sql(self.query(), params=self.values)

    def count(self) -> int:
        """Count the rows."""
        counted = self.execute(f"select count(*) from ({self.query()})").fetchone()
        return int(counted[0]) if counted else 0


def rows_wanted(
    connection: "DuckDBPyConnection", table: str, job: str, export: Export, *, simulated: bool
) -> ExportRows:
    """Find the wanted documents with their rows.

    A part of a long document that has succeeded is left out: its values are in the row of the long document.
    Raises UsageProblem for bad SQL and unknown columns.
    """
    import duckdb

    own = own_names(OWN_COLUMNS, columns(connection, "main", table))
    values, conditions = conditions_of(export, own)
    mark = f", true as {own['_simulated']}" if simulated else ""
    wanted = (
        f"from (select d.doc_id, d.doc_id as {own['id']}, d.status as {own['status']}, d.reason as {own['problem']},"
        f" d.source as {own['source']}, d.run_id as {own['run_id']}, r.* exclude (doc_id){mark}"
        f" from {side_schema(connection)}.documents d left join {quoted(table)} r using (doc_id)"
        f" where d.job = $job and (d.status <> 'succeeded' or r.doc_id is not null))"
        f" where {' and '.join(conditions)} order by doc_id"
    )
    wanted += f" limit {export.selection.limit}" if export.selection.limit else ""
    values["job"] = job
    try:
        described = connection.execute(f"select * from (select * {wanted}) limit 0", values).description
    except duckdb.Error as error:
        raise not_understood(error) from error
    hidden = hidden_columns(export, own)
    shown = [name for name, *_ in described if name not in hidden]
    named = export.columns or [name for name in shown if not is_left_out(name, export, own)]
    if simulated and export.format != "table" and own["_simulated"] not in named:
        named = [*named, own["_simulated"]]
    # In a file of an earlier version, which others keep from being changed, this time has no zone.
    times = {"_finished_at", *(name.lower() for name, type_, *_ in described if "WITH TIME ZONE" in str(type_))}
    return ExportRows(
        connection=connection,
        names=named,
        times=frozenset(times),
        wanted=wanted,
        values=values,
        simulated=simulated,
        left_out=0 if export.columns else len(shown) - len(named),
    )


def conditions_of(export: Export, own: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the conditions of SQL that choose the wanted documents, and the values in these conditions."""
    selection, values = export.selection, dict[str, Any](statuses=statuses(export.statuses))
    conditions = [f"{own['status']} in (select unnest($statuses))"]
    if export.run_id:
        conditions.append(f"{own['run_id']} = $run")
        values["run"] = export.run_id
    if selection.ids:
        conditions.append("doc_id in (select unnest($ids))")
        values["ids"] = sorted(selection.ids)
    if selection.sources:
        source = own["source"]
        file = f"split_part({source}, '#', 1)"
        matching = f"list_filter($sources, lambda pattern: {source} glob pattern or {file} glob pattern)"
        conditions.append(f"len({matching}) > 0")
        values["sources"] = list(selection.sources)
    if selection.where:
        conditions.append(f"({selection.where}\n)")
    return values, conditions


def hidden_columns(export: Export, own: dict[str, str]) -> set[str]:
    """Return the columns that would say the same on every line, or the same as another one."""
    same = ("status", "problem", "source") if export.statuses == ("succeeded",) else ()
    return {own[name] for name in ("id", "run_id", *same)} | (
        {own["_simulated"]} if export.format == "table" else set()
    )


def is_left_out(name: str, export: Export, own: dict[str, str]) -> bool:
    """Return whether a column is about the answer instead of in it, and a table leaves such columns out."""
    if export.format != "table" or export.all_columns or name in own.values():
        return False
    return name in {*schema.OWN_COLUMNS, *schema.FINDING_COLUMNS} - {"doc_id"}


def statuses(words: Sequence[str]) -> list[str]:
    """Return the statuses that the words name. Raises UsageProblem."""
    every = [*map(str, Outcome), "pending"]
    groups = {"all": every, "failed": [str(outcome) for outcome in Outcome if outcome.failed]}
    if unknown := [word for word in words if word not in {*every, *groups}]:
        raise UsageProblem(
            f"--status {', '.join(unknown)} is no outcome.", hint=f"choose from {', '.join([*groups, *every])}"
        )
    return [status for word in words for status in groups.get(word, [word])]


def not_understood(error: Exception) -> UsageProblem:
    """Return the problem of a selection that is no SQL, or names a column that does not exist."""
    return UsageProblem(
        f"the selection is not understood: {str(error).splitlines()[0]}",
        hint="columns: doc_id, status, problem, source, run_id and the job's fields",
    )
