"""How many requests to one model are in flight at once: more while answers come, fewer when the API is overloaded.

The rate limiter paces. The slots only bound what an API in trouble has to handle, and so what an outage costs.
The limit grows by one an answer until the first trouble. Afterwards the limit grows as fast up to what has gone well
before, and by one a round beyond. The limit grows only while all allowed requests are really in flight, so not in a
run that waits for its rate limits. Requests that were in flight together cut the limit once.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FIRST = 16
LEAST = 4
SATURATED = 0.8
OVERLOADED, TURNED_AWAY = 0.5, 0.8
"""The share of the limit that remains after a 529, a 5xx or a timeout, and after a 429."""
KNOWN_GOOD = 0.75
"""Up to this share of what has gone well before, the limit grows as fast after a cut as at the beginning."""


class Slots:
    """Places for requests in flight. Whoever waits for a place is served in order of arrival."""

    def __init__(self, most: int, *, first: int = FIRST) -> None:
        """There are `first` places to begin with, and `most` at most."""
        self._most = most
        self._limit = float(min(most, max(first, LEAST)))
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_at = -math.inf
        self.busiest = 0
        """The most requests that were ever in flight at once and answered, for the next run."""

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""
        return int(self._limit)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Give a place to one request, from before its wait for the rate limiter until its answer."""
        await self._take()
        try:
            yield
        finally:
            self._taken -= 1
            self._wake()

    async def _take(self) -> None:
        if self._taken < self.limit and not self._waiting:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the request got its place just then
                self._taken -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._taken < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def answered(self, in_flight: int) -> None:
        """Take an answer into account that came while so many requests were in flight, the answered one included."""
        self.busiest = max(self.busiest, in_flight)
        if in_flight >= SATURATED * self.limit:
            steep = self._cut_at == -math.inf or self._limit < KNOWN_GOOD * self.busiest
            step = 1.0 if steep else 1.0 / self._limit
            self._limit = min(float(self._most), self._limit + step)
            self._wake()

    def recover(self) -> None:
        """Allow half of what has gone well at once: the API answers again."""
        self._limit = min(float(self._most), max(self._limit, self.busiest / 2))
        self._wake()

    def cut(self, left: float, *, sent_at: float, now: float) -> None:
        """Keep this share of the limit: the API was overloaded. Requests sent before the last cut prove nothing new."""
        if sent_at < self._cut_at:
            return
        self._cut_at = now
        self._limit = max(float(min(LEAST, self._most)), self._limit * left)
