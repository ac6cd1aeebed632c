"""A Message Batch: the states the ledger gives it, what the API tells of one, and what comes back from it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from batchrun.reply import Failure, Reply

MOST_REQUESTS = 100_000
"""In one batch (API documentation, batch processing)."""
MOST_BYTES = 256_000_000
"""Of one batch's body."""
EXPIRES_AFTER_S = 24 * 3600.0
"""What has not been processed by then never is, and is not billed."""
RESULTS_KEPT_S = 29 * 24 * 3600.0
"""From the creation on; after that the results are gone."""


class BatchState(StrEnum):
    """Where a batch is in its life; `store/ledger/batches.py` has the transitions."""

    PREPARED = "prepared"
    """Its members and nonce are in the ledger; it may have been sent."""
    SUBMITTED = "submitted"
    """The API has it, and the ledger has its id."""
    ENDED = "ended"
    """The API is done with it; its results are being collected."""
    COLLECTED = "collected"
    """Every member has its result in the ledger, or is booked as lost."""
    ABANDONED = "abandoned"
    """It was never created, or was given up by hand: its requests are pending again."""

    @property
    def open(self) -> bool:
        """Whether something is still to come of it."""
        return self in {BatchState.PREPARED, BatchState.SUBMITTED, BatchState.ENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBatch:
    """A batch as the API tells it; times in seconds since 1970 by the API's clock."""

    batch_id: str
    status: str
    """`in_progress`, `canceling` or `ended`."""
    counts: Mapping[str, int]
    """Requests by `processing`, `succeeded`, `errored`, `canceled`, `expired`; all are `processing` until it ends."""
    created_at: float
    expires_at: float | None = None
    ended_at: float | None = None
    archived: bool = False
    """Whether its results are gone."""
    results_url: str | None = None
    retry_after_s: float | None = None
    """When the API wants to be asked again; it says so even beside good answers."""

    @property
    def requests(self) -> int:
        """How many requests it has; 0 when the API does not tell."""
        return sum(self.counts.values())

    @property
    def ended(self) -> bool:
        """Whether its results can be collected."""
        return self.status == "ended"


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of the API's list of batches, the newest first."""

    batches: tuple[RemoteBatch, ...]
    has_more: bool
    told_at: float | None = None
    """When, by the API's clock, in seconds since 1970; None when it does not say."""


class ResultType(StrEnum):
    """How one request of a batch ended, in the API's words."""

    SUCCEEDED = "succeeded"
    ERRORED = "errored"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """One line of a batch's results. Only what succeeded was billed."""

    nonce: str = ""
    """The nonce of the batch, by the line's own word; empty when the line is not named as we name requests."""
    request_id: str = ""
    """The id of the request; a line that is not named as we name requests has its whole name here, or nothing."""
    type: ResultType | None
    """None for a line that is no result."""
    reply: Reply | None = None
    """The reply of a request that succeeded; None when the message in the line cannot be read."""
    failure: Failure | None = None
    """What is known of a request that errored, or of a message that cannot be read."""

    @property
    def is_named(self) -> bool:
        """Whether the line names a request at all, ours or another's."""
        return bool(self.nonce or self.request_id)


class BatchBody(Protocol):
    """The body of a create call, in parts, so that it is never in memory as a whole."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def parts(self) -> AsyncIterator[bytes]:
        """The bytes, in order."""
        ...
