"""Numbers, intervals and untrusted text as people and programs read them."""

import itertools
import textwrap
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from batchrun.escaping import columns_of, escape_control
from batchrun.estimation.interval import Interval
from batchrun.wording import about, count, duration, iso, tokens, utc

__all__ = ["about", "count", "duration", "iso", "tokens", "utc"]  # what is for pages too is below the command line
WIDTH = 100
"""How many columns a passage of somebody else's text has where there is no terminal."""
MOST_LINES, MOST_CHARACTERS = 6, 1_200
"""How much is shown of somebody else's text under a label."""


def key_fields(doc_id: str) -> dict[str, str]:
    """Return the key of a document for programs: as `doc_id`, and for now as `id`, the name before."""
    return {"doc_id": doc_id, "id": doc_id}


def with_bounds(interval: Interval, shown: Callable[[float], str], *, width: int | None = None) -> str:
    """`$1.20 (90%: $0.90 to $2.10)`; a `width` makes the mean a column."""
    mean = f"{shown(interval.mean)} " if width is None else f"{shown(interval.mean):>{width}}   "
    return f"{mean}(90%: {shown(interval.low)} to {shown(interval.high)})"


def hours(seconds: float) -> str:
    """`1 h`, `24 h`: whole hours, in which promises about batches are made."""
    return f"{seconds / 3600:.0f} h"


def below_here(path: Path) -> str:
    """The path as a person would type the path in the current directory."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Columns of text under their names, in lines that end at the terminal's width."""
    cells = [list(header), *[[escape_control(cell) for cell in row] for row in rows]]
    widths = [max(columns_of(row[column]) for row in cells) for column in range(len(header))]

    def padded(cell: str, size: int) -> str:
        return cell + " " * (size - columns_of(cell))

    lines = ["  ".join(map(padded, row, widths)).rstrip() for row in cells]
    return "\n".join(cut(line, width) for line in lines)


def cut(text: str, width: int | None) -> str:
    """The text, cut at the right if the text is wider than `width` columns; None is no limit."""
    if width is None or columns_of(text) <= width:
        return text
    ends = itertools.accumulate(columns_of(character) for character in text)
    return text[: bisect_right(list(ends), width - 1)] + "…"


def fitted(line: str, width: int) -> list[str]:
    """Break a line of somebody else's text into lines of at most so many columns."""
    shown = escape_control(line.replace("\t", " "))
    columns = max(2, width if columns_of(shown) <= len(shown) else width // 2)
    return textwrap.wrap(shown, columns, break_on_hyphens=False)


def labelled(label: str, text: str, *, width: int | None, indent: int = 2) -> Iterator[str]:
    """Yield somebody else's text in a few lines behind a label."""
    columns = max(1, (width or WIDTH) - indent - 9)
    lines = (part for line in text[:MOST_CHARACTERS].split("\n") for part in fitted(line, columns))
    shown = list(itertools.islice(lines, MOST_LINES + 1))
    is_cut = len(shown) > MOST_LINES or len(text) > MOST_CHARACTERS
    for number, line in enumerate([*shown[:MOST_LINES], *(["…"] if is_cut else [])]):
        yield f"{' ' * indent}{'' if number else label:<9}{line}"
