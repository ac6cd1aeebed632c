"""The circuit of one model: whether its API answers at all, and when to ask again.

Answers earn credit and failures spend it. When it is gone the circuit opens: nothing is sent but one probe at a time,
after a second and a half at first, later after a thirtieth of the time that the outage has lasted: half a minute of
outage costs about thirty requests, ten minutes a hundred. The first answer closes it. A request that fails again and
again spends only once: it may be the request; unless another began to fail too and nobody was answered since then.

Pure but for the event that tells who waits of a change; times are seconds of any one clock.
"""

import asyncio
import contextlib
import math
from enum import StrEnum

MOST_CREDIT = 8.0
EARNED = 0.25
"""For an answer; a failure spends 1: a fifth of requests failing is where it begins to sink."""
PROBE_SHARE, SOONEST_S, LATEST_S = 1 / 30, 1.5, 30.0
FEWEST = 3
"""So many requests have to fail together, where as many may be under way: fewer may be odd themselves."""


class Health(StrEnum):
    """What is known of the API of a model."""

    UNPROVEN = "unproven"
    """Nothing was ever answered in this run."""
    ANSWERING = "answering"
    DOWN = "down"
    """Nobody is answered just now: everyone waits."""
    LOST = "lost"
    """Nobody has been answered for as long as the job is willing to wait."""


class CircuitBreaker:
    """Of one model, in one run."""

    def __init__(self, *, max_outage_s: float, concurrency: int = 2, has_fallback: bool = False) -> None:
        self._max_outage_s = max_outage_s
        self._has_fallback = has_fallback
        self._fewest = min(FEWEST, max(2, concurrency))
        self._credit = MOST_CREDIT
        self._proven = False
        self._down_since = math.inf
        self._unanswered: set[int] = set()
        """Requests that began to fail since the last answer to anything sent since the first of them did."""
        self._silent_since = math.inf
        self._probe_at = -math.inf
        self._probing = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"Circuit(credit={self._credit:g}, down_since={self._down_since:g}, probing={self._probing})"

    @property
    def is_open(self) -> bool:
        """Whether nothing but probes is sent."""
        return self._down_since < math.inf

    @property
    def down_since(self) -> float | None:
        """When the outage began; None while there is none."""
        return self._down_since if self.is_open else None

    def health(self, now: float) -> Health:
        """What is known of it."""
        if self.is_open:
            return Health.LOST if now - self._down_since >= self._max_outage_s else Health.DOWN
        return Health.ANSWERING if self._proven else Health.UNPROVEN

    def hold_s(self, now: float) -> float:
        """How long a request has to wait at least; 0: it may be sent, and is the probe if the circuit is open."""
        if not self.is_open:
            return 0.0
        return math.inf if self._probing else max(0.0, self._probe_at - now)

    async def changed(self, within_s: float) -> None:
        """Return when something changed, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(within_s) else within_s):
                await self._changed.wait()

    def pass_one(self) -> bool:
        """Let a request through; whether it is the probe, which `probed` has to follow."""
        self._probing = self.is_open
        return self._probing

    def answered(self, *, sent_at: float) -> None:
        """A reply came."""
        self._proven = True
        self.heard(sent_at=sent_at)

    def heard(self, *, sent_at: float) -> None:
        """An answer came, be it a no: somebody is there, unless it was sent before the outage began."""
        if sent_at >= self._silent_since:
            self._unanswered.clear()
            self._silent_since = math.inf
        if self.is_open and sent_at < self._down_since:
            return
        self._credit = min(MOST_CREDIT, self._credit + EARNED)
        if self.is_open:
            self._credit = MOST_CREDIT / 2
            self._down_since = math.inf
            self._tell()

    def failed(self, now: float, *, sent_at: float, request_no: int, first_time: bool, last_time: bool = False) -> None:
        """No answer came; `first_time` and `last_time` for this request."""
        if first_time:
            self._unanswered.add(request_no)
            self._silent_since = min(self._silent_since, now)
        if self.is_open:
            if sent_at >= self._down_since:  # the probe; others were under way when the outage began
                self._postpone(now)
            return
        # Where few are under way, they would use up their attempts before the credit.
        silence = request_no in self._unanswered and len(self._unanswered) >= self._fewest
        # While nobody was ever answered, requests go one by one and give up, unless another model can answer.
        if (self._proven or self._has_fallback) and (first_time or silence):
            self._credit -= 1
            if self._credit <= 0 or (silence and last_time):
                self.trip(now)

    def trip(self, now: float) -> None:
        """Open it."""
        if not self.is_open:
            self._down_since = now
            self._postpone(now)

    def probed(self) -> None:
        """The probe came to its end, be it that it was not sent after all."""
        self._probing = False
        self._tell()

    def _postpone(self, now: float) -> None:
        lasted_s = now - self._down_since
        wait_s = min(LATEST_S, max(SOONEST_S, PROBE_SHARE * lasted_s))
        # The last probe comes when the patience ends.
        left_s = self._max_outage_s - lasted_s
        self._probe_at = now + (min(wait_s, left_s) if left_s > 0 else wait_s)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
