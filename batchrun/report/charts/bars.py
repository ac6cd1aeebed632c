"""A chart of lines of text with a bar each: counts, shares of a whole, or spans of time."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.escaping import shown_path
from batchrun.report.charts.plot import WIDTH, picture
from batchrun.report.markup import Markup, tag

ROW, BAR, TOP = 22.0, 14.0, 4.0
LABEL, END = 200.0, 60.0
"""How wide labels are, and how much is left behind the bars for words."""
COLUMN = 7.1
"""How wide a character is on a small screen; a label that is too long loses its middle, and its tooltip has it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a bar."""

    size: float
    kind: str
    """The class of the style sheet that fills the piece: `c1` to `c6`, `none` for an outline, `stripes`, `nothing`."""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of the chart: pieces one behind the other."""

    label: str
    pieces: Sequence[Piece]
    value: str
    """The words behind the bar."""


def bars(name: str, title: str, told: str, rows: Sequence[Bar], *, begin: float = LABEL) -> Markup:
    """Draw bars below each other, which `begin` behind their labels; the longest is as long as the chart allows."""
    most = max((sum(piece.size for piece in row.pieces) for row in rows), default=0.0) or 1.0
    scale = (WIDTH - begin - END) / most
    layers = [layer for number, row in enumerate(rows) for layer in _bar(name, row, begin, TOP + number * ROW, scale)]
    stripes = tag("path", d="M-1 1l2-2M0 6l6-6M5 7l2-2", class_="stripe")
    pattern = tag("pattern", stripes, id=f"{name}-stripes", width=6, height=6, patternUnits="userSpaceOnUse")
    return picture(name, title, told, WIDTH, TOP + len(rows) * ROW, tag("defs", pattern), *layers)


def _bar(name: str, row: Bar, begin: float, top: float, scale: float) -> list[Markup]:
    label = tag("text", tag("title", row.label), shown_path(row.label, int(begin / COLUMN)),
                x=begin - 8, y=top + 11, class_="end")  # fmt: skip
    drawn, left = [label], begin
    for piece in row.pieces:
        width = piece.size * scale
        if piece.kind != "nothing" and piece.size:
            fill = f"url(#{name}-stripes)" if piece.kind == "stripes" else None
            told = [tag("title", piece.said)] if piece.said else []
            drawn.append(tag("rect", *told, x=f"{left:.1f}", y=top, width=f"{max(width, 0.8):.1f}", height=BAR,
                             class_=f"bar {piece.kind}", fill=fill))  # fmt: skip
        left += width
    return [*drawn, tag("text", row.value, x=f"{left + 6:.1f}", y=top + 11)]
