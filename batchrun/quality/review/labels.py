"""Reviews as gold labels: what people held right is right for the document, whichever prompt or model is asked."""

import json
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from batchrun.quality.review.standing import Standing, latest_reviews
from batchrun.store.ledger.audits import Audits
from batchrun.store.ledger.ledger import Ledger


def reviewed_labels(ledger: Ledger, job: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the values that people held right, by document and field, with fractions as Decimal.

    They are of fields that an audit has drawn, because only those are a sample of all fields; a field that was drawn
    after the queue had it counts too. A label is left out if the document has changed since, and if the value was
    rejected, since no right value is known.
    """
    audits, labels = Audits(ledger, job), defaultdict[str, dict[str, Any]](dict)
    if not (reviews := list(audits.reviews())):
        return {}
    now = audits.contents()
    for audit in audits.each():
        standing = Standing(audit, latest_reviews(audit, reviews))
        for cell, _ in standing.audited:
            review = standing.reviews.get(cell)
            if review is None or review.verdict == "rejected" or review.value is None:
                continue
            if now.get(cell.doc_id) == audit.documents[cell.doc_id].content:
                labels[cell.doc_id][cell.field] = json.loads(review.value, parse_float=Decimal)
    return dict(labels)
