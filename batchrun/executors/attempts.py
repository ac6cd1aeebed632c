"""One request to its outcome: pace, reserve, send, settle, and again if a retry is decided.

The order is what keeps the promises. The gate comes first, so that nobody waits while holding money. The
reservation is durable before the request is sent, so that a process that dies leaves an account of what may have
been billed. The reply, its usage, its cost and its outcome are durable before anyone is told.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_never

from batchrun.errors import BatchrunError
from batchrun.events import AttemptEnded, AttemptFailed, DocumentSettled, Listener, Paused
from batchrun.executors.expectation import Expectation
from batchrun.executors.halting import Bug, Halt, Halted
from batchrun.executors.pacing import Charge, Gate
from batchrun.executors.recorder import Recorder
from batchrun.executors.retrying import SAME_REJECTIONS, Action, Course, Tries, decide, delay_s
from batchrun.executors.stopping import budget_reached, failed_outcome, failed_reason, fatal_problem, rejected_alike
from batchrun.job.spec import RetrySection
from batchrun.judge import Judge
from batchrun.planning.estimate import Estimator, RequestTokens
from batchrun.planning.model_price import ModelPrice
from batchrun.providers import AttemptError, Provider
from batchrun.reply import Cause, Failure, Reply
from batchrun.request import Request
from batchrun.store.entries import NoRoom, Pending, Settlement, Taken


@dataclass(slots=True)
class Work:
    """A pending document with its request, and what it has been through."""

    pending: Pending
    request: Request
    tries: Tries = field(default_factory=Tries)
    sent_at: float = 0.0
    latency_s: float = 0.0

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
    price: ModelPrice
    estimator: Estimator
    retry: RetrySection
    concurrency: int


class Attempts:
    """Makes the attempts of one run. Workers share it; it knows what is in flight."""

    def __init__(
        self,
        terms: Terms,
        *,
        provider: Provider,
        gate: Gate,
        expectation: Expectation,
        judge: Judge,
        recorder: Recorder,
        halt: Halt,
        listener: Listener,
    ) -> None:
        self._terms = terms
        self._provider = provider
        self._gate = gate
        self._expectation = expectation
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
        self._proven = asyncio.Event()
        self._canary = asyncio.Lock()
        self._course = Course(concurrency=terms.concurrency)

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
        async with self._alone_until_proven():
            self._halt.check()
            charge = await self._gate.admit(
                input_tokens=self._expectation.input_tokens(work.tokens),
                output_tokens=self._expectation.output_tokens(),
            )
            while not await self._reserve_and_send(work, charge):
                pass

    async def _reserve_and_send(self, work: Work, charge: Charge) -> bool:
        """One try to reserve; False when there was no room, and some may have come since."""
        self._halt.check()
        settled = self._settled
        async with self._flight(work):
            reserved = await self._reserve(work)
            if isinstance(reserved, int):
                self.sent += 1
                await self._send(work, reserved, charge)
                return True
        if isinstance(reserved, Taken):
            self._gate.cancel(charge)
            return True
        if reserved.open_attempts == 0 and reserved.in_batches:
            self.waits_for_batches = True  # they give back what they do not need: its document stays pending till then
            self._gate.cancel(charge)
            return True
        if reserved.open_attempts == 0:
            self._halt.stop(budget_reached(reserved, self._worst_nusd(work)))
            raise Halted
        await settled.wait()
        return False

    @asynccontextmanager
    async def _alone_until_proven(self) -> AsyncIterator[None]:
        """The first request goes alone: a wrong key or model costs one request and not one for each worker."""
        if self._proven.is_set():
            yield
            return
        async with self._canary:
            if not self._proven.is_set():
                yield
                return
        yield

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

    async def _reserve(self, work: Work) -> int | Taken | NoRoom:
        """Set the worst case aside. Canceled meanwhile, nothing is sent and nothing stays set aside."""
        reserving = asyncio.ensure_future(
            self._recorder.write(
                lambda ledger: ledger.reserve(
                    work.pending,
                    run_no=self._terms.run_no,
                    job=self._terms.job,
                    reserved_nusd=self._worst_nusd(work),
                    model=self._terms.price.name,
                ),
                spends=True,
            )
        )
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            reserved = await reserving
            if isinstance(reserved, int):
                unsent = Failure(cause=Cause.UNREACHABLE, message="given up before it was sent")
                await self._settle(Settlement(attempt_no=reserved, state="failed", cost_nusd=0, failure=unsent))
            raise

    def _worst_nusd(self, work: Work) -> int:
        return self._terms.estimator.worst_case_nusd(
            work.tokens, body_bytes=len(work.request.body), max_tokens=work.request.max_tokens
        )

    async def _send(self, work: Work, attempt_no: int, charge: Charge) -> None:
        work.sent_at = asyncio.get_running_loop().time()
        try:
            reply = await self._provider.send(work.request)
        except AttemptError as error:
            work.latency_s = asyncio.get_running_loop().time() - work.sent_at
            await self._failed(work, attempt_no, charge, error.failure)
        except asyncio.CancelledError:
            work.latency_s = asyncio.get_running_loop().time() - work.sent_at
            # The answer may be on its way, and billed: its worst case stays on the account.
            lost = Failure(cause=Cause.DROPPED, message="given up while the answer was under way")
            await asyncio.shield(self._settle(Settlement(
                attempt_no=attempt_no, state="unknown", cost_nusd=None, failure=lost, latency_s=work.latency_s),
                work))  # fmt: skip
            raise
        else:
            work.latency_s = asyncio.get_running_loop().time() - work.sent_at
            self._gate.settle(charge, reply.usage)
            if reply.limits and not self._course.ever_answered:
                self._gate.learn(reply.limits)
            self._proven.set()
            self._course.answered()
            await self._answered(work, attempt_no, reply)

    async def _answered(self, work: Work, attempt_no: int, reply: Reply) -> None:
        if reply.usage:
            self._expectation.learn(work.tokens, reply.usage)
        judgement = self._judge.judge(reply)
        await self._settle(
            Settlement(
                attempt_no=attempt_no,
                state="answered",
                # A reply that does not tell its usage is booked at its worst case.
                cost_nusd=self._terms.price.cost_nusd(reply.usage) if reply.usage else None,
                outcome=judgement.outcome,
                reason=judgement.reason,
                output=None if judgement.output is None else json.dumps(judgement.output),
                reply=reply,
                latency_s=work.latency_s,
            ),
            work,
        )

    async def _failed(self, work: Work, attempt_no: int, charge: Charge, failure: Failure) -> None:
        work.tries = work.tries.after(failure)
        self._course.failed(failure)
        action = decide(failure, work.tries, self._course, max_attempts=self._terms.retry.max_attempts)
        wait_s = self._wait_s(work, failure)
        if action is Action.WAIT and self._gate.pause(wait_s):  # before it is recorded: others are about to be sent
            self._tell(Paused(wait_s, failure.name))
        final = action is Action.FAIL
        await self._settle(
            Settlement(
                attempt_no=attempt_no,
                state="unknown" if failure.maybe_billed else "failed",
                cost_nusd=None if failure.maybe_billed else 0,
                outcome=failed_outcome(failure) if final else None,
                reason=failed_reason(failure, work.tries) if final else None,
                failure=failure,
                latency_s=work.latency_s,
            ),
            work,
        )
        if not failure.maybe_billed:
            self._gate.refund(charge)
        self._act(work, action, failure, wait_s)

    def _wait_s(self, work: Work, failure: Failure) -> float:
        retry = self._terms.retry
        return delay_s(failure, work.tries, initial_s=retry.initial_delay_s, max_s=retry.max_delay_s, rng=self._rng)

    def _act(self, work: Work, action: Action, failure: Failure, wait_s: float) -> None:
        if action in {Action.STOP, Action.STOP_MONEY, Action.STOP_OUTAGE}:
            self._tell(AttemptFailed(work.pending.ref.doc_id, failure.name, work.tries.attempts, None))
            self._halt.stop(fatal_problem(failure, action))
            raise Halted
        if action is Action.FAIL:
            self._proven.set()
            if self._course.rejects_alike:
                self._halt.stop(rejected_alike(failure, SAME_REJECTIONS))
            return
        self._tell(AttemptFailed(work.pending.ref.doc_id, failure.name, work.tries.attempts, wait_s))
        raise Later(0.0 if action is Action.WAIT else wait_s)  # the gate holds who waits, and everyone else

    async def _settle(self, end: Settlement, work: Work | None = None) -> None:
        doc_ids = await self._recorder.write(lambda ledger: ledger.settle(end))
        if work:
            self._tell(self._ended(end, work))
        self._settled.set()
        self._settled = asyncio.Event()
        for doc_id in doc_ids:
            assert end.outcome is not None
            self._tell(DocumentSettled(doc_id, end.outcome, end.reason, end.cost_nusd or 0))

    def _ended(self, end: Settlement, work: Work) -> AttemptEnded:
        reply, failure = end.reply, end.failure
        return AttemptEnded(
            attempt_no=end.attempt_no,
            doc_id=work.pending.ref.doc_id,
            request_id=work.pending.request_id,
            model=self._terms.price.name,
            state=end.state,
            outcome=end.outcome,
            latency_s=work.latency_s,
            first_byte_s=reply.first_byte_s if reply else None,
            usage=reply.usage if reply else None,
            cost_nusd=end.cost_nusd,
            stop_reason=reply.stop_reason if reply else None,
            failure=failure,
            api_request_id=reply.api_request_id if reply else failure.api_request_id if failure else None,
        )


def asked_delay(state: RetryCallState) -> float:
    """The delay that the last attempt asked for; tenacity's wait strategy."""
    assert state.outcome is not None
    later = state.outcome.exception()
    assert isinstance(later, Later)
    return later.delay_s
