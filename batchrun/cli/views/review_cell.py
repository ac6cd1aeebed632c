"""A field of an answer as a reviewer needs it: the value, and what the document says, which is read again."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.cli.find_run import FoundRun
from batchrun.cli.views.evidence_text import Excerpt, FieldEvidence, excerpt_at, field_evidence
from batchrun.cli.views.origin_text import AskedPart, asked_document, asked_parts, text_of
from batchrun.document import Unreadable
from batchrun.quality.review.standing import Standing
from batchrun.store.ledger.audits import Audits, Cell
from batchrun.store.reports.document_story import document_story
from batchrun.workflow.read_again import Reread, read_again

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
    request_id: str
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


def shown_cells(found: FoundRun, audits: Audits, standing: Standing, cells: Sequence[Cell]) -> Iterator[ShownCell]:
    """Yield fields with their documents, which are read again, a few at once."""
    for start in range(0, len(cells), AT_ONCE):
        some = [_Asked.of(found, audits, standing, cell) for cell in cells[start : start + AT_ONCE]]
        asked = [asked_document(part.story) for one in some for part in one.parts]
        read = iter(read_again(found.job_path, asked, simulated=found.story.simulated))
        for one in some:
            yield one.shown([next(read) for _ in one.parts])


@dataclass(frozen=True, slots=True)
class _Asked:
    """A field with what the ledger knows of its document."""

    cell: Cell
    request_id: str
    source: str
    value: Any
    parts: Sequence[AskedPart]
    """What was asked by itself and gave the value, or may have."""

    @classmethod
    def of(cls, found: FoundRun, audits: Audits, standing: Standing, cell: Cell) -> "_Asked":
        request_id = standing.audit.documents[cell.doc_id].request_id
        story = document_story(found.ledger, found.story.job, cell.doc_id) or {"source": "", "parts": ()}
        parts = list(asked_parts(story)) if "parts" in story or story["request_id"] == request_id else []
        giving = [part for part in parts if part.fields is None or cell.field in part.fields]
        values = audits.output(cell.doc_id, request_id) or {}
        return cls(cell, request_id, story["source"], values.get(cell.field), (giving or parts)[:MOST_PARTS])

    def shown(self, read: Sequence[Reread | Unreadable]) -> ShownCell:
        evidence = [
            one
            for part, document in zip(self.parts, read, strict=True)
            for one in field_evidence(self._evidence_of(part), text_of(document), part=part.number)
        ]
        texts = [text for document in read if (text := text_of(document))]
        problem = next((one.reason.partition("\n")[0] for one in read if isinstance(one, Unreadable)), None)
        return ShownCell(
            cell=self.cell,
            request_id=self.request_id,
            source=self.source,
            value=json.dumps(self.value, ensure_ascii=False),
            evidence=evidence,
            excerpts=[one for field in evidence for one in field.context] or self._mentions(texts),
            text="\n\n".join(texts)[:MOST_TEXT],
            problem=None if texts else problem or "the document has no text, or another answer now",
        )

    def _evidence_of(self, part: AskedPart) -> dict[str, Any]:
        return {name: told for name, told in part.of_fields("evidence").items() if name == self.cell.field}

    def _mentions(self, texts: Sequence[str]) -> list[Excerpt]:
        """Find the value in the texts as it is written, or else return the beginning of the first text."""
        for text in texts:
            for spelling in _spellings(self.value):
                if (begin := text.find(spelling)) >= 0:
                    return [excerpt_at(text, begin, begin + len(spelling))]
        return [Excerpt("", "", text[:BEGINNING] + ("…" if len(text) > BEGINNING else "")) for text in texts[:1]]


def _spellings(value: Any) -> list[str]:
    """Return ways to write a value in a document; none for values that stand in every document, or in no such way."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return []
    written = [value] if isinstance(value, str) else [f"{value:,}", str(value)]
    return [spelling for spelling in written if spelling.strip()]
