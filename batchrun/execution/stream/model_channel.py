"""The channel of one model: each model has its own limits, prices, concurrency and circuit breaker."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from batchrun.answers.progress import Progress
from batchrun.budget.caps import MOST_MISFITS
from batchrun.catalog.rate_limits import LearnedLimits
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.execution.document_marking import DocumentMarking
from batchrun.execution.stream.circuit_breaker import CircuitBreaker
from batchrun.execution.stream.concurrency import Slots
from batchrun.execution.stream.rate_limiter import RateLimiter
from batchrun.execution.stream.usage_expectation import UsageExpectation
from batchrun.execution.usage_counters import UsageCounters
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.providers.anthropic.wire import with_cache_breakpoint
from batchrun.request import Request, Ttl
from batchrun.strategy.model_chain import ChainModel

LOOK_ABOUT_S = 1.0
"""How often a request that waits for a model looks whether another model answers."""
SPENT_S = 60.0
"""How long a cap of one model counts as reached after many misfits."""
SMOOTHED = 32
"""Over how many answers the latency is averaged."""
KEPT_S: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
"""How long the API's cache keeps a prefix that nobody reads."""


@dataclass(slots=True)
class ModelChannel:
    """The way of requests to one model in one run. The `clock` is the loop's, in seconds."""

    model_no: int
    chain_model: ChainModel
    estimator: Estimator
    rate_limiter: RateLimiter
    """The rate limiter of the model, and of the other models that share the model's limits."""
    counted_as: str
    """The names of all these models, under which the use of the limits is counted."""
    slots: Slots
    circuit_breaker: CircuitBreaker
    counters: UsageCounters
    clock: Callable[[], float]
    cache_breakpoint: CacheBreakpoint | None = None
    """The breakpoint for the prompt cache in every request; None when the prompt cache is not used."""
    document_marking: DocumentMarking | None = None
    """How documents are marked that several turns ask about; None when they are not marked."""
    usage_expectation: UsageExpectation = field(init=False)
    reading_expectation: UsageExpectation = field(init=False)
    """The same for the requests that read a document from the prompt cache."""
    misfits: int = 0
    """How many requests in a row had no room in a cap of this model alone, and passed to the next model."""
    spent_until: float = 0.0
    """Until when no request tries the cap again, after so many misfits; a cap has room again on another day."""
    in_flight: int = 0
    """Requests that were sent and have no answer yet."""
    _answers: int = 0
    _answered_at: deque[float] = field(default_factory=lambda: deque(maxlen=SMOOTHED))
    _latency_s: float = 0.0
    """The mean latency of the latest answers."""
    _placed_at: float = 0.0
    """When the last request got its place. Of all requests that wait, only the time since then is counted."""
    _proven: asyncio.Event = field(default_factory=asyncio.Event)
    _proven_at: float = 0.0
    _canary: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        shares = self.document_marking is None
        self.usage_expectation = UsageExpectation(self.estimator, shares_writes=shares)
        self.reading_expectation = UsageExpectation(self.estimator, shares_writes=shares)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.chain_model.price.name

    def marked(self, request: Request, progress: Progress, tokens: RequestTokens) -> Request:
        """Mark a request of a turn for the prompt cache; the request keeps its id."""
        marked = with_cache_breakpoint(request, self.cache_breakpoint)
        return self.document_marking.marked(marked, progress, tokens) if self.document_marking else marked

    def reads_document(self, progress: Progress) -> bool:
        """Whether an earlier turn has written the document to the prompt cache, which forgets the document soon."""
        return self.document_marking is not None and progress.replies > 0

    def expectation(self, progress: Progress) -> UsageExpectation:
        """Return what is known of the usage of requests like that of a turn."""
        return self.reading_expectation if self.reads_document(progress) else self.usage_expectation

    def prove(self) -> None:
        """Let the other requests go: the API has taken a request."""
        self._proven_at = self.clock()
        self._proven.set()

    @asynccontextmanager
    async def place(self, *, ahead: bool = False) -> AsyncIterator[bool]:
        """Give a place to one request, from before its wait for the rate limiter until its answer.

        Yields whether the request goes alone, as the first one does. So a wrong key or model costs one request and not
        one for each worker, and only one request writes to the prompt cache.
        """
        if self.wants_one_alone():
            async with self._canary:
                if not self._proven.is_set():
                    yield True
                    return
        began = self.clock()
        async with self.slots.slot(ahead=ahead):
            now = self.clock()
            if not self.rate_limiter.is_busy:  # a busy rate limiter is what the requests really wait for
                self.counters.waited("concurrency", now - max(began, self._placed_at))
            self._placed_at = now
            yield False

    def wants_one_alone(self) -> bool:
        """Return whether nothing was taken yet, or so long ago that the prompt cache has forgotten the prefix."""
        if (
            self.cache_breakpoint
            and not self.in_flight
            and self.clock() - self._proven_at > KEPT_S[self.cache_breakpoint.ttl]
        ):
            self._proven.clear()
        return not self._proven.is_set()

    @property
    def is_out(self) -> bool:
        """Whether nobody is answered, and the time to ask again has not come."""
        return self.circuit_breaker.hold_s(self.clock()) > 0

    def found_no_room(self) -> None:
        """Let the channel know that a cap of this model has no room for a request."""
        self.misfits += 1
        if self.misfits >= MOST_MISFITS:
            self.spent_until = self.clock() + SPENT_S

    async def news(self) -> None:
        """Wait until the time to ask again, or until something changed; not long, for another model may answer."""
        began = self.clock()
        await self.circuit_breaker.changed(min(self.circuit_breaker.hold_s(began), LOOK_ABOUT_S))
        self.counters.waited("outage", self.clock() - began)

    @contextmanager
    def sending(self) -> Iterator[float]:
        """Count a request as in flight; yields the time of the send by the channel's clock."""
        self.in_flight += 1
        self.counters.used(self.counted_as, self.rate_limiter.limits, requests=1)
        try:
            yield self.clock()
        finally:
            self.in_flight -= 1

    def answered(self, latency_s: float) -> None:
        """Let the slots know of an answer, which took so long."""
        self._answers += 1
        self._answered_at.append(self.clock())
        self._latency_s += (latency_s - self._latency_s) / min(self._answers, SMOOTHED)
        if self._answers == 1 and not self.chain_model.limits.concurrency and self.rate_limiter.is_silent:
            self.slots.begin_with_few()
        self.slots.need(self.rate_limiter.requests_per_second, self._latency_s)
        self.slots.answered(self.in_flight, now=self.clock())

    def turned_away(self, sent_at: float) -> None:
        """Let the slots know of a 429, and how many others were in flight when the request was sent."""
        others = self.in_flight - 1 + sum(at > sent_at for at in self._answered_at)
        self.slots.turned_away(others, sent_at=sent_at, now=self.clock())

    def learned(self, now: float) -> LearnedLimits | None:
        """Return what the next run should know, or None when nothing was answered. `now` is in seconds since 1970."""
        if not self.slots.busiest:
            return None
        reported = self.rate_limiter.reported
        return LearnedLimits(
            requests_per_minute=reported.requests or self.rate_limiter.learned_requests_per_minute,
            input_tokens_per_minute=reported.input_tokens,
            output_tokens_per_minute=reported.output_tokens,
            concurrency=self.slots.busiest,
            learnt_at=now,
        )
