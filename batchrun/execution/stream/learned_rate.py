"""The rate of requests that answers of 429 teach where no header tells a limit.

The server had no room at the first 429 of an episode, nor at the first 429 of the next episode. So what the server took
in between, over the time in between, is the server's rate, whatever its window or burst. Requests go below that rate
first, stay near the rate, and go beyond the rate faster and faster, as CUBIC does for packets. So a rate that was
learnt too low is soon found out, and a rate that is right is exceeded once in some hundred requests.

Everything is a plain computation. Times are seconds of any one clock.
"""

import math
from collections import deque
from collections.abc import Callable

MARGIN = 0.1
"""How far below the learnt rate requests begin after an episode, as a share of the rate."""
FEWEST, MOST = 10, 2_000
"""After how many requests the learnt rate is reached: after as many as have taught the rate, within these bounds."""
PAUSE_S, LONGEST_S = 2.0, 60.0
"""The first and the longest pause after a 429 that asks for no time."""
PAUSE_GROWS = 5.0
"""The growth of the pause with each pause whose first request is turned away again."""
PAUSED_REQUESTS = 4.0
"""The first pause is no longer than so many requests need at the rate that is known."""
MINUTE_S, SPARE_S = 60.0, 1.0
"""The most usual window of limits, and what is waited beyond its end. No older request teaches the rate."""
NEVER = -math.inf


class LearnedRate:
    """The learnt rate of one model in one run. Without any 429 there is no rate, and no request waits."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._per_second: float | None = None
        self._taught_by, self._taught_since, self._taught_until = 0, NEVER, NEVER
        """How many requests have taught the rate, and between which times the server took them."""
        self._taken: deque[float] = deque()
        """When the requests passed that will teach the next rate, without those that were turned away."""
        self._since = NEVER
        """When they began: the server had no room then, or nothing was sent yet; but a minute ago at most."""
        self._passed = 0
        """How many requests have passed since the last pause."""
        self._first_at, self._opened_at = NEVER, NEVER
        """When the first request passed after the last pause, and after the last pause that was long enough."""
        self._episodes, self._fails = 0, 0
        """How many times the rate was exceeded, and how many first requests after a pause then failed in a row."""
        self._is_window = False
        """Whether the rate is that of a window that was full."""
        self._resumes_at, self._next_at, self._heard_s = NEVER, NEVER, 0.0
        """When the last pause ends, when the next request may pass, and how long the last 429 took to come."""

    @property
    def per_minute(self) -> int | None:
        """The rate that is kept just now, or None if there is none."""
        return max(1, round(self._rate() * 60)) if self._per_second else None

    @property
    def confirmed_per_minute(self) -> int | None:
        """The rate, if answers of this run have taught it."""
        return self.per_minute if self._episodes else None

    def resume(self, per_minute: float) -> None:
        """Begin with the rate that an earlier run has learnt."""
        self._per_second = per_minute / 60

    def wait_s(self) -> float:
        """Return how long the next request has to wait. Requests pass one by one."""
        return self._next_at - self._clock()

    def passes(self) -> None:
        """Count a request that passes now."""
        now = self._clock()
        self._taken.append(now)
        self._since = now if self._since == NEVER else self._since
        if not self._passed:
            self._first_at = now
        self._since = max(self._since, now - MINUTE_S)
        while self._taken[0] < self._since:
            self._taken.popleft()
        if self._per_second:
            # The first request after a pause tells whether the others may follow: a 429 comes sooner than an answer.
            alone_s = 2 * self._heard_s if self._passed == 0 and self._episodes else 0.0
            self._next_at = max(now, self._next_at) + max(alone_s, 1 / self._rate())
        self._passed += 1

    def cancel(self) -> None:
        """Take back a request that was not sent, or not taken."""
        self._passed = max(0, self._passed - 1)
        if self._taken:
            self._taken.pop()

    def turned_away(self, *, sent_at: float, asked_s: float | None) -> float:
        """Take a 429. Returns how long everyone has to pause. `asked_s` is the pause that the API asked for, if any."""
        now = self._clock()
        self._heard_s = now - sent_at
        if sent_at < self._resumes_at:  # another one of the same episode
            self._taught_by -= 1
            self._resumes_at = self._next_at = max(self._resumes_at, now + (asked_s or 0.0))
            self._learn()
            return max(0.0, self._resumes_at - now)
        self.cancel()
        if self._is_window and 0 < self._passed < self._taught_by / 2:
            self._fails = 0  # the window rolls, and has room again as slowly as it was filled
        elif self._episodes and not self._passed:
            self._fails += 1
            self._is_window = self._episodes == 1
        else:
            self._begin_episode(now)
        pause_s = self._pause_s(now) if asked_s is None else asked_s
        # What the server took at first was stored there, or the window's, and has to last for the pause too.
        self._taught_until = min(now + pause_s, self._taught_since + MINUTE_S) if self._episodes == 1 else now
        self._resumes_at, self._next_at, self._passed = now + pause_s, now + pause_s, 0
        self._learn()
        return pause_s

    def _begin_episode(self, now: float) -> None:
        self._episodes, self._fails, self._is_window = self._episodes + 1, 0, False
        self._taught_by, self._taught_since, self._opened_at = len(self._taken), self._since, self._first_at
        self._since = now
        self._taken.clear()

    def _learn(self) -> None:
        if self._taught_by > 0:
            self._per_second = self._taught_by / max(0.01, self._taught_until - self._taught_since)
        elif self._per_second is None:  # the server took nothing yet, and may have been busy with others
            self._per_second = 1 / PAUSE_S

    def _rate(self) -> float:
        assert self._per_second is not None
        plateau = min(MOST, max(FEWEST, self._taught_by))
        return self._per_second * (1 + MARGIN * (self._passed / plateau - 1) ** 3)

    def _pause_s(self, now: float) -> float:
        known = self._per_second if self._episodes > 1 else None
        first_s = min(PAUSE_S, PAUSED_REQUESTS / known) if known else PAUSE_S
        pause_s = min(LONGEST_S, first_s * PAUSE_GROWS**self._fails)
        window_s = MINUTE_S - (now - self._opened_at) % MINUTE_S + SPARE_S
        return min(pause_s, window_s) if self._fails else pause_s
