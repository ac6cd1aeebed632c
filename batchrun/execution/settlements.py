"""The ledger's entries for attempts that have ended, on either route."""

import json

from batchrun.answers.progress import BEGINNING
from batchrun.answers.turns import Step
from batchrun.answers.validation import Judgement
from batchrun.catalog.price import ModelPrice
from batchrun.outcome import Outcome
from batchrun.reply import Failure, Reply
from batchrun.store.ledger.records import Settlement


def answered_settlement(
    attempt_no: int, reply: Reply, step: Step, judgement: Judgement, price: ModelPrice | None
) -> Settlement:
    """Settle an attempt with a reply. A reply without usage or price is booked at its worst case."""
    usage = reply.usage
    return Settlement(
        attempt_no=attempt_no,
        state="answered",
        cost_nusd=price.cost_nusd(usage) if usage and price else None,
        price=price.row(usage) if usage and price else None,
        outcome=step.outcome,
        reason=step.reason,
        output=None if step.output is None else json.dumps(step.output),
        reply=reply,
        progress=BEGINNING if step.outcome is Outcome.SUCCEEDED else step.progress,
        judged=None if step.outcome is judgement.outcome else judgement.outcome,
        findings=step.progress.findings.as_json if step.outcome else None,
    )


def failed_settlement(
    attempt_no: int,
    failure: Failure,
    *,
    outcome: Outcome | None = None,
    reason: str | None = None,
    latency_s: float | None = None,
) -> Settlement:
    """Settle an attempt without a reply. What may have been billed is booked at its worst case.

    Without an `outcome` the request is pending again.
    """
    lost = failure.maybe_billed
    return Settlement(
        attempt_no=attempt_no,
        state="unknown" if lost else "failed",
        cost_nusd=None if lost else 0,
        outcome=outcome,
        reason=reason,
        failure=failure,
        latency_s=latency_s,
    )
