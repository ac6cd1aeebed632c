"""A document on its way: what is known of it, and one attempt from its reservation to its settlement."""

from dataclasses import dataclass, field

from batchrun.budget.caps import Amount
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.execution.retry_policy import Tries
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.stream.rate_limiter import Charge
from batchrun.request import Request
from batchrun.store.ledger.records import Pending


@dataclass(slots=True)
class PendingRequest:
    """A pending document with its request, and what it has been through."""

    record: Pending
    request: Request
    """To the first model of the ladder; those to the others follow from it."""
    text: str | None = None
    """What the request has of the document, when evidence is looked for in it."""
    model_no: int = 0
    """The first model that may still answer it."""
    asked: int = 0
    """The model that was asked last."""
    tries: Tries = field(default_factory=Tries)
    """What it has been through with that one."""

    @property
    def tokens(self) -> RequestTokens:
        """What pacing needs to know of it."""
        return RequestTokens(self.record.counted_tokens, self.record.text_class)


class RetryLater(Exception):
    """Raised by an attempt that is to be tried again after `delay_s`."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self.delay_s = delay_s


@dataclass(slots=True)
class Attempt:
    """One attempt from its reservation to its settlement."""

    pending: PendingRequest
    channel: ModelChannel
    request: Request
    charge: Charge
    attempt_no: int
    sent_at: float
    """By the lane's clock."""


def worst_case(estimator: Estimator, pending: PendingRequest, request: Request, *, soft: bool) -> Amount:
    """What is set aside before a request is sent; what it is expected to cost where that counts."""
    body_bytes, max_tokens = len(request.body), request.max_tokens
    return Amount(
        estimator.worst_case_nusd(pending.tokens, body_bytes=body_bytes, max_tokens=max_tokens),
        estimator.most_prompt_tokens(pending.tokens, body_bytes=body_bytes) + max_tokens,
        estimator.expected_nusd(pending.tokens) if soft else None,
    )
