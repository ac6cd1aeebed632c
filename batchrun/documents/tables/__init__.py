"""Tables: files whose rows are documents. Each kind of file gives the same rows, found again by one number each."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from batchrun.document import Value
from batchrun.errors import UsageProblem
from batchrun.job.table_names import TableKind

Version = tuple[int, int]
"""When a file was changed last, in nanoseconds, and its size."""
Opener = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the bytes of a table for a moment."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file with rows, by its name."""

    path: str
    """The path in the file system, or an address. An address may have a password or a signature in it."""
    shown: str
    """What people see instead of the path: below the project, or an address without its secrets."""
    kind: TableKind | None
    """The kind, by the ending of the name; None for a file that is no table."""
    sheet: str | None = None
    """The sheet of a workbook; None means the first."""
    key: str = "source.path"
    """The key of the job file that names the file."""

    def problem(self, what: str, *, hint: str) -> UsageProblem:
        """Make the error for a file that is not as it should be."""
        return UsageProblem(f"{self.key}: {self.shown}: {what}", hint=hint)


@dataclass(frozen=True, slots=True)
class Slice:
    """Neighbouring rows of one table."""

    start: int
    """The place of the first row."""
    stop: int
    """The first place behind the last row."""
    number: int
    """The number of the first line or row, as people count."""
    size: int
    """The bytes of the rows in the file."""


class Row(NamedTuple):
    """A row, with its values in the order of the table's columns."""

    place: int
    """What finds the row again: its offset in the file, or its number from 0 on."""
    number: int
    """The number of the row's line, or of the row, as people count."""
    values: Sequence[Value]


class Table(Protocol):
    """An open table. Nothing is held open between calls."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; empty for a column without a name."""

    @property
    def unit(self) -> str:
        """What `Row.number` counts: "line" or "row"."""

    def slices(self) -> Iterator[Slice]:
        """Cut the rows into slices of some megabytes, in order."""

    def rows(self, part: Slice) -> Iterator[Row]:
        """Read the rows of a slice. Raises UsageProblem for a row that does not fit."""

    def rows_at(self, places: Sequence[int]) -> Iterator[Row]:
        """Read the rows at these places. A place without a row gives none."""


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Strip the names of columns, and number those that occur again, as DuckDB does."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in map(str.strip, names):
        found.append(f"{name}_{seen[name]}" if name and seen[name] else name)
        seen[name] += 1
    return tuple(found)
