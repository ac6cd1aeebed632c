"""Documents that are rows: the result of one SELECT over a DuckDB file, which is open only while rows are read."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import Guard, Shard, grouped, text_size, unguarded
from batchrun.documents.bounds import MAX_BYTES, too_large
from batchrun.documents.encoding import without_nuls
from batchrun.documents.repeatable_query import require_repeatable
from batchrun.documents.sql_column import INTEGERS, Column
from batchrun.duckdb_file import first_line, opened
from batchrun.errors import Busy, EnvironmentProblem, Refused, UsageProblem
from batchrun.escaping import escape_control
from batchrun.job.table_names import FROM_SQLITE

if TYPE_CHECKING:
    import duckdb

NO_EXTENSIONS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
}
"""The settings by which nothing is downloaded or loaded, and no variable of Python is taken for a table."""
LOCKED_DOWN = {"enable_external_access": "false", **NO_EXTENSIONS}
"""The settings by which SQL that somebody else wrote can reach nothing but the file that is open."""
_MODEST = {"memory_limit": "32MB", "threads": "2"}
"""DuckDB caches what it reads up to its memory limit. This limit keeps a scan at 45 MB over any number of short texts.
Long texts do not fit, because 2,048 rows are decompressed at once; then the query starts again with all the memory."""
_AMPLE: dict[str, str] = {}
_ROWS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class _OpenQuery:
    """The query over its open database, with the columns of the query's result."""

    connection: "duckdb.DuckDBPyConnection"
    id: Column
    text: Column
    others: tuple[Column, ...]

    @property
    def doc_id(self) -> str:
        return f"CAST({self.id.quoted} AS VARCHAR) COLLATE C"  # C: ids that differ only in case stay different

    @property
    def select(self) -> str:
        text = f"coalesce(CAST({self.text.quoted} AS VARCHAR), '')"
        fields = [
            self.doc_id,
            f"strlen({text})",
            f"CASE WHEN strlen({text}) <= {MAX_BYTES} THEN {text} END",
            *(column.as_value for column in self.others),
            f"hash({self.doc_id})",
        ]
        return f"SELECT {', '.join(fields)} FROM temp._batchrun_query"

    def bounds(self, ids: Sequence[str]) -> tuple[str, str] | tuple[int, int] | None:
        """Return the least and the greatest of these ids. Returns None if their column has another order."""
        if self.id.type == "VARCHAR":
            return min(ids), max(ids)
        if self.id.type in INTEGERS:
            numbers = [int(doc_id) for doc_id in ids if doc_id.removeprefix("-").isdecimal()]
            return (min(numbers), max(numbers)) if numbers else None
        return None

    def require_unique_ids(self) -> tuple[int, int]:
        """Raise Refused for ids that are NULL or not unique. Returns the number of ids, and the hash of all."""
        ids = f"SELECT {self.doc_id} AS doc_id FROM temp._batchrun_query"
        bad = "times > 1 OR doc_id IS NULL"
        ((number, bad_ids, worst, digest),) = self.connection.execute(
            f"""
            SELECT count(*), count(*) FILTER ({bad}), min((-times, doc_id), 10) FILTER ({bad}), bit_xor(hash(doc_id))
            FROM (SELECT doc_id, count(*) AS times FROM ({ids}) GROUP BY doc_id)
            """
        ).fetchall()
        if bad_ids:
            shown = ", ".join(
                f"{'NULL' if doc_id is None else escape_control(doc_id)} ({-times:,} rows)" for times, doc_id in worst
            )
            more = ", …" if bad_ids > len(worst) else ""
            raise Refused(
                f"source.query: {bad_ids:,} ids are NULL or occur more than once: {shown}{more}",
                hint="every document needs an id of its own: select a unique column, or join several into one with ||",
            )
        return number, digest or 0

    def rows(self, ids: Sequence[str] | None) -> Iterator[tuple[Any, ...]]:
        """Stream the rows, or those of some ids: id, bytes, text (None if too large), other columns, hash of the id."""
        sql = self.select
        values: list[Any] = []
        if ids is not None:
            sql += f" WHERE {self.doc_id} IN (SELECT unnest($1))"
            values.append(list(ids))
            if bounds := self.bounds(ids):
                # DuckDB skips whole blocks by their statistics, which know only the column itself: five times faster.
                collation = "COLLATE C" if self.id.type == "VARCHAR" else ""
                sql += f" AND {self.id.quoted} {collation} BETWEEN $2 AND $3"
                values.extend(bounds)
        cursor = self.connection.execute(sql, values)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from rows


