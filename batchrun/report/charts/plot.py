"""A chart with two axes: lines, bands, bars, dots and rules, each with a tooltip of the browser's own.

Nothing is told by colour alone: lines have dashes, marks have shapes, rules have words, and a table is behind each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchrun.report.charts.scale import Axis
from batchrun.report.markup import Markup, joined, tag

WIDTH, HEIGHT = 480.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 14.0, 30.0, 38.0
"""What is left at the four sides for ticks and words."""
SHAPES = {
    "dot": "M-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
    "disc": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "triangle": "M0-5L5 4H-5Z",
    "square": "M-4-4H4V4H-4Z",
    "diamond": "M0-5L5 0L0 5L-5 0Z",
}
"""The outlines of marks, around their middle."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plot:
    """The place of values on a chart."""

    x: Axis
    y: Axis

    def at(self, point: Point) -> Point:
        """Return the place of a point, in the units of the picture."""
        across, up = self.x.share(point[0]), self.y.share(point[1])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Iterable[Point]) -> str:
        """Return places one after the other, as SVG writes them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, points))

    def line(self, points: Sequence[Point], kind: str, said: Sequence[str] = ()) -> Markup:
        """Draw a line, with a tooltip at each point that something is said of."""
        hits = (self.mark(point, "disc", "hit", words) for point, words in zip(points, said, strict=False))
        return joined(tag("polyline", points=self.path(points), class_=f"line {kind}"), *hits)

    def band(self, upper: Sequence[Point], lower: Sequence[Point]) -> Markup:
        """Fill what is between two lines."""
        return tag("polygon", points=self.path([*upper, *reversed(lower)]), class_="band")

    def mark(self, point: Point, shape: str, kind: str, said: str = "") -> Markup:
        """Draw a mark of one of the `SHAPES`."""
        x, y = self.at(point)
        told = [tag("title", said)] if said else []
        return tag("g", tag("path", *told, d=SHAPES[shape]), transform=f"translate({x:.1f} {y:.1f})", class_=kind)

    def box(self, low: Point, high: Point, kind: str, said: str) -> Markup:
        """Draw a rectangle from its lower left corner to its upper right one, with a hair of space at its right."""
        (left, bottom), (right, top) = self.at(low), self.at(high)
        where = {"x": f"{left:.1f}", "y": f"{top:.1f}", "width": f"{max(right - left - 0.6, 0.4):.1f}"}
        return tag("rect", tag("title", said), **where, height=f"{max(bottom - top, 0.0):.1f}", class_=kind)

    def across(self, y: float, words: str, kind: str = "") -> Markup:
        """Draw a line across the chart, with words at its right end."""
        right, up = self.at((self.x.high, y))
        line = tag("line", x1=LEFT, x2=right, y1=f"{up:.1f}", y2=f"{up:.1f}", class_=f"rule {kind}")
        return joined(line, tag("text", words, x=right, y=f"{up - 4:.1f}", class_="said end"))

    def upright(self, x: float, words: str, *, row: int = 0) -> Markup:
        """Draw a line from the bottom up, with words at its top, in the first or in the second row."""
        across, _ = self.at((x, self.y.low))
        side = "said end" if across > WIDTH * 0.7 else "said"
        line = tag("line", x1=f"{across:.1f}", x2=f"{across:.1f}", y1=TOP - 4, y2=HEIGHT - BOTTOM, class_="rule")
        beside = across + (-4 if "end" in side else 4)
        return joined(line, tag("text", words, x=f"{beside:.1f}", y=TOP + 6 + 13 * row, class_=side))

    def drawn(self, name: str, title: str, told: str, *layers: str) -> Markup:
        """Return the picture with its axes below the layers. `told` says in a sentence what there is to see."""
        return picture(name, title, told, WIDTH, HEIGHT, *self._axes(), *layers)

    def _axes(self) -> Iterable[Markup]:
        for value in self.y.ticks():
            left, up = self.at((self.x.low, value))
            yield tag("line", x1=left, x2=WIDTH - RIGHT, y1=f"{up:.1f}", y2=f"{up:.1f}", class_="grid")
            yield tag("text", self.y.shown(value), x=LEFT - 6, y=f"{up + 4:.1f}", class_="end")
        for value in self.x.ticks():
            across, bottom = self.at((value, self.y.low))
            yield tag("text", self.x.shown(value), x=f"{across:.1f}", y=bottom + 15, class_="middle")
        yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM, class_="axis")
        yield tag("text", self.x.label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 5, class_="middle")
        yield tag("text", self.y.label, x=4, y=12)


def picture(name: str, title: str, told: str, width: float, height: float, *layers: str) -> Markup:
    """Return a picture that a screen reader reads as its title and one sentence. `name` is unique on the page."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", told, id=f"{name}-desc"),
        *layers,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )
