"""How large the used part of a sheet is, found out cheaply before all its cells are held in memory."""

import re
from collections.abc import Iterator

_REFERENCE = re.compile(rb"""\sr\s*=\s*["']\s*([A-Za-z]{1,7})([0-9]{1,10})\s*["']""")
_LONGEST = 64
"""The bytes of one chunk that are seen again with the next, since a reference may be cut."""


def cells(chunks: Iterator[bytes]) -> int:
    """Count the cells of the smallest rectangle with all cells of an XLSX sheet, whose XML comes in chunks."""
    columns: set[bytes] = set()
    rows: set[int] = set()
    before = b""
    for chunk in chunks:
        found = set(_REFERENCE.findall(before + chunk))
        columns.update(column for column, _ in found)
        numbers = [int(row) for _, row in found]
        rows.update((min(numbers), max(numbers)) if numbers else ())
        before = (before + chunk)[-_LONGEST:]
    if not columns:
        return 0
    indexes = [_index(column) for column in columns]
    return (max(rows) - min(rows) + 1) * (max(indexes) - min(indexes) + 1)


def _index(letters: bytes) -> int:
    index = 0
    for letter in letters.upper():
        index = index * 26 + letter - 64
    return index
