"""The numbers of a Word file's paragraphs as a person sees them: "1.1", "(a)", "Article IV".

Paragraphs do not contain their numbers. A paragraph names a list (a `num`), which refers to a definition (an
`abstractNum`) with nine levels; Word counts on each level of each definition when the file is shown.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property

from batchrun.documents.formats.docx_names import ALTERNATIVES, FALLBACK, VAL, switched_on, value, w
from batchrun.documents.formats.docx_styles import Style
from batchrun.documents.formats.list_numbering import (
    MAX_LEVELS,
    MAX_TEXT,
    Counts,
    Label,
    Level,
    count,
    is_outline,
    label,
    new_counts,
)
from batchrun.documents.formats.xml_tree import Element, number

_OWN_FORMAT = re.compile("0+[0-9]")
_SEPARATORS = {"nothing": "", "space": " "}
_NO_LIST = "0"


@dataclass(slots=True)
class _List:
    definition: str
    """The id of the definition, whose counts all its lists share."""
    levels: dict[int, Level]
    overrides: dict[int, int]
    """The numbers with which levels begin at their first use in this list; each is taken out at that use."""
    linked: dict[str, int]
    """The levels by the styles that are linked to them."""
    in_outline: bool


class Numbering:
    """The lists of a file, and how far each is counted. Paragraphs must come in the order of the document."""

    def __init__(self, root: Element | None) -> None:
        children = list(root) if root is not None else []
        self._definitions = {one.get(w("abstractNumId")): one for one in children if one.tag == w("abstractNum")}
        self._nums = {one.get(w("numId")): one for one in children if one.tag == w("num")}
        self._lists: dict[str, _List | None] = {}
        self._counts: dict[str, Counts] = {}

    def label(self, properties: Element | None, style: Style) -> Label | None:
        """Count a paragraph, and return its label; None for a paragraph without one."""
        own = properties.find(w("numPr")) if properties is not None else None
        num_id = value(own, "numId") or style.num_id
        numbered = self._list(num_id) if num_id and num_id != _NO_LIST else None
        if numbered is None:
            return None
        level = _level_of(numbered, value(own, "ilvl"), style)
        if level not in numbered.levels:
            return None
        counts = self._counts.setdefault(numbered.definition, new_counts())
        count(counts, numbered.levels, level, numbered.overrides.pop(level, None))
        return label(counts, numbered.levels, level, in_outline=numbered.in_outline)

    def _list(self, num_id: str) -> _List | None:
        if num_id not in self._lists:
            self._lists[num_id] = self._read_list(num_id)
        return self._lists[num_id]

    def _read_list(self, num_id: str) -> _List | None:
        num = self._nums.get(num_id)
        definition = self._definitions.get(value(num, "abstractNumId"))
        if num is None or definition is None:
            return None
        definition = self._linked(definition)
        levels = {index: _level(one) for index, one in _indexed(definition, "lvl")}
        overrides: dict[int, int] = {}
        for index, override in _indexed(num, "lvlOverride"):
            own = override.find(w("lvl"))
            levels[index] = _level(own) if own is not None else levels.get(index, Level())
            start = value(override, "startOverride")
            if start is not None:
                overrides[index] = number(start, 1)
                levels[index] = replace(levels[index], start=overrides[index])
        linked = {level.style: index for index, level in levels.items() if level.style}
        return _List(definition.get(w("abstractNumId")) or "", levels, overrides, linked, is_outline(levels))

    def _linked(self, definition: Element) -> Element:
        """Return the definition that a definition leaves everything to, through a style of lists."""
        link = value(definition, "numStyleLink")
        return definition if link is None else self._by_style.get(link, definition)

    @cached_property
    def _by_style(self) -> dict[str | None, Element]:
        return {value(one, "styleLink"): one for one in self._definitions.values()}


def _level_of(numbered: _List, own: str | None, style: Style) -> int:
    """Return the paragraph's own level, else that of the nearest style that a level is linked to or that names one."""
    if own is not None:
        return number(own, 0)
    for name, level in style.numbered_by:
        if name in numbered.linked:
            return numbered.linked[name]
        if level is not None:
            return level
    return 0


def _indexed(parent: Element, name: str) -> list[tuple[int, Element]]:
    found = [(number(one.get(w("ilvl")), -1), one) for one in parent.iterchildren(w(name))]
    return [(index, one) for index, one in found if 0 <= index < MAX_LEVELS]


def _level(element: Element) -> Level:
    restart = value(element, "lvlRestart")
    form, digits = _format(element)
    return Level(
        start=number(value(element, "start"), 0),
        format=form,
        digits=digits,
        text=(value(element, "lvlText") or "")[:MAX_TEXT],
        separator=_SEPARATORS.get(value(element, "suff") or "", " "),
        restart=None if restart is None else number(restart, 0),
        legal=switched_on(element, "isLgl"),
        style=value(element, "pStyle"),
        hidden=switched_on(element.find(w("rPr")), "vanish"),
    )


def _format(element: Element) -> tuple[str, int]:
    """Return the format of a level, and the least number of digits; formats such as "001, 002" stand beside others."""
    for form in element.iter(w("numFmt")):
        own = _OWN_FORMAT.match(form.get(w("format")) or "")
        if form.get(VAL) == "custom" and own:
            return "decimal", len(own[0])
    beside = element.find(f"{ALTERNATIVES}/{FALLBACK}")
    return value(element, "numFmt") or value(beside, "numFmt") or "decimal", 1
