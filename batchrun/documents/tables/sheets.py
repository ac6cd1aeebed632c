"""Sheets of Excel and OpenDocument files, which become JSON Lines in a child process.

A hostile workbook of a few bytes may need all memory: one cell in the last row and column is enough. The child has a
limit of memory and of time, so that such a workbook ends the child and not the program.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from batchrun.documents.formats.sheets import cell_value
from batchrun.documents.tables import TableFile, distinct_names
from batchrun.masking import without_keys

_MEMORY = 2_000_000_000
_TIME_S = 60
_MOST_TEXT = 250_000_000
_UNREADABLE = 3
_NO_SHEET = 4
_HINT = "save the sheet as CSV, and name that file"


def sheet_lines(file: TableFile) -> tuple[int, bytes]:
    """Return the number of the first row below the header, and the rows as JSON Lines."""
    command = [sys.executable, "-P", "-m", __name__, file.path, file.sheet or ""]
    try:
        child = subprocess.run(  # noqa: S603  # our own module
            command, capture_output=True, check=False, timeout=_TIME_S, env=without_keys()
        )
    except subprocess.TimeoutExpired as error:
        raise file.problem(f"reading the sheet takes more than {_TIME_S} s", hint=_HINT) from error
    if child.returncode == _UNREADABLE:
        raise file.problem(child.stderr.decode(errors="replace").strip(), hint=_HINT)
    if child.returncode == _NO_SHEET:
        raise file.problem(
            child.stderr.decode(errors="replace").strip(), hint='name one of these: [source] sheet = "…"'
        )
    if child.returncode:
        raise file.problem(_failure(child.stderr), hint=_HINT)
    number, _, lines = child.stdout.partition(b"\n")
    return int(number), lines


def _failure(told: bytes) -> str:
    if b"memory" in told.lower():
        return f"the sheet needs more than {_MEMORY // 10**9} GB of memory: perhaps a cell is far away from the others"
    lines = told.decode(errors="replace").strip().splitlines()
    return f"the sheet cannot be read: {lines[-1] if lines else 'the reader was ended'}"


def _main(path: str, sheet: str) -> None:
    import resource

    from python_calamine import CalamineWorkbook

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        with CalamineWorkbook.from_path(path) as book:
            if sheet and sheet not in book.sheet_names:
                sys.exit(_no_sheet(sheet, book.sheet_names))
            found = book.get_sheet_by_name(sheet) if sheet else book.get_sheet_by_index(0)
            rows = enumerate(found.iter_rows(), start=1)
            sys.stdout.writelines(_written(rows))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # the reader has a class for each format; the parent tells the words
        print(str(error), file=sys.stderr)  # noqa: T201
        sys.exit(_UNREADABLE)


def _no_sheet(sheet: str, names: list[str]) -> int:
    print(f"there is no sheet {sheet}; there are {', '.join(names)}", file=sys.stderr)  # noqa: T201
    return _NO_SHEET


def _written(rows: Iterator[tuple[int, list[Any]]]) -> Iterator[str]:
    """Write the number of the first row, then the rows as objects. The first row that is not empty is the header."""
    number, header = next(((number, row) for number, row in rows if any(cell != "" for cell in row)), (0, []))
    names = distinct_names([str(cell_value(cell) or "") for cell in header])
    yield f"{number + 1}\n"
    size = 0
    for _, row in rows:
        cells = {name: cell_value(cell) for name, cell in zip(names, row, strict=True) if name}
        line = json.dumps(cells) if any(cell is not None for cell in cells.values()) else ""
        size += len(line)
        if size > _MOST_TEXT:
            raise ValueError(f"the sheet has more than {_MOST_TEXT // 10**6} MB of text")
        yield line + "\n"


if __name__ == "__main__":
    _main(*sys.argv[1:3])