class DuckdbSource:
    """The rows of `query`, which has an `id` and a `text` column; its other columns can be used in the prompt."""

    page = 256
    parallel = True

    def __init__(self, *, root: Path, database: str, query: str, wait_s: float = 10.0) -> None:
        self._database = database
        self._path = root.resolve() / database
        self._query = query
        self._wait_s = wait_s

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names of the columns beside id and text."""
        with self._opened(_MODEST) as query:
            return frozenset(column.name for column in query.others)

    def scan(self) -> Iterator[Document | Unreadable]:
        """Stream every row. Raises Refused, before the first, when ids are NULL or not unique."""
        yield from self._stream(None)

    def canary(self) -> str | None:
        """Return the path of the database."""
        return str(self._path)

    def shards(self) -> Iterator[Shard]:
        """Stream every row: what a query gives can only be read in one piece, so a shard has its documents with it."""
        for number, rows in enumerate(grouped(self._stream(None), text_size)):
            yield Shard(number, rows, sum(map(text_size, rows)))

    def read_shard(self, shard: Shard, guard: Guard = unguarded) -> Iterator[Document | Unreadable]:  # noqa: ARG002
        """Return the documents that came with the shard."""
        rows: list[Document | Unreadable] = shard.place  # type: ignore[assignment]
        return iter(rows)

    def read(self, refs: Sequence[DocumentRef], guard: Guard = unguarded) -> list[Document | Unreadable]:  # noqa: ARG002
        """Run the query again for these ids."""
        found: dict[str, Document | Unreadable] = {}
        for document in self._stream([ref.doc_id for ref in refs]) if refs else ():
            doc_id = document.doc_id
            twice = Unreadable(doc_id, self._database, "its id now occurs more than once in the query's result")
            found[doc_id] = twice if doc_id in found else document
        gone = "no longer in the query's result"
        return [found.get(ref.doc_id) or Unreadable(ref.doc_id, ref.source, gone) for ref in refs]

    def _stream(self, ids: Sequence[str] | None) -> Iterator[Document | Unreadable]:
        import duckdb

        given, digest, version = 0, 0, self._version()
        for means in (_MODEST, _AMPLE):
            with contextlib.suppress(duckdb.OutOfMemoryException), self._opened(means) as query:
                if given and version != self._version():
                    raise Busy(f"{self._path} changed while it was being read", hint="run the same command again")
                version = self._version()
                first_look = self._first_look(query) if ids is None else None
                for row in islice(query.rows(ids), given, None):
                    given, digest = given + 1, digest ^ row[-1]
                    yield self._document(query, row)
                if first_look not in {None, (given, digest)}:
                    raise _other_ids()
                return
        raise EnvironmentProblem(
            f"source.query: DuckDB ran out of memory over {self._path}",
            hint="select fewer or shorter texts, or leave out an ORDER BY over them",
        )

    def _first_look(self, query: _OpenQuery) -> tuple[int, int]:
        require_repeatable(query.connection, self._query)
        return query.require_unique_ids()

    def _version(self) -> tuple[int, int] | None:
        with contextlib.suppress(FileNotFoundError):
            status = self._path.stat()  # and never open(): closing the file again would drop DuckDB's lock
            return status.st_mtime_ns, status.st_size
        return None

    def _document(self, query: _OpenQuery, row: tuple[Any, ...]) -> Document | Unreadable:
        doc_id, size, text, *others, _ = row
        if text is None:
            return Unreadable(doc_id, self._database, too_large(size))
        cleaned = without_nuls(text)
        columns = {column.name: value for column, value in zip(query.others, others, strict=True)}
        return Document(doc_id, self._database, cleaned.text, columns=columns, note=cleaned.note)

    @contextlib.contextmanager
    def _opened(self, means: Mapping[str, str]) -> Iterator[_OpenQuery]:
        if not self._path.exists():
            raise UsageProblem(
                f"source.database: there is no file {self._path}",
                hint="correct source.database; a relative path starts at the project folder",
            )
        asked = opened(self._path, read_only=True, wait_s=self._wait_s, config=LOCKED_DOWN)
        with _is_duckdb(self._path), asked as connection, _in_words():
            for name, value in means.items():
                connection.execute(f"SET {name} = '{value}'")
            connection.execute("SET TimeZone = 'UTC'")  # else the text of a TIMESTAMPTZ depends on the machine
            connection.execute("SET lock_configuration = true")
            _require_one_select(connection, self._query)
            # A view takes the query as it is: with a closing semicolon, or a comment as its last line.
            connection.execute(f"CREATE TEMP VIEW _batchrun_query AS\n{self._query}")
            described = connection.execute("DESCRIBE temp._batchrun_query").fetchall()
            yield _open_query(connection, [Column(name, type_) for name, type_, *_ in described])


@contextlib.contextmanager
def _is_duckdb(path: Path) -> Iterator[None]:
    """Say what to do with a file that DuckDB cannot open because the file is another kind of database."""
    try:
        yield
    except EnvironmentProblem as error:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if file.read(16) == b"SQLite format 3\0":
                raise UsageProblem(f"source.database: {path} is an SQLite database", hint=FROM_SQLITE) from error
        raise


def _other_ids() -> Refused:
    return Refused(
        "source.query: a second look found other ids than the first",
        hint="before a LIMIT, write an ORDER BY that leaves no two rows equal, such as ORDER BY id",
    )


def _require_one_select(connection: "duckdb.DuckDBPyConnection", query: str) -> None:
    import duckdb

    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(str(statement.type).rpartition(".")[2] for statement in statements) or "nothing"
        raise UsageProblem(
            f"source.query: one SELECT is needed, and this is {kinds}",
            hint="for example: SELECT ticket_id AS id, body AS text, customer FROM tickets",
        )


def _open_query(connection: "duckdb.DuckDBPyConnection", columns: list[Column]) -> _OpenQuery:
    by_name = {column.name.lower(): column for column in columns}
    if missing := [name for name in ("id", "text") if name not in by_name]:
        raise UsageProblem(
            f"source.query: no column {' and no column '.join(missing)}; "
            f"there are {', '.join(column.name for column in columns)}",
            hint=f"give the right one that name: SELECT … AS {missing[0]}",
        )
    doc_id, text = by_name["id"], by_name["text"]
    if text.type == "BLOB":
        raise UsageProblem("source.query: the column text is a BLOB", hint=f"decode it: decode({text.name}) AS text")
    return _OpenQuery(connection, doc_id, text, tuple(column for column in columns if column not in (doc_id, text)))


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Translate DuckDB's errors: most are about the query, some about the file. `_stream` handles a lack of memory."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.OperationalError, duckdb.InternalError) as error:
        raise EnvironmentProblem(f"source.database: {first_line(error)}") from error
    except duckdb.PermissionException as error:
        raise UsageProblem(
            f"source.query: {first_line(error)}",
            hint="a query may read only the tables of source.database; load CSV, JSON and Parquet files into it first",
        ) from error
    except duckdb.Error as error:
        suggestion = str(error).partition("\n")[2].partition("\n")[0].strip()
        hint = suggestion or "try the query with `duckdb -readonly` on source.database"
        raise UsageProblem(f"source.query: {first_line(error)}", hint=hint) from error
