"""Reviews as gold labels: what people held right is right for the document, whichever prompt or model is asked."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from batchrun.quality.review.standing import Standing, latest_reviews
from batchrun.store.ledger.audits import Audit, Audits, Cell, Drawn, Review
from batchrun.store.ledger.ledger import Ledger


def reviewed_labels(ledger: Ledger, job: str, *, drawn: Drawn | None) -> Mapping[str, Mapping[str, Any]]:
    """Return the values that people held right, by document and field.

    `drawn = "audit"` returns only fields that an audit has drawn at random, which are a sample of all fields; a field
    that was drawn after the queue had it counts too. `drawn = "queue"` returns the other ones, None returns both. A
    label is left out if the document has changed since, and if the value was rejected, since no right value is known.
    """
    audits, labels = Audits(ledger, job), defaultdict[str, dict[str, Any]](dict)
    now = {answer.doc_id: answer.content for answer in audits.answers()}
    reviews = list(audits.reviews())
    for audit in audits.each():
        for cell, review in _of_audit(audit, reviews, drawn).items():
            is_same = now.get(cell.doc_id) == audit.documents[cell.doc_id].content
            if is_same and review.verdict != "rejected" and review.value is not None:
                labels[cell.doc_id][cell.field] = json.loads(review.value)
    return dict(labels)


def _of_audit(audit: Audit, reviews: list[Review], drawn: Drawn | None) -> dict[Cell, Review]:
    answers = {doc_id: frozen.request_id for doc_id, frozen in audit.documents.items()}
    latest = latest_reviews(reviews, answers)
    standing = Standing(audit=audit, reviews=latest, changed=frozenset(), added=0)
    sampled = {cell for cell, _ in standing.audited}
    return {cell: one for cell, one in latest.items() if drawn is None or (drawn == "audit") == (cell in sampled)}
