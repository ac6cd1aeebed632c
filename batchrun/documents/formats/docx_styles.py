"""The styles of a Word file: what a paragraph gets from the style that it names, and from the styles below that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from batchrun.documents.formats.docx_names import TYPE, switch, value, w
from batchrun.documents.formats.xml_tree import Element, number

_HEADING = re.compile("heading ([1-9])", re.IGNORECASE)  # the name is English in every language; the id is not
_LONGEST_CHAIN = 30
_BODY_LEVEL = 9
_END = b"</w:style>"


@dataclass(frozen=True, slots=True)
class Style:
    """What styles say that matters to text."""

    num_id: str | None = None
    numbered_by: tuple[tuple[str, int | None], ...] = ()
    """The ids of the styles that say something of numbers, nearest first, each with the level that the style names."""
    outline: int | None = None
    """The level of the heading, from 0; None for a text that is no heading."""
    hidden: bool = False


class Styles:
    """The styles of a file by their ids, put together when first asked for."""

    def __init__(self, root: Element | None) -> None:
        self._elements: dict[str, Element] = {}
        self._default = ""
        for style in root.iterchildren(w("style")) if root is not None else ():
            style_id = style.get(w("styleId")) or ""
            self._elements[style_id] = style
            if style.get(TYPE) == "paragraph" and style.get(w("default")) in ("1", "true", "on"):
                self._default = style_id
        self._known: dict[str, Style] = {}

    def paragraph(self, style_id: str | None) -> Style:
        """Return the style of a paragraph, which is the default one if the paragraph names none that exists."""
        return self.named(style_id if style_id in self._elements else self._default)

    def named(self, style_id: str | None) -> Style:
        """Return a style; an empty one if there is none of that id."""
        known = self._known.get(style_id or "")
        if known is None:
            known = self._known[style_id or ""] = self._put_together(style_id or "")
        return known

    def _put_together(self, style_id: str) -> Style:
        num_id = outline = hidden = None
        numbered_by: list[tuple[str, int | None]] = []
        for name, style in self._chain(style_id):
            properties = style.find(w("pPr"))
            numbering = properties.find(w("numPr")) if properties is not None else None
            if num_id is None and numbering is not None:
                num_id = value(numbering, "numId")
                level = value(numbering, "ilvl")
                numbered_by.append((name, None if level is None else number(level, 0)))
            outline = _outline(style, properties) if outline is None else outline
            hidden = switch(style.find(w("rPr")), "vanish") if hidden is None else hidden
        return Style(
            num_id,
            tuple(numbered_by),
            outline if outline is not None and 0 <= outline < _BODY_LEVEL else None,
            bool(hidden),
        )

    def _chain(self, style_id: str) -> Iterator[tuple[str, Element]]:
        for _ in range(_LONGEST_CHAIN):
            style = self._elements.get(style_id)
            if style is None:
                return
            yield style_id, style
            style_id = value(style, "basedOn") or ""


def shortened(data: bytes) -> bytes:
    """Take out of the XML of styles what says nothing about text: often nine tenths, and the time to read a file."""
    before, _, rest = data.partition(b"<w:latentStyles")
    _, end, after = rest.partition(b"</w:latentStyles>")
    return _without_table_styles(before + after if end else data)


def _without_table_styles(data: bytes) -> bytes:
    pieces = data.split(_END)
    kept = []
    for piece in pieces[:-1]:
        begin = piece.find(b"<w:style ")
        is_table = begin >= 0 and b'w:type="table"' in piece[begin : piece.find(b">", begin)]
        kept += [piece[:begin]] if is_table else [piece, _END]
    return b"".join([*kept, pieces[-1]])


def _outline(style: Element, properties: Element | None) -> int | None:
    level = value(properties, "outlineLvl")
    if level is not None:
        return number(level, _BODY_LEVEL)
    heading = _HEADING.fullmatch((value(style, "name") or "").strip())
    return int(heading[1]) - 1 if heading else None
