"""From a judged reply to a judgement with evidence, on both routes: quotes are located, and passages get boxes."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from batchrun.answers.evidence_boxes import spans_of, with_boxes
from batchrun.answers.form import AnswerForm
from batchrun.answers.supporting import with_evidence
from batchrun.answers.validation import Judgement
from batchrun.documents.formats.pdf_boxes import Box
from batchrun.execution.document_reader import DocumentReader
from batchrun.execution.pending_request import PendingRequest
from batchrun.outcome import Outcome


def located(
    form: AnswerForm, judgement: Judgement, pending: PendingRequest | None, reader: DocumentReader | None
) -> Judgement:
    """Locate the quotes of an answer, with boxes for a PDF. The call blocks, for a long document quite a while.

    Without `pending` the text of the document is not at hand.
    """
    found = with_evidence(form, judgement, pending.index if pending else None)
    if reader is None or pending is None or pending.pdf_sha is None or found.outcome is not Outcome.SUCCEEDED:
        return found
    spans = spans_of(found.evidence)
    boxes = reader.boxes(pending, spans) if spans else ()
    return replace(found, evidence=with_boxes(found.evidence, map(_as_json, boxes)))


def _as_json(boxes: Sequence[Box]) -> list[dict[str, float]]:
    """Return boxes as the output has them, in points with one decimal."""
    return [{name: round(side, 1) for name, side in asdict(box).items()} for box in boxes]
