"""A long document in segments: where a text is cut, so that each segment is a document that fits into a request.

People are told of a segment as "part 2 of 7". The same text, bounds and counter always give the same segments.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from batchrun.document import Document, Place, PlaceKind

_TOP_KINDS: tuple[PlaceKind, ...] = ("page", "slide", "chapter", "sheet")
_RANKS: tuple[tuple[tuple[PlaceKind, ...], re.Pattern[str]], ...] = (
    (_TOP_KINDS, re.compile(r"\f")),
    (("heading",), re.compile(r"(?m)^(?=#{1,6} )")),  # a heading of Markdown
    ((), re.compile(r"\n[ \t\r]*\n\s*")),  # a blank line
    ((), re.compile(r"\n")),
    ((), re.compile(r"[.!?][\"'\u2019\u201d)\]]*\s+|[\u3002\uff01\uff1f]")),  # the end of a sentence
    ((), re.compile(r"\s+")),
)
"""The boundaries, the best first: kinds of places, and a pattern at whose end a text may be cut."""
_EARLIEST = 0.75
"""The share of a segment's intended length in front of which no boundary, however good, ends the segment."""
_MOST_OVERLAP = 0.25
"""The largest share of a segment that an overlap is meant to have."""
_STRETCH = 1.5
"""An overlap grows by this factor at most in order to begin at a good boundary."""
_SAFETY = 0.95
_PIECE = 2_000
_LONGEST_NAME = 40
_MERGED = " [merged]"
_NAME = re.compile(r"(.*) \[part ([1-9][0-9]{0,8}) of ([1-9][0-9]{0,8})\]", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a document's text."""

    number: int
    """The position among the document's segments, from 1 on."""
    total: int
    """How many segments the document has."""
    start: int
    end: int
    places: str = ""
    """What the segment covers, for people: "pages 12-31"; empty for a document without places."""


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What the id of a segment says."""

    doc_id: str
    """The id of the whole document."""
    number: int
    total: int


def split(document: Document, *, most_tokens: int, overlap_tokens: int, count: Callable[[str], int]) -> list[Segment]:
    """Cut a document into segments of at most `most_tokens` tokens each, by `count`.

    Neighbouring segments share at least about `overlap_tokens` tokens, or a quarter of `most_tokens` if that is less.
    A stretch that is no longer than the overlap therefore stands whole in a segment. A document that fits has one
    segment. Only a single character that alone has more tokens is a segment above the bound.
    """
    if most_tokens < 1 or overlap_tokens < 0:
        raise ValueError(f"no segments of {most_tokens} tokens that share {overlap_tokens}")
    splitter = _Splitter(document, most_tokens, min(overlap_tokens, most_tokens * _MOST_OVERLAP), count)
    spans, places = list(splitter.spans()), _by_kind(document.places)
    return [
        Segment(number=number, total=len(spans), start=start, end=end, places=_covered(places, start, end))
        for number, (start, end) in enumerate(spans, 1)
    ]


def segment_document(document: Document, segment: Segment) -> Document:
    """Make the document of a segment. The only segment of a document is the document itself.

    Source and place stay those of the whole document, since a source reads the whole document and not a segment.
    """
    if segment.total == 1:
        return document
    places = _within(document.places, segment)
    said = f"part {segment.number} of {segment.total}" + (f": {segment.places}" if segment.places else "")
    return replace(
        document,
        doc_id=f"{document.doc_id} [part {segment.number} of {segment.total}]",
        text=document.text[segment.start : segment.end],
        start=segment.start,
        note=f"{document.note}; {said}" if document.note else said,
        places=places,
        pages=None if document.pages is None else sum(place.kind in {"page", "slide"} for place in places),
    )


def segment_name(doc_id: str) -> SegmentName | None:
    """Take the id of a segment apart. Returns None for an id that no segment can have."""
    if (found := _NAME.fullmatch(doc_id)) is None:
        return None
    number, total = int(found[2]), int(found[3])
    return SegmentName(found[1], number, total) if number <= total and total > 1 else None


def merging_id(doc_id: str) -> str:
    """Return the id under which the answers for a document's segments are merged by a request."""
    return f"{doc_id}{_MERGED}"


def merged_id(doc_id: str) -> str | None:
    """Return the id of the document from an id that `merging_id` has made; None for every other id."""
    return doc_id.removesuffix(_MERGED) if doc_id.endswith(_MERGED) else None


def total_of(part_id: str) -> int:
    """Return into how many parts a document is cut, by the id of one of the parts."""
    name = segment_name(part_id)
    assert name is not None, "only the parts of documents have a whole document"
    return name.total


def reserved_id(doc_id: str) -> str | None:
    """Return why a source's document cannot have this id in a job that splits; None if the document can.

    With this rule neither a segment nor what merges segments has the id of another document.
    """
    if merged_id(doc_id) is not None:
        return 'its id ends with "[merged]", as only the merging of a split document does: rename it'
    if (name := segment_name(doc_id)) is None:
        return None
    return (
        f'its id ends with "[part {name.number} of {name.total}]", as only a part of a split document does: rename it'
    )


class _Splitter:
    """Cuts one text.

    The text is counted once in pieces, from which tokens are estimated. Each segment is counted once more as a check.
    """

    def __init__(self, document: Document, most: int, overlap: float, count: Callable[[str], int]) -> None:
        self._text = document.text
        self._boundaries = [sorted(one.start for one in document.places if one.kind in kinds) for kinds, _ in _RANKS]
        self._most = most
        self._overlap = overlap
        self._count = count
        self._offsets, self._totals = _measured(document.text, min(_PIECE, max(16, most)), count)

    def spans(self) -> Iterator[tuple[int, int]]:
        start, end = 0, self._end(0)
        yield start, end
        while end < len(self._text):
            start = self._shared_start(start, end)
            if (following := self._end(start)) <= end:  # all of the segment would be overlap
                start, following = end, self._end(end)
            end = following
            yield start, end

    def _end(self, start: int) -> int:
        """Return where the segment that begins at `start` ends. The rest of the text is shared out evenly."""
        before, whole = self._tokens(start), len(self._text)
        rest = self._totals[-1] - before
        if rest <= self._most and self._count(self._text[start:]) <= self._most:
            return whole
        segments = max(2, math.ceil((rest - self._overlap) / (self._most - self._overlap)))
        aim = self._offset(before + (rest - self._overlap) / segments + self._overlap)
        latest = self._offset(before + self._most)
        while True:
            earliest = start + max(1, int((aim - start) * _EARLIEST))
            end = self._cut(earliest, max(earliest, aim), latest)
            if end - start <= 1 or (counted := self._count(self._text[start:end])) <= self._most:
                return end
            aim = latest = start + int((end - start) * _SAFETY * self._most / counted)

    def _shared_start(self, start: int, end: int) -> int:
        """Return where the overlap with the segment from `start` to `end` begins."""
        until = self._tokens(end)
        aim = self._offset(until - self._overlap)
        if not start < aim < end:
            return end
        return self._cut(max(start + 1, self._offset(until - self._overlap * _STRETCH)), aim, aim)

    def _cut(self, earliest: int, aim: int, latest: int) -> int:
        """Return the best boundary from `earliest` to `latest`; of several equally good, the one nearest to `aim`."""
        for known, (_, pattern) in zip(self._boundaries, _RANKS, strict=True):
            within = known[bisect_left(known, earliest) : bisect_right(known, latest)]
            within += (match.end() for match in pattern.finditer(self._text, earliest - 1, latest))
            if cuts := [cut for cut in within if cut >= earliest]:
                return min(cuts, key=lambda cut: (abs(cut - aim), cut))
        return aim

    def _tokens(self, offset: int) -> float:
        return _between(offset, self._offsets, self._totals)

    def _offset(self, tokens: float) -> int:
        return int(_between(tokens, self._totals, self._offsets))


def _measured(text: str, piece: int, count: Callable[[str], int]) -> tuple[list[int], list[int]]:
    """Return offsets into a text, from 0 to its end, and the tokens in front of each offset."""
    offsets, totals = [0], [0]
    # A piece ends in front of a blank where there is one, since tokens rarely reach over the beginning of a word.
    for match in re.finditer(rf"(?s).{{1,{piece}}}(?=\s|\Z)|.{{1,{piece}}}", text):
        offsets.append(match.end())
        totals.append(totals[-1] + count(match[0]))
    return offsets, totals


def _between(value: float, known: Sequence[int], wanted: Sequence[int]) -> float:
    """Return what lies in `wanted` where `value` lies in `known`, both of which grow."""
    if value >= known[-1]:
        return wanted[-1]
    at = max(1, bisect_right(known, value))
    share = (value - known[at - 1]) / (known[at] - known[at - 1])
    return wanted[at - 1] + share * (wanted[at] - wanted[at - 1])


def _by_kind(places: Sequence[Place]) -> dict[PlaceKind, list[Place]]:
    """Return the places of each kind, in the order of their starts."""
    found: dict[PlaceKind, list[Place]] = {}
    for place in sorted(places, key=_start):
        found.setdefault(place.kind, []).append(place)
    return found


def _start(place: Place) -> int:
    return place.start


def _touched(places: Sequence[Place], start: int, end: int) -> Sequence[Place]:
    """Return the places of one kind that lie at least partly from `start` to `end`."""
    first = bisect_right(places, start, key=_start) - 1
    return places[max(0, first) : bisect_left(places, end, key=_start)]


def _within(places: Sequence[Place], segment: Segment) -> tuple[Place, ...]:
    """Return the places that a segment touches, by offsets into the segment's text."""
    kinds = _by_kind(places).values()
    touched = [place for of_kind in kinds for place in _touched(of_kind, segment.start, segment.end)]
    return tuple(replace(place, start=max(0, place.start - segment.start)) for place in sorted(touched, key=_start))


def _covered(places: Mapping[PlaceKind, Sequence[Place]], start: int, end: int) -> str:
    """Say which pages, slides, chapters or sheets, or else which headings, a stretch of the text touches."""
    for kind in (*_TOP_KINDS, "heading"):
        if touched := _touched(places.get(kind, ()), start, end):
            first, last = _short(touched[0].name), _short(touched[-1].name)
            dash = "-" if first.isdecimal() and last.isdecimal() else " to "
            return f"{kind} {first}" if len(touched) == 1 else f"{kind}s {first}{dash}{last}"
    return ""


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\u2026"
