"""The rate limit headers of an answer: limits as configured, what is left of them, and when all of it is back."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One limit at a moment."""

    per_minute: int
    left: float
    """Not below zero."""
    full_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The three limits of a pool of models at a moment of the monotonic clock."""

    at: float
    requests: Level
    input_tokens: Level
    output_tokens: Level

    def headers(self, now: float, wall: float) -> Iterator[tuple[str, str]]:
        """Write the headers: tokens in thousands. `wall`: seconds since 1970, read at `now`."""
        inputs, outputs = self.input_tokens, self.output_tokens
        both = Level(
            per_minute=inputs.per_minute + outputs.per_minute,
            left=inputs.left + outputs.left,
            full_in_s=max(inputs.full_in_s, outputs.full_in_s),
        )
        seen = wall - (now - self.at)
        yield from _header("requests", self.requests, int(self.requests.left), seen)
        yield from _header("input-tokens", inputs, _thousands(inputs.left), seen)
        yield from _header("output-tokens", outputs, _thousands(outputs.left), seen)
        yield from _header("tokens", both, _thousands(both.left), seen)


def _header(name: str, level: Level, remaining: int, seen: float) -> Iterator[tuple[str, str]]:
    yield f"anthropic-ratelimit-{name}-limit", str(level.per_minute)
    yield f"anthropic-ratelimit-{name}-remaining", str(remaining)
    yield f"anthropic-ratelimit-{name}-reset", _written(math.ceil(seen + level.full_in_s))


def _thousands(tokens: float) -> int:
    return round(tokens / 1000) * 1000


@lru_cache(maxsize=256)  # most answers of a second name the same moments
def _written(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
