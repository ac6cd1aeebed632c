"""A lane: how requests to one model travel. Each model has its own limits, prices, concurrency and circuit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from batchrun.catalog.rate_limits import Learnt
from batchrun.estimation.estimate import Estimator
from batchrun.execution.stream.circuit_breaker import Circuit
from batchrun.execution.stream.concurrency import Slots
from batchrun.execution.stream.rate_limiter import Gate
from batchrun.execution.stream.usage_expectation import Expectation
from batchrun.execution.usage_counters import Tally
from batchrun.job.cache_breakpoint import CacheMark
from batchrun.request import Ttl
from batchrun.strategy.model_chain import Rung

LOOK_ABOUT_S = 1.0
"""How often who waits for a model looks whether another one answers."""
KEPT_S: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
"""How long the API's cache keeps a prefix that nobody reads."""


@dataclass(slots=True)
class Lane:
    """One model's lane in one run; `clock` is the loop's, in seconds."""

    rung_no: int
    rung: Rung
    estimator: Estimator
    gate: Gate
    slots: Slots
    circuit: Circuit
    tally: Tally
    clock: Callable[[], float]
    mark: CacheMark | None = None
    """For the prompt cache, on everything that is sent; None: no mark."""
    expectation: Expectation = field(init=False)
    under_way: int = 0
    """Requests that were sent and have no answer yet."""
    _placed_at: float = 0.0
    """When the last request got its place: of all who wait for one, only the time since then is counted."""
    _proven: asyncio.Event = field(default_factory=asyncio.Event)
    _proven_at: float = 0.0
    _canary: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.expectation = Expectation(self.estimator)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.rung.price.name

    def prove(self) -> None:
        """A request was taken: the others need not wait for it."""
        self._proven_at = self.clock()
        self._proven.set()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[bool]:
        """From before the wait for the gate until the answer; yields whether the request goes alone, as the first does.

        So a wrong key or model costs one request and not one for each worker, and only one writes to the prompt cache.
        """
        if self.wants_one_alone():
            async with self._canary:
                if not self._proven.is_set():
                    yield True
                    return
        async with self._slot():
            yield False

    def wants_one_alone(self) -> bool:
        """Whether nothing was taken yet, or so long ago that the prompt cache has forgotten what all would read."""
        if self.mark and not self.under_way and self.clock() - self._proven_at > KEPT_S[self.mark.ttl]:
            self._proven.clear()
        return not self._proven.is_set()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        began = self.clock()
        async with self.slots.slot():
            now = self.clock()
            if not self.gate.is_busy:  # else a rate limit keeps everyone, and that is what is waited for
                self.tally.waited("concurrency", now - max(began, self._placed_at))
            self._placed_at = now
            yield

    @property
    def is_out(self) -> bool:
        """Whether nobody is answered, and it is not time to ask again."""
        return self.circuit.hold_s(self.clock()) > 0

    async def news(self) -> None:
        """Wait until it is time to ask again, or until something changed; not long: another model may answer."""
        began = self.clock()
        await self.circuit.changed(min(self.circuit.hold_s(began), LOOK_ABOUT_S))
        self.tally.waited("outage", self.clock() - began)

    @contextmanager
    def passing(self) -> Iterator[bool]:
        """Let a request through the circuit; yields whether it is the probe."""
        is_probe = self.circuit.pass_one()
        try:
            yield is_probe
        finally:
            if is_probe:
                self.circuit.probed()

    @contextmanager
    def sending(self) -> Iterator[float]:
        """Count a request as under way; yields the time of the send by the lane's clock."""
        self.under_way += 1
        self.tally.sent(self.model, self.gate.limits)
        try:
            yield self.clock()
        finally:
            self.under_way -= 1

    def learnt(self, now: float) -> Learnt | None:
        """What the next run should know; None when nothing was answered. `now` in seconds since 1970."""
        if not self.slots.busiest:
            return None
        told = self.gate.told
        return Learnt(
            requests_per_minute=told.requests,
            input_tokens_per_minute=told.input_tokens,
            output_tokens_per_minute=told.output_tokens,
            concurrency=self.slots.busiest,
            learnt_at=now,
        )
