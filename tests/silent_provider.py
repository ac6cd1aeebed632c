"""Servers that say nothing of their limits: no header, and 429 to what is too much."""

import asyncio
from collections import deque
from dataclasses import dataclass, replace

from simulated_provider import Arrival, SimulatedProvider

from batchrun.providers import AttemptError
from batchrun.reply import Cause, Failure, Reply
from batchrun.request import Request

ROUND_TRIP_S = 0.03
"""How long a 429 takes."""


class Gate:
    """A server that answers 429 to what is too much, without `retry-after` and without any header about limits."""

    def __init__(self, *, window_s: float = 0.0, most: int = 0, parallel: int = 0, rolls: bool = False) -> None:
        self._window_s, self._most, self._parallel, self._rolls = window_s, most, parallel, rolls
        self._began, self._times = 0.0, deque[float]()

    def lets_in(self, now: float, in_flight: int) -> bool:
        """Return whether one more request is let in."""
        if self._parallel:
            return in_flight < self._parallel
        if self._rolls:
            while self._times and self._times[0] <= now - self._window_s:
                self._times.popleft()
        elif now - self._began >= self._window_s:
            self._began += (now - self._began) // self._window_s * self._window_s
            self._times.clear()
        if len(self._times) >= self._most:
            return False
        self._times.append(now)
        return True


@dataclass
class SilentProvider(SimulatedProvider):
    """The simulated API behind a gate, or with its limits kept to itself."""

    gate: Gate | None = None
    retry_after_s: float | None = None
    """What a 429 asks for."""
    _let_in: int = 0

    async def _answer(self, request: Request, arrival: Arrival) -> Reply:
        try:
            self._let_through(arrival)
            self._let_in += 1
            try:
                return replace(await super()._answer(request, arrival), limits=None)
            finally:
                self._let_in -= 1
        except AttemptError as error:
            arrival.status, arrival.done_s = error.failure.status, arrival.at_s
            await asyncio.sleep(ROUND_TRIP_S)
            raise AttemptError(replace(error.failure, limits=None, retry_after_s=self.retry_after_s)) from error

    def _let_through(self, arrival: Arrival) -> None:
        if self.gate and not self.gate.lets_in(arrival.at_s, self._let_in):
            raise AttemptError(Failure(cause=Cause.STATUS, message="too many", status=429))
