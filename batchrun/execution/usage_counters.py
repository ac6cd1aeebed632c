"""What a run used of its limits, minute by minute, and what kept it from using more, until the ledger has it."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from batchrun.reply import Usage
from batchrun.store.ledger.records import MinuteUse, Waited


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """Limits a minute that are kept just now; None: none is known."""

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
    """What was counted since it was taken last."""

    minutes: list[MinuteUse]
    waits: list[Waited]

    def __bool__(self) -> bool:
        return bool(self.minutes or self.waits)


@dataclass(slots=True)
class UsageCounters:
    """Counts for one part of a run; `clock` is in seconds since 1970."""

    clock: Callable[[], float] = time.time
    _minutes: defaultdict[tuple[str, int], _Minute] = field(default_factory=lambda: defaultdict(_Minute))
    _seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _times: Counter[str] = field(default_factory=Counter)

    def sent(self, model: str, limits: LimitsInForce) -> None:
        """Count a request to a model."""
        minute = self._minutes[model, self._minute_now()]
        minute.requests, minute.limits = minute.requests + 1, limits

    def passing(self, model: str, limits: LimitsInForce) -> None:
        """Count this minute, whether or not anything happens in it."""
        self._minutes[model, self._minute_now()].limits = limits

    def answered(self, model: str, usage: Usage, limits: LimitsInForce) -> None:
        """Count what an answer used of the token limits: cache reads are free of them."""
        minute = self._minutes[model, self._minute_now()]
        minute.input_tokens += usage.input_tokens + usage.cache_write_tokens
        minute.output_tokens += usage.output_tokens
        minute.limits = limits

    def waited(self, cause: str, seconds: float) -> None:
        """Count a wait before a send."""
        if seconds > 0:
            self._seconds[cause] += seconds
            self._times[cause] += 1

    def take(self) -> CountedUsage:
        """What was counted since the last call; it is forgotten here."""
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
        waits = [Waited(cause, seconds, self._times[cause]) for cause, seconds in self._seconds.items()]
        self._minutes.clear()
        self._seconds.clear()
        self._times.clear()
        return CountedUsage(minutes, waits)

    def _minute_now(self) -> int:
        return int(self.clock() // 60)
