"""The lists of an OpenDocument text. Lists are nested elements, whose style says how each level is numbered."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from batchrun.documents.formats.list_numbering import (
    MAX_LEVELS,
    MAX_TEXT,
    Counts,
    Label,
    Level,
    Levels,
    count,
    is_outline,
    label,
    new_counts,
)
from batchrun.documents.formats.odt_names import STYLE_NAME, style, text
from batchrun.documents.formats.xml_tree import Element, number

_FORMATS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman", "": "none"}
_LIST_STYLE, _OUTLINE = text("list-style"), text("outline-style")
_BULLET = text("list-level-style-bullet")
_NUMBERED = (text("list-level-style-number"), text("outline-level-style"))
_LIST_FORMAT = "{urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0}num-list-format"
_NEW_COUNTER = re.compile("%([0-9]+)%")
_ID = "{http://www.w3.org/XML/1998/namespace}id"


@dataclass(frozen=True, slots=True)
class Nesting:
    """Where in which list a paragraph stands."""

    style: str
    counts: Counts
    level: int


@dataclass(slots=True)
class Item:
    """An item of a list, of which only the first paragraph has a label."""

    nesting: Nesting
    start: int | None = None
    is_counted: bool = field(default=False)


class Lists:
    """The styles of lists, and how far each list is counted. Paragraphs must come in the order of the document."""

    def __init__(self, roots: Sequence[Element]) -> None:
        self._styles = {
            one.get(STYLE_NAME) or "": _levels(one) for root in roots for one in root.iter(_LIST_STYLE, _OUTLINE)
        }
        outlines = [_levels(one) for root in roots for one in root.iter(_OUTLINE)]
        self._headings: Levels = outlines[0] if outlines else {}
        self._heading_counts = new_counts()
        self._by_style: dict[str, Counts] = {}
        self._by_id: dict[str, Counts] = {}

    def nesting(self, element: Element, outer: Nesting | None) -> Nesting:
        """Return the place that a list gives to its items, within an outer list or at the top."""
        name = element.get(text("style-name"))
        if outer:
            return Nesting(name or outer.style, outer.counts, outer.level + 1)
        counts = self._continued(element, name or "")
        self._by_style[name or ""] = self._by_id[element.get(_ID) or ""] = counts
        return Nesting(name or "", counts, 0)

    def label(self, item: Item) -> Label | None:
        """Count an item, and return the label of its first paragraph."""
        if item.is_counted:
            return None
        item.is_counted = True
        return _label(self._styles.get(item.nesting.style, {}), item.nesting.counts, item.nesting.level, item.start)

    def heading_label(self, level: int) -> Label | None:
        """Count a heading outside of lists, and return its label."""
        return _label(self._headings, self._heading_counts, level, None)

    def _continued(self, element: Element, name: str) -> Counts:
        continued = self._by_id.get(element.get(text("continue-list")) or " ")
        if continued is None and element.get(text("continue-numbering")) == "true":
            continued = self._by_style.get(name)
        return new_counts() if continued is None else continued


def _label(levels: Levels, counts: Counts, index: int, start: int | None) -> Label | None:
    if index not in levels:
        return None
    count(counts, levels, index, start)
    return label(counts, levels, index, in_outline=is_outline(levels))


def _levels(element: Element) -> dict[int, Level]:
    found = ((number(one.get(text("level")), 0) - 1, one) for one in element.iterchildren(_BULLET, *_NUMBERED))
    return {index: _level(index, one) for index, one in found if 0 <= index < MAX_LEVELS}


def _level(index: int, element: Element) -> Level:
    if element.tag == _BULLET:
        return Level(format="bullet", text=(element.get(text("bullet-char")) or "•")[:MAX_TEXT])
    form = element.get(style("num-format")) or ""
    return Level(
        start=number(element.get(text("start-value")), 1),
        format=_FORMATS.get(form, "decimal"),
        text=_shown(index, element)[:MAX_TEXT] if form else "",
    )


def _shown(index: int, element: Element) -> str:
    """Return what a level shows: in a newer attribute, or as the last few levels between a prefix and a suffix."""
    newer = element.get(_LIST_FORMAT)
    if newer is not None:
        return _NEW_COUNTER.sub(r"%\1", newer)
    upper = max(0, index + 1 - number(element.get(text("display-levels")), 1))
    counters = ".".join(f"%{one + 1}" for one in range(upper, index + 1))
    return f"{element.get(style('num-prefix')) or ''}{counters}{element.get(style('num-suffix')) or ''}"
