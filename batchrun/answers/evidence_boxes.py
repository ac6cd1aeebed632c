"""The evidence of an answer with boxes: where the passages stand on the pages of a PDF."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

MOST_BOXES = 200
"""How many boxes one passage has at most. A hostile PDF may draw every letter of a quote in another place."""
Boxes = Sequence[Mapping[str, float]]


def entries_of(told: Any) -> list[dict[str, Any]]:
    """Return the evidence of a field as a list: a list of entries has evidence for each entry."""
    return told if isinstance(told, list) else [told]


def spans_of(evidence: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the spans of all passages, in the order of the evidence."""
    entries = chain.from_iterable(map(entries_of, evidence.values()))
    return [(start, end) for entry in entries for start, end in entry.get("spans", ())]


def with_boxes(evidence: Mapping[str, Any], boxes: Iterable[Boxes]) -> dict[str, Any]:
    """Add to each passage the boxes of its spans, given in the order of `spans_of`."""
    rest = iter(boxes)

    def boxed(entry: dict[str, Any]) -> dict[str, Any]:
        found = [box for _ in entry.get("spans", ()) for box in next(rest, ())]
        return {**entry, "boxes": found[:MOST_BOXES]} if found else entry

    return {
        name: [boxed(entry) for entry in told] if isinstance(told, list) else boxed(told)
        for name, told in evidence.items()
    }
