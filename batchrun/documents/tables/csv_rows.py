"""Rows of CSV and TSV. Every value is text as it stands in the file: 007 stays 007, and 1.10 stays 1.10."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from batchrun.documents.tables import Opener, Row, TableFile, distinct_names
from batchrun.documents.tables.locked_duckdb import sniffed
from batchrun.documents.tables.text_table import LONGEST_LINE, Lines, require_utf8_mark
from batchrun.errors import UsageProblem

_SAMPLE = 1_000_000
_CSV_FIRST = (",", ";", "\t", "|")
_TSV_FIRST = ("\t", ",", ";", "|")
_QUOTE_HINT = (
    "a field with a comma, a line break or a quotation mark in it needs quotation marks around it, "
    "and those inside are doubled"
)


@dataclass(frozen=True)
class CsvRows:
    """How the lines of one file become rows."""

    file: TableFile
    delimiter: str
    quote: str | None = '"'
    """None if quotation marks are characters like others."""
    escape: str | None = None
    """What stands before a quotation mark inside a field; None if the mark is doubled instead."""
    columns: tuple[str, ...] = ()
    start: int = 0
    number: int = 1

    def is_plain(self, data: bytes) -> bool:
        """Whether no row has a line break inside."""
        return not any(mark.encode() in data for mark in (self.quote, self.escape) if mark)

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Read rows, all as long as the header."""
        for place, number, fields in self._records(lines):
            if len(fields) != len(self.columns):
                raise self.file.problem(
                    f"line {number:,} has {_fields(len(fields))}, and the header has {_fields(len(self.columns))}",
                    hint=_QUOTE_HINT,
                )
            yield Row(place, number, [field or None for field in fields])

    def with_header(self, head: bytes, start: int, *, skipped: int) -> "CsvRows | None":
        """Read the header behind some skipped lines. Returns None if there is no header."""
        lines = Lines(io.BytesIO(head), self.file, start=start)
        for _ in range(skipped):
            next(iter(lines), None)
        try:
            _, _, fields = next(self._records(lines))
        except (StopIteration, UsageProblem):
            return None
        return replace(self, columns=distinct_names(fields), start=lines.offset, number=lines.number)

    def fits(self, head: bytes, *, whole: bool) -> bool:
        """Whether these bytes, which may end in the middle of a row, are rows as long as the header."""
        data = head if whole else head[: head.rfind(b"\n") + 1]
        lines = Lines(io.BytesIO(data), self.file, start=self.start)
        try:
            for _ in self.rows(lines):
                pass
        except UsageProblem:
            return not whole and lines.offset >= len(data)
        return True

    def _records(self, lines: Lines) -> Iterator[tuple[int, int, list[str]]]:
        reader = csv.reader(iter(lines), **self._dialect)
        while True:
            place, number = lines.offset, lines.number
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise self.file.problem(f"line {number:,}: {_in_words(error)}", hint=_QUOTE_HINT) from error
            if fields is None:
                return
            if fields:  # no empty line
                yield place, number, fields

    @property
    def _dialect(self) -> dict[str, Any]:
        csv.field_size_limit(LONGEST_LINE)
        return {
            "delimiter": self.delimiter,
            "quotechar": self.quote,
            "quoting": csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            "escapechar": self.escape,
            "doublequote": self.escape is None,
            "strict": True,
        }


def csv_rows(file: TableFile, opener: Opener, wanted: frozenset[str]) -> CsvRows:
    """Find out how a file is written, by the names of columns that it must have.

    A file in the usual form costs nothing more; DuckDB's sniffer knows the others. If nothing fits, the usual form with
    most columns is returned, whose error says what is wrong.
    """
    with opener() as opened:
        head = opened.read(_SAMPLE)
    start, whole = require_utf8_mark(file, head), len(head) < _SAMPLE
    skipped = int(head[start : start + 4].lower() == b"sep=")  # what Excel is told by
    order = _TSV_FIRST if file.kind == "tsv" else _CSV_FIRST
    usual = [CsvRows(file, delimiter).with_header(head, start, skipped=skipped) for delimiter in order]
    known = sorted((form for form in usual if form), key=lambda form: -len(form.columns))
    named = [form for form in known if wanted <= set(form.columns)]
    fitting = next((form for form in named if form.fits(head, whole=whole)), None)
    found = fitting or _sniffed(file, head, start, wanted) or next(iter([*named, *known]), None)
    if found is None:
        raise file.problem("it has no header", hint="the first line must have the names of the columns")
    return found


def _sniffed(file: TableFile, head: bytes, start: int, wanted: frozenset[str]) -> CsvRows | None:
    dialect = sniffed(file)
    if dialect is None:
        return None
    delimiter, quote, escape, skipped = dialect
    quote = quote or (None if b'"' in head else '"')  # the sniffer knows no mark if its sample has none
    form = CsvRows(file, delimiter, quote, None if escape == quote else escape)
    found = form.with_header(head, start, skipped=skipped)
    return found if found and wanted <= set(found.columns) else None


def _fields(count: int) -> str:
    return f"{count:,} field{'s' if count != 1 else ''}"


def _in_words(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a quotation mark that is never closed"
    if "new-line character" in text:
        return "a line break that is a carriage return alone"
    if "field larger" in text:
        return f"a field of more than {LONGEST_LINE // 1_000_000} MB: a quotation mark that is never closed"
    return f"text behind a closing quotation mark ({text})" if "expected after" in text else text
