"""A Message Batch: the states that the ledger gives a batch, what the API reports of a batch, and the results."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from batchrun.reply import Failure, Reply

MOST_REQUESTS = 100_000
"""The most requests in one batch (API documentation, batch processing)."""
MOST_BYTES = 256_000_000
"""The most bytes of a batch's body."""
EXPIRES_AFTER_S = 24 * 3600.0
"""The time after which a request of a batch is no longer processed, and not billed."""
RESULTS_KEPT_S = 29 * 24 * 3600.0
"""The time from the creation on after which the results are gone."""


class BatchState(StrEnum):
    """Where a batch is in its life; `store/ledger/batches.py` has the transitions."""

    PREPARED = "prepared"
    """The ledger has the batch's members and nonce; the batch may have been sent."""
    SUBMITTED = "submitted"
    """The API has the batch, and the ledger has the batch's id."""
    ENDED = "ended"
    """The API is done with the batch, and its results are being collected."""
    COLLECTED = "collected"
    """Every member has its result in the ledger, or is booked as lost."""
    ABANDONED = "abandoned"
    """The batch was never created, or was given up by hand: its requests are pending again."""

    @property
    def open(self) -> bool:
        """Whether something of the batch is still to come."""
        return self in {BatchState.PREPARED, BatchState.SUBMITTED, BatchState.ENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBatch:
    """A batch as the API reports the batch; times are seconds since 1970 by the API's clock."""

    batch_id: str
    status: str
    """`in_progress`, `canceling` or `ended`."""
    counts: Mapping[str, int]
    """Requests by `processing`, `succeeded`, `errored`, `canceled`, `expired`; until the end all are `processing`."""
    created_at: float
    expires_at: float | None = None
    ended_at: float | None = None
    archived: bool = False
    """Whether the results are gone."""
    results_url: str | None = None
    retry_after_s: float | None = None
    """When the API wants to be asked again; the API says so even beside good answers."""
    nonce: str | None = None
    """The nonce with which the batch was created. None if the provider keeps no such word with a batch."""

    @property
    def requests(self) -> int:
        """How many requests the batch has; 0 when the API does not say."""
        return sum(self.counts.values())

    @property
    def ended(self) -> bool:
        """Whether the results can be collected."""
        return self.status == "ended"


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of the API's list of batches, the newest first."""

    batches: tuple[RemoteBatch, ...]
    has_more: bool
    server_time: float | None = None
    """When the API answered, in seconds since 1970 by the API's clock; None when the API does not say."""


class ResultType(StrEnum):
    """How one request of a batch ended, in the API's words."""

    SUCCEEDED = "succeeded"
    ERRORED = "errored"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """One line of a batch's results. Only requests that succeeded were billed."""

    nonce: str = ""
    """The nonce of the batch, by the line's own word; empty when the line is not named as we name requests."""
    request_id: str = ""
    """The id of the request; a line that is not named as we name requests has its whole name here, or nothing."""
    type: ResultType | None
    """How the request ended; None for a line that is no result."""
    reply: Reply | None = None
    """The reply of a request that succeeded; None when the message in the line cannot be read."""
    failure: Failure | None = None
    """What is known of a request that errored, or of a message that cannot be read."""

    @property
    def is_named(self) -> bool:
        """Whether the line names a request at all, ours or another's."""
        return bool(self.nonce or self.request_id)


class BatchBody(Protocol):
    """What creates a batch: the intent, and the body of the create call in parts, never in memory as a whole."""

    @property
    def model(self) -> str:
        """The engine name of the model that all members ask."""

    @property
    def nonce(self) -> str:
        """The word that names this batch and no other."""

    @property
    def requests(self) -> int:
        """The number of members."""

    @property
    def size(self) -> int:
        """The number of bytes in all parts."""

    def members(self) -> AsyncIterator[bytes]:
        """Yield each member as JSON, in order, for a provider whose body has another form.

        The batch may exist from the end of the members on, so the end is to be awaited before the call that creates.
        Whatever goes before that call, such as an upload, goes before the end.
        """

    def parts(self) -> AsyncIterator[bytes]:
        """Yield the bytes, in order."""
