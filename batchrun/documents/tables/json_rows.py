"""Rows of JSON Lines: one object on each line. Nested values are JSON text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from batchrun.document import Value
from batchrun.documents.tables import Opener, Row, TableFile
from batchrun.documents.tables.text_table import SLICE, Lines, require_utf8_mark
from batchrun.errors import UsageProblem

_SAMPLE_LINES = 20_000


@dataclass(frozen=True)
class JsonRows:
    """How the lines of one file become rows: the keys are the columns."""

    file: TableFile
    columns: tuple[str, ...]
    start: int
    number: int = 1

    def is_plain(self, data: bytes) -> bool:  # noqa: ARG002  # JSON has no line break inside a text
        """Whether every line is a row by itself."""
        return True

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Read rows. A key that a line lacks is None."""
        for place, number, record in _records(lines, self.file):
            yield Row(place, number, [_value(record.get(name)) for name in self.columns])


def json_rows(file: TableFile, opener: Opener, *, number: int = 1) -> JsonRows:
    """Find the columns: the keys of the first lines."""
    with opener() as opened:
        start = require_utf8_mark(file, opened.read(3))
        columns: dict[str, None] = {}
        lines = Lines(opened, file, start=start, number=number)
        lines.stop = SLICE
        for _, _, record in islice(_records(lines, file), _SAMPLE_LINES):
            columns |= dict.fromkeys(record)
    return JsonRows(file, tuple(columns), start, number)


def _records(lines: Lines, file: TableFile) -> Iterator[tuple[int, int, dict[str, Any]]]:
    source = iter(lines)
    while True:
        place, number = lines.offset, lines.number
        line = next(source, None)
        if line is None:
            return
        if line.strip():
            yield place, number, _record(line, number, file)


def _record(line: str, number: int, file: TableFile) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if "\\u" in line:
            json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _problem(file, number, "half of a character, which no text can hold") from error
    except (ValueError, RecursionError) as error:
        raise _problem(file, number, str(error)) from error
    if not isinstance(record, dict):
        raise _problem(file, number, "no object")
    return record


def _problem(file: TableFile, number: int, what: str) -> UsageProblem:
    return file.problem(f"line {number:,}: {what}", hint='each line is one JSON object, such as {"id": 7, "text": "…"}')


def _value(value: Any) -> Value:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
