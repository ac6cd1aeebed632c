"""What a run has used of its limits, minute by minute, and its waits, until the ledger has both."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from batchrun.reply import Usage
from batchrun.store.ledger.records import MinuteUse, Waited

NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """The limits a minute that are kept just now. None means that no limit is known."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(slots=True)
class _Minute:
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    limits: LimitsInForce = LimitsInForce()


@dataclass(frozen=True, slots=True)
class CountedUsage:
    """What was counted since the last `take`."""

    minutes: list[MinuteUse]
    waits: list[Waited]


@dataclass(slots=True)
class UsageCounters:
    """Counts for one part of a run. The `clock` shows seconds since 1970."""

    clock: Callable[[], float] = time.time
    _minutes: defaultdict[tuple[str, int], _Minute] = field(default_factory=lambda: defaultdict(_Minute))
    _waits_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """The waits by their cause."""

    def used(self, model: str, limits: LimitsInForce, *, requests: int = 0, usage: Usage = NOTHING) -> None:
        """Count requests to a model, and what answers used. Cache reads do not count to the limits.

        A minute in which nothing was used counts too, with its limits.
        """
        minute = self._minutes[model, int(self.clock() // 60)]
        minute.requests += requests
        minute.input_tokens += usage.input_tokens + usage.cache_write_tokens
        minute.output_tokens += usage.output_tokens
        minute.limits = limits

    def waited(self, cause: str, seconds: float) -> None:
        """Count a wait before a send."""
        if seconds > 0:
            self._waits_s[cause].append(seconds)

    def take(self) -> CountedUsage:
        """Return what was counted since the last call, and forget the counts."""
        minutes = [
            MinuteUse(
                model=model,
                minute=minute,
                requests=use.requests,
                input_tokens=use.input_tokens,
                output_tokens=use.output_tokens,
                requests_limit=use.limits.requests,
                input_tokens_limit=use.limits.input_tokens,
                output_tokens_limit=use.limits.output_tokens,
            )
            for (model, minute), use in self._minutes.items()
        ]
        waits = [Waited(cause, sum(seconds), len(seconds)) for cause, seconds in self._waits_s.items()]
        self._minutes.clear()
        self._waits_s.clear()
        return CountedUsage(minutes, waits)
