"""The text of drawings, diagrams and charts, which Word and PowerPoint share."""

from collections.abc import Iterator

from batchrun.documents.formats.marked_text import row
from batchrun.documents.formats.xml_tree import Element

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_FORMULA_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MOST_POINTS = 10_000

PARAGRAPH = f"{_A}p"
TABLE, TABLE_ROW, TABLE_CELL = f"{_A}tbl", f"{_A}tr", f"{_A}tc"
_TEXT, _BREAK, _TAB = f"{_A}t", f"{_A}br", f"{_A}tab"
_SERIES = f"{_C}ser"
DRAWN_ELSEWHERE = {
    "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds": f"{_RELATIONSHIP}dm",
    f"{_C}chart": f"{_RELATIONSHIP}id",
}
"""The elements that stand for a diagram or chart in another member, and the attribute with the id of the link."""


def paragraph_text(paragraph: Element) -> str:
    """Return the text of a paragraph of a drawing; its lines stay apart."""
    pieces = ("\n" if one.tag == _BREAK else one.text or "" for one in paragraph.iter(_TEXT, _BREAK, _FORMULA_TEXT))
    return "".join(pieces).replace("\xad", "").replace("\xa0", " ").replace("\v", "\n")


def drawing_lines(root: Element) -> list[str]:
    """Return the lines of a diagram or of a chart: its titles, then its data as a table, a series in a row."""
    lines = [paragraph_text(one) for one in root.iter(PARAGRAPH)]
    first = next(root.iter(_SERIES), None)
    if first is not None:
        lines.append(row(["", *_points(first, "cat")]))
        lines.extend(row([" ".join(_points(series, "tx")), *_points(series, "val")]) for series in root.iter(_SERIES))
    return [line for line in lines if line.strip()]


def _points(series: Element, part: str) -> Iterator[str]:
    parent = series.find(f"{_C}{part}")
    values = parent.iter(f"{_C}v") if parent is not None else ()
    for value, _ in zip(values, range(_MOST_POINTS), strict=False):
        yield value.text or ""
