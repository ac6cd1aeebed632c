"""The circuit breaker of one model: whether the API answers at all, and when to ask again.

Answers earn credit and failures spend credit. When the credit is gone the circuit opens: nothing is sent but one probe
at a time, after a second and a half at first, later after a thirtieth of the time that the outage has lasted. So half a
minute of outage costs about thirty requests, and ten minutes cost a hundred. The first answer closes the circuit. A
request that fails again and again spends credit only once, because the request may be the cause. When another request
began to fail too and nobody was answered since then, each failure spends credit.

An answer of 429 is no answer. Limits are so much a minute, so when nothing else came for more than a minute, or nothing
else will, the circuit opens too; the outage counts from the first 429, and no probe is sent before the API allows.

Everything is a plain computation but for the event that wakes who waits. Times are seconds of any one clock.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterator

from batchrun.execution.retry_policy import Health

MOST_CREDIT = 8.0
EARNED = 0.25
"""The credit for an answer. A failure spends 1, so the credit sinks when more than a fifth of the requests fail."""
PROBE_SHARE, SOONEST_S, LATEST_S = 1 / 30, 1.5, 30.0
LONGEST_PAUSE_S = 60.0
"""So long answers of 429 alone are a matter of pace; what lasts longer is an outage."""
FEWEST = 3
"""So many requests have to fail together, where as many may be in flight: a few may be odd themselves."""


class CircuitBreaker:
    """The circuit breaker of one model in one run."""

    def __init__(self, *, max_outage_s: float, concurrency: int = 2, has_fallback: bool = False) -> None:
        self._max_outage_s = max_outage_s
        self._has_fallback = has_fallback
        self._fewest = min(FEWEST, max(2, concurrency))
        self._credit = MOST_CREDIT
        self._proven = False
        self.down_since: float | None = None
        """When the outage began; None while there is no outage."""
        self._unanswered: set[int] = set()
        """Requests that began to fail. An answer to a request sent after the first such failure empties the set."""
        self._silent_since = math.inf
        self._turned_away_since = math.inf
        """When the first 429 came after which nobody was answered."""
        self._probe_at = -math.inf
        self._probing = False
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether nothing but probes is sent."""
        return self.down_since is not None

    def health(self, now: float) -> Health:
        """Return what is known of the API."""
        if self.down_since is not None:
            return Health.LOST if now - self.down_since >= self._max_outage_s else Health.DOWN
        return Health.ANSWERING if self._proven else Health.UNPROVEN

    def hold_s(self, now: float) -> float:
        """Return how long a request has to wait at least. After 0 seconds a request may be sent, or be the probe."""
        if not self.is_open:
            return 0.0
        return math.inf if self._probing else max(0.0, self._probe_at - now)

    async def changed(self, within_s: float) -> None:
        """Return when something changed, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):  # `wait_for` of Python 3.11 may lose a cancellation
                await self._changed.wait()

    @contextlib.contextmanager
    def passing(self) -> Iterator[bool]:
        """Let a request through; yields whether the request is the probe. The probe ends here, even if never sent."""
        self._probing = is_probe = self.is_open
        try:
            yield is_probe
        finally:
            if is_probe:
                self._probing = False
                self._wake()

    def answered(self, *, sent_at: float) -> None:
        """Take a reply into account."""
        self._proven = True
        self.heard(sent_at=sent_at)

    def heard(self, *, sent_at: float) -> None:
        """Take any answer into account, a refusal too, unless the request was sent before the outage began."""
        if sent_at >= self._silent_since:
            self._unanswered.clear()
            self._silent_since = math.inf
        self._turned_away_since = math.inf
        if self.down_since is None:
            self._credit = min(MOST_CREDIT, self._credit + EARNED)
        elif sent_at >= self.down_since:
            self._credit = MOST_CREDIT / 2
            self.down_since = None
            self._wake()

    def failed(self, now: float, *, sent_at: float, request_no: int, first_time: bool, last_time: bool = False) -> None:
        """Take silence into account: the first, the last or another attempt of a request got no answer."""
        if first_time:
            self._unanswered.add(request_no)
            self._silent_since = min(self._silent_since, now)
        if self.down_since is not None:
            if sent_at >= self.down_since:  # the probe; others were in flight when the outage began
                self._postpone(now, now - self.down_since)
            return
        # Where few requests are in flight, they would use up their attempts before the credit.
        silence = request_no in self._unanswered and len(self._unanswered) >= self._fewest
        # While nobody was ever answered, requests go one by one and give up, unless another model can answer.
        if (self._proven or self._has_fallback) and (first_time or silence):
            self._credit -= 1
            if self._credit <= 0 or (silence and last_time):
                self.trip(now)

    def turned_away(self, now: float, *, sent_at: float, retry_after_s: float) -> None:
        """Take a 429 into account: the API answers nobody for at least `retry_after_s` seconds more."""
        self._turned_away_since = since = min(self._turned_away_since, now)
        if self.down_since is None:
            if now + retry_after_s - since > min(LONGEST_PAUSE_S, self._max_outage_s):
                self.down_since = since
        elif sent_at < self.down_since:
            return
        if self.down_since is not None:
            self._postpone(now, now - self.down_since, asked_s=retry_after_s)

    def trip(self, now: float) -> None:
        """Open the circuit."""
        if not self.is_open:
            self.down_since = now
            self._postpone(now, lasted_s=0.0)

    def _postpone(self, now: float, lasted_s: float, asked_s: float = 0.0) -> None:
        wait_s = max(asked_s, min(LATEST_S, max(SOONEST_S, PROBE_SHARE * lasted_s)))
        # The last probe comes when the patience ends.
        left_s = self._max_outage_s - lasted_s
        self._probe_at = now + (min(wait_s, left_s) if left_s > 0 else wait_s)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
