"""One request to its outcome: pace, reserve, send, settle, and again if a retry is decided.

The order is what keeps the promises. The circuit and the gate come first, so that nobody waits while holding money. The
reservation is durable before the request is sent, so that a process that dies leaves an account of what may have
been billed. The reply, its usage, its cost and its outcome are durable before anyone is told.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_never

from batchrun.budget.caps import MOST_MISFITS, Amount, CapUsage, Per
from batchrun.execution.document_cap import DocumentCap
from batchrun.execution.failure_messages import BudgetReached, budget_reached
from batchrun.execution.halt import Halted
from batchrun.execution.run_context import RunContext
from batchrun.execution.send_setup import SendSetup
from batchrun.execution.stream.attempt_result import AttemptResults
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.stream.rate_limiter import Charge
from batchrun.execution.work_item import Attempt, PendingRequest, RetryLater, worst_case
from batchrun.providers import AttemptError, Provider
from batchrun.providers.anthropic.wire import with_cache_breakpoint
from batchrun.reply import Cause, Failure
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import CapExceeded, Move, Settlement, Taken
from batchrun.strategy.model_chain import OUTAGE


class Attempts:
    """Makes the attempts of one run. Workers share it; it knows what is in flight."""

    def __init__(
        self,
        context: RunContext,
        setup: SendSetup,
        channels: Sequence[ModelChannel],
        results: AttemptResults,
        *,
        provider: Provider,
        document_cap: DocumentCap,
    ) -> None:
        self._context = context
        self._halt = context.halt
        self._chain = setup.chain
        self._caps = setup.caps
        self._channels = channels
        self._provider = provider
        self._results = results
        self._document_cap = document_cap
        self._in_flight: dict[asyncio.Task[None], int] = {}
        self.sent = 0
        """How many attempts were made, for whoever wants to know whether anything happens."""
        self.waits_for_batches = False
        """Whether what is left of the budget is reserved for open batches."""
        self.waits_for_others = False
        """Whether what is left of a cap that all jobs share is reserved for requests of others."""
        self.refusal: BudgetReached | None = None
        """Why the last document that did not fit was left pending: nothing was under way that might make room."""
        self._misfits = 0
        """How many did not fit since the last one that did."""
        self._landed = asyncio.Event()
        """Set, and replaced, whenever a request is no longer in flight."""

    # --- for the executor

    def begin_pass(self) -> None:
        """Every pending document is tried once more: what was found out about room may have changed."""
        self.refusal, self.waits_for_others = None, False

    def sending(self, request_no: int) -> bool:
        """Whether this request is in flight, perhaps for an identical document."""
        return request_no in self._in_flight.values()

    def tasks_in_flight(self) -> set[asyncio.Task[None]]:
        """The workers that must not be interrupted lightly: money is at stake."""
        return set(self._in_flight)

    async def idle(self) -> None:
        """Return when nothing is in flight."""
        while self._in_flight:
            await self._landed.wait()

    async def answer(self, pending: PendingRequest) -> None:
        """Bring the document to its outcome. Raises Halted when the run stops first."""
        # The policy is `decide`; tenacity runs the loop: it tries again after Later, as long after as Later says.
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(RetryLater),
            wait=asked_delay,
            stop=stop_never,
            reraise=True,
            sleep=asyncio.sleep,
        )
        with self._halt.guard():
            await retrying(self._attempt, pending)
            return
        raise Halted

    # --- one attempt

    async def _attempt(self, pending: PendingRequest) -> None:
        channel = self._channel_for(pending)
        async with channel.place() as alone:
            self._halt.check()
            while channel.is_out and channel is self._channel_for(pending):
                await channel.news()
            if channel is not self._channel_for(pending):  # an outage began, or ended, while this waited
                raise RetryLater(0.0)
            with channel.passing() as is_probe:
                charge = await channel.rate_limiter.admit(
                    input_tokens=channel.usage_expectation.input_tokens(pending.tokens),
                    output_tokens=channel.usage_expectation.output_tokens(),
                )
                # An outage began while this waited for the gate, or it lasted so long that the cache forgot.
                if not is_probe and (channel.circuit_breaker.is_open or (not alone and channel.wants_one_alone())):
                    channel.rate_limiter.cancel(charge)
                    raise RetryLater(0.0)
                while not await self._reserve_and_send(pending, channel, charge):
                    pass

    def _channel_for(self, pending: PendingRequest) -> ModelChannel:
        """The first model from the work's rung on that answers, as far as the ladder allows."""
        model_no = pending.model_no
        while self._channels[model_no].is_out and self._chain.falls_back(model_no, OUTAGE):
            model_no += 1
        return self._channels[pending.model_no if self._channels[model_no].is_out else model_no]

    async def _reserve_and_send(self, pending: PendingRequest, channel: ModelChannel, charge: Charge) -> bool:
        """One try to reserve; False when there was no room, and some may have come since."""
        self._halt.check()
        settled = self._results.settled
        request = channel.chain_model.request(pending.request)
        with self._in_flight_while(pending):
            reserved = await self._reserve(pending, channel, request)
            if isinstance(reserved, int):
                self.sent += 1
                self._misfits = 0
                with channel.sending() as sent_at:
                    await self._send(Attempt(pending, channel, request, charge, reserved, sent_at))
                return True
        if isinstance(reserved, CapExceeded) and reserved.open_attempts:
            began = channel.clock()
            await settled.wait()
            channel.counters.waited("budget", channel.clock() - began)
            return False
        channel.rate_limiter.cancel(charge)
        if isinstance(reserved, CapExceeded):
            await self._leave_pending(pending, channel, reserved, self._amount(pending, channel, request))
        return True

    async def _leave_pending(
        self, pending: PendingRequest, channel: ModelChannel, refused: CapExceeded, amount: Amount
    ) -> None:
        """The document does not fit, and nothing under way will change that; a smaller one may fit all the same."""
        if refused.cap.per is Per.DOCUMENT:
            cap_usage, earlier = CapUsage(refused.cap, refused.used), self._earlier(pending, channel)
            await self._document_cap.end(pending, cap_usage, amount, earlier=earlier)
        elif refused.in_batches:
            self.waits_for_batches = True  # they give back what they do not need: its document stays pending till then
        elif refused.others:
            self.waits_for_others = True
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
        self._in_flight[task] = pending.record.request_no
        try:
            yield
        finally:
            del self._in_flight[task]
            self._landed.set()
            self._landed = asyncio.Event()

    async def _reserve(
        self, pending: PendingRequest, channel: ModelChannel, request: Request
    ) -> int | Taken | CapExceeded:
        """Set the worst case aside. Canceled meanwhile, nothing is sent and nothing stays set aside."""
        move, job = Move(pending.record, request.request_id, channel.model), self._context.job
        earlier = self._earlier(pending, channel) if self._caps.document else ()

        def reserve(ledger: Ledger) -> int | Taken | CapExceeded:
            pending.record = ledger.move(job, move)
            amount = self._amount(pending, channel, request)
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
                unsent = Failure(cause=Cause.UNREACHABLE, message="given up before it was sent")
                await self._results.settle(Settlement(attempt_no=reserved, state="failed", cost_nusd=0, failure=unsent))
            raise

    def _amount(self, pending: PendingRequest, channel: ModelChannel, request: Request) -> Amount:
        return worst_case(channel.estimator, pending, request, soft=self._caps.soft)

    def _earlier(self, pending: PendingRequest, channel: ModelChannel) -> Sequence[str]:
        """The document's requests to the models before."""
        return [one.chain_model.request(pending.request).request_id for one in self._channels[: channel.model_no]]

    async def _send(self, attempt: Attempt) -> None:
        clock = attempt.channel.clock
        try:
            reply = await self._provider.send(with_cache_breakpoint(attempt.request, attempt.channel.cache_breakpoint))
        except AttemptError as error:
            await self._results.failed(attempt, error.failure, latency_s=clock() - attempt.sent_at)
        except asyncio.CancelledError:
            # The answer may be on its way, and billed: its worst case stays on the account.
            lost = Failure(cause=Cause.DROPPED, message="given up while the answer was under way")
            latency_s = clock() - attempt.sent_at
            await asyncio.shield(self._results.settle(Settlement(
                attempt_no=attempt.attempt_no, state="unknown", cost_nusd=None, failure=lost,
                latency_s=latency_s), attempt))  # fmt: skip
            raise
        else:
            await self._results.answered(attempt, reply, latency_s=clock() - attempt.sent_at)


def asked_delay(state: RetryCallState) -> float:
    """The delay that the last attempt asked for; tenacity's wait strategy."""
    assert state.outcome is not None
    later = state.outcome.exception()
    assert isinstance(later, RetryLater)
    return later.delay_s
