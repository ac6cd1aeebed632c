"""What a flight lands with: a reply, or the reason why there is none. What follows from it, and the ledger's entry.

The reply, its usage, its cost and its outcome are durable before anyone is told. Whatever comes back also teaches the
lane: its gate, its slots and its circuit.
"""

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from batchrun.answers.validation import Judge
from batchrun.events import AttemptEnded, AttemptFailed, DocumentSettled, OutageBegan, OutageEnded, Paused
from batchrun.execution.failure_messages import failed_outcome, failed_reason, fatal_problem, rejected_alike
from batchrun.execution.halt import Halted
from batchrun.execution.retry_policy import (
    SAME_REJECTIONS,
    Action,
    FailureHistory,
    FailureKind,
    Tries,
    decide,
    delay_s,
    is_no_answer,
    kind_of,
)
from batchrun.execution.run_context import RunContext
from batchrun.execution.send_setup import SendSetup
from batchrun.execution.stream.circuit_breaker import Health
from batchrun.execution.stream.concurrency import OVERLOADED, TURNED_AWAY
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.work_item import Attempt, PendingRequest, RetryLater
from batchrun.outcome import Outcome
from batchrun.providers.anthropic.errors import is_ramp_limit
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.cascades import take_back
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import KnownPrompt, Move, Settlement
from batchrun.strategy.model_chain import OUTAGE


