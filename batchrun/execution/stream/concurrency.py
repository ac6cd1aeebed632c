"""How many requests to one model are in flight at once: more while answers come, fewer when the API is overloaded.

The rate limiter paces. The slots only bound what an API in trouble has to handle, and so what an outage costs.
The limit grows by one an answer until the first trouble. Afterwards the limit grows as fast up to what has gone well
before, and by one a round beyond. The limit grows only while all allowed requests are really in flight, so not in a
run that waits for its rate limits. Requests that were in flight together cut the limit once.

What is in flight when a process is killed may be paid for again. So beyond `CHEAP` requests there are no more places
than the binding rate limit needs for the measured latency, and a margin (Little's law). Where no rate limit is known,
the limit grows beyond `CHEAP` only while more requests in flight also bring more answers a second.
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
CHEAP = 64
"""So many requests in flight are always allowed: they keep even a stored minute of a small rate limit in use."""
MARGIN = 1.25
"""How many times the places that the rate limit needs there are."""
AFTER_KILL = 0.5
"""The share of the places in a run whose process was killed before."""
GAIN = 1.1
"""How many times the answers a second a round must bring, for the next round to have more places."""
PATIENCE, MOST_PATIENT = 25, 200
"""After how many answers to each of the parallel requests one more is tried: at first, and after many refusals."""
AT_ONCE = 1.5
"""How many times a limit of parallel requests may have been answered at once by the look of it, and still be one."""


class Round:
    """As many answers as there are places, all of them while the places were taken."""

    def __init__(self) -> None:
        self._began_at, self._left = -math.inf, 0
        self._places = 0
        self._best = 0.0
        """The most answers a second of any round."""
        self._pays = True

    def pays(self, places: int, *, now: float) -> bool:
        """Count an answer. Returns whether the last full round brought more answers a second than all before."""
        self._left -= 1
        if self._left <= 0 and now > self._began_at:
            rate = self._places / (now - self._began_at)
            self._pays = not self._places or rate > GAIN * self._best
            self._best = max(rate, self._best)
            self._began_at, self._left, self._places = now, places, places
        return self._pays


class ParallelLimit:
    """A limit of parallel requests that answers of 429 have taught.

    Two episodes in a row that leave the same number in flight are taken for a limit of parallel requests, unless more
    were answered at once before: where a rate is exceeded, the numbers differ. The limit is tried again after many
    answers, with one request more, and with twice as many more each time that goes well.
    """

    def __init__(self) -> None:
        self._most: int | None = None
        self._left, self._left_before = 0, 0
        """How many other requests were in flight at the last 429 of this episode, and of the episode before."""
        self._answers, self._step, self._patience = 0, 1, PATIENCE

    @property
    def most(self) -> float:
        """How many requests may be in flight at once; infinite if no limit is known."""
        return math.inf if self._most is None else self._most

    def turned_away(self, others: int, *, is_new: bool, busiest: int) -> None:
        """Take a 429 that came while so many other requests were in flight, in a new episode or in the last one.

        `busiest` is the most requests that ever were in flight at once and answered.
        """
        if is_new:
            if self._most is not None:
                self._patience = min(MOST_PATIENT, 2 * self._patience)
            self._left_before, self._left = self._left, others
        self._left = min(self._left, others)
        is_limit = 0 < self._left == self._left_before and busiest <= AT_ONCE * self._left
        self._most = self._left if is_limit else None
        self._answers, self._step = 0, 1

    def answered(self) -> None:
        """Take an answer that came while all places were taken."""
        self._answers += 1
        if self._most is not None and self._answers >= self._patience * self._most:
            self._most += self._step
            self._answers, self._step = 0, 2 * self._step


class Slots:
    """Places for requests in flight. Whoever waits for a place is served in order of arrival."""

    def __init__(self, most: int, *, first: int = FIRST, share: float = 1.0) -> None:
        """There are `first` places to begin with, and `most` at most, or this share of what there would be."""
        self._most = max(min(most, LEAST), int(most * share))
        self._share = share
        self._needed = math.inf
        """How many places the binding rate limit needs, with the margin; infinite while no limit is known."""
        self._limit = float(min(self._most, max(first, LEAST)))
        self._round = Round()
        self._parallel = ParallelLimit()
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ahead: deque[asyncio.Future[None]] = deque()
        self._cut_at = -math.inf
        self.busiest = 0
        """The most requests that were ever in flight at once and answered, for the next run."""

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""
        most = max(CHEAP * self._share, self._needed * self._share)
        return max(1, int(min(self._limit, most, self._parallel.most)))

    def need(self, per_second: float | None, latency_s: float) -> None:
        """Bound the places by what the binding rate limit needs; None means that no rate limit is known."""
        self._needed = math.inf if per_second is None else MARGIN * per_second * latency_s

    @asynccontextmanager
    async def slot(self, *, ahead: bool = False) -> AsyncIterator[None]:
        """Give a place to one request, from before its wait for the rate limiter until its answer.

        A request that goes `ahead` gets its place before all others that wait.
        """
        await self._take(self._ahead if ahead else self._waiting)
        try:
            yield
        finally:
            self._taken -= 1
            self._wake()

    async def _take(self, line: deque[asyncio.Future[None]]) -> None:
        if self._taken < self.limit and not line:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the request got its place just then
                self._taken -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        while (line := self._ahead or self._waiting) and self._taken < self.limit:
            turn = line.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def begin_with_few(self) -> None:
        """Begin again with the fewest places: nothing is told of what the server takes."""
        self._limit = min(self._limit, float(LEAST))

    def answered(self, in_flight: int, *, now: float = 0.0) -> None:
        """Take an answer into account that came while so many requests were in flight, the answered one included."""
        self.busiest = max(self.busiest, in_flight)
        if in_flight < SATURATED * self.limit:
            return
        self._parallel.answered()
        pays = self._round.pays(self.limit, now=now)
        if pays or self._needed < math.inf or self._limit < CHEAP * self._share:
            steep = self._cut_at == -math.inf or self._limit < KNOWN_GOOD * self.busiest
            step = 1.0 if steep else 1.0 / self._limit
            self._limit = min(float(self._most), self._limit + step)
        self._wake()

    def recover(self) -> None:
        """Allow half of what has gone well at once: the API answers again."""
        self._limit = min(float(self._most), max(self._limit, self.busiest / 2))
        self._wake()

    def turned_away(self, others: int, *, sent_at: float, now: float) -> None:
        """Take a 429 into account that came while so many other requests were in flight."""
        self._parallel.turned_away(others, is_new=sent_at >= self._cut_at, busiest=self.busiest)
        self.cut(TURNED_AWAY, sent_at=sent_at, now=now)

    def cut(self, left: float, *, sent_at: float, now: float) -> None:
        """Keep this share of the limit: the API was overloaded. Requests sent before the last cut prove nothing new."""
        if sent_at < self._cut_at:
            return
        self._cut_at = now
        self._limit = max(float(min(LEAST, self._most)), self._limit * left)
