"""What a flight lands with: a reply, or the reason why there is none. What follows from it, and the ledger's entry.

The reply, its usage, its cost and its outcome are durable before anyone is told. Whatever comes back also teaches the
lane: its gate, its slots and its circuit.
"""

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager

from batchrun.answers.validation import Judge
from batchrun.events import AttemptEnded, AttemptFailed, DocumentSettled, Listener, OutageBegan, OutageEnded, Paused
from batchrun.execution.failure_messages import failed_outcome, failed_reason, fatal_problem, rejected_alike
from batchrun.execution.halt import Halt, Halted
from batchrun.execution.ledger_writer import Recorder
from batchrun.execution.retry_policy import SAME_REJECTIONS, Action, Course, Tries, decide, delay_s
from batchrun.execution.stream.circuit_breaker import Health
from batchrun.execution.stream.concurrency import OVERLOADED, TURNED_AWAY
from batchrun.execution.stream.model_channel import Lane
from batchrun.execution.work_item import Flight, Later, Terms, Work
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.cascades import take_back
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import KnownPrompt, Move, Settlement
from batchrun.strategy.model_chain import OUTAGE

RAMP = "ramp_limit_exceeded"


class Landing:
    """Settles the flights of one run."""

    def __init__(
        self, terms: Terms, lanes: list[Lane], *, judge: Judge, recorder: Recorder, halt: Halt, listener: Listener
    ) -> None:
        self._terms = terms
        self._lanes = lanes
        self._judge = judge
        self._recorder = recorder
        self._halt = halt
        self._tell = listener
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets
        self._course = Course()
        self.settled = asyncio.Event()
        """Set, and replaced, whenever a reservation has become a cost: there may be room in the budget."""

    async def answered(self, flight: Flight, reply: Reply, *, latency_s: float) -> None:
        """Judge and settle a reply. Raises Later when the next model is to be asked."""
        work, lane = flight.work, flight.lane
        lane.gate.settle(flight.charge, reply.usage)
        lane.gate.hear(flight.charge, reply.limits)
        lane.slots.answered(lane.under_way)
        with self._telling_outages(lane, "answered"):
            lane.circuit.answered(sent_at=flight.sent_at)
        lane.prove()
        self._course.answered()
        if reply.usage:
            lane.expectation.learn(work.tokens, reply.usage)
            lane.tally.answered(lane.model, reply.usage, lane.gate.limits)
        judgement, price, usage = self._judge.judge(reply), lane.rung.price, reply.usage
        escalated = self._terms.ladder.escalated(lane.rung_no, judgement.outcome, judgement.output, work.text)
        await self.settle(
            Settlement(
                attempt_no=flight.attempt_no,
                state="answered",
                # A reply that does not tell its usage is booked at its worst case.
                cost_nusd=price.cost_nusd(usage) if usage else None,
                price=price.row(usage) if usage else None,
                prompt=known_prompt(flight, usage) if usage else None,
                outcome=judgement.outcome,
                reason=judgement.reason,
                output=None if judgement.output is None else json.dumps(judgement.output),
                reply=reply,
                latency_s=latency_s,
                escalated=escalated,
            ),
            flight,
        )
        if escalated:
            work.rung, work.tries = lane.rung_no + 1, Tries()
            raise Later(0.0)

    async def failed(self, flight: Flight, failure: Failure, *, latency_s: float) -> None:
        """Settle an attempt without a reply. Raises Later when it is to be tried again, Halted when the run stops."""
        work, lane = flight.work, flight.lane
        if work.asked != lane.rung_no:  # attempts at another model say nothing of this one
            work.asked, work.tries = lane.rung_no, Tries()
        health = self._health_after(flight, failure)
        outage = health in {Health.DOWN, Health.LOST}
        work.tries = work.tries.after(failure, outage=outage)
        self._course.failed(failure)
        action = decide(failure, work.tries, health, max_attempts=self._terms.retry.max_attempts)
        if action is Action.STOP_OUTAGE and self._outlasts(flight, health):
            with self._telling_outages(lane, failure.name):
                lane.circuit.trip(lane.clock())
            work.tries, action = Tries(), Action.WAIT  # its attempts so far say nothing of the next model
        wait_s = self._wait_s(work, failure)
        if failure.status == 429 and action is Action.WAIT:  # before it is recorded: others are about to be sent
            ramp = failure.error_code == RAMP
            if lane.gate.turned_away(flight.charge, wait_s=wait_s, told=failure.limits, ramp=ramp):
                self._tell(Paused(wait_s, failure.name))
        elif failure.maybe_billed:
            lane.gate.settle(flight.charge, None)
        else:
            lane.gate.refund(flight.charge)
            if failure.limits:
                lane.gate.hear(flight.charge, failure.limits)
        final = action is Action.FAIL
        await self.settle(
            Settlement(
                attempt_no=flight.attempt_no,
                state="unknown" if failure.maybe_billed else "failed",
                cost_nusd=None if failure.maybe_billed else 0,
                outcome=failed_outcome(failure) if final else None,
                reason=failed_reason(failure, work.tries) if final else None,
                failure=failure,
                latency_s=latency_s,
            ),
            flight,
        )
        self._act(flight, action, failure, wait_s)

    def _health_after(self, flight: Flight, failure: Failure) -> Health:
        """What the failure says of the model's API, once slots and circuit know of it."""
        lane, now, sent_at = flight.lane, flight.lane.clock(), flight.sent_at
        with self._telling_outages(lane, failure.name):
            if failure.is_no_answer:
                self._no_answer(flight, failure, now)
            elif failure.cause is Cause.STATUS:
                lane.circuit.heard(sent_at=sent_at)
        if failure.status == 429:
            lane.slots.cut(TURNED_AWAY, sent_at=sent_at, now=now)
        return lane.circuit.health(now)

    def _no_answer(self, flight: Flight, failure: Failure, now: float) -> None:
        lane, tries, circuit = flight.lane, flight.work.tries, flight.lane.circuit
        if not circuit.is_open:
            lane.slots.cut(OVERLOADED, sent_at=flight.sent_at, now=now)
        exhausted = tries.attempts + 1 >= self._terms.retry.max_attempts
        circuit.failed(
            now,
            sent_at=flight.sent_at,
            request_no=flight.work.pending.request_no,
            first_time=tries == Tries(),
            last_time=exhausted,
        )
        if failure.cause is Cause.UNREACHABLE and exhausted and circuit.health(now) is Health.ANSWERING:
            circuit.trip(now)  # a connection that is never made is no matter of the document

    @contextmanager
    def _telling_outages(self, lane: Lane, cause: str) -> Iterator[None]:
        """Tell when what is done here opens the circuit, or closes it."""
        before = lane.circuit.down_since
        yield
        if before is None and lane.circuit.is_open:
            self._tell(OutageBegan(lane.model, cause))
        elif before is not None and not lane.circuit.is_open:
            lane.slots.recover()
            self._tell(OutageEnded(lane.model, lane.clock() - before))

    def _outlasts(self, flight: Flight, health: Health) -> bool:
        """Whether the run goes on although this model answers nobody."""
        lane, now = flight.lane, flight.lane.clock()
        if self._terms.ladder.falls_back(lane.rung_no, OUTAGE):
            return True  # the next model answers meanwhile
        if not self._course.ever_answered:
            return False
        before = self._lanes[flight.work.rung : lane.rung_no]
        return health is Health.UNPROVEN or any(one.circuit.health(now) is not Health.LOST for one in before)

    def _wait_s(self, work: Work, failure: Failure) -> float:
        retry = self._terms.retry
        return delay_s(failure, work.tries, initial_s=retry.initial_delay_s, max_s=retry.max_delay_s, rng=self._rng)

    def _act(self, flight: Flight, action: Action, failure: Failure, wait_s: float) -> None:
        work = flight.work
        doc_id, attempts = work.pending.ref.doc_id, work.tries.attempts
        if action in {Action.STOP, Action.STOP_MONEY, Action.STOP_OUTAGE}:
            self._tell(AttemptFailed(doc_id, failure.name, attempts, None))
            self._halt.stop(fatal_problem(failure, action))
            raise Halted
        if action is Action.FAIL:
            flight.lane.prove()
            if self._course.rejects_alike:
                self._halt.stop(rejected_alike(failure, SAME_REJECTIONS))
            return
        self._tell(AttemptFailed(doc_id, failure.name, attempts, wait_s))
        if action is Action.WAIT:
            raise Later(0.0)  # the gate or the circuit holds who waits, and everyone else
        flight.lane.tally.waited("retry", wait_s)
        raise Later(wait_s)

    async def settle(self, end: Settlement, flight: Flight | None = None) -> None:
        """Commit how an attempt ended, then tell it; with an escalated answer documents pass to the next model."""

        def settle(ledger: Ledger) -> list[DocumentSettled]:
            kept: list[str] = []
            if flight and end.escalated:
                flight.work.pending = ledger.move(self._terms.job, self._next_move(flight, end))
            elif flight and end.outcome and end.outcome.failed:
                kept = self._taken_back(ledger, flight)
            cost_nusd = end.cost_nusd or 0
            return [DocumentSettled(doc_id, Outcome.SUCCEEDED, None, cost_nusd) for doc_id in kept] + [
                DocumentSettled(doc_id, end.outcome, end.reason, cost_nusd)
                for doc_id in ledger.settle(end)
                if end.outcome
            ]

        settled = await self._recorder.write(settle)
        self.settled.set()
        self.settled = asyncio.Event()
        if flight:
            self._tell(ended(end, flight))
        for event in settled:
            self._tell(event)

    def _taken_back(self, ledger: Ledger, flight: Flight) -> list[str]:
        """Documents that have a valid row of an earlier model: when the dearer one fails, it is better than none."""
        ladder, work = self._terms.ladder, flight.work
        if ladder.demands is None or flight.lane.rung_no == 0:
            return []
        earlier = [rung.request(work.request).request_id for rung in ladder.rungs[: flight.lane.rung_no]]
        return take_back(ledger, self._terms.job, work.pending.request_no, earlier)

    def _next_move(self, flight: Flight, end: Settlement) -> Move:
        rung = self._lanes[flight.lane.rung_no + 1].rung
        request = rung.request(flight.work.request)
        has_row = end.outcome is Outcome.SUCCEEDED
        return Move(flight.work.pending, request.request_id, rung.price.name, has_row=has_row)


def known_prompt(flight: Flight, usage: Usage) -> KnownPrompt:
    """What an answer tells of other attempts of its request."""
    return KnownPrompt(usage.prompt_tokens, flight.request.max_tokens, flight.lane.rung.price.rates.input)


def ended(end: Settlement, flight: Flight) -> AttemptEnded:
    """What is told of an attempt once the ledger has it."""
    reply, failure = end.reply, end.failure
    source = reply or failure
    return AttemptEnded(
        attempt_no=end.attempt_no,
        doc_id=flight.work.pending.ref.doc_id,
        request_id=flight.request.request_id,
        model=flight.lane.model,
        state=end.state,
        outcome=end.outcome,
        latency_s=end.latency_s or 0.0,
        first_byte_s=reply.first_byte_s if reply else None,
        usage=reply.usage if reply else None,
        cost_nusd=end.cost_nusd,
        stop_reason=reply.stop_reason if reply else None,
        failure=failure,
        api_request_id=source.api_request_id if source else None,
    )
