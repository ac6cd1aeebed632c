"""One request to its outcome: pace, reserve, send, settle, and again if a retry is decided.

The order is what keeps the promises. The circuit breaker and the rate limiter come first, so that nobody waits with
money reserved. The reservation is durable before the request is sent, so that a process that dies leaves an account of
what may have been billed. The reply, its usage, its cost and its outcome are durable before any listener hears of them.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_never

from batchrun.budget.cap_text import called
from batchrun.budget.caps import MOST_MISFITS, Amount, CapUsage, Per
from batchrun.execution.document_cap import DocumentCap
from batchrun.execution.failure_messages import BudgetReached, budget_reached
from batchrun.execution.halt import Halted
from batchrun.execution.pending_request import Attempt, PendingRequest, RetryLater, worst_case
from batchrun.execution.run_context import RunContext
from batchrun.execution.send_setup import SendSetup
from batchrun.execution.settlements import failed_settlement
from batchrun.execution.stream.attempt_result import AttemptResults
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.stream.money_at_risk import MoneyAtRisk
from batchrun.execution.stream.rate_limiter import Charge
from batchrun.providers import AttemptError, NeverSent, Provider
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, Taken
from batchrun.strategy.model_chain import BUDGET, OUTAGE

UNSENT = Failure(cause=Cause.UNREACHABLE, message="given up before it was sent")
LOST = Failure(cause=Cause.DROPPED, message="given up while the answer was in progress")
"""A send that was canceled: the answer may be on its way, and billed, so that its worst case stays on the account."""
OTHERS = "other runs"


class Attempts:
    """Makes the attempts of one run. All workers share the object, which knows what is in flight."""

    def __init__(
        self,
        context: RunContext,
        setup: SendSetup,
        channels: Sequence[ModelChannel],
        provider: Provider,
    ) -> None:
        self._context = context
        self._halt = context.halt
        self._chain = setup.chain
        self._caps, self._leases = setup.caps, setup.leases
        self._form = setup.form
        self._channels = channels
        self._provider = provider
        self._results = AttemptResults(context, setup, channels)
        self._document_cap = DocumentCap(context, setup.caps)
        self._at_risk = MoneyAtRisk(setup.max_at_risk_nusd)
        self.in_flight: dict[asyncio.Task[None], int] = {}
        """The number of the request that each worker has in flight. Such workers are not interrupted lightly."""
        self.sent = 0
        """How many attempts were made, for whoever wants to know whether anything happens."""
        self.waits_for_batches = False
        """Whether the rest of the budget is reserved for open batches."""
        self.waits_for_others = False
        """Whether the rest of a cap that all jobs share is reserved for requests of others."""
        self.refusal: BudgetReached | None = None
        """Why the last document without room was left pending: nothing in flight could make room."""
        self._misfits = 0
        """How many documents in a row had no room."""
        self._ended = asyncio.Event()
        """Set, and replaced, whenever a request is no longer in flight."""

    # --- for the executor

    def begin_pass(self) -> None:
        """Let every pending document be tried once more: the room in the caps may have changed."""
        self.refusal, self.waits_for_others = None, False

    async def conclude(self) -> None:
        """Give the documents of a pass the outcomes that were held back, because nothing more is to come."""
        await self._results.conclude(at_end=True)

    async def idle(self) -> None:
        """Return when nothing is in flight."""
        while self.in_flight:
            await self._ended.wait()

    async def answer(self, pending: PendingRequest) -> None:
        """Bring the document to its outcome. Raises Halted when the run stops first."""
        with self._halt.guard():
            try:
                return await self._attempt(pending)  # as a rule no second attempt follows, and no loop is needed
            except RetryLater as later:
                await asyncio.sleep(later.delay_s)
            # `decide` makes the decisions; tenacity runs the loop, and waits as long as RetryLater says.
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(RetryLater),
                wait=asked_delay,
                stop=stop_never,
                reraise=True,
                sleep=asyncio.sleep,
            )
            return await retrying(self._attempt, pending)
        raise Halted

    # --- one attempt

    async def _attempt(self, pending: PendingRequest) -> None:
        channel = self._channel_for(pending)
        nusd, progress = self._amount(pending, channel).nusd, pending.record.progress
        ahead = channel.reads_document(progress)
        async with channel.place(ahead=ahead) as alone, self._at_risk.holding(nusd):
            self._halt.check()
            while channel.is_out and channel is self._channel_for(pending):
                await channel.news()
            if channel is not self._channel_for(pending):  # an outage began, or ended, during the wait
                raise RetryLater(0.0)
            with channel.circuit_breaker.passing() as is_probe:
                charge = await channel.rate_limiter.admit(
                    input_tokens=channel.expectation(progress).input_tokens(pending.tokens),
                    output_tokens=channel.expectation(progress).output_tokens(),
                    ahead=ahead,
                )
                # An outage began during the wait for the rate limiter, or the wait was so long that the cache forgot.
                if not is_probe and (channel.circuit_breaker.is_open or (not alone and channel.wants_one_alone())):
                    channel.rate_limiter.cancel(charge)
                    raise RetryLater(0.0)
                while not await self._reserve_and_send(pending, channel, charge):
                    pass

    def _channel_for(self, pending: PendingRequest) -> ModelChannel:
        """Return the first channel that answers, from the document's model on, as far as the chain falls back."""
        model_no = pending.model_no
        while self._passes_over(self._channels[model_no]):
            model_no += 1
        return self._channels[pending.model_no if self._channels[model_no].is_out else model_no]

    def _passes_over(self, channel: ModelChannel) -> bool:
        """Whether the next model answers instead of this one just now."""
        if channel.is_out and self._chain.falls_back(channel.model_no, OUTAGE):
            return True
        return channel.spent_until > channel.clock() and self._chain.falls_back(channel.model_no, BUDGET)

    async def _reserve_and_send(self, pending: PendingRequest, channel: ModelChannel, charge: Charge) -> bool:
        """Try once to reserve, and send. Returns False if there was no room, and some may have come since."""
        self._halt.check()
        settled = self._results.settled
        with self._in_flight_while(pending):
            reserved = await self._reserve(pending, channel)
            if isinstance(reserved, int):
                self.sent += 1
                self._misfits = channel.misfits = 0
                channel.counters.long_waits.end(OTHERS)
                request = pending.request_to(channel.chain_model, self._form)
                with channel.sending() as sent_at:
                    await self._send(Attempt(pending, channel, request, charge, reserved, sent_at))
                return True
        if isinstance(reserved, CapExceeded) and await self._leased_more(reserved, pending, channel):
            return False
        if isinstance(reserved, CapExceeded) and reserved.open_attempts:
            began = channel.clock()
            await settled.wait()
            channel.counters.waited("budget", channel.clock() - began)
            return False
        channel.rate_limiter.cancel(charge)
        if isinstance(reserved, Taken) and not reserved.settled:
            channel.counters.long_waits.begin(OTHERS, "another run sends the same requests", now=channel.clock())
        if isinstance(reserved, CapExceeded):
            await self._leave_pending(pending, channel, reserved, self._amount(pending, channel))
        return True

    async def _leased_more(self, refused: CapExceeded, pending: PendingRequest, channel: ModelChannel) -> bool:
        """Whether a lease service has granted enough of the cap that refused a request."""
        if refused.cap.left is None or self._leases is None:
            return False
        write, amount = self._context.writer.write, self._amount(pending, channel)
        return await self._leases.more(write, self._caps, channel.model, amount)

    async def _leave_pending(
        self, pending: PendingRequest, channel: ModelChannel, refused: CapExceeded, amount: Amount
    ) -> None:
        """Leave a document that does not fit pending. Nothing in flight will change that; a smaller one may fit.

        Raises RetryLater when the next model is to be asked, because the cap is this model's alone.
        """
        if refused.cap.per is Per.DOCUMENT:
            cap_usage, earlier = CapUsage(refused.cap, refused.used), pending.earlier_ids(self._chain, channel.model_no)
            await self._document_cap.end(pending, cap_usage, amount, earlier=earlier)
        elif self._chain.passes_on(channel.model_no, refused.cap):
            channel.found_no_room()
            pending.model_no = channel.model_no + 1
            raise RetryLater(0.0)
        elif refused.in_batches:
            self.waits_for_batches = True  # open batches give back what they do not need
        elif refused.others:
            self.waits_for_others = True
            why = f"the rest of {called(refused.cap)} is reserved for requests of other runs"
            channel.counters.long_waits.begin(OTHERS, why, now=channel.clock())
        else:
            self.refusal = budget_reached(refused, amount)
            self._misfits += 1
            if self._misfits >= MOST_MISFITS:
                self._halt.stop(self.refusal)
                raise Halted

    @contextmanager
    def _in_flight_while(self, pending: PendingRequest) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self.in_flight[task] = pending.record.request_no
        try:
            yield
        finally:
            del self.in_flight[task]
            self._ended.set()
            self._ended = asyncio.Event()

    async def _reserve(self, pending: PendingRequest, channel: ModelChannel) -> int | Taken | CapExceeded:
        """Reserve the worst case. After a cancellation meanwhile, nothing is sent and nothing stays reserved.

        The turn that is due is known once the document has its request to the model.
        """
        move, job = pending.move_to(channel.chain_model, self._form), self._context.job
        earlier = pending.earlier_ids(self._chain, channel.model_no) if self._caps.document else ()

        def reserve(ledger: Ledger) -> int | Taken | CapExceeded:
            pending.stand_at(ledger.as_it_stands(ledger.move(job, move)), ledger)
            amount = self._amount(pending, channel)
            return ledger.reserve(
                pending.record, amount, run_no=self._context.key.run_no, job=job, model=channel.model,
                caps=self._caps, earlier=earlier,
            )  # fmt: skip

        reserving = self._context.writer.write(reserve, spends=True)
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            reserved = await reserving
            if isinstance(reserved, int):
                await self._results.settle(failed_settlement(reserved, UNSENT))
            raise

    def _amount(self, pending: PendingRequest, channel: ModelChannel) -> Amount:
        request = pending.request_to(channel.chain_model, self._form)
        return worst_case(channel.estimator, pending, request, soft=self._caps.soft)

    async def _send(self, attempt: Attempt) -> None:
        clock, pending = attempt.channel.clock, attempt.pending
        request = attempt.channel.marked(attempt.request, pending.record.progress, pending.tokens)
        try:
            with self._context.sending(pending.record.ref.doc_id):
                reply = await self._provider.send(request)
        except AttemptError as error:
            await self._results.failed(attempt, error.failure, latency_s=clock() - attempt.sent_at)
        except asyncio.CancelledError as canceled:
            lost = UNSENT if isinstance(canceled, NeverSent) else LOST
            end = failed_settlement(attempt.attempt_no, lost, latency_s=clock() - attempt.sent_at)
            await asyncio.shield(self._results.settle(end, attempt))
            raise
        else:
            await self._results.answered(attempt, reply, latency_s=clock() - attempt.sent_at)


def asked_delay(state: RetryCallState) -> float:
    """Return the delay that the last attempt asked for: a wait strategy of tenacity."""
    assert state.outcome is not None
    later = state.outcome.exception()
    assert isinstance(later, RetryLater)
    return later.delay_s
