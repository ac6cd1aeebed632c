"""Where stretches of a PDF's text stand on its pages, as boxes around the lines.

A hostile PDF may end or occupy the process here as in `pdf.read`, so boxes too are made in child processes.
"""

import math
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from batchrun.document import Place
from batchrun.documents.formats.pdf import normal, opened, upright_text

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfTextPage

_OVERLAP = 0.5
"""The share of the lower box's height above which two boxes stand in the same line."""
_BEYOND_16_BITS = 0xFFFF
"""PDFium counts a character above this number as two."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in points of user space: the origin is bottom left, before rotation and crop."""

    page: int
    """The number of the page, from 1 on."""
    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        """The height in points."""
        return self.top - self.bottom

    @property
    def has_area(self) -> bool:
        """Whether the box is a rectangle that can be drawn: a damaged PDF has others."""
        sides = (self.left, self.bottom, self.right, self.top)
        return all(map(math.isfinite, sides)) and self.right > self.left and self.top > self.bottom


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a span that stands on one page."""

    page: int
    span_no: int
    start: int
    """The offset of the first character in the page's text."""
    end: int


def boxes_of(data: bytes, spans: Sequence[tuple[int, int]], places: Sequence[Place]) -> list[list[Box]]:
    """Return the boxes of the lines of each span, in reading order; no boxes where the text layer cannot be read.

    Spans and places are offsets in the whole text that `pdf.read` gives, not in a segment of the text.
    Raises Unusable as `pdf.count_pages` does.
    """
    boxes: list[list[Box]] = [[] for _ in spans]
    with closing(opened(data)) as pdf:
        pieces = sorted(_pieces(spans, places), key=lambda piece: piece.page)
        for page, on_page in groupby(pieces, key=lambda piece: piece.page):
            for span_no, found in _boxes_on_page(pdf, page, list(on_page)).items():
                boxes[span_no] += found
    return boxes


def _pieces(spans: Sequence[tuple[int, int]], places: Sequence[Place]) -> Iterator[_Piece]:
    """Split spans at the ends of pages."""
    pages = [place for place in places if place.kind == "page"]
    starts = [page.start for page in pages]
    ends = [*starts[1:], sys.maxsize]
    for span_no, (start, end) in enumerate(spans):
        for at in range(max(0, bisect_right(starts, start) - 1), len(pages)):
            if starts[at] >= end:
                break
            first, last = max(start, starts[at]), min(end, ends[at])
            if first < last:
                yield _Piece(int(pages[at].name), span_no, first - starts[at], last - starts[at])


def _boxes_on_page(pdf: "PdfDocument", page: int, pieces: Sequence[_Piece]) -> Mapping[int, list[Box]]:
    """Return the boxes of pieces of one page by the number of the span; none if the page is broken."""
    from pypdfium2 import PdfiumError

    if page > len(pdf):
        return {}
    try:
        with upright_text(pdf, page - 1) as text_page:
            units = _units(text_page.get_text_range(errors="surrogatepass"))
            return {piece.span_no: _boxes(text_page, piece, units) for piece in pieces}
    except PdfiumError:
        return {}


def _units(characters: str) -> list[int]:
    """Return, for each character of the page's text as `pdf.read` gives the text, its place in PDFium's own text.

    PDFium counts units of UTF-16. The text lacks halves of characters, the first half of each end of a line, and white
    space around the page.
    """
    kept: list[tuple[int, str]] = []
    unit = 0
    for character in characters:
        if not "\ud800" <= character <= "\udfff":
            if character == "\n" and kept and kept[-1][1] == "\r":
                kept.pop()
            kept.append((unit, character))
        unit += 1 + (ord(character) > _BEYOND_16_BITS)
    text = normal("".join(character for _, character in kept))
    before, after = len(text) - len(text.lstrip()), len(text.rstrip())
    return [unit for unit, _ in kept[before:after]]


def _boxes(text_page: "PdfTextPage", piece: _Piece, units: Sequence[int]) -> list[Box]:
    from pypdfium2 import raw

    found = units[piece.start : piece.end]
    if not found:
        return []
    # PDFium's text leaves characters out and puts others in, so that its offsets are not the numbers of characters.
    first, last = (raw.FPDFText_GetCharIndexFromTextIndex(text_page, unit) for unit in (found[0], found[-1]))
    if not 0 <= first <= last:
        return []
    count = text_page.count_rects(first, last - first + 1)
    rectangles = (Box(piece.page, *text_page.get_rect(number)) for number in range(count))
    line_height = Box(piece.page, *text_page.get_charbox(first, loose=True)).height
    return _lines((box for box in rectangles if box.has_area), line_height)


def _lines(boxes: Iterable[Box], line_height: float) -> list[Box]:
    """Merge boxes that follow each other in one line: PDFium gives one for each word that is drawn singly."""
    lines: list[Box] = []
    for box in boxes:
        line = _merged(lines[-1], box, line_height) if lines else None
        if line:
            lines[-1] = line
        else:
            lines.append(box)
    return lines


def _merged(one: Box, other: Box, line_height: float) -> Box | None:
    """Return the box around two neighbours in a line. Returns None if they are none.

    Boxes that together are higher than wide are lines of vertical text beside each other.
    """
    merged = Box(
        one.page, min(one.left, other.left), min(one.bottom, other.bottom),
        max(one.right, other.right), max(one.top, other.top),
    )  # fmt: skip
    overlap = min(one.top, other.top) - max(one.bottom, other.bottom)
    gap = max(one.left, other.left) - min(one.right, other.right)
    in_line = overlap > _OVERLAP * min(one.height, other.height) and gap < max(line_height, one.height, other.height)
    return merged if in_line and merged.right - merged.left > merged.height else None
