"""What was found out about an answer, field by field: where the document says so, and what was changed in the reply."""

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from batchrun.cli.views.format import WIDTH, count, cut, fitted, labelled
from batchrun.escaping import escape_control
from batchrun.workflow.evidence_context import Excerpt, FieldEvidence, lines_of, standing_words

LONGEST_QUOTE = 600
"""How many characters of a quote are shown; a longer one loses its middle."""
MOST_SHOWN = 10
"""How many entries of a field, pieces of a quote and differences are shown; JSON has all."""
INDENT = 6


def evidence_lines(evidence: Sequence[FieldEvidence], width: int | None) -> Iterator[str]:
    """Yield the lines on the evidence of one field."""
    for one in evidence[:MOST_SHOWN]:
        yield cut(f"  {one.name}: {standing_words(one.told)}", width)
        yield from _told_lines(one.told, width)
        for excerpt in one.context[:MOST_SHOWN]:
            yield from excerpt_lines(excerpt, width)
    if len(evidence) > MOST_SHOWN:
        yield f"  and {count(len(evidence) - MOST_SHOWN, 'more entry', 'more entries')} of it, which --json shows"


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
    quote = "\n".join(lines_of(_shortened(excerpt.quote)))
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
