"""The changes between two runs as a file: a line for each changed value."""

import json
import math
import tempfile
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchrun.cli.commands.results import ENDINGS
from batchrun.cli.export import PARQUET_ROWS, serialized, to_file
from batchrun.cli.permissions import ordinary_permissions
from batchrun.errors import EnvironmentProblem
from batchrun.quality.comparison import Change

NAMES = ("doc_id", "field", "before", "now")


def write_changes(changes: Iterable[Change], output: Path, *, raw_cells: bool) -> None:
    """Write changes in the format that the file's ending names, csv for others. Raises EnvironmentProblem.

    Values in Parquet are JSON, because the values of a column have one type there.
    """
    format_ = ENDINGS.get(output.suffix, "csv")
    if format_ == "parquet":
        _write_parquet(changes, output)
        return
    written = _cell if format_ == "csv" else plain
    rows = ((one.doc_id, one.field, written(one.before), written(one.now)) for one in changes)
    to_file(serialized(format_, NAMES, rows, raw_cells=raw_cells), output)


def as_json(value: Any) -> str:
    """Return a value as JSON, on one line."""
    return json.dumps(value, ensure_ascii=False, default=_number)


def plain(value: Any) -> Any:
    """Return a value with every fraction as a float, for an object that becomes JSON."""
    return json.loads(as_json(value)) if isinstance(value, list | dict | Decimal) else value


def _number(value: Decimal) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else str(value)


def _cell(value: Any) -> Any:
    return as_json(value) if isinstance(value, list | dict) else value


def _write_parquet(changes: Iterable[Change], output: Path) -> None:
    import duckdb

    rows = ((one.doc_id, one.field, as_json(one.before), as_json(one.now)) for one in changes)
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
            raise EnvironmentProblem(f"{output} cannot be written: {str(error).splitlines()[0]}") from error
