"""The rows that the output has, looked up by their requests."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row of the output, with its answer as JSON again."""

    request_id: str
    answer: str
    run_id: str | None
    finished_at: str | None
    """The time in UTC, as text."""
    model: str | None


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows of one table, in a file that is open."""

    connection: "DuckDBPyConnection"
    """A connection whose time zone is UTC."""
    table: str
    """The name of the table, quoted."""
    fields: Sequence[str]
    """The job's fields, of which the table may lack some."""
    existing: Collection[str]
    """The names of the table's columns, in small letters."""

    def with_row(self, request_ids: Sequence[str]) -> set[str]:
        """Find those of the requests that have a row."""
        query = f"select distinct _request_id from {self.table} where _request_id in (select unnest($1))"
        return {request_id for (request_id,) in self.connection.execute(query, [list(request_ids)]).fetchall()}

    def rows(self, request_ids: Sequence[str]) -> Iterator[StoredRow]:
        """Read a row of each of the requests. JSON is made of the typed values again."""
        members = ", ".join(f"'{name}': \"{name}\"" for name in self.fields if name.lower() in self.existing)
        model = "_model" if "_model" in self.existing else "null"
        query = (
            f"select _request_id, to_json({{{members}}}), _run_id, _finished_at::timestamp::varchar, {model}"
            f" from {self.table}"
            " where _request_id in (select unnest($1)) qualify row_number() over (partition by _request_id) = 1"
        )
        found = self.connection.execute(query, [list(request_ids)])
        while row := found.fetchone():
            yield StoredRow(*row)
