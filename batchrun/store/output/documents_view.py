"""The view `<table>_all`: every document of a job, with its row if it has one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from batchrun.store.output.catalog import catalog, column_comments, columns, comment, comment_of
from batchrun.store.output.schema import SIDE_SCHEMA, literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MADE_BY_US = "Made by batchrun."
"""The end of our views' comments."""
OWN_COLUMNS = {
    "status": ("VARCHAR", "What became of the document; pending: it has no answer yet."),
    "reason": ("VARCHAR", "Why the document has no row."),
    "source": ("VARCHAR", "Where the document was read."),
    "run_id": ("VARCHAR", "The last run that the document belongs to."),
    "cost_usd": ("DECIMAL(38,9)", "The cost of all attempts for the document; null where nothing was sent for it."),
    "reserved_usd": ("DECIMAL(38,9)", "The part of cost_usd that is reserved for answers that were lost."),
}
"""The columns of the view besides those of the table of rows."""


def own_names(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Give batchrun's own columns names that no column of the table has, by underscores in front."""
    lower = {name.lower() for name in taken}

    def free(name: str) -> str:
        return free(f"_{name}") if name in lower else name

    return {name: free(name) for name in names}


def is_our_view(connection: "DuckDBPyConnection", name: str) -> bool:
    """Return whether there is a view of this name that batchrun has made."""
    return (comment_of(connection, "view", "main", name) or "").endswith(MADE_BY_US)


def make_view(connection: "DuckDBPyConnection", job: str, table: str) -> None:
    """Make the view of a job's table, unless the view is there as it should be, or something else has the name."""
    view = f"{table}_all"
    existing = columns(connection, "main", view)
    if existing and not is_our_view(connection, view):
        return
    if catalog(connection).lower() == SIDE_SCHEMA:
        return  # the names in a view have no catalog, since the file may be attached as another one
    said = f"Every document of the job {job}, with its row if it has one. {MADE_BY_US}"
    row = columns(connection, "main", table)
    own = own_names(OWN_COLUMNS, row)
    wanted = {"doc_id": row.pop("doc_id")} | {own[name]: type_ for name, (type_, _) in OWN_COLUMNS.items()} | row
    if existing != wanted or comment_of(connection, "view", "main", view) != said:
        connection.execute(f"create or replace view {quoted(view)} as {documents_query(job, table, own, row)}")
    of_columns = column_comments(connection, "main", table)
    of_columns |= {own[name]: words for name, (_, words) in OWN_COLUMNS.items()}
    comment(connection, "view", "main", view, said, of_columns)


def documents_query(job: str, table: str, own: dict[str, str], row: Iterable[str]) -> str:
    """Write the query of the view. DuckDB looks for its names in the view's own catalog, as whatever it is attached.

    `own` has the names of OWN_COLUMNS, and `row` the columns of the table besides the key.
    """
    documents = ", ".join(f"d.{name} as {own[name]}" for name in OWN_COLUMNS if not name.endswith("_usd"))
    fields = ", ".join(f"r.{quoted(name)}" for name in row)
    return (
        f"select d.doc_id, {documents}, c.cost_usd as {own['cost_usd']},"
        f" c.reserved_usd as {own['reserved_usd']}, {fields} from {SIDE_SCHEMA}.documents d"
        f" left join (select doc_id, sum(cost_usd) as cost_usd,"
        f" sum(reserved_usd) as reserved_usd from {SIDE_SCHEMA}.attempts where job = {literal(job)}"
        f" group by doc_id) c on c.doc_id = d.doc_id left join {quoted(table)} r on r.doc_id = d.doc_id"
        f" where d.job = {literal(job)}"
    )
