"""What was found out about an answer, field by field: where the document says so, and what was changed in the reply."""

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchrun.cli.views.format import WIDTH, count, cut, fitted, labelled
from batchrun.escaping import escape_control

CONTEXT = 160
"""How many characters of a document are shown before a quote, and as many behind."""
CONTEXT_LINES = 2
"""How many whole lines are shown before the line in which a quote begins, and as many behind."""
LONGEST_QUOTE = 600
"""How many characters of a quote are shown; a longer one loses its middle."""
MOST_SHOWN = 10
"""How many entries of a field, pieces of a quote and differences are shown; JSON has all."""
INDENT = 6
PLAIN_LINES = str.maketrans({"\r": "\n", "\f": "\n", "\v": "\n"})
"""Whatever ends a line of a document, as a line break."""


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
    *above, first = _lines(("…" if low else "") + text[low:begin])
    last, *below = _lines(text[end:high] + ("…" if high < len(text) else ""))
    before = [*list(filter(str.strip, above))[-CONTEXT_LINES:], first]
    behind = [last, *list(filter(str.strip, below))[:CONTEXT_LINES]]
    return Excerpt("\n".join(before), text[begin:end], "\n".join(behind))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").translate(PLAIN_LINES).split("\n")


def evidence_lines(evidence: Sequence[FieldEvidence], width: int | None) -> Iterator[str]:
    """Yield the lines on the evidence of one field."""
    for one in evidence[:MOST_SHOWN]:
        yield cut(f"  {one.name}: {_standing(one.told)}", width)
        yield from _told_lines(one.told, width)
        for excerpt in one.context[:MOST_SHOWN]:
            yield from excerpt_lines(excerpt, width)
    if len(evidence) > MOST_SHOWN:
        yield f"  and {count(len(evidence) - MOST_SHOWN, 'more entry', 'more entries')} of it, which --json shows"


def _standing(told: Mapping[str, Any]) -> str:
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


def _told_lines(told: Mapping[str, Any], width: int | None) -> Iterator[str]:
    if "problem" in told:
        yield from labelled("problem", told["problem"], width=width, indent=INDENT)
    if told.get("text"):
        yield from labelled("source", _shortened(told["text"]), width=width, indent=INDENT)
    for difference in told.get("differences", ())[:MOST_SHOWN]:
        source, quote = (difference[side] or "(nothing)" for side in ("source", "quote"))
        yield from labelled("differs", f"document: {source} / quote: {quote}", width=width, indent=INDENT)


def excerpt_lines(excerpt: Excerpt, width: int | None) -> Iterator[str]:
    """Yield the lines of an excerpt, with the piece between marks."""
    quote = "\n".join(_lines(_shortened(excerpt.quote)))
    for line in f"{excerpt.before}»{quote}«{excerpt.behind}".split("\n"):
        yield from (f"{' ' * INDENT}| {part}" for part in fitted(line, (width or WIDTH) - INDENT - 2))


def _shortened(text: str) -> str:
    half = LONGEST_QUOTE // 2
    return text if len(text) <= LONGEST_QUOTE else f"{text[:half]} … {text[-half:]}"


def change_lines(
    originals: Mapping[str, Any], problems: Mapping[str, str], width: int | None, *, kept: Container[str], of: str
) -> Iterator[str]:
    """Yield a line for each value that the output spells otherwise than the reply, and for each with a problem.

    A value with a problem became null, unless it is `kept`. `of` says behind the name which part of the document is
    meant.
    """
    for path, original in originals.items():
        said = escape_control(json.dumps(original, ensure_ascii=False))
        yield cut(f"  {escape_control(path)}{of}: the reply has {said}", width)
    for name, problem in problems.items():
        yield f"  {escape_control(name)}{of}: {'in doubt' if name in kept else 'null'}"
        yield from labelled("problem", problem, width=width, indent=INDENT)
