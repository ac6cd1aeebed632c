"""A field of an answer as a reviewer needs it: the value, and what the document says, which is read again."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.document import Unreadable
from batchrun.store.ledger.audits import Audit, Cell
from batchrun.store.reports.document_story import document_story
from batchrun.workflow.asked_parts import AskedPart, asked_document, asked_parts, text_of
from batchrun.workflow.evidence_context import Excerpt, FieldEvidence, excerpt_at, field_evidence
from batchrun.workflow.read_again import Reread, read_again
from batchrun.workflow.review import OpenReview

AT_ONCE = 20
"""How many fields are made ready at once: each may need a long document."""
MOST_PARTS = 20
"""How many parts of a long document are read for one field."""
BEGINNING = 1_200
"""How many characters of a document are shown where nothing in the document is known to be about the field."""
MOST_TEXT = 20_000
"""How many characters of a document are shown to a person who asks for more."""


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A field with everything that is shown of it. All texts are as others wrote them."""

    cell: Cell
    source: str
    value: str
    """The value that the model gave, as JSON."""
    evidence: Sequence[FieldEvidence]
    excerpts: Sequence[Excerpt]
    """Where the document says so, or has the value, or else the beginning of the document."""
    text: str
    """The beginning of the document, which is the whole document unless the text is long."""
    problem: str | None
    """Why nothing of the document is shown; None if something is."""


def shown_cells(opened: OpenReview, audit: Audit, cells: Sequence[Cell]) -> Iterator[ShownCell]:
    """Yield fields with their documents, which are read again, a few at once."""
    for start in range(0, len(cells), AT_ONCE):
        origins = [(cell, *_origin(opened, audit, cell)) for cell in cells[start : start + AT_ONCE]]
        asked = [asked_document(part.story) for _, _, parts in origins for part in parts]
        read = iter(read_again(opened.job_path, asked, simulated=opened.simulated))
        for cell, source, parts in origins:
            values = opened.audits.output(cell.doc_id, audit.documents[cell.doc_id].request_id) or {}
            yield _shown(cell, source, values.get(cell.field), [(part, next(read)) for part in parts])


def _origin(opened: OpenReview, audit: Audit, cell: Cell) -> tuple[str, Sequence[AskedPart]]:
    """Return the source of a document, and what of the document was asked by itself and gave the value, or may have."""
    story = document_story(opened.job.ledger, opened.job.name, cell.doc_id)
    if story is None:
        return "", ()
    is_frozen = "parts" in story or story["request_id"] == audit.documents[cell.doc_id].request_id
    parts = list(asked_parts(story)) if is_frozen else []
    giving = [part for part in parts if part.fields is None or cell.field in part.fields]
    return story["source"], (giving or parts)[:MOST_PARTS]


def _shown(cell: Cell, source: str, value: Any, read: Sequence[tuple[AskedPart, Reread | Unreadable]]) -> ShownCell:
    evidence = [
        one
        for part, document in read
        if (told := part.of_fields("evidence").get(cell.field))
        for one in field_evidence({cell.field: told}, text_of(document), part=part.number)
    ]
    texts = [text for _, document in read if (text := text_of(document))]
    problem = next((one.reason.partition("\n")[0] for _, one in read if isinstance(one, Unreadable)), None)
    return ShownCell(
        cell=cell,
        source=source,
        value=json.dumps(value, ensure_ascii=False),
        evidence=evidence,
        excerpts=[one for field in evidence for one in field.context] or _mentions(value, texts),
        text="\n\n".join(texts)[:MOST_TEXT],
        problem=None if texts else problem or "the document has no text, or another answer now",
    )


def _mentions(value: Any, texts: Sequence[str]) -> list[Excerpt]:
    """Find the value in the texts as it is written, or else return the beginning of the first text."""
    for text in texts:
        for spelling in _spellings(value):
            if (begin := text.find(spelling)) >= 0:
                return [excerpt_at(text, begin, begin + len(spelling))]
    return [Excerpt("", "", text[:BEGINNING] + ("…" if len(text) > BEGINNING else "")) for text in texts[:1]]


def _spellings(value: Any) -> list[str]:
    """Return ways to write a value in a document; none for values that stand in every document, or in no such way."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return []
    written = [value] if isinstance(value, str) else [f"{value:,}", str(value)]
    return [spelling for spelling in written if spelling.strip()]
