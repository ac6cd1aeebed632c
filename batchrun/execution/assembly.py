"""Everything the execution of a run needs, and the executors made of it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batchrun.answers.validation import Judge
from batchrun.budget.caps import Amount, Caps
from batchrun.catalog.price import ModelPrice
from batchrun.documents import Source
from batchrun.estimation.estimate import Estimator
from batchrun.estimation.reply_length import ReplyLength
from batchrun.events import Listener
from batchrun.execution.batch.collect import Collector
from batchrun.execution.batch.context import BatchContext, BatchTerms
from batchrun.execution.batch.executor import BatchExecutor
from batchrun.execution.batch.packing import Packer
from batchrun.execution.document_cap import DocumentCap
from batchrun.execution.document_reader import Reader, RunKey
from batchrun.execution.halt import Halt
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.retry_policy import FailureHistory
from batchrun.execution.stop_conditions import EVERYTHING, Tolerance
from batchrun.execution.stream.attempt import Attempts
from batchrun.execution.stream.attempt_result import AttemptResults
from batchrun.execution.stream.circuit_breaker import CircuitBreaker
from batchrun.execution.stream.concurrency import FIRST, Slots
from batchrun.execution.stream.executor import StreamExecutor
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.stream.rate_limiter import RateLimiter
from batchrun.execution.usage_counters import UsageCounters
from batchrun.execution.usage_flush import UsageFlush
from batchrun.execution.work_item import PendingRequest, Terms, worst_case
from batchrun.job.cache_breakpoint import CacheBreakpoint
from batchrun.job.spec import BatchSection, RetrySection
from batchrun.planning.request_builder import RequestBuilder
from batchrun.providers import BatchProvider, Provider
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Settlement
from batchrun.store.output.publish import Output
from batchrun.strategy.model_chain import OUTAGE, ModelChain
from batchrun.strategy.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is needed to send documents, besides taking care of batches that are open."""

    route: Route
    reading: Ledger
    """A second connection, for the reader."""
    source: Source
    builder: RequestBuilder
    estimator: Estimator
    """Of the first model, at the prices of streaming."""
    chain: ModelChain
    concurrency: int
    """At most."""
    caps: Caps
    schema: dict[str, Any]
    switch_at: float | None
    """When what is left in batches has to be streamed to be done by the deadline; None: never."""
    cache_breakpoints: Mapping[Route, CacheBreakpoint] = field(default_factory=dict)
    """For the prompt cache; a route that is not in it sends none."""

    def estimator_on(self, route: Route, price: ModelPrice) -> Estimator:
        """Of a model on a route: marks make the worst case dearer."""
        cache_breakpoint = self.cache_breakpoints.get(route)
        reply = ReplyLength(self.estimator.output, self.estimator.output_scatter)
        return replace(self.estimator.of(price, reply), ttl=cache_breakpoint.ttl if cache_breakpoint else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetting:
    """Everything the execution of a run needs."""

    run: RunKey
    job: str
    ledger: Ledger
    """The writing connection; the recorder owns it while the run goes on."""
    output: Output
    """Fed from a connection of its own."""
    price_of: Callable[[str], ModelPrice | None]
    """A model's price when streamed; None when there is none any more."""
    batch: BatchSection
    retry: RetrySection
    recover: Callable[[Ledger], None]
    """Books what dead processes of other jobs left, inside a transaction."""
    sending: Sending | None
    """None: nothing is sent, open batches are only brought to their ends."""
    tolerance: Tolerance = EVERYTHING
    waits: bool = True
    """Whether to wait for batches."""
    cancels: bool = False
    """Whether open batches are canceled."""
    clock: Callable[[], float] = time.time

    @property
    def folder(self) -> Path:
        """Where a batch may be spooled."""
        assert self.ledger.path is not None
        return self.ledger.path.parent


@dataclass(frozen=True, slots=True)
class Staff:
    """Who takes part in an execution, whatever the route."""

    setting: RunSetting
    writer: LedgerWriter
    reader: Reader | None
    halt: Halt
    tell: Listener

    def stream_executor(self, sending: Sending, client: Provider, *, clock: Callable[[], float]) -> StreamExecutor:
        """Streams what is pending; `clock` is the loop's."""
        assert self.reader is not None
        setting, counters = self.setting, UsageCounters()
        channels = [
            self._channel(number, sending, counters, clock=clock) for number in range(len(sending.chain.models))
        ]
        terms = Terms(
            run_no=setting.run.run_no,
            job=setting.job,
            chain=sending.chain,
            retry=setting.retry,
            caps=sending.caps,
        )
        results = AttemptResults(
            terms,
            channels,
            judge=Judge(sending.schema),
            writer=self.writer,
            halt=self.halt,
            listener=self.tell,
        )
        attempts = Attempts(
            terms,
            channels,
            results,
            provider=client,
            writer=self.writer,
            halt=self.halt,
            document_cap=self._document_cap(sending),
        )
        return StreamExecutor(
            setting.run,
            reader=self.reader,
            attempts=attempts,
            writer=self.writer,
            halt=self.halt,
            listener=self.tell,
            concurrency=sending.concurrency,
            recover=setting.recover,
            usage_flush=UsageFlush(setting.run.run_no, counters, channels, self.writer, self.halt),
        )

    def _document_cap(self, sending: Sending) -> DocumentCap:
        return DocumentCap(self.setting.run.run_no, self.setting.job, sending.caps, self.writer, self.tell)

    def _channel(
        self, number: int, sending: Sending, counters: UsageCounters, *, clock: Callable[[], float]
    ) -> ModelChannel:
        chain_model = sending.chain.models[number]
        return ModelChannel(
            model_no=number,
            chain_model=chain_model,
            estimator=sending.estimator_on(Route.STREAM, chain_model.price),
            rate_limiter=RateLimiter(chain_model.limits, clock=clock, counters=counters),
            slots=Slots(sending.concurrency, first=max(FIRST, (chain_model.limits.concurrency or 0) // 2)),
            circuit_breaker=CircuitBreaker(
                max_outage_s=self.setting.retry.max_outage_s,
                concurrency=sending.concurrency,
                has_fallback=sending.chain.falls_back(number, OUTAGE),
            ),
            counters=counters,
            clock=clock,
            cache_breakpoint=sending.cache_breakpoints.get(Route.STREAM),
        )

    def batch_executor(self, client: BatchProvider) -> BatchExecutor:
        """Takes care of batches, and makes new ones if that is the route."""
        setting, failure_history = self.setting, FailureHistory()
        context = BatchContext(
            terms=BatchTerms(
                run=setting.run,
                job=setting.job,
                batch=setting.batch,
                retry=setting.retry,
                waits=setting.waits,
                cancels=setting.cancels,
                switch_at=setting.sending.switch_at if setting.sending else None,
                caps=setting.sending.caps if setting.sending else None,
            ),
            provider=client,
            writer=self.writer,
            halt=self.halt,
            tell=self.tell,
            clock=setting.clock,
            recover=setting.recover,
        )
        collector = Collector(
            client,
            price_of=setting.price_of,
            max_attempts=setting.retry.max_attempts,
            writer=self.writer,
            halt=self.halt,
            failure_history=failure_history,
            listener=self.tell,
            passes_on=self._passes_on,
        )
        return BatchExecutor(context, self._packer(), collector, failure_history)

    def _passes_on(self, model: str, end: Settlement) -> bool:
        """Whether another model is asked after this answer, as far as can be told without the document."""
        chain = self.setting.sending.chain if self.setting.sending else None
        if chain is None or end.outcome is None:
            return False
        names = [chain_model.price.name for chain_model in chain.models]
        if model not in names:
            return False
        output = json.loads(end.output) if end.output else None
        return chain.escalated(names.index(model), end.outcome, output, None) is not None

    def _packer(self) -> Packer | None:
        sending = self.setting.sending
        if sending is None or self.reader is None or sending.route is not Route.BATCH:
            return None
        estimator = sending.estimator_on(Route.BATCH, sending.estimator.price.in_batches)

        def worst(pending: PendingRequest) -> Amount:
            return worst_case(estimator, pending, pending.request, soft=sending.caps.soft)

        return Packer(
            self.setting.run,
            model=estimator.price.name,
            schema=sending.schema,
            reader=self.reader,
            writer=self.writer,
            listener=self.tell,
            worst=worst,
            document_cap=self._document_cap(sending),
            folder=self.setting.folder,
            cache_breakpoint=sending.cache_breakpoints.get(Route.BATCH),
        )
