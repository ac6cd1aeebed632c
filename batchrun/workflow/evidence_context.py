"""Quotes among the lines of their document: what is known of the evidence of an answer, and where it stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchrun.escaping import escape_control

CONTEXT = 160
"""How many characters of a document are shown before a quote, and as many behind."""
CONTEXT_LINES = 2
"""How many whole lines are shown before the line in which a quote begins, and as many behind."""
PLAIN_LINES = str.maketrans({"\r": "\n", "\f": "\n", "\v": "\n"})
"""Whatever ends a line of a document, as a line break."""
SENDS_LESS = "the job sends less of the document today"
"""Why a quote that has a place is not shown among the lines of a document that has not changed."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a quote among the lines of the document around the piece."""

    before: str
    quote: str
    behind: str


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """What is known of the quote for a field, or for one entry of a list."""

    field: str
    part: int | None
    """The number of the part that gave the value; None for a document that is asked as a whole."""
    entry: int | None
    """The number of the entry in the list of the reply, from 1 on; None for a value with one quote."""
    told: Mapping[str, Any]
    """The evidence as the ledger has it."""
    context: tuple[Excerpt, ...] = ()
    """Where the quote stands; empty if the quote has no place or the document is not at hand."""

    @property
    def name(self) -> str:
        """What the quote is for, in words."""
        entry = [] if self.entry is None else [f"entry {self.entry}"]
        part = [] if self.part is None else [f"part {self.part}"]
        return ", ".join([escape_control(self.field), *entry, *part])

    @property
    def as_json(self) -> dict[str, Any]:
        """The evidence with its context, for programs."""
        place = {"field": self.field, "part": self.part, "entry": self.entry}
        return {**place, **self.told, "context": [asdict(excerpt) for excerpt in self.context]}


def field_evidence(found: Mapping[str, Any], text: str | None, *, part: int | None) -> list[FieldEvidence]:
    """List the evidence of a document's fields; `text` is the document in which the quotes stand, if it is at hand."""
    return [
        FieldEvidence(name, part, number, told, _context(text, told.get("spans", ())))
        for name, of_field in found.items()
        for number, told in _entries(of_field)
    ]


def _entries(told: Any) -> Iterator[tuple[int | None, Mapping[str, Any]]]:
    yield from enumerate(told, 1) if isinstance(told, list) else [(None, told)]


def _context(text: str | None, spans: Sequence[Sequence[int]]) -> tuple[Excerpt, ...]:
    if text is None or any(end > len(text) for _, end in spans):
        return ()
    return tuple(excerpt_at(text, begin, end) for begin, end in spans)


def excerpt_at(text: str, begin: int, end: int) -> Excerpt:
    """Return a piece of a document with a bounded part of the lines around the piece."""
    low, high = max(0, begin - CONTEXT), min(len(text), end + CONTEXT)
    *above, first = lines_of(("…" if low else "") + text[low:begin])
    last, *below = lines_of(text[end:high] + ("…" if high < len(text) else ""))
    before = [*list(filter(str.strip, above))[-CONTEXT_LINES:], first]
    behind = [last, *list(filter(str.strip, below))[:CONTEXT_LINES]]
    return Excerpt("\n".join(before), text[begin:end], "\n".join(behind))


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, whatever ends each of them."""
    return text.replace("\r\n", "\n").translate(PLAIN_LINES).split("\n")


def standing_words(told: Mapping[str, Any]) -> str:
    """Say how a quote stands to its document, and where the quote stands."""
    status, pages, places = told["status"], told.get("pages", ()), told.get("places", 0)
    words = [
        "neither value nor quote" if status == "none" else escape_control(status),
        f"page{'s' if len(pages) > 1 else ''} {', '.join(map(str, pages))}" if pages else "",
        escape_control(told.get("place", "")),
        f"it stands {places:,} times" if places > 1 else "",
        "it is short" if told.get("weak") else "",
        "a negation stands at its edge" if told.get("cut") else "",
        f"the value is {told['value']}" if told.get("value") in {"supported", "unsupported"} else "",
    ]
    return ", ".join(filter(None, words))
