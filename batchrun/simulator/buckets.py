"""Rate limits that really bite: per model and minute, requests, input and output tokens, refilled continuously.

Time is a value handed in, in seconds of any monotonic clock. `speed` multiplies the refill: at speed 10 a simulated
minute is six real seconds, while the advertised limits stay as configured.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from batchrun.simulator.limit_headers import Level, Levels

_DUST = 1e-6  # what adding fractions leaves behind is no shortage

Dimension = Literal["requests", "input tokens", "output tokens"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one model may do in a minute."""

    requests_per_minute: int
    input_tokens_per_minute: int
    output_tokens_per_minute: int


TIERS: Mapping[str, Mapping[str, Limits]] = {
    "start": {"fable": Limits(1_000, 500_000, 100_000), "others": Limits(1_000, 2_000_000, 400_000)},
    "build": {"fable": Limits(2_000, 1_500_000, 300_000), "others": Limits(5_000, 5_000_000, 1_000_000)},
    "scale": {"fable": Limits(4_000, 4_000_000, 800_000), "others": Limits(10_000, 10_000_000, 2_000_000)},
}
"""Published limits by tier; Fable and Mythos have their own."""


def tier_limits(tier: str, pool: str) -> Limits:
    """Look up the limits of a pool of models in a tier."""
    return TIERS[tier]["fable" if pool.startswith(("fable", "mythos")) else "others"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What others take of a limit: a share of all that comes back, from a moment on."""

    share: float = 0.0
    since: float = math.inf


NOBODY = Drain()


class Bucket:
    """One limit. It starts full, and may go below zero: what was produced has to be counted.

    Others never take it below zero: while it is there, they are turned away too. Waits do not know of others.
    """

    def __init__(self, per_minute: int, *, burst_s: float, speed: float, drain: Drain = NOBODY) -> None:
        self.per_minute = per_minute
        self.capacity = max(1.0, per_minute * burst_s / 60)
        self._per_second = per_minute * speed / 60
        self._drain = drain
        self._level = self.capacity
        self._at = -math.inf

    def __repr__(self) -> str:
        return f"Bucket({self._level:.1f} of {self.capacity:.0f} at {self._at:.3f}, {self.per_minute}/min)"

    def level(self, now: float) -> float:
        """Return what is in it."""
        alone_s = max(0.0, min(now, self._drain.since) - self._at)
        level = min(self.capacity, self._level + alone_s * self._per_second)
        shared_s = max(0.0, now - max(self._at, self._drain.since))
        in_debt_s = min(shared_s, max(0.0, -level) / self._per_second)
        refill_s = in_debt_s + (shared_s - in_debt_s) * (1 - self._drain.share)
        return min(self.capacity, level + refill_s * self._per_second)

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until the amount is there. More than fits is let in when the bucket is full."""
        missing = min(amount, self.capacity) - self.level(now)
        return missing / self._per_second if missing > _DUST else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take the amount, there or not."""
        self._level = self.level(now) - amount
        self._at = max(now, self._at)

    def told(self, now: float) -> Level:
        """Return what a client is told of it."""
        level = self.level(now)
        full_in_s = (self.capacity - level) / self._per_second
        return Level(per_minute=self.per_minute, left=max(0.0, level), full_in_s=full_in_s)


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why a request has to come back later, and when."""

    dimension: Dimension
    per_minute: int
    wait_s: float


class ModelBuckets:
    """The three limits of one pool of models."""

    def __init__(self, limits: Limits, *, burst_s: float, speed: float, drain: Drain = NOBODY) -> None:
        self._requests = Bucket(limits.requests_per_minute, burst_s=burst_s, speed=speed, drain=drain)
        self._input = Bucket(limits.input_tokens_per_minute, burst_s=burst_s, speed=speed, drain=drain)
        self._output = Bucket(limits.output_tokens_per_minute, burst_s=burst_s, speed=speed, drain=drain)

    def shortage(self, input_tokens: int, now: float) -> Shortage | None:
        """Return the limit that makes a request wait longest, or None. Nothing is taken."""
        # Output is counted as it is produced: a request is let in as long as anything is left.
        wanted: tuple[tuple[Dimension, Bucket, int], ...] = (
            ("requests", self._requests, 1),
            ("input tokens", self._input, input_tokens),
            ("output tokens", self._output, 1),
        )
        short = [
            Shortage(dimension, bucket.per_minute, wait_s)
            for dimension, bucket, amount in wanted
            if (wait_s := bucket.wait(amount, now)) > 0
        ]
        return max(short, key=lambda shortage: shortage.wait_s, default=None)

    def admit(self, input_tokens: int, now: float) -> None:
        """Count a request and its input."""
        self._requests.take(1, now)
        self._input.take(input_tokens, now)

    def produce(self, output_tokens: int, now: float) -> None:
        """Count output."""
        self._output.take(output_tokens, now)

    def levels(self, now: float) -> Levels:
        """Return what a client is told of the three."""
        return Levels(
            at=now,
            requests=self._requests.told(now),
            input_tokens=self._input.told(now),
            output_tokens=self._output.told(now),
        )

    def headers(self, now: float, wall: float) -> Iterator[tuple[str, str]]:
        """Write the headers as of now. `wall`: seconds since 1970."""
        return self.levels(now).headers(now, wall)
