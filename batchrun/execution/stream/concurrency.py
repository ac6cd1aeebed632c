"""How many requests to one model are under way at once: more while answers come, fewer when the API is overloaded.

The gate paces; this only bounds what an API in trouble has on its hands, and so what an outage costs. It grows by one
an answer until the first trouble; then so fast up to what has gone well before, and by one a round beyond. It grows
only while all that is allowed is really under way, so that a run held by its rate limits does not. It is cut once for
requests that were under way together.
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
"""What is left after a 529, a 5xx or a timeout; after a 429."""
KNOWN_GOOD = 0.75
"""Of what has gone well before: so far it grows as fast after a cut as at the beginning."""


class Slots:
    """Places for requests under way; whoever waits for one is served in order of arrival."""

    def __init__(self, most: int, *, first: int = FIRST) -> None:
        """`first`: how many there are to begin with."""
        self._most = most
        self._limit = float(min(most, max(first, LEAST)))
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_at = -math.inf
        self.busiest = 0
        """The most that were ever well under way at once, for the next run."""

    def __repr__(self) -> str:
        return f"Slots({self._taken} of {self.limit}, {len(self._waiting)} waiting)"

    @property
    def limit(self) -> int:
        """How many requests may be under way."""
        return int(self._limit)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A place for one request, from before it waits for the gate until it has its answer."""
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
            if turn.done() and not turn.cancelled():  # it got its place just then
                self._taken -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._taken < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def answered(self, under_way: int) -> None:
        """An answer came while so many were under way, itself included."""
        self.busiest = max(self.busiest, under_way)
        if under_way >= SATURATED * self.limit:
            steep = self._cut_at == -math.inf or self._limit < KNOWN_GOOD * self.busiest
            step = 1.0 if steep else 1.0 / self._limit
            self._limit = min(float(self._most), self._limit + step)
            self._wake()

    def recover(self) -> None:
        """The API answers again: half of what has gone well at once."""
        self._limit = min(float(self._most), max(self._limit, self.busiest / 2))
        self._wake()

    def cut(self, left: float, *, sent_at: float, now: float) -> None:
        """The API could not take it: keep this share. Requests sent before the last cut say nothing new."""
        if sent_at < self._cut_at:
            return
        self._cut_at = now
        self._limit = max(float(min(LEAST, self._most)), self._limit * left)
