"""Numbers and untrusted text as people read them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from batchrun.escaping import escape_control


def count(number: int, noun: str) -> str:
    """`1 document`, `1,200 documents`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """`8 s`, `22 min`, `3 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def hours(seconds: float) -> str:
    """Whole hours, as promises about batches are made: `1 h`, `24 h`."""
    return f"{seconds / 3600:.0f} h"


def tokens(number: float) -> str:
    """`950`, `12.3k`, `11.42M`."""
    if number < 1_000:
        return f"{number:.0f}"
    return f"{number / 1e3:.1f}k" if number < 1e6 else f"{number / 1e6:.2f}M"


def utc(seconds: float | None) -> str:
    """A time of the ledger, to the minute."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def below_here(path: Path) -> str:
    """A path as one would type it from the current directory."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Columns of text under their names; cut at the right where a terminal has a width."""
    cells = [list(header), *[[escape_control(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(line if width is None or len(line) <= width else line[: width - 1] + "…" for line in lines)
