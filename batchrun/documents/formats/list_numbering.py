"""Counts the levels of a list, and writes the numbers as a person sees them: "1.1", "(a)", "Article IV"."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.documents.formats.numerals import NUMBER_FORMATS, decimal

MAX_LEVELS = 10
MAX_TEXT = 200
"""The signs of a level's text: the text stands before every paragraph of the level."""
_COUNTER = re.compile("%([1-9])")
_BULLET = "•"
_DASHES = frozenset("-\u2013\u2014")
_SHORT = 80


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a list."""

    start: int = 1
    format: str = "decimal"
    """The name of the format, as Word has it."""
    digits: int = 1
    """The least number of digits, for formats such as "001"."""
    text: str = ""
    """What is shown; "%2" stands for the count of the second level."""
    separator: str = " "
    """What stands between the number and the text of the paragraph."""
    restart: int | None = None
    """The number of the level after which this level begins again; 0 for never, None for every level above."""
    legal: bool = False
    """Whether all counts are in digits."""
    style: str | None = None
    """The style of paragraphs that this level is linked to."""
    hidden: bool = False

    def count(self, value: int) -> str:
        """Return one count of this level as a person sees the count."""
        if self.format in ("none", "bullet"):
            return ""
        return str(value).zfill(self.digits) if self.digits > 1 else NUMBER_FORMATS.get(self.format, decimal)(value)


Levels = Mapping[int, Level]
Counts = list[int | None]


@dataclass(frozen=True, slots=True)
class Label:
    """What stands before the text of a numbered paragraph."""

    text: str
    separator: str
    is_clause: bool
    """Whether the label says the whole way to the paragraph ("2", "2.1"), in a list that has such labels."""
    is_top: bool
    """Whether the label is a number of the first level."""


def new_counts() -> Counts:
    """Return the counts of a list that has not begun."""
    return [None] * MAX_LEVELS


def is_outline(levels: Levels) -> bool:
    """Whether some level shows the whole way, as in "2.1"."""
    return any(index and _says_the_way(level, index) for index, level in levels.items())


def count(counts: Counts, levels: Levels, index: int, start: int | None = None) -> None:
    """Count a paragraph of a level, which may start anew."""
    for upper in range(index):
        if counts[upper] is None:  # a level that was left out counts as begun
            counts[upper] = levels.get(upper, Level()).start
    before = counts[index]
    if start is not None:
        counts[index] = start
    else:
        counts[index] = levels[index].start if before is None else before + 1
    for lower in range(index + 1, MAX_LEVELS):
        restart = levels.get(lower, Level()).restart
        if restart is None or index < restart:
            counts[lower] = None


def label(counts: Counts, levels: Levels, index: int, *, in_outline: bool) -> Label:
    """Return the label of a paragraph that was just counted."""
    level = levels[index]
    if level.hidden:
        text = ""
    elif level.format == "bullet":
        text = _bullet(level.text)
    else:
        text = _COUNTER.sub(lambda found: _shown(counts, levels, int(found[1]) - 1, level), level.text)
    is_number = level.format != "bullet" and "%" in level.text
    is_clause = is_number and in_outline and _says_the_way(level, index)
    return Label(text, level.separator if text else "", is_clause, is_top=is_number and index == 0)


def is_heading(label: Label | None, text: str) -> bool:
    """Whether a numbered paragraph is a place: a clause, or on the first level a short text that looks like no item."""
    if label is None:
        return False
    return label.is_clause or (label.is_top and len(text) < _SHORT and text.rstrip()[-1:] not in {",", ";", ":"})


def _shown(counts: Counts, levels: Levels, index: int, shown_in: Level) -> str:
    value = counts[index]
    if value is None:
        return ""
    return str(value) if shown_in.legal else levels.get(index, Level()).count(value)


def _says_the_way(level: Level, index: int) -> bool:
    return all(f"%{upper + 1}" in level.text for upper in range(index + 1))


def _bullet(text: str) -> str:
    return text if text in _DASHES or len(text) > 1 else _BULLET if text.strip() else ""
