"""Asks the output a query of the job file: read-only, locked down, in a process with bounded time and memory."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.documents import Guard
from batchrun.documents.duckdb import LOCKED_DOWN
from batchrun.duckdb_file import opened
from batchrun.errors import BatchrunError
from batchrun.store.output.schema import quoted
from batchrun.workers.children import Children
from batchrun.workers.limits import Limits
from batchrun.workers.pool import WorkerDied

if TYPE_CHECKING:
    import duckdb

LIMITS = Limits(cpu_s=30.0, wall_s=60.0)
"""What one query may take."""
WAIT_S = 5.0
"""How long a query waits for somebody who writes to the output."""
MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 10, 20, 200
"""How much is read of a result: rows, columns of a row, and characters of a value."""
_CONFIG = {**LOCKED_DOWN, "threads": "1", "memory_limit": "1GB", "temp_directory": ""}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query returned."""

    rows: tuple[Mapping[str, str | None], ...]
    """The first rows, with values as text."""
    total: int
    """How many rows there are."""

    @property
    def number(self) -> float | None:
        """The only value, if it is a number. None for any other answer."""
        if self.total != 1 or len(self.rows[0]) != 1:
            return None
        (text,) = self.rows[0].values()
        with contextlib.suppress(ValueError):
            return float(text) if text is not None and math.isfinite(float(text)) else None
        return None


class NoAnswer(Exception):
    """A query returned nothing; the text of the exception says why."""


Ask = Callable[[str], Answer]
"""Asks the output a query. Raises NoAnswer."""


@contextlib.contextmanager
def asking(database: Path, limits: Limits = LIMITS) -> Iterator[Ask]:
    """Yield a function that asks the database a query in a child process, which starts with the first query.

    Of all that a query may try, DuckDB can interrupt only some: a process can always be ended.
    """
    with Children(1, limits) as children:

        def ask(sql: str) -> Answer:
            try:
                found: Answer = children.submit(answer, database, sql).result()
            except WorkerDied as died:
                allowed = f"{limits.cpu_s:g} seconds of processor time, and {limits.wall_s:g} by the clock"
                too_long = f"the query took too long and was stopped: it may take {allowed}"
                raise NoAnswer(too_long if died.out_of_time else "DuckDB broke down amid the query") from died
            return found

        yield ask


def answer(database: Path, sql: str, guard: Guard) -> Answer:
    """Ask the database one query. Raises NoAnswer."""
    import duckdb

    with guard("the output"):
        try:
            with opened(database, read_only=True, wait_s=WAIT_S, config=_CONFIG) as connection:
                connection.execute("set TimeZone = 'UTC'")
                connection.execute("set lock_configuration = true")
                return _found(connection, sql)
        except (duckdb.OutOfMemoryException, MemoryError):
            raise NoAnswer("the query needs more memory than 1 GB") from None
        except duckdb.Error as error:
            lines = (line.strip() for line in str(error).splitlines()[:2])
            raise NoAnswer(" ".join(filter(None, lines))[:500]) from None
        except BatchrunError as problem:
            raise NoAnswer(str(problem)) from None


def _found(connection: "duckdb.DuckDBPyConnection", sql: str) -> Answer:
    import duckdb

    statements = connection.extract_statements(sql)
    if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
        kinds = ", ".join(str(one.type).rpartition(".")[2] for one in statements) or "nothing"
        raise NoAnswer(f"one SELECT is needed, and this is {kinds}")
    # A view takes the query as it is: with a closing semicolon, or a comment as its last line.
    connection.execute(f"create temp view _batchrun_check as\n{sql}")
    described = connection.execute("describe temp._batchrun_check").fetchmany(MOST_COLUMNS)
    names = [name for name, *_ in described]
    texts = ", ".join(f"left(cast({quoted(name)} as varchar), {MOST_CHARACTERS})" for name in names)
    rows = connection.execute(f"select {texts} from temp._batchrun_check limit {MOST_ROWS + 1}").fetchall()
    total = len(rows)
    if total > MOST_ROWS:
        ((total,),) = connection.execute("select count(*) from temp._batchrun_check").fetchall()
    shown = [name[:MOST_CHARACTERS] for name in names]
    return Answer(tuple(dict(zip(shown, row, strict=True)) for row in rows[:MOST_ROWS]), total)
