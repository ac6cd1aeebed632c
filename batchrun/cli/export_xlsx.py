"""Rows as an Excel workbook with typed cells, of which one row at a time is in memory."""

import math
import shutil
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchrun.cli.export_rows import ExportRows, as_cell
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control

MOST_ROWS, MOST_CHARACTERS, MOST_DIGITS, FIRST_YEAR = 1_048_575, 32_767, 15, 1900
"""What a sheet holds below its first row, a cell in UTF-16 units, a number, and a date, by the limits of Excel."""
WHOLE = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "use_zip64": True}
FORMATS = {"head": {"bold": True}, "date": {"num_format": "yyyy-mm-dd"}, "time": {"num_format": "yyyy-mm-dd hh:mm:ss"},
           "utc": {"num_format": 'yyyy-mm-dd hh:mm:ss" UTC"'}}  # fmt: skip


def write_workbook(rows: ExportRows, output: Path) -> int:
    """Write the rows to a file, once the whole workbook is made. Returns the number of rows.

    Raises UsageProblem for more rows, or longer texts, than a sheet holds: nothing is cut, and nothing is written then.
    """
    import xlsxwriter

    if (number := rows.number(f"select count(*) from ({rows.query()})")) > MOST_ROWS:
        raise UsageProblem(
            f"{number:,} rows are more than the {MOST_ROWS:,} that a sheet of a workbook holds.",
            hint="take fewer with --limit or --where, or name a file that ends in .csv or .parquet",
        )
    with tempfile.TemporaryFile() as whole:
        with xlsxwriter.Workbook(whole, WHOLE) as workbook:
            _fill(workbook, rows)
        whole.seek(0)
        with output.open("wb") as file:
            shutil.copyfileobj(whole, file)
    return number


def _fill(workbook: Any, rows: ExportRows) -> None:
    formats = {name: workbook.add_format(keys) for name, keys in FORMATS.items()}
    sheet = workbook.add_worksheet("SIMULATED rows" if rows.simulated else "rows")
    workbook.set_properties({"comments": "SIMULATED: no model has answered." if rows.simulated else ""})
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(rows.names) - 1, 16)
    sheet.write_row(0, 0, rows.names, formats["head"])
    for row_no, row in enumerate(rows.each("cast({} as timestamp)"), 1):
        for column, (name, value) in enumerate(zip(rows.names, row, strict=True)):
            _write(sheet, (row_no, column), value, formats, name=name, utc=name.lower() in rows.times)


def _write(sheet: Any, at: tuple[int, int], value: object, formats: Any, *, name: str, utc: bool) -> None:
    match value:
        case None:
            pass
        case bool():
            sheet.write_boolean(*at, value)
        case int() | float() | Decimal() if is_exact(value):
            sheet.write_number(*at, value)
        case datetime() if value.year >= FIRST_YEAR:
            sheet.write_datetime(*at, value, formats["utc" if utc else "time"])
        case date() if value.year >= FIRST_YEAR:
            sheet.write_datetime(*at, value, formats["date"])
        case _:
            text = str(as_cell(value))
            if len(text) > MOST_CHARACTERS // 2 and len(text.encode("utf-16-le")) > 2 * MOST_CHARACTERS:
                raise UsageProblem(
                    f"row {at[0]:,}: the text in {escape_control(name)} has more than {MOST_CHARACTERS:,} characters,"
                    " which no cell of a workbook holds.",
                    hint="choose other columns with --columns, or name a file that ends in .csv or .parquet",
                )
            sheet.write_string(*at, text)


def is_exact(number: float | Decimal) -> bool:
    """Return whether a cell keeps a number as it is. A number with more digits is written as text."""
    digits = Decimal(number).normalize().as_tuple().digits
    return math.isfinite(number) and (isinstance(number, float) or len(digits) <= MOST_DIGITS)
