"""How long a run will take, and which limit decides the time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchrun.catalog.rate_limits import RateLimits
from batchrun.estimation.estimate import Estimate

_FIRST_TOKEN_S = 1.5
_TOKENS_PER_SECOND = 70.0


class Bound(StrEnum):
    """What a run waits for, as shown to people."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input tokens"
    OUTPUT_TOKENS = "output tokens"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Duration:
    """The time a run takes when nothing goes wrong."""

    seconds: float
    binding: Bound
    use: Mapping[Bound, float]
    """The share of each limit that the run uses on average. For latency, the share of its connections."""


def reply_latency_s(output_tokens: float) -> float:
    """Guess how long one reply takes, before any reply was seen."""
    return _FIRST_TOKEN_S + output_tokens / _TOKENS_PER_SECOND


def expected_duration(
    estimate: Estimate, limits: RateLimits, *, concurrency: int, latency_s: float | None = None
) -> Duration:
    """Forecast how long the estimated requests take. One reply's `latency_s` is guessed from its length if missing."""
    documents, requests = estimate.documents, estimate.requests
    if latency_s is None:
        latency_s = reply_latency_s(estimate.output.mean / max(requests, 1))
    waits = {
        Bound.REQUESTS: _seconds(requests, limits.requests_per_minute, limits.headroom),
        Bound.INPUT_TOKENS: _seconds(estimate.input.mean, limits.input_tokens_per_minute, limits.headroom),
        Bound.OUTPUT_TOKENS: _seconds(estimate.output.mean, limits.output_tokens_per_minute, limits.headroom),
        # The requests about one document are sent one after the other.
        Bound.LATENCY: math.ceil(documents / concurrency) * latency_s * (requests / max(documents, 1)),
    }
    # The last request is admitted when its limit allows it, and then has to be answered.
    seconds = max(wait + (latency_s if bound is not Bound.LATENCY else 0.0) for bound, wait in waits.items())
    if not documents:
        return Duration(0.0, Bound.LATENCY, dict.fromkeys(Bound, 0.0))
    binding = max(waits, key=lambda bound: waits[bound])
    return Duration(seconds, binding, {bound: wait / seconds for bound, wait in waits.items()})


def _seconds(amount: float, per_minute: int, headroom: float) -> float:
    return amount / (per_minute * headroom / 60)