class AttemptResults:
    """Settles the flights of one run."""

    def __init__(self, context: RunContext, setup: SendSetup, channels: Sequence[ModelChannel]) -> None:
        self._context = context
        self._halt = context.halt
        self._tell = context.tell
        self._chain = setup.chain
        self._judge = Judge(setup.schema)
        self._channels = channels
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets
        self._failure_history = FailureHistory()
        self.settled = asyncio.Event()
        """Set, and replaced, whenever a reservation has become a cost: there may be room in the budget."""

    async def answered(self, attempt: Attempt, reply: Reply, *, latency_s: float) -> None:
        """Judge and settle a reply. Raises Later when the next model is to be asked."""
        pending, channel = attempt.pending, attempt.channel
        channel.rate_limiter.settle(attempt.charge, reply.usage)
        channel.rate_limiter.hear(attempt.charge, reply.limits)
        channel.slots.answered(channel.under_way)
        with self._telling_outages(channel, "answered"):
            channel.circuit_breaker.answered(sent_at=attempt.sent_at)
        channel.prove()
        self._failure_history.answered()
        if reply.usage:
            channel.usage_expectation.learn(pending.tokens, reply.usage)
            channel.counters.answered(channel.model, reply.usage, channel.rate_limiter.limits)
        judgement, price, usage = self._judge.judge(reply), channel.chain_model.price, reply.usage
        escalated = self._chain.escalated(channel.model_no, judgement.outcome, judgement.output, pending.text)
        await self.settle(
            Settlement(
                attempt_no=attempt.attempt_no,
                state="answered",
                # A reply that does not tell its usage is booked at its worst case.
                cost_nusd=price.cost_nusd(usage) if usage else None,
                price=price.row(usage) if usage else None,
                prompt=known_prompt(attempt, usage) if usage else None,
                outcome=judgement.outcome,
                reason=judgement.reason,
                output=None if judgement.output is None else json.dumps(judgement.output),
                reply=reply,
                latency_s=latency_s,
                escalated=escalated,
            ),
            attempt,
        )
        if escalated:
            pending.model_no, pending.tries = channel.model_no + 1, Tries()
            raise RetryLater(0.0)

    async def failed(self, attempt: Attempt, failure: Failure, *, latency_s: float) -> None:
        """Settle an attempt without a reply. Raises Later when it is to be tried again, Halted when the run stops."""
        pending, channel = attempt.pending, attempt.channel
        if pending.asked != channel.model_no:  # attempts at another model say nothing of this one
            pending.asked, pending.tries = channel.model_no, Tries()
        health = self._health_after(attempt, failure)
        outage = health in {Health.DOWN, Health.LOST}
        pending.tries = pending.tries.after(failure, outage=outage)
        self._failure_history.failed(failure)
        action = decide(failure, pending.tries, health, max_attempts=self._context.retry.max_attempts)
        if action is Action.STOP_OUTAGE and self._outlasts(attempt, health):
            with self._telling_outages(channel, failure.name):
                channel.circuit_breaker.trip(channel.clock())
            pending.tries, action = Tries(), Action.WAIT  # its attempts so far say nothing of the next model
        wait_s = self._wait_s(pending, failure)
        later = kind_of(failure) is FailureKind.LATER
        if later and action is Action.WAIT:  # before it is recorded: others are about to be sent
            ramp = is_ramp_limit(failure)
            if channel.rate_limiter.turned_away(attempt.charge, wait_s=wait_s, told=failure.limits, ramp=ramp):
                self._tell(Paused(wait_s, failure.name))
        elif failure.maybe_billed:
            channel.rate_limiter.settle(attempt.charge, None)
        else:
            channel.rate_limiter.refund(attempt.charge)
            if failure.limits:
                channel.rate_limiter.hear(attempt.charge, failure.limits)
        final = action is Action.FAIL
        await self.settle(
            Settlement(
                attempt_no=attempt.attempt_no,
                state="unknown" if failure.maybe_billed else "failed",
                cost_nusd=None if failure.maybe_billed else 0,
                outcome=failed_outcome(failure) if final else None,
                reason=failed_reason(failure, pending.tries) if final else None,
                failure=failure,
                latency_s=latency_s,
            ),
            attempt,
        )
        self._act(attempt, action, failure, wait_s)

    def _health_after(self, attempt: Attempt, failure: Failure) -> Health:
        """What the failure says of the model's API, once slots and circuit know of it."""
        channel, now, sent_at = attempt.channel, attempt.channel.clock(), attempt.sent_at
        with self._telling_outages(channel, failure.name):
            if is_no_answer(failure):
                self._no_answer(attempt, failure, now)
            elif failure.cause is Cause.STATUS:
                channel.circuit_breaker.heard(sent_at=sent_at)
        if kind_of(failure) is FailureKind.LATER:
            channel.slots.cut(TURNED_AWAY, sent_at=sent_at, now=now)
        return channel.circuit_breaker.health(now)

    def _no_answer(self, attempt: Attempt, failure: Failure, now: float) -> None:
        channel, tries, circuit_breaker = attempt.channel, attempt.pending.tries, attempt.channel.circuit_breaker
        if not circuit_breaker.is_open:
            channel.slots.cut(OVERLOADED, sent_at=attempt.sent_at, now=now)
        exhausted = tries.attempts + 1 >= self._context.retry.max_attempts
        circuit_breaker.failed(
            now,
            sent_at=attempt.sent_at,
            request_no=attempt.pending.record.request_no,
            first_time=tries == Tries(),
            last_time=exhausted,
        )
        if failure.cause is Cause.UNREACHABLE and exhausted and circuit_breaker.health(now) is Health.ANSWERING:
            circuit_breaker.trip(now)  # a connection that is never made is no matter of the document

    @contextmanager
    def _telling_outages(self, channel: ModelChannel, cause: str) -> Iterator[None]:
        """Tell when what is done here opens the circuit, or closes it."""
        before = channel.circuit_breaker.down_since
        yield
        if before is None and channel.circuit_breaker.is_open:
            self._tell(OutageBegan(channel.model, cause))
        elif before is not None and not channel.circuit_breaker.is_open:
            channel.slots.recover()
            self._tell(OutageEnded(channel.model, channel.clock() - before))

    def _outlasts(self, attempt: Attempt, health: Health) -> bool:
        """Whether the run goes on although this model answers nobody."""
        channel, now = attempt.channel, attempt.channel.clock()
        if self._chain.falls_back(channel.model_no, OUTAGE):
            return True  # the next model answers meanwhile
        if not self._failure_history.ever_answered:
            return False
        before = self._channels[attempt.pending.model_no : channel.model_no]
        return health is Health.UNPROVEN or any(one.circuit_breaker.health(now) is not Health.LOST for one in before)

    def _wait_s(self, pending: PendingRequest, failure: Failure) -> float:
        retry = self._context.retry
        return delay_s(failure, pending.tries, initial_s=retry.initial_delay_s, max_s=retry.max_delay_s, rng=self._rng)

    def _act(self, attempt: Attempt, action: Action, failure: Failure, wait_s: float) -> None:
        pending = attempt.pending
        doc_id, attempts = pending.record.ref.doc_id, pending.tries.attempts
        if action in {Action.STOP, Action.STOP_MONEY, Action.STOP_OUTAGE}:
            self._tell(AttemptFailed(doc_id, failure.name, attempts, None))
            self._halt.stop(fatal_problem(failure, action))
            raise Halted
        if action is Action.FAIL:
            attempt.channel.prove()
            if self._failure_history.rejects_alike:
                self._halt.stop(rejected_alike(failure, SAME_REJECTIONS))
            return
        self._tell(AttemptFailed(doc_id, failure.name, attempts, wait_s))
        if action is Action.WAIT:
            raise RetryLater(0.0)  # the gate or the circuit holds who waits, and everyone else
        attempt.channel.counters.waited("retry", wait_s)
        raise RetryLater(wait_s)

    async def settle(self, end: Settlement, attempt: Attempt | None = None) -> None:
        """Commit how an attempt ended, then tell it; with an escalated answer documents pass to the next model."""

        def settle(ledger: Ledger) -> list[DocumentSettled]:
            kept: list[str] = []
            if attempt and end.escalated:
                attempt.pending.record = ledger.move(self._context.job, self._next_move(attempt, end))
            elif attempt and end.outcome and end.outcome.failed:
                kept = self._taken_back(ledger, attempt)
            cost_nusd = end.cost_nusd or 0
            return [DocumentSettled(doc_id, Outcome.SUCCEEDED, None, cost_nusd) for doc_id in kept] + [
                DocumentSettled(doc_id, end.outcome, end.reason, cost_nusd)
                for doc_id in ledger.settle(end)
                if end.outcome
            ]

        settled = await self._context.writer.write(settle)
        self.settled.set()
        self.settled = asyncio.Event()
        if attempt:
            self._tell(ended(end, attempt))
        for event in settled:
            self._tell(event)

    def _taken_back(self, ledger: Ledger, attempt: Attempt) -> list[str]:
        """Documents that have a valid row of an earlier model: when the dearer one fails, it is better than none."""
        chain, pending = self._chain, attempt.pending
        if chain.acceptance_rules is None or attempt.channel.model_no == 0:
            return []
        earlier = [
            chain_model.request(pending.request).request_id for chain_model in chain.models[: attempt.channel.model_no]
        ]
        return take_back(ledger, self._context.job, pending.record.request_no, earlier)

    def _next_move(self, attempt: Attempt, end: Settlement) -> Move:
        chain_model = self._channels[attempt.channel.model_no + 1].chain_model
        request = chain_model.request(attempt.pending.request)
        has_row = end.outcome is Outcome.SUCCEEDED
        return Move(attempt.pending.record, request.request_id, chain_model.price.name, has_row=has_row)


def known_prompt(attempt: Attempt, usage: Usage) -> KnownPrompt:
    """What an answer tells of other attempts of its request."""
    return KnownPrompt(usage.prompt_tokens, attempt.request.max_tokens, attempt.channel.chain_model.price.rates.input)


def ended(end: Settlement, attempt: Attempt) -> AttemptEnded:
    """What is told of an attempt once the ledger has it."""
    reply, failure = end.reply, end.failure
    source = reply or failure
    return AttemptEnded(
        attempt_no=end.attempt_no,
        doc_id=attempt.pending.record.ref.doc_id,
        request_id=attempt.request.request_id,
        model=attempt.channel.model,
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
