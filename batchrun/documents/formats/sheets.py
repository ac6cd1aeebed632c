"""Excel and OpenDocument sheets: a part for each sheet, or for each row below the header."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from batchrun.document import Place, Value
from batchrun.documents.formats import Found, Part, ReadOptions, Unusable
from batchrun.documents.formats.marked_text import row as joined
from batchrun.documents.formats.numerals import letters_in_columns
from batchrun.documents.formats.office_zip import OfficeZip
from batchrun.documents.formats.sheet_extent import cells

MAX_CELLS = 20_000_000
"""The cells of a sheet's used part, the empty ones too: a file of 1.5 KB can have 17 billion."""
MAX_BYTES = 1_000_000_000
_KIND = "a workbook"
_PROGRAM = "Excel or LibreOffice"
_LARGEST_EXACT = 1e15

Cell = int | float | str | bool | time | date | datetime | timedelta


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    rows: Iterator[tuple[int, Sequence[Cell]]]
    """The rows that are not empty, with their numbers in the program."""
    first_column: int
    is_hidden: bool


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:
    """Read a workbook as a part for each sheet that is not empty, hidden ones too, or for each row."""
    if data.startswith(b"PK"):
        _require_moderate(data)
    nothing = True
    try:
        for part in _parts(data, options):
            nothing = False
            yield part
    except PasswordError as error:
        raise Unusable(
            f"{_KIND} that is protected by a password; open it in {_PROGRAM} and save it without the password"
        ) from error
    except (CalamineError, OSError, ValueError, OverflowError) as error:
        raise _damaged(error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what Rust makes of a bug of its own, such as a wrong index
            raise
        raise _damaged(error) from error
    if nothing:
        what = "a row below a header" if options.rows else "anything in a cell"
        raise Unusable(f"{_KIND} without {what}; if it has content, save it again in {_PROGRAM}")


def _require_moderate(data: bytes) -> None:
    """Refuse a workbook whose cells would not fit into memory; every member is unpacked once to know its real size."""
    archive = OfficeZip(data, _KIND, _PROGRAM, max_bytes=MAX_BYTES)
    for name in archive.names():
        size = cells(archive.chunks(name))
        if size > MAX_CELLS:
            raise Unusable(
                f"{_KIND} with a sheet of {size:,} cells, nearly all empty ({name}); "
                "delete what stands far away from the rest, or save the sheet as CSV"
            )


def _parts(data: bytes, options: ReadOptions) -> Iterator[Part]:
    with load_workbook(io.BytesIO(data)) as workbook:
        taken: set[str] = set()
        for index, about in enumerate(workbook.sheets_metadata):
            if about.typ == SheetTypeEnum.WorkSheet:
                is_hidden = about.visible != SheetVisibleEnum.Visible
                sheet = _sheet(workbook, index, unique(about.name, taken), is_hidden=is_hidden)
                yield from (_row_parts if options.rows else _whole)(sheet)


def _damaged(error: BaseException) -> Unusable:
    return Unusable(f"{_KIND} that is damaged ({str(error)[:200]}); open it in {_PROGRAM} and save it again")


def _sheet(workbook: CalamineWorkbook, index: int, name: str, *, is_hidden: bool) -> _Sheet:
    sheet = workbook.get_sheet_by_index(index)
    rows = ((number, row) for number, row in enumerate(sheet.iter_rows(), 1) if any(cell != "" for cell in row))
    return _Sheet(name, rows, sheet.start[1] if sheet.start else 0, is_hidden)


def _whole(sheet: _Sheet) -> Iterator[Part]:
    lines: list[str] = []
    before = 0
    for number, row in sheet.rows:
        if before and number > before + 1:
            lines.append("")
        lines.append(joined([shown(cell) for cell in row]))
        before = number
    if lines:
        yield _part(sheet, sheet.name, "\n".join(lines))


def _row_parts(sheet: _Sheet) -> Iterator[Part]:
    _, header = next(sheet.rows, (0, ()))
    names = _column_names(header, sheet.first_column)
    for number, row in sheet.rows:
        text = "\n".join(f"{name}: {shown(cell)}" for name, cell in zip(names, row, strict=True) if cell != "")
        columns = {name: cell_value(cell) for name, cell in zip(names, row, strict=True)}
        yield _part(sheet, f"{sheet.name}!{number}", text, columns)


def _part(sheet: _Sheet, name: str, text: str, columns: dict[str, Value] | None = None) -> Part:
    note = "a hidden sheet" if sheet.is_hidden else None
    return Part(name=name, text=text, places=(Place("sheet", sheet.name, 0),), note=note, columns=columns or {})


def _column_names(header: Sequence[Cell], first: int) -> list[str]:
    """Return the names of the columns, each of them once; a column without a name is named by its letters."""
    taken: set[str] = set()
    names = (" ".join(shown(cell).split()) for cell in header)
    return [
        unique(name or f"column {letters_in_columns(first + index).upper()}", taken)
        for index, name in enumerate(names, 1)
    ]


def unique(name: str, taken: set[str]) -> str:
    """Return the name, or the name with the first number that nobody has; the name is taken from now on."""
    number = 2
    unused = name
    while unused in taken:
        unused = f"{name} {number}"
        number += 1
    taken.add(unused)
    return unused


def shown(cell: Cell) -> str:
    """Return a cell as text: 15.0 as 15, dates as ISO 8601 has them, durations in hours."""
    value = cell_value(cell)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    return "" if value is None else str(value)


def cell_value(cell: Cell) -> Value:
    """Return a cell as a value for the columns of a row; None for an empty one."""
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(cell, date | time):  # a datetime is a date
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _LARGEST_EXACT:
        return int(cell)
    return None if cell == "" else cell
