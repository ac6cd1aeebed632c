"""Tables that are lines of text. The place of a row is the offset of its first byte, so that a row is found at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from batchrun.documents.bounds import MAX_BYTES
from batchrun.documents.tables import Opener, Row, Slice, TableFile
from batchrun.errors import UsageProblem

SLICE = 4_000_000
LONGEST_LINE = 2 * MAX_BYTES
_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class Lines:
    """The lines of a stretch of a file, as text. `offset` and `number` tell where the next line is."""

    def __init__(self, opened: BinaryIO, file: TableFile, *, start: int = 0, number: int = 1) -> None:
        self._opened = opened
        self._file = file
        self.offset = start
        self.number = number
        self.stop: int | None = None
        opened.seek(start)

    def __iter__(self) -> Iterator[str]:
        while self.stop is None or self.offset < self.stop:
            raw = self._opened.readline(LONGEST_LINE)
            if not raw:
                return
            text = self._decoded(raw)
            self.offset += len(raw)
            self.number += 1
            yield text

    def _decoded(self, raw: bytes) -> str:
        if len(raw) == LONGEST_LINE:
            raise self._file.problem(
                f"line {self.number:,} is longer than {LONGEST_LINE // 1_000_000} MB",
                hint="a quotation mark that is never closed does this; or the file is no table of text",
            )
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(self._file, self.number, raw[error.start]) from error


class RowFormat(Protocol):
    """How lines become rows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""

    @property
    def start(self) -> int:
        """The offset of the first row."""

    @property
    def number(self) -> int:
        """The number of the first row's line, or of the first row, as people count."""

    def is_plain(self, data: bytes) -> bool:
        """Whether every line of these bytes is a row by itself."""

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Read the rows, each from its own lines and no further. Raises UsageProblem for a row that does not fit."""


@dataclass(frozen=True)
class TextTable:
    """A table of lines."""

    file: TableFile
    opener: Opener
    format: RowFormat
    unit: str = "line"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.format.columns

    def slices(self) -> Iterator[Slice]:
        """Cut the file where rows begin."""
        start, number = self.format.start, self.format.number
        with self.opener() as opened:
            while (cut := self._cut(opened, start, number)) is not None:
                stop, next_number = cut
                yield Slice(start, stop, number, stop - start)
                start, number = stop, next_number

    def rows(self, part: Slice) -> Iterator[Row]:
        """Read the rows of a slice."""
        with self.opener() as opened:
            lines = Lines(opened, self.file, start=part.start, number=part.number)
            lines.stop = part.stop
            yield from self.format.rows(lines)

    def rows_at(self, places: Sequence[int]) -> Iterator[Row]:
        """Read the rows that begin at these offsets. Where the file has changed, whatever is there now comes back."""
        with self.opener() as opened:
            for place in sorted(places):
                try:
                    row = next(self.format.rows(Lines(opened, self.file, start=place)), None)
                except UsageProblem:  # the middle of a row, after a change: no row begins here
                    row = None
                if row is not None:
                    yield row

    def _cut(self, opened: BinaryIO, start: int, number: int) -> tuple[int, int] | None:
        """Return the offset and the number of the row behind the next slice. Returns None at the end of the file."""
        opened.seek(start)
        data = opened.read(SLICE)
        if data and not data.endswith(b"\n"):
            data += opened.readline(LONGEST_LINE)
        if not data:
            return None
        if self.format.is_plain(data) and len(data) < SLICE + LONGEST_LINE:
            return start + len(data), number + data.count(b"\n")
        lines = Lines(opened, self.file, start=start, number=number)
        for row in self.format.rows(lines):
            if row.place >= start + SLICE:
                return row.place, row.number
        return lines.offset, lines.number


def not_utf8(file: TableFile, number: int, byte: int) -> UsageProblem:
    """Make the error for a table in another encoding."""
    bare = file.shown.rpartition("/")[2]
    return file.problem(
        f"line {number:,} is not UTF-8 (byte 0x{byte:02x})",
        hint=f"convert it, such as iconv -f WINDOWS-1252 -t UTF-8 {bare} > utf8-{bare}, and name that file",
    )


def require_utf8_mark(file: TableFile, head: bytes) -> int:
    """Return the length of the mark of UTF-8. Raises UsageProblem for the mark of another encoding."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            bare = file.shown.rpartition("/")[2]
            raise file.problem(
                f"it is {name}, not UTF-8",
                hint=f"convert it: iconv -f {name} -t UTF-8 {bare} > utf8-{bare}, and name that file",
            )
    return 3 if head.startswith(b"\xef\xbb\xbf") else 0
