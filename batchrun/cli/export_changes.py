"""The changes between two runs as a file: a line for each changed value."""

import json
import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchrun.cli.export import to_file
from batchrun.cli.export_formats import TEXTS, chosen_format
from batchrun.errors import UsageProblem
from batchrun.quality.comparison import Change

NAMES = ("doc_id", "field", "before", "now")


def write_changes(changes: Iterable[Change], output: Path) -> None:
    """Write changes in the format that the file's ending names. Raises UsageProblem, EnvironmentProblem."""
    if (format_ := chosen_format(output, None) or "") not in TEXTS:
        raise UsageProblem(f"changes are not written as {format_}.", hint="such as -o changes.csv")
    rows = ((one.doc_id, one.field, plain(one.before), plain(one.now)) for one in changes)
    to_file(TEXTS[format_](NAMES, rows, False), output)


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
