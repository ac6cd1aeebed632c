"""The output: the user's DuckDB file as a projection of the ledger, in order, exactly once, rebuilt at will.

DuckDB lets one process in when it writes, so the file is open for moments only. Publishing opens the file, brings the
file up to the ledger's sequence number in transactions that also write the new position, and closes the file. Somebody
who keeps the file open delays the rows, not the run. A deleted file is rebuilt from position 0 without a request.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from batchrun.duckdb_file import opened
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.file_system import make_folder
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.catalog import columns, comment, qualified
from batchrun.store.output.changes import Row, Slice, changes, first_source_columns, runs, until
from batchrun.store.output.column_types import change_types, outdated_types, outgrown_types, same_but_for_enums
from batchrun.store.output.documents_view import is_our_view, make_view
from batchrun.store.output.output_table import OutputTable, turned
from batchrun.store.output.positions import Position
from batchrun.store.output.schema import FIRST_COLUMNS, MODEL_OF_OLD_ROWS, SIDE_TABLES, quoted
from batchrun.store.output.side_tables import make_side_tables, side_schema
from batchrun.store.output.source_columns import fitting_types
from batchrun.store.output.stored_rows import StoredRows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TRANSACTION_CHARACTERS = 64_000_000
"""How much text is written in one transaction. With every commit, DuckDB reads the last rows of the table again."""
OLD_TIME = ("_finished_at", "TIMESTAMP")
"""A column and its type in files of earlier versions, which is changed; the times are in UTC."""
LEAST_MEMORY_MB = 256
"""The memory that DuckDB begins with. Ordinary rows need no more, and DuckDB would take all that the machine has."""


class Output:
    """One job's rows in one DuckDB file, fed from a ledger."""

    def __init__(self, ledger: Ledger, job: str, table: OutputTable) -> None:
        self._ledger = ledger
        self._job = job
        self._table = table
        self._followed = Position(ledger.ledger_id, job, table.name)
        self._memory_mb = LEAST_MEMORY_MB
        self._dropped_indexes = list[str]()

    def check(self) -> None:
        """Check before anything is paid whether the rows will fit. Raises UsageProblem and LockedByAnother."""
        self._make_folder()
        if self.is_ahead():  # before new changes of a restored ledger get the numbers that the file knows
            self.publish(wait_s=0)

    def is_ahead(self) -> bool:
        """Return whether the file knows more than the ledger. Changes nothing.

        Raises UsageProblem for a table that rows of the job do not fit into, and LockedByAnother.
        """
        if not self._table.database.exists():
            return False
        with self._opened(read_only=True, wait_s=0) as connection:
            is_ours = self._missing(connection) is not None
            return is_ours and self._followed.recorded(connection) > self.head()

    @contextlib.contextmanager
    def stored_rows(self, *, wait_s: float) -> Iterator[StoredRows | None]:
        """Open the rows for reading. Yields None if there is no table of rows. Raises LockedByAnother."""
        if not self._table.database.exists():
            yield None
            return
        with self._opened(read_only=True, wait_s=wait_s, memory_mb=memory_of_machine_mb()) as connection:
            existing = self._existing(connection) or {}
            fields = [column.name for column in self._table.columns]
            ours = existing.keys() >= FIRST_COLUMNS
            yield StoredRows(connection, quoted(self._table.name), fields, existing) if ours else None

    def close(self) -> None:
        """Close the connection to the ledger."""
        self._ledger.close()

    def head(self) -> int:
        """Return the ledger's sequence number: the file is up to date once it has reached this number."""
        return self._ledger.head(self._job)

    def publish(self, *, wait_s: float) -> int:
        """Bring the file up to where the ledger is now. Returns how many rows were written.

        Publishing is safe at any time and safe to repeat: no change is written twice. Changes that a run makes
        meanwhile wait for the next time: to follow the run would take many transactions of a few rows each. Raises
        LockedByAnother and UsageProblem.
        """
        self._make_folder()
        while True:
            try:
                return self._publish(wait_s=wait_s)
            except MoreMemory:
                if self._memory_mb >= memory_of_machine_mb():
                    raise
                self._memory_mb *= 2

    def _publish(self, *, wait_s: float) -> int:
        written, head, self._dropped_indexes = 0, self.head(), []
        with self._opened(read_only=False, wait_s=wait_s) as connection:
            self._prepare(connection)
            position = self._position(connection)
            while position < head:
                reached = until(self._ledger, self._job, after=position)
                with contextlib.closing(changes(self._ledger, self._job, after=position, until=reached)) as slices:
                    written += self._follow(connection, slices)
                self._followed.move(connection, reached)
                self._commit(connection)
                position = reached
            self._mirror(connection, "runs", runs(self._ledger, self._job))
        return written

    def _follow(self, connection: "DuckDBPyConnection", slices: Iterable[Slice]) -> int:
        """Write changes in transactions of a bounded size, and leave the last one open. Returns how many rows came.

        Changes that have come without the new position are written again next time, which changes nothing.
        """
        written, characters = 0, 0
        connection.execute("begin")
        for some in slices:
            if characters >= TRANSACTION_CHARACTERS:
                self._commit(connection)
                connection.execute("begin")
                characters = 0
            self._apply(connection, some)
            characters += some.characters
            written += len(some.rows) if some.kind == "results" else 0
        return written

    def _make_folder(self) -> None:
        folder = self._table.database.parent
        try:
            make_folder(folder)
        except OSError as error:
            raise EnvironmentProblem(
                f"the folder {folder} for the output cannot be made: {error.strerror}.",
                hint="name another place: [store] database",
            ) from error

    @contextlib.contextmanager
    def _opened(
        self, *, read_only: bool, wait_s: float, memory_mb: int | None = None
    ) -> "Iterator[DuckDBPyConnection]":
        """Open the file, and translate DuckDB's errors into people's words."""
        import duckdb

        config = {"threads": "1", "memory_limit": f"{memory_mb or self._memory_mb}MB"}
        try:
            with opened(self._table.database, read_only=read_only, wait_s=wait_s, config=config) as connection:
                connection.execute("set TimeZone = 'UTC'")
                yield connection
        except duckdb.Error as error:
            if "memory_limit" in str(error):
                raise MoreMemory(
                    f"the output {self._table.database} needs more memory than there is.",
                    hint=f"the rows are safe in the ledger; on a machine with more memory: batchrun sync {self._job}",
                ) from error
            raise EnvironmentProblem(
                f"the output {self._table.database} cannot be written: {str(error).splitlines()[0]}",
                hint=f"the rows are safe in the ledger; fix the file, then: batchrun sync {self._job}",
            ) from error

    def _prepare(self, connection: "DuckDBPyConnection") -> None:
        connection.execute("begin")
        make_side_tables(connection)
        place, table, missing = qualified(connection), quoted(self._table.name), self._missing(connection)
        of_source = self._source_types(self._existing(connection) or {})
        wanted = self._table.types | of_source
        if missing is None:
            if is_our_view(connection, self._table.name):
                connection.execute(f"drop view {table}")
            listed = ", ".join(f"{quoted(name)} {sql_type}" for name, sql_type in wanted.items())
            connection.execute(f"create table {table} ({listed})")
            self._followed.forget(connection)  # somebody dropped the table, or there never was one
        # What is changed of the table comes before what is written to it: DuckDB 1.4 commits nothing else.
        name, existing = self._table.name, self._existing(connection) or {}
        changed = outdated_types(connection, name, existing, wanted)
        self._dropped_indexes = change_types(connection, name, changed)
        lacking = {one: sql_type for one, sql_type in of_source.items() if existing and one.lower() not in existing}
        for added, sql_type in {**(missing or {}), **lacking}.items():
            connection.execute(f"alter table {table} add column {quoted(added)} {sql_type}")
        self._describe(connection)
        if missing and "_model" in missing:
            connection.execute(MODEL_OF_OLD_ROWS.format(table=table, attempts=f"{place}.attempts"), [self._job])
        self._commit(connection)

    def _commit(self, connection: "DuckDBPyConnection") -> None:
        """Commit, and make indexes again: DuckDB 1.4 may lose one that is dropped and made in one transaction."""
        for statement in ("commit", *self._dropped_indexes):
            connection.execute(statement)
        self._dropped_indexes = []

    def _describe(self, connection: "DuckDBPyConnection") -> None:
        said = f"The valid rows of the job {self._job}, one for each document that has one."
        of_columns = {column.name: column.description for column in self._table.columns}
        of_columns |= {name: words for name, (_, words) in self._table.own_columns.items()}
        of_columns |= {column.column: column.said for column in self._table.source_columns}
        comment(connection, "table", "main", self._table.name, said, of_columns)
        make_view(connection, self._job, self._table.name)

    def _source_types(self, existing: Mapping[str, str]) -> dict[str, str]:
        """Find the types of the columns of the source. The values are looked at where a column is new."""
        is_new = any(column.column.lower() not in existing for column in self._table.source_columns)
        texts = first_source_columns(self._ledger, self._job) if is_new else ()
        return fitting_types(self._table.source_columns, texts, existing)

    def _missing(self, connection: "DuckDBPyConnection") -> dict[str, str] | None:
        """Find the columns to add to the table. Returns None without a table, raises UsageProblem for another one."""
        existing = self._existing(connection)
        if existing is None:
            return None
        table = self._table.name
        if other := self._followed.other_job(connection):
            raise UsageProblem(
                f"the table {table} in {self._table.database} belongs to the job {other}.",
                hint='choose another name: [store] table = "…"',
            )
        if not existing.keys() >= FIRST_COLUMNS:
            raise UsageProblem(
                f"the table {table} in {self._table.database} was not made by batchrun.",
                hint='choose another name: [store] table = "…"',
            )
        wanted = self._table.types
        for name, sql_type in wanted.items():
            there = existing.get(name.lower())
            if there and (name, there) != OLD_TIME and not same_but_for_enums(connection, sql_type, there):
                raise UsageProblem(
                    f"the field {name} is {sql_type} in the job file, but {there} in the table {table}.",
                    hint=f'keep the old rows under another name: ALTER TABLE "{table}" RENAME TO "{table}_old";'
                    f' or write the new ones elsewhere: [store] table = "{table}_2"',
                )
        return {name: sql_type for name, sql_type in wanted.items() if name.lower() not in existing}

    def _existing(self, connection: "DuckDBPyConnection") -> dict[str, str] | None:
        name = self._table.name
        if is_our_view(connection, name):  # made for another job's table, and dropped when this table is made
            return None
        if name.lower() in SIDE_TABLES and side_schema(connection) == qualified(connection, "main"):
            return None  # a side table of an earlier version, which is moved away before this table is made
        return {column.lower(): type_ for column, type_ in columns(connection, "main", name).items()} or None

    def _apply(self, connection: "DuckDBPyConnection", some: Slice) -> None:
        if some.kind in {"documents", "attempts"}:
            self._mirror(connection, some.kind, some.rows)
            return
        found = some.rows
        if some.kind == "results":
            found = self._table.corrected(found)
            self._make_room(connection, found)
        place = 4 if some.kind == "results" else 1
        newer = self._newer(connection, {row[0]: row[place] for row in found})
        rows = [row for row in found if row[0] not in newer]
        stale = [row[0] for row in rows]
        connection.execute(f"delete from {quoted(self._table.name)} where doc_id in (select unnest($1))", [stale])
        if some.kind == "results" and rows:
            existing = (self._existing(connection) or {}) if self._table.source_columns else {}
            self._table.insert(connection, rows, existing)

    def _make_room(self, connection: "DuckDBPyConnection", rows: Sequence[Row]) -> None:
        """Let columns have the values of rows, in a transaction of its own.

        ENUMs may lack values of answers from before the job file was changed, and columns of the source may have had
        values of a narrower type so far.
        """
        fields, existing = [column.name for column in self._table.columns], self._existing(connection) or {}
        changed = outgrown_types(connection, existing, [row[1] for row in rows], fields)
        of_source = fitting_types(self._table.source_columns, [row[6] for row in rows], existing)
        changed |= {name: sql_type for name, sql_type in of_source.items() if existing[name.lower()] != sql_type}
        if changed:
            self._commit(connection)
            connection.execute("begin")
            self._dropped_indexes = change_types(connection, self._table.name, changed)
            make_view(connection, self._job, self._table.name)
            self._commit(connection)
            connection.execute("begin")

    def _newer(self, connection: "DuckDBPyConnection", ended: Mapping[str, str | None]) -> set[str]:
        """Find documents whose row is newer than the change that ended at these times, and unknown to the ledger.

        Such a row is from a ledger that was lost, and maybe the only copy of an answer that was paid for.
        """
        found = connection.execute(
            f"select doc_id, _request_id, _finished_at::timestamp::varchar from {quoted(self._table.name)}"
            " where doc_id in (select unnest($1))",
            [list(ended)],
        ).fetchall()
        newer = {doc_id: request_id for doc_id, request_id, at in found if (ended[doc_id] or "") < (at or "")}
        return {doc_id for doc_id, request_id in newer.items() if not self._ledger.has_answer(request_id)}

    def _mirror(self, connection: "DuckDBPyConnection", table: str, rows: Sequence[Row]) -> None:
        """Replace rows of a side table; the first column of a row is the row's key within the job."""
        if not rows:
            return
        values, place = turned(rows), f"{qualified(connection)}.{table}"
        key = connection.execute(f"select * from {place} limit 0").description[1][0]
        connection.execute(
            f"delete from {place} where job = $1 and {key} in (select unnest($2))",
            [self._job, values[0]],
        )
        unnested = ", ".join(f"unnest(${number})" for number in range(2, len(values) + 2))
        connection.execute(f"insert into {place} select $1, {unnested}", [self._job, *values])

    def _position(self, connection: "DuckDBPyConnection") -> int:
        position = self._followed.recorded(connection)
        # A ledger that was restored from a backup is behind the file: its next changes reuse numbers of the file.
        return position if position <= self.head() else 0


class MoreMemory(EnvironmentProblem):
    """DuckDB needs more memory than it was given. The machine may have more."""


def memory_of_machine_mb() -> int:
    """Return how much memory the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
