"""The life of a Message Batch as a function of its age, in virtual seconds since its creation. Nothing runs meanwhile.

Every request has its moment, a share of the time the whole batch takes. What has not had its moment when the batch is
canceled or expires is never processed.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from batchrun.simulator.replies.latency import spread_factor

EXPIRES_AFTER_S = 24 * 3600.0
_RESULTS_KEPT_S = 29 * 24 * 3600.0
_CANCELING_S = 25.0
_STUCK_FROM = 0.5


class RequestEnding(StrEnum):
    """How a request of a batch ended, in the API's words and order."""

    SUCCEEDED = "succeeded"
    ERRORED = "errored"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTerms:
    """What a batch may be and how long it takes; as published for the tier Start, and about as measured."""

    most_requests: int = 100_000
    most_bytes: int = 256_000_000
    most_queued: int = 200_000  # requests in processing, over all batches
    median_s: float = 120.0  # for a small batch
    per_request_s: float = 0.01
    spread: float = 0.6  # of the logarithm of the time
    # The shares of requests that read from the prompt cache, besides the first; "30 to 98%" as published.
    least_hits: float = 0.6
    most_hits: float = 0.9

    def duration(self, requests: int, chance: float) -> float:
        """Return the virtual seconds a batch takes; `chance` in [0, 1) says how lucky the batch is."""
        return (self.median_s + self.per_request_s * requests) * spread_factor(self.spread, chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What is decided about a batch, and whether it was canceled."""

    lasts_s: float
    never_ends: bool = False
    archived_at_once: bool = False
    canceled_at: float | None = None

    @property
    def ends_at(self) -> float:
        """The age at which the batch ends."""
        own_end = math.inf if self.never_ends else self.lasts_s
        canceled = math.inf if self.canceled_at is None else self.canceled_at + _CANCELING_S
        return min(own_end, canceled, EXPIRES_AFTER_S)

    @property
    def archived_at(self) -> float:
        """The age at which the results are gone."""
        return self.ends_at if self.archived_at_once else max(self.ends_at, _RESULTS_KEPT_S)

    def status(self, age: float) -> str:
        """Return the processing status in the API's words."""
        if age >= self.ends_at:
            return "ended"
        return "in_progress" if self.canceled_at is None else "canceling"

    def reached_at(self, moment: float) -> float:
        """Return the age at which a request would be processed; `moment` is a number in [0, 1)."""
        return math.inf if self.never_ends and moment >= _STUCK_FROM else moment * self.lasts_s

    def unprocessed(self, moment: float) -> RequestEnding | None:
        """Return how a request ended that was never processed, or None."""
        reached = self.reached_at(moment)
        if self.canceled_at is not None and reached > self.canceled_at:
            return RequestEnding.CANCELED
        return RequestEnding.EXPIRED if reached > EXPIRES_AFTER_S else None
