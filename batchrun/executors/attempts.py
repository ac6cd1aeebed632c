"""One request to its outcome: pace, reserve, send, settle, and again if a retry is decided.

The order is what keeps the promises. The circuit and the gate come first, so that nobody waits while holding money. The
reservation is durable before the request is sent, so that a process that dies leaves an account of what may have
been billed. The reply, its usage, its cost and its outcome are durable before anyone is told.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_never

from batchrun.errors import BatchrunError
from batchrun.events import AttemptEnded, AttemptFailed, DocumentSettled, Listener, Paused
from batchrun.executors.circuit import Health
from batchrun.executors.concurrency import OVERLOADED, TURNED_AWAY
from batchrun.executors.halting import Bug, Halt, Halted
from batchrun.executors.lane import Lane
from batchrun.executors.pacing import Charge
from batchrun.executors.recorder import Recorder
from batchrun.executors.retrying import SAME_REJECTIONS, Action, Course, Tries, decide, delay_s
from batchrun.executors.stopping import budget_reached, failed_outcome, failed_reason, fatal_problem, rejected_alike
from batchrun.job.spec import RetrySection
from batchrun.judge import Judge
from batchrun.planning.estimate import RequestTokens
from batchrun.planning.ladder import OUTAGE, Ladder
from batchrun.providers import AttemptError, Provider
from batchrun.reply import Cause, Failure, Reply
from batchrun.request import Request
from batchrun.store.entries import Move, NoRoom, Pending, Settlement, Taken
from batchrun.store.ledger import Ledger

RAMP = "ramp_limit_exceeded"


@dataclass(slots=True)
class Work:
    """A pending document with its request, and what it has been through."""

    pending: Pending
    request: Request
    """To the first model of the ladder; those to the others follow from it."""
    rung: int = 0
    """The first model that may still answer it."""
    tries: Tries = field(default_factory=Tries)

    @property
    def tokens(self) -> RequestTokens:
        """What pacing needs to know of it."""
        return RequestTokens(self.pending.counted_tokens, self.pending.text_class)


class Later(Exception):
    """Raised by an attempt that is to be tried again after `delay_s`."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self.delay_s = delay_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all attempts of a run have in common."""

    run_no: int
    job: str
    ladder: Ladder
    retry: RetrySection


@dataclass(slots=True)
class Flight:
    """One attempt from its reservation to its settlement."""

    work: Work
    lane: Lane
    request: Request
    charge: Charge
    attempt_no: int
    sent_at: float
    """By the lane's clock."""


