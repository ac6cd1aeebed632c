"""What a run has used of its limits, minute by minute, and its waits, until the ledger has both."""

import time
from collections import defaultdict
from dataclasses import dataclass

from batchrun.execution.long_waits import LongWaits
from batchrun.reply import Usage
from batchrun.store.ledger.records import MinuteUse, Waited

NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """The limits a minute that are kept just now. None means that no limit is known."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class CountedUsage:
    """What was counted since the last `take`."""

    minutes: list[MinuteUse]
    waits: list[Waited]


class UsageCounters:
    """Counts for one part of a run."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, int], MinuteUse] = {}
        self._waits_s: defaultdict[str, list[float]] = defaultdict(list)
        """The waits by their cause."""
        self.long_waits = LongWaits()

    def used(self, model: str, limits: LimitsInForce, *, requests: int = 0, usage: Usage = NOTHING) -> None:
        """Count requests to a model, and what an answer used. Cache reads do not count to the limits.

        A minute in which nothing was used counts too, with its limits.
        """
        minute = int(time.time() // 60)
        before = self._minutes.get((model, minute))
        self._minutes[model, minute] = MinuteUse(
            model=model,
            minute=minute,
            requests=requests + (before.requests if before else 0),
            input_tokens=usage.input_tokens + usage.cache_write_tokens + (before.input_tokens if before else 0),
            output_tokens=usage.output_tokens + (before.output_tokens if before else 0),
            requests_limit=limits.requests,
            input_tokens_limit=limits.input_tokens,
            output_tokens_limit=limits.output_tokens,
        )

    def waited(self, cause: str, seconds: float) -> None:
        """Count a wait before a send."""
        if seconds > 0:
            self._waits_s[cause].append(seconds)

    def take(self) -> CountedUsage:
        """Return what was counted since the last call, and forget the counts."""
        waits = [Waited(cause, sum(seconds), len(seconds)) for cause, seconds in self._waits_s.items()]
        counted = CountedUsage(list(self._minutes.values()), waits)
        self._minutes.clear()
        self._waits_s.clear()
        return counted
