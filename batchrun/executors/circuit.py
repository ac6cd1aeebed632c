"""The circuit of one model: whether its API answers at all, and when to ask again.

Answers earn credit and failures spend it. When it is gone the circuit opens: nothing is sent but one probe at a time,
after a second and a half at first, later after a twentieth of the time that the outage has lasted: half a minute of
outage costs about thirty requests, ten minutes a hundred. The first answer closes it. A request that fails again and
again spends only once: it may be the request.

Pure but for the event that tells who waits of a change; times are seconds of any one clock.
"""

import asyncio
import contextlib
import math
from enum import StrEnum

MOST_CREDIT, LEAST_CREDIT = 8.0, 2.0
EARNED = 0.25
"""For an answer; a failure spends 1: a fifth of requests failing is where it begins to sink."""
PROBE_SHARE, SOONEST_S, LATEST_S = 0.05, 1.5, 30.0


class Health(StrEnum):
    """What is known of the API of a model."""

    UNPROVEN = "unproven"
    """Nothing was ever answered in this run."""
    ANSWERING = "answering"
    DOWN = "down"
    """Nobody is answered just now: everyone waits."""
    LOST = "lost"
    """Nobody has been answered for as long as the job is willing to wait."""


class Circuit:
    """Of one model, in one run."""

    def __init__(self, *, max_outage_s: float, concurrency: int = math.ceil(MOST_CREDIT)) -> None:
        """With few requests under way at once there is less credit: all of them fail, and none is given up for it."""
        self._max_outage_s = max_outage_s
        self._most_credit = min(MOST_CREDIT, max(LEAST_CREDIT, concurrency))
        self._credit = self._most_credit
        self._proven = False
        self._down_since = math.inf
        self._probe_at = -math.inf
        self._probing = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"Circuit(credit={self._credit:g}, down_since={self._down_since:g}, probing={self._probing})"

    @property
    def is_open(self) -> bool:
        """Whether nothing but probes is sent."""
        return self._down_since < math.inf

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
        if self.is_open and sent_at < self._down_since:
            return
        self._credit = min(self._most_credit, self._credit + EARNED)
        if self.is_open:
            self._credit = self._most_credit / 2
            self._down_since = math.inf
            self._tell()

    def failed(self, now: float, *, sent_at: float, first_time: bool) -> None:
        """No answer came; `first_time` for this request."""
        if self.is_open:
            if sent_at >= self._down_since:  # the probe; others were under way when the outage began
                self._postpone(now)
        elif first_time and self._proven:  # while nobody was ever answered, requests go one by one and give up soon
            self._credit -= 1
            if self._credit <= 0:
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
