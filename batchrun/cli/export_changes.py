"""The changes between two runs as a file: a line for each changed value."""

import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchrun.cli.commands.results import ENDINGS
from batchrun.cli.export import PARQUET_ROWS, serialized, to_file
from batchrun.cli.permissions import ordinary_permissions
from batchrun.duckdb_file import first_line
from batchrun.errors import EnvironmentProblem
from batchrun.quality.comparison import Change

NAMES = ("doc_id", "field", "before", "now")


def write_changes(changes: Iterable[Change], output: Path, *, raw_cells: bool) -> None:
    """Write changes in the format that the file's ending names, csv for others. Raises EnvironmentProblem.

    Values in Parquet are JSON, because the values of a column have one type there.
    """
    format_ = ENDINGS.get(output.suffix, "csv")
    written = {"parquet": as_json, "csv": _cell}.get(format_, plain)
    rows = ((one.doc_id, one.field, written(one.before), written(one.now)) for one in changes)
    if format_ == "parquet":
        _write_parquet(rows, output)
    else:
        to_file(serialized(format_, NAMES, rows, raw_cells=raw_cells), output)


def as_json(value: Any) -> str:
    """Return a value as JSON, on one line. A fraction that no float can hold is text."""
    return json.dumps(value, ensure_ascii=False, default=number)


def plain(value: Any) -> Any:
    """Return a value with every fraction as a float, for an object that becomes JSON."""
    return json.loads(as_json(value)) if isinstance(value, list | dict | Decimal) else value


def number(value: Decimal) -> float | str:
    """Return a fraction as JSON can have it."""
    as_float = float(value)
    return as_float if math.isfinite(as_float) else str(value)


def _cell(value: Any) -> Any:
    return as_json(value) if isinstance(value, list | dict) else value


def _write_parquet(rows: Iterable[Sequence[object]], output: Path) -> None:
    import duckdb

    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        lines = Path(folder, "changes.jsonl")
        to_file(serialized("jsonl", NAMES, rows), lines)
        columns = ", ".join(f"{name}: 'VARCHAR'" for name in NAMES)
        query = f"from read_json($lines, format = 'newline_delimited', columns = {{{columns}}})"
        try:
            with ordinary_permissions():
                connection.sql(query, params={"lines": str(lines)}).write_parquet(
                    str(output), row_group_size=PARQUET_ROWS
                )
        except duckdb.IOException as error:
            raise EnvironmentProblem(f"{output} cannot be written: {first_line(error)}") from error
