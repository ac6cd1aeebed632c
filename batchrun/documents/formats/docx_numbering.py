"""The numbers of a Word file's paragraphs as a person sees them: "1.1", "(a)", "Article IV".

Paragraphs do not contain their numbers. A paragraph names a list (a `num`), which refers to a definition (an
`abstractNum`) with nine levels; Word counts on each level of each definition when the file is shown.
"""

import re
from dataclasses import dataclass, replace

from batchrun.documents.formats.docx_names import ALTERNATIVES, FALLBACK, VAL, switched_on, value, w
from batchrun.documents.formats.docx_styles import Style
from batchrun.documents.formats.numerals import WORD_FORMATS, decimal
from batchrun.documents.formats.xml_tree import Element, number

_LEVELS = 9
_COUNTER = re.compile("%([1-9])")
_OWN_FORMAT = re.compile("0+[0-9]")
_BULLET = "•"
_DASHES = frozenset("-\u2013\u2014")
_SEPARATORS = {"nothing": "", "space": " "}
_NO_LIST = "0"


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a list."""

    start: int = 1
    format: str = "decimal"
    digits: int = 1
    """The least number of digits, for formats such as "001"."""
    text: str = ""
    separator: str = " "
    """What stands between the number and the text of the paragraph."""
    restart: int | None = None
    """The number of the level after which this level begins again; 0 for never, None for every level above."""
    legal: bool = False
    """Whether all numbers are in digits."""
    style: str | None = None
    hidden: bool = False

    def shown(self, count: int) -> str:
        """Return one count of this level as a person sees the count."""
        if self.format in ("none", "bullet"):
            return ""
        return str(count).zfill(self.digits) if self.digits > 1 else WORD_FORMATS.get(self.format, decimal)(count)


@dataclass(frozen=True, slots=True)
class Label:
    """What stands before the text of a numbered paragraph."""

    text: str
    separator: str
    is_clause: bool
    """Whether the label says the whole way to the paragraph ("2", "2.1"), in a list that has such labels."""
    is_top: bool
    """Whether the label is a number of the first level."""


@dataclass(slots=True)
class _List:
    definition: str
    """The id of the definition, whose counts all its lists share."""
    levels: dict[int, Level]
    overrides: dict[int, int]
    """The numbers with which levels begin at their first use in this list."""
    linked: dict[str, int]
    """The levels by the styles that are linked to them."""
    is_outline: bool
    """Whether some level shows the whole way, as in "2.1"."""


class Numbering:
    """The lists of a file, and how far each is counted. Paragraphs must come in the order of the document."""

    def __init__(self, root: Element | None) -> None:
        children = list(root) if root is not None else []
        self._definitions = {one.get(w("abstractNumId")): one for one in children if one.tag == w("abstractNum")}
        self._nums = {one.get(w("numId")): one for one in children if one.tag == w("num")}
        self._lists: dict[str, _List | None] = {}
        self._counts: dict[str, list[int | None]] = {}

    def label(self, properties: Element | None, style: Style) -> Label | None:
        """Count a paragraph, and return its label; None for a paragraph without one."""
        own = properties.find(w("numPr")) if properties is not None else None
        num_id = value(own, "numId") or style.num_id
        numbered = self._list(num_id) if num_id and num_id != _NO_LIST else None
        if numbered is None:
            return None
        level = _level_of(numbered, value(own, "ilvl"), style)
        return self._counted(numbered, level) if level in numbered.levels else None

    def _counted(self, numbered: _List, level: int) -> Label:
        counts = self._counts.setdefault(numbered.definition, [None] * _LEVELS)
        _count(counts, numbered, level)
        return _label(counts, numbered, level)

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
        is_outline = any(index and _says_the_way(level, index) for index, level in levels.items())
        linked = {level.style: index for index, level in levels.items() if level.style}
        return _List(definition.get(w("abstractNumId")) or "", levels, overrides, linked, is_outline)

    def _linked(self, definition: Element) -> Element:
        """Return the definition that a definition leaves everything to, through a style of lists."""
        link = value(definition, "numStyleLink")
        if link is None:
            return definition
        others = self._definitions.values()
        return next((other for other in others if value(other, "styleLink") == link), definition)


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


def _count(counts: list[int | None], numbered: _List, level: int) -> None:
    for upper in range(level):
        if counts[upper] is None:  # a level that was left out counts as begun
            counts[upper] = numbered.levels.get(upper, Level()).start
    count = counts[level]
    override = numbered.overrides.pop(level, None)
    if override is not None:
        counts[level] = override
    else:
        counts[level] = numbered.levels[level].start if count is None else count + 1
    for lower in range(level + 1, _LEVELS):
        restart = numbered.levels.get(lower, Level()).restart
        if restart is None or level < restart:
            counts[lower] = None


def _label(counts: list[int | None], numbered: _List, index: int) -> Label:
    level = numbered.levels[index]
    if level.hidden:
        text = ""
    elif level.format == "bullet":
        text = _bullet(level.text)
    else:
        text = _COUNTER.sub(lambda found: _shown(counts, numbered.levels, int(found[1]) - 1, level), level.text)
    numeric = level.format != "bullet" and "%" in level.text
    is_clause = numeric and numbered.is_outline and _says_the_way(level, index)
    return Label(text, level.separator if text else "", is_clause, is_top=numeric and index == 0)


def _shown(counts: list[int | None], levels: dict[int, Level], index: int, shown_in: Level) -> str:
    count = counts[index]
    if count is None:
        return ""
    level = levels.get(index, Level())
    return str(count) if shown_in.legal else level.shown(count)


def _says_the_way(level: Level, index: int) -> bool:
    return all(f"%{upper + 1}" in level.text for upper in range(index + 1))


def _bullet(text: str) -> str:
    return text if text in _DASHES or len(text) > 1 else _BULLET if text.strip() else ""


def _indexed(parent: Element, name: str) -> list[tuple[int, Element]]:
    found = [(number(one.get(w("ilvl")), -1), one) for one in parent.iterchildren(w(name))]
    return [(index, one) for index, one in found if 0 <= index < _LEVELS]


def _level(element: Element) -> Level:
    restart = value(element, "lvlRestart")
    form, digits = _format(element)
    return Level(
        start=number(value(element, "start"), 0),
        format=form,
        digits=digits,
        text=value(element, "lvlText") or "",
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
