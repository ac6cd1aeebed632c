"""The running headers and footers of a document's pages, which interrupt sentences that go on over the page."""

import re
from collections import Counter
from collections.abc import Sequence

Stretch = tuple[int, int]
"""Offsets in a text: of the first character, and behind the last one."""

_EDGE = 3
"""So many lines with text at the beginning and at the end of a page may be running lines."""
_SHARE = 0.3
"""A running line stands on at least this share of the pages, and on two."""
_LONGEST = 300
"""No running line has more characters."""
_LINE = re.compile(r"\S[^\n]*")
_DIGITS = re.compile(r"\d+")


def running_lines(text: str, starts: Sequence[int]) -> list[Stretch]:
    """Find the running headers and footers of the pages that start at these offsets. Only whole lines are running."""
    if len(starts) < 2:
        return []
    ends = (*starts[1:], len(text))
    edges = [_edge_lines(text, start, end) for start, end in zip(starts, ends, strict=True)]
    counts = Counter(key for lines in edges for key in {_key(text, line) for line in lines})
    least = max(2, _SHARE * len(starts))
    lines = {line for of_page in edges for line in of_page if _may_run(text, line)}
    return sorted(line for line in lines if counts[_key(text, line)] >= least)


def _edge_lines(text: str, start: int, end: int) -> set[Stretch]:
    """Return the first and the last lines of a page that have text, without reading the lines between."""
    lines: set[Stretch] = set()
    at = start
    for _ in range(_EDGE):
        if found := _LINE.search(text, at, end):
            lines.add(found.span())
            at = found.end()
    at = end
    for _ in range(_EDGE):
        at = start + len(text[start:at].rstrip())
        begin = max(start, text.rfind("\n", start, at) + 1)
        if found := _LINE.search(text, begin, at):
            lines.add(found.span())
        at = begin
    return lines


def _key(text: str, line: Stretch) -> str:
    begin, end = line
    return _DIGITS.sub("#", " ".join(text[begin : min(end, begin + _LONGEST)].split()))


def _may_run(text: str, line: Stretch) -> bool:
    """Whether a line looks like a running line. A line in small letters alone is the middle of a sentence."""
    begin, end = line
    shown = text[begin:end]
    return end - begin <= _LONGEST and (not shown.islower() or _DIGITS.search(shown) is not None)