class Attempts:
    """Makes the attempts of one run. Workers share it; it knows what is in flight."""

    def __init__(
        self,
        terms: Terms,
        lanes: Sequence[Lane],
        *,
        provider: Provider,
        judge: Judge,
        recorder: Recorder,
        halt: Halt,
        listener: Listener,
    ) -> None:
        self._terms = terms
        self._lanes = lanes
        self._provider = provider
        self._judge = judge
        self._recorder = recorder
        self._halt = halt
        self._tell = listener
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets
        self._in_flight: dict[asyncio.Task[None], int] = {}
        self.sent = 0
        """How many attempts were made, for whoever wants to know whether anything happens."""
        self.waits_for_batches = False
        """Whether what is left of the budget is reserved for open batches."""
        self._landed = asyncio.Event()
        """Set, and replaced, whenever a request is no longer in flight."""
        self._settled = asyncio.Event()
        """Set, and replaced, whenever a reservation has become a cost: there may be room in the budget."""
        self._course = Course()

    # --- for the executor

    def sending(self, request_no: int) -> bool:
        """Whether this request is in flight, perhaps for an identical document."""
        return request_no in self._in_flight.values()

    def tasks_in_flight(self) -> set[asyncio.Task[None]]:
        """The workers that must not be interrupted lightly: money is at stake."""
        return set(self._in_flight)

    async def idle(self, *, within_s: float) -> None:
        """Return when nothing is in flight, or when the time is over."""
        deadline = asyncio.get_running_loop().time() + within_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while self._in_flight:
                    await self._landed.wait()

    async def answer(self, work: Work) -> None:
        """Bring the document to its outcome. Raises Halted when the run stops first."""
        # The policy is `decide`; tenacity runs the loop: it tries again after Later, as long after as Later says.
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Later), wait=asked_delay, stop=stop_never, reraise=True, sleep=asyncio.sleep
        )
        try:
            await retrying(self._attempt, work)
        except Halted:
            raise
        except BatchrunError as problem:
            self._halt.stop(problem)
            raise Halted from problem
        except Exception as bug:
            # Others have answers under way that are paid for: they are finished before the bug is shown.
            self._halt.stop(Bug(bug))
            raise Halted from bug

    # --- one attempt

    async def _attempt(self, work: Work) -> None:
        lane = self._lane_for(work)
        async with lane.place():
            self._halt.check()
            if lane is not self._lane_for(work):  # an outage began, or ended, while this waited for its place
                raise Later(0.0)
            async with lane.answering():
                charge = await lane.gate.admit(
                    input_tokens=lane.expectation.input_tokens(work.tokens),
                    output_tokens=lane.expectation.output_tokens(),
                )
                while not await self._reserve_and_send(work, lane, charge):
                    pass

    def _lane_for(self, work: Work) -> Lane:
        """The first model from the work's rung on that answers, as far as the ladder allows."""
        rung = work.rung
        while self._is_out(rung) and self._terms.ladder.falls_back(rung, OUTAGE):
            rung += 1
        return self._lanes[work.rung if self._is_out(rung) else rung]

    def _is_out(self, rung: int) -> bool:
        """Whether a model answers nobody, and it is not time to ask it again."""
        circuit, now = self._lanes[rung].circuit, self._lanes[rung].clock()
        return circuit.is_open and circuit.hold_s(now) > 0

    async def _reserve_and_send(self, work: Work, lane: Lane, charge: Charge) -> bool:
        """One try to reserve; False when there was no room, and some may have come since."""
        self._halt.check()
        settled = self._settled
        request = lane.rung.request(work.request)
        async with self._flight(work):
            reserved = await self._reserve(work, lane, request)
            if isinstance(reserved, int):
                self.sent += 1
                async with lane.sending() as sent_at:
                    await self._send(Flight(work, lane, request, charge, reserved, sent_at))
                return True
        if isinstance(reserved, Taken):
            lane.gate.cancel(charge)
            return True
        if reserved.open_attempts == 0 and reserved.in_batches:
            self.waits_for_batches = True  # they give back what they do not need: its document stays pending till then
            lane.gate.cancel(charge)
            return True
        if reserved.open_attempts == 0:
            self._halt.stop(budget_reached(reserved, worst_nusd(lane, work, request)))
            raise Halted
        began = lane.clock()
        await settled.wait()
        lane.tally.waited("budget", lane.clock() - began)
        return False

    @asynccontextmanager
    async def _flight(self, work: Work) -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._in_flight[task] = work.pending.request_no
        try:
            yield
        finally:
            del self._in_flight[task]
            self._landed.set()
            self._landed = asyncio.Event()

    async def _reserve(self, work: Work, lane: Lane, request: Request) -> int | Taken | NoRoom:
        """Set the worst case aside. Canceled meanwhile, nothing is sent and nothing stays set aside."""
        move, terms = Move(work.pending, request.request_id, lane.model), self._terms

        def reserve(ledger: Ledger) -> int | Taken | NoRoom:
            work.pending = ledger.move(terms.job, move)
            reserved_nusd = worst_nusd(lane, work, request)
            return ledger.reserve(
                work.pending, run_no=terms.run_no, job=terms.job, reserved_nusd=reserved_nusd, model=lane.model
            )

        reserving = asyncio.ensure_future(self._recorder.write(reserve, spends=True))
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            reserved = await reserving
            if isinstance(reserved, int):
                unsent = Failure(cause=Cause.UNREACHABLE, message="given up before it was sent")
                await self._settle(Settlement(attempt_no=reserved, state="failed", cost_nusd=0, failure=unsent))
            raise

    # --- what comes back

    async def _send(self, flight: Flight) -> None:
        lane, clock = flight.lane, flight.lane.clock
        try:
            reply = await self._provider.send(flight.request)
        except AttemptError as error:
            await self._failed(flight, error.failure, latency_s=clock() - flight.sent_at)
        except asyncio.CancelledError:
            # The answer may be on its way, and billed: its worst case stays on the account.
            lost = Failure(cause=Cause.DROPPED, message="given up while the answer was under way")
            latency_s = clock() - flight.sent_at
            await asyncio.shield(self._settle(Settlement(
                attempt_no=flight.attempt_no, state="unknown", cost_nusd=None, failure=lost,
                latency_s=latency_s), flight))  # fmt: skip
            raise
        else:
            await self._answered(flight, reply, latency_s=clock() - flight.sent_at)

    async def _answered(self, flight: Flight, reply: Reply, *, latency_s: float) -> None:
        work, lane = flight.work, flight.lane
        lane.gate.settle(flight.charge, reply.usage)
        lane.gate.hear(flight.charge, reply.limits)
        lane.slots.answered(lane.under_way)
        lane.circuit.answered()
        lane.prove()
        self._course.answered()
        if reply.usage:
            lane.expectation.learn(work.tokens, reply.usage)
            lane.tally.answered(lane.model, reply.usage, lane.gate.limits)
        judgement = self._judge.judge(reply)
        falls_back = self._terms.ladder.falls_back(lane.rung_no, judgement.outcome)
        await self._settle(
            Settlement(
                attempt_no=flight.attempt_no,
                state="answered",
                # A reply that does not tell its usage is booked at its worst case.
                cost_nusd=lane.rung.price.cost_nusd(reply.usage) if reply.usage else None,
                outcome=judgement.outcome,
                reason=judgement.reason,
                output=None if judgement.output is None else json.dumps(judgement.output),
                reply=reply,
                latency_s=latency_s,
            ),
            flight,
            falls_back=falls_back,
        )
        if falls_back:
            work.rung, work.tries = lane.rung_no + 1, Tries()
            raise Later(0.0)

    async def _failed(self, flight: Flight, failure: Failure, *, latency_s: float) -> None:
        work, lane = flight.work, flight.lane
        health = self._health_after(flight, failure)
        outage = health in {Health.DOWN, Health.LOST}
        work.tries = work.tries.after(failure, outage=outage)
        self._course.failed(failure)
        action = decide(failure, work.tries, health, max_attempts=self._terms.retry.max_attempts)
        if action is Action.STOP_OUTAGE and self._terms.ladder.falls_back(lane.rung_no, OUTAGE):
            lane.circuit.trip(lane.clock())
            action = Action.WAIT  # the next model answers meanwhile
        wait_s = self._wait_s(work, failure)
        if failure.status == 429 and action is Action.WAIT:  # before it is recorded: others are about to be sent
            ramp = failure.error_code == RAMP
            if lane.gate.turned_away(flight.charge, wait_s=wait_s, told=failure.limits, ramp=ramp):
                self._tell(Paused(wait_s, failure.name))
        elif failure.maybe_billed:
            lane.gate.settle(flight.charge, None)
        else:
            lane.gate.refund(flight.charge)
        final = action is Action.FAIL
        await self._settle(
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
        lane, tries, now = flight.lane, flight.work.tries, flight.lane.clock()
        circuit = lane.circuit
        was_open = circuit.is_open
        if failure.is_no_answer:
            if not was_open:
                lane.slots.cut(OVERLOADED, sent_at=flight.sent_at, now=now)
            circuit.failed(now, sent_at=flight.sent_at, first_time=tries == Tries())
            exhausted = tries.attempts + 1 >= self._terms.retry.max_attempts
            if failure.cause is Cause.UNREACHABLE and exhausted and circuit.health(now) is Health.ANSWERING:
                circuit.trip(now)  # a connection that is never made is no matter of the document
        else:
            if failure.status == 429:
                lane.slots.cut(TURNED_AWAY, sent_at=flight.sent_at, now=now)
            if failure.cause is Cause.STATUS:
                circuit.heard()
        if circuit.is_open and not was_open:
            self._tell(Paused(circuit.hold_s(now), f"outage, {failure.name}"))
        return circuit.health(now)

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

    async def _settle(self, end: Settlement, flight: Flight | None = None, *, falls_back: bool = False) -> None:
        def settle(ledger: Ledger) -> list[str]:
            if falls_back:
                assert flight is not None
                flight.work.pending = ledger.move(self._terms.job, self._next_move(flight))
            return ledger.settle(end)

        doc_ids = await self._recorder.write(settle)
        self._settled.set()
        self._settled = asyncio.Event()
        if flight:
            self._tell(ended(end, flight))
        for doc_id in doc_ids:
            assert end.outcome is not None
            self._tell(DocumentSettled(doc_id, end.outcome, end.reason, end.cost_nusd or 0))

    def _next_move(self, flight: Flight) -> Move:
        rung = self._lanes[flight.lane.rung_no + 1].rung
        request = rung.request(flight.work.request)
        return Move(flight.work.pending, request.request_id, rung.price.name)


def worst_nusd(lane: Lane, work: Work, request: Request) -> int:
    """What is set aside before the request is sent to the lane's model."""
    return lane.estimator.worst_case_nusd(work.tokens, body_bytes=len(request.body), max_tokens=request.max_tokens)


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


def asked_delay(state: RetryCallState) -> float:
    """The delay that the last attempt asked for; tenacity's wait strategy."""
    assert state.outcome is not None
    later = state.outcome.exception()
    assert isinstance(later, Later)
    return later.delay_s
