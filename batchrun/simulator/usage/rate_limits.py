"""Rate limits that really bite: per model and minute, requests, input and output tokens, refilled continuously.

Time is a value handed in, in seconds of any monotonic clock. `speed` multiplies the refill: at speed 10 a simulated
minute is six real seconds, while the advertised limits stay as configured.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from batchrun.simulator.faults.outages import NOBODY, OtherClient

_DUST = 1e-6  # what adding fractions leaves behind is no shortage

Dimension = Literal["requests", "input tokens", "output tokens"]


class Limits(NamedTuple):
    """What one model may do in a minute."""

    requests_per_minute: int
    input_tokens_per_minute: int
    output_tokens_per_minute: int


def start_limits(pool: str) -> Limits:
    """Return the published limits of a pool of models in the tier Start; Fable and Mythos have their own."""
    if pool.startswith(("fable", "mythos")):
        return Limits(1_000, 500_000, 100_000)
    return Limits(1_000, 2_000_000, 400_000)


class Level(NamedTuple):
    """One limit as the headers state it: the limit, what remains, and when the bucket is full again."""

    per_minute: int
    left: float
    full_at: float


Levels = Mapping[Dimension, Level]


class Bucket:
    """One limit. A bucket starts full, and may go below zero: what was produced has to be counted.

    Other clients never take a bucket below zero: they are turned away too while the bucket is in debt. Waits leave
    other clients out of account.
    """

    def __init__(self, per_minute: int, *, burst_s: float, speed: float, others: OtherClient = NOBODY) -> None:
        self.per_minute = per_minute
        self.capacity = max(1.0, per_minute * burst_s / 60)
        self._per_second = per_minute * speed / 60
        self._others = others
        self._level = self.capacity
        self._at = -math.inf

    def level(self, now: float) -> float:
        """Return what is in the bucket."""
        alone_s = max(0.0, min(now, self._others.from_s) - self._at)
        level = min(self.capacity, self._level + alone_s * self._per_second)
        shared_s = max(0.0, now - max(self._at, self._others.from_s))
        in_debt_s = min(shared_s, max(0.0, -level) / self._per_second)
        refill_s = in_debt_s + (shared_s - in_debt_s) * (1 - self._others.share)
        return min(self.capacity, level + refill_s * self._per_second)

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until the amount is there. More than fits is let in when the bucket is full."""
        missing = min(amount, self.capacity) - self.level(now)
        return missing / self._per_second if missing > _DUST else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take the amount, there or not."""
        self._level = self.level(now) - amount
        self._at = max(now, self._at)

    def stated(self, now: float) -> Level:
        """Return the limit as the headers state it."""
        level = self.level(now)
        return Level(self.per_minute, max(0.0, level), now + (self.capacity - level) / self._per_second)


class Shortage(NamedTuple):
    """Why a request has to come back later, and when."""

    wait_s: float
    dimension: Dimension
    per_minute: int


class ModelBuckets:
    """The three limits of one pool of models."""

    def __init__(self, limits: Limits, *, burst_s: float, speed: float, others: OtherClient = NOBODY) -> None:
        names: tuple[Dimension, ...] = ("requests", "input tokens", "output tokens")
        self._buckets = {
            name: Bucket(limit, burst_s=burst_s, speed=speed, others=others)
            for name, limit in zip(names, limits, strict=True)
        }

    def shortage(self, input_tokens: int, now: float) -> Shortage | None:
        """Return the limit that makes a request wait longest, or None. Nothing is taken."""
        # Output is counted as it is produced: a request is let in as long as anything is left.
        wanted = {"requests": 1, "input tokens": input_tokens, "output tokens": 1}
        waits = (
            Shortage(bucket.wait(wanted[name], now), name, bucket.per_minute) for name, bucket in self._buckets.items()
        )
        longest = max(waits, key=lambda shortage: shortage.wait_s)
        return longest if longest.wait_s > 0 else None

    def admit(self, input_tokens: int, now: float) -> None:
        """Count a request and its input."""
        self._buckets["requests"].take(1, now)
        self._buckets["input tokens"].take(input_tokens, now)

    def produce(self, output_tokens: int, now: float) -> None:
        """Count output."""
        self._buckets["output tokens"].take(output_tokens, now)

    def levels(self, now: float) -> Levels:
        """Return the three limits as the headers state them."""
        return {name: bucket.stated(now) for name, bucket in self._buckets.items()}


def limit_headers(levels: Levels, *, epoch_s: float) -> Iterator[tuple[str, str]]:
    """Write the headers of a response: tokens in thousands. `epoch_s` is when the clock was 0, since 1970."""
    inputs, outputs = levels["input tokens"], levels["output tokens"]
    both = Level(
        inputs.per_minute + outputs.per_minute, inputs.left + outputs.left, max(inputs.full_at, outputs.full_at)
    )
    for name, level in (*levels.items(), ("tokens", both)):
        remaining = int(level.left) if name == "requests" else round(level.left / 1000) * 1000
        header = f"anthropic-ratelimit-{name.replace(' ', '-')}"
        yield f"{header}-limit", str(level.per_minute)
        yield f"{header}-remaining", str(remaining)
        yield f"{header}-reset", _written(math.ceil(level.full_at + epoch_s))


@lru_cache(maxsize=256)  # most responses of a second name the same moments
def _written(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
