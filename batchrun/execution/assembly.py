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
from batchrun.execution.ledger_writer import Recorder
from batchrun.execution.retry_policy import Course
from batchrun.execution.stop_conditions import EVERYTHING, Tolerance
from batchrun.execution.stream.attempt import Attempts
from batchrun.execution.stream.attempt_result import Landing
from batchrun.execution.stream.circuit_breaker import Circuit
from batchrun.execution.stream.concurrency import FIRST, Slots
from batchrun.execution.stream.executor import StreamExecutor
from batchrun.execution.stream.model_channel import Lane
from batchrun.execution.stream.rate_limiter import Gate
from batchrun.execution.usage_counters import Tally
from batchrun.execution.usage_flush import Notes
from batchrun.execution.work_item import Terms, Work, worst_case
from batchrun.job.cache_breakpoint import CacheMark
from batchrun.job.spec import BatchSection, RetrySection
from batchrun.planning.request_builder import Preparer
from batchrun.providers import BatchProvider, Provider
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Settlement
from batchrun.store.output.publish import Output
from batchrun.strategy.model_chain import OUTAGE, Ladder
from batchrun.strategy.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is needed to send documents, besides taking care of batches that are open."""

    route: Route
    reading: Ledger
    """A second connection, for the reader."""
    source: Source
    preparer: Preparer
    estimator: Estimator
    """Of the first model, at the prices of streaming."""
    ladder: Ladder
    concurrency: int
    """At most."""
    caps: Caps
    schema: dict[str, Any]
    switch_at: float | None
    """When what is left in batches has to be streamed to be done by the deadline; None: never."""
    marks: Mapping[Route, CacheMark] = field(default_factory=dict)
    """For the prompt cache; a route that is not in it sends none."""

    def estimator_on(self, route: Route, price: ModelPrice) -> Estimator:
        """Of a model on a route: marks make the worst case dearer."""
        mark = self.marks.get(route)
        reply = ReplyLength(self.estimator.output, self.estimator.output_scatter)
        return replace(self.estimator.of(price, reply), ttl=mark.ttl if mark else None)


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
    recorder: Recorder
    reader: Reader | None
    halt: Halt
    tell: Listener

    def stream_executor(self, sending: Sending, client: Provider, *, clock: Callable[[], float]) -> StreamExecutor:
        """Streams what is pending; `clock` is the loop's."""
        assert self.reader is not None
        setting, tally = self.setting, Tally()
        lanes = [self._lane(number, sending, tally, clock=clock) for number in range(len(sending.ladder.rungs))]
        terms = Terms(
            run_no=setting.run.run_no,
            job=setting.job,
            ladder=sending.ladder,
            retry=setting.retry,
            caps=sending.caps,
        )
        landing = Landing(
            terms,
            lanes,
            judge=Judge(sending.schema),
            recorder=self.recorder,
            halt=self.halt,
            listener=self.tell,
        )
        attempts = Attempts(
            terms,
            lanes,
            landing,
            provider=client,
            recorder=self.recorder,
            halt=self.halt,
            document_cap=self._document_cap(sending),
        )
        return StreamExecutor(
            setting.run,
            reader=self.reader,
            attempts=attempts,
            recorder=self.recorder,
            halt=self.halt,
            listener=self.tell,
            concurrency=sending.concurrency,
            recover=setting.recover,
            notes=Notes(setting.run.run_no, tally, lanes, self.recorder, self.halt),
        )

    def _document_cap(self, sending: Sending) -> DocumentCap:
        return DocumentCap(self.setting.run.run_no, self.setting.job, sending.caps, self.recorder, self.tell)

    def _lane(self, number: int, sending: Sending, tally: Tally, *, clock: Callable[[], float]) -> Lane:
        rung = sending.ladder.rungs[number]
        return Lane(
            rung_no=number,
            rung=rung,
            estimator=sending.estimator_on(Route.STREAM, rung.price),
            gate=Gate(rung.limits, clock=clock, tally=tally),
            slots=Slots(sending.concurrency, first=max(FIRST, (rung.limits.concurrency or 0) // 2)),
            circuit=Circuit(
                max_outage_s=self.setting.retry.max_outage_s,
                concurrency=sending.concurrency,
                has_fallback=sending.ladder.falls_back(number, OUTAGE),
            ),
            tally=tally,
            clock=clock,
            mark=sending.marks.get(Route.STREAM),
        )

    def batch_executor(self, client: BatchProvider) -> BatchExecutor:
        """Takes care of batches, and makes new ones if that is the route."""
        setting, course = self.setting, Course()
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
            recorder=self.recorder,
            halt=self.halt,
            tell=self.tell,
            clock=setting.clock,
            recover=setting.recover,
        )
        collector = Collector(
            client,
            price_of=setting.price_of,
            max_attempts=setting.retry.max_attempts,
            recorder=self.recorder,
            halt=self.halt,
            course=course,
            listener=self.tell,
            passes_on=self._passes_on,
        )
        return BatchExecutor(context, self._packer(), collector, course)

    def _passes_on(self, model: str, end: Settlement) -> bool:
        """Whether another model is asked after this answer, as far as can be told without the document."""
        ladder = self.setting.sending.ladder if self.setting.sending else None
        if ladder is None or end.outcome is None:
            return False
        names = [rung.price.name for rung in ladder.rungs]
        if model not in names:
            return False
        output = json.loads(end.output) if end.output else None
        return ladder.escalated(names.index(model), end.outcome, output, None) is not None

    def _packer(self) -> Packer | None:
        sending = self.setting.sending
        if sending is None or self.reader is None or sending.route is not Route.BATCH:
            return None
        estimator = sending.estimator_on(Route.BATCH, sending.estimator.price.in_batches)

        def worst(work: Work) -> Amount:
            return worst_case(estimator, work, work.request, soft=sending.caps.soft)

        return Packer(
            self.setting.run,
            model=estimator.price.name,
            schema=sending.schema,
            reader=self.reader,
            recorder=self.recorder,
            listener=self.tell,
            worst=worst,
            document_cap=self._document_cap(sending),
            folder=self.setting.folder,
            mark=sending.marks.get(Route.BATCH),
        )
