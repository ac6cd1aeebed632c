"""A lane: how requests to one model travel. Each model has its own limits, prices, concurrency and circuit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from batchrun.catalog.rate_limits import LearnedLimits
from batchrun.estimation.estimate import Estimator
from batchrun.execution.stream.circuit_breaker import CircuitBreaker
from batchrun.execution.stream.concurrency import Slots
from batchrun.execution.stream.rate_limiter import RateLimiter
from batchrun.execution.stream.usage_expectation import UsageExpectation
from batchrun.execution.usage_counters import UsageCounters
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.request import Ttl
from batchrun.strategy.model_chain import ChainModel

LOOK_ABOUT_S = 1.0
"""How often who waits for a model looks whether another one answers."""
KEPT_S: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
"""How long the API's cache keeps a prefix that nobody reads."""


@dataclass(slots=True)
class ModelChannel:
    """One model's lane in one run; `clock` is the loop's, in seconds."""

    model_no: int
    chain_model: ChainModel
    estimator: Estimator
    rate_limiter: RateLimiter
    slots: Slots
    circuit_breaker: CircuitBreaker
    counters: UsageCounters
    clock: Callable[[], float]
    cache_breakpoint: CacheBreakpoint | None = None
    """For the prompt cache, on everything that is sent; None: no mark."""
    usage_expectation: UsageExpectation = field(init=False)
    under_way: int = 0
    """Requests that were sent and have no answer yet."""
    _placed_at: float = 0.0
    """When the last request got its place: of all who wait for one, only the time since then is counted."""
    _proven: asyncio.Event = field(default_factory=asyncio.Event)
    _proven_at: float = 0.0
    _canary: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.usage_expectation = UsageExpectation(self.estimator)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.chain_model.price.name

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
        if (
            self.cache_breakpoint
            and not self.under_way
            and self.clock() - self._proven_at > KEPT_S[self.cache_breakpoint.ttl]
        ):
            self._proven.clear()
        return not self._proven.is_set()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        began = self.clock()
        async with self.slots.slot():
            now = self.clock()
            if not self.rate_limiter.is_busy:  # else a rate limit keeps everyone, and that is what is waited for
                self.counters.waited("concurrency", now - max(began, self._placed_at))
            self._placed_at = now
            yield

    @property
    def is_out(self) -> bool:
        """Whether nobody is answered, and it is not time to ask again."""
        return self.circuit_breaker.hold_s(self.clock()) > 0

    async def news(self) -> None:
        """Wait until it is time to ask again, or until something changed; not long: another model may answer."""
        began = self.clock()
        await self.circuit_breaker.changed(min(self.circuit_breaker.hold_s(began), LOOK_ABOUT_S))
        self.counters.waited("outage", self.clock() - began)

    @contextmanager
    def passing(self) -> Iterator[bool]:
        """Let a request through the circuit; yields whether it is the probe."""
        is_probe = self.circuit_breaker.pass_one()
        try:
            yield is_probe
        finally:
            if is_probe:
                self.circuit_breaker.probed()

    @contextmanager
    def sending(self) -> Iterator[float]:
        """Count a request as under way; yields the time of the send by the lane's clock."""
        self.under_way += 1
        self.counters.sent(self.model, self.rate_limiter.limits)
        try:
            yield self.clock()
        finally:
            self.under_way -= 1

    def learned(self, now: float) -> LearnedLimits | None:
        """What the next run should know; None when nothing was answered. `now` in seconds since 1970."""
        if not self.slots.busiest:
            return None
        told = self.rate_limiter.told
        return LearnedLimits(
            requests_per_minute=told.requests,
            input_tokens_per_minute=told.input_tokens,
            output_tokens_per_minute=told.output_tokens,
            concurrency=self.slots.busiest,
            learnt_at=now,
        )
