"""How an attempt ends: with a reply, or with the reason why there is none. What follows, and the ledger's entry.

The reply, its usage, its cost and its outcome are durable before any listener hears of them. Whatever comes back also
teaches the model's channel: the rate limiter, the slots and the circuit breaker.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from batchrun.answers.turns import Judges, Step, next_step
from batchrun.answers.validation import Judgement
from batchrun.events import AttemptEnded, AttemptFailed, DocumentSettled, OutageBegan, OutageEnded, Paused
from batchrun.execution.evidence import located
from batchrun.execution.failure_history import FailureHistory
from batchrun.execution.failure_messages import failed_outcome, failed_reason, fatal_problem, waited_for
from batchrun.execution.halt import Halted
from batchrun.execution.pending_request import Attempt, PendingRequest, RetryLater
from batchrun.execution.retry_policy import (
    Action,
    FailureKind,
    Health,
    Tries,
    asks_to_wait,
    decide,
    delay_s,
    is_no_answer,
    is_unreachable,
    kind_of,
)
from batchrun.execution.run_context import RunContext
from batchrun.execution.send_setup import SendSetup
from batchrun.execution.settlements import answered_settlement, failed_settlement
from batchrun.execution.stream.concurrency import OVERLOADED
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.usage_doubts import UsageDoubts, fits_request
from batchrun.outcome import Outcome
from batchrun.providers.anthropic.errors import is_ramp_limit
from batchrun.reply import Cause, Failure, Reply
from batchrun.store.ledger.cascades import take_back
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import KnownPrompt, Settlement
from batchrun.strategy.model_chain import OUTAGE

LARGE_REPLY = 50_000
"""Characters. A larger reply is judged beside the event loop: a megabyte of wrong values takes seconds."""


class AttemptResults:
    """Settles the attempts of one run."""

    def __init__(self, context: RunContext, setup: SendSetup, channels: Sequence[ModelChannel]) -> None:
        self._context = context
        self._halt = context.halt
        self._tell = context.tell
        self._chain = setup.chain
        self._judges = Judges(setup.form)
        self._reader = setup.reader
        self._channels = channels
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets
        self._failure_history: FailureHistory[tuple[Settlement, Attempt]] = FailureHistory(brakes=context.brakes)
        self._doubts = UsageDoubts(context.tell)
        self.settled = asyncio.Event()
        """Set, and replaced, whenever a reservation has become a cost: then there may be room in the budget."""

    async def answered(self, attempt: Attempt, reply: Reply, *, latency_s: float) -> None:
        """Judge and settle a reply. Raises RetryLater when the next model is to be asked."""
        pending, channel = attempt.pending, attempt.channel
        text_class = pending.tokens.text_class
        if reply.usage and not fits_request(reply.usage, attempt.request, channel.chain_model.price, text_class):
            reply = self._doubts.without_usage(reply)
        channel.rate_limiter.settle(attempt.charge, reply.usage)
        channel.rate_limiter.hear(attempt.charge, reply.limits)
        channel.answered(latency_s)
        with self._announcing_outages(channel, "answered"):
            channel.circuit_breaker.answered(sent_at=attempt.sent_at)
        channel.counters.long_waits.end(channel.model)
        channel.prove()
        if reply.usage:
            channel.expectation(pending.record.progress).learn(pending.tokens, reply.usage)
            channel.counters.used(channel.counted_as, channel.rate_limiter.limits, usage=reply.usage)
        price, usage = channel.chain_model.price, reply.usage
        judgement = await self._judged(pending, reply)
        self._failure_history.answered(channel.model, judgement.outcome, judgement.reason)
        self._stop_if_all_alike()
        step = self._next_step(attempt, judgement)
        end = answered_settlement(attempt.attempt_no, reply, step, judgement, price)
        findings = json.loads(end.findings) if end.findings else None
        escalated = self._chain.escalated(channel.model_no, step.outcome, step.output, pending.text, findings)
        prompt = KnownPrompt(usage.prompt_tokens, attempt.request.max_tokens, price.rates.input) if usage else None
        await self.settle(replace(end, latency_s=latency_s, escalated=escalated, prompt=prompt), attempt)
        await self.conclude()
        if escalated:
            pending.model_no, pending.tries = channel.model_no + 1, Tries()
            raise RetryLater(0.0)
        if step.outcome is None:
            pending.go_on(step.progress, reply, attempt.attempt_no)
            raise RetryLater(0.0)

    async def _judged(self, pending: PendingRequest, reply: Reply) -> Judgement:
        """Judge the reply to a turn, in a thread what takes a while: a large reply, and quotes in a long document."""
        form, turn = self._judges.form, pending.record.progress.turn
        if len(reply.raw) > LARGE_REPLY:
            judgement = await asyncio.to_thread(self._judges.judge, reply, turn)
        else:
            judgement = self._judges.judge(reply, turn)
        if judgement.output is None or not form.has_evidence:
            return judgement
        return await asyncio.to_thread(located, form, judgement, pending, self._reader)

    def _next_step(self, attempt: Attempt, judgement: Judgement) -> Step:
        return next_step(
            self._judges.form,
            attempt.pending.record.progress,
            judgement,
            attempt_no=attempt.attempt_no,
            max_tokens=attempt.request.max_tokens,
            mending=self._context.mending(attempt.channel.model),
        )

    async def failed(self, attempt: Attempt, failure: Failure, *, latency_s: float) -> None:
        """Settle an attempt without a reply. Raises RetryLater if a retry is decided, Halted when the run stops."""
        pending, channel = attempt.pending, attempt.channel
        if pending.asked != channel.model_no:  # attempts at another model say nothing of this model
            pending.asked, pending.tries = channel.model_no, Tries()
        health = self._health_after(attempt, failure)
        pending.tries = pending.tries.after(failure, outage=health in {Health.DOWN, Health.LOST})
        retry = self._context.retry
        action = decide(failure, pending.tries, health, max_attempts=retry.max_attempts)
        if action is Action.STOP_OUTAGE and self._outlasts(attempt, failure, health):
            with self._announcing_outages(channel, failure.name):
                channel.circuit_breaker.trip(channel.clock())
            pending.tries, action = Tries(), Action.WAIT  # the attempts so far say nothing of the next model
        wait_s = delay_s(
            failure, pending.tries, initial_s=retry.initial_delay_s, max_s=retry.max_delay_s, rng=self._rng
        )
        self._settle_charge(attempt, failure, action, wait_s)
        final = action is Action.FAIL
        end = failed_settlement(
            attempt.attempt_no,
            failure,
            outcome=failed_outcome(failure) if final else None,
            reason=failed_reason(failure, pending.tries) if final else None,
            latency_s=latency_s,
        )
        if final and self._failure_history.rejected(
            channel.model, failure, pending.record.request_no, held=(end, attempt)
        ):
            end = replace(end, outcome=None, reason=None)
            self._stop_if_all_alike()
        await self.settle(end, attempt)
        await self.conclude()
        self._act(attempt, action, failure, wait_s)

    def _settle_charge(self, attempt: Attempt, failure: Failure, action: Action, wait_s: float) -> None:
        """Correct the charge before the ledger has the failure, because other requests are about to be sent."""
        rate_limiter = attempt.channel.rate_limiter
        if asks_to_wait(failure) and action is Action.WAIT and not attempt.channel.circuit_breaker.is_open:
            ramp = is_ramp_limit(failure)
            is_asked = failure.retry_after_s is not None
            if rate_limiter.turned_away(
                attempt.charge, wait_s=wait_s, reported=failure.limits, ramp=ramp, is_asked=is_asked
            ):
                self._tell(Paused(wait_s, failure.name))
        elif failure.maybe_billed:
            rate_limiter.settle(attempt.charge, None)
        else:
            rate_limiter.refund(attempt.charge)
            if failure.limits:
                rate_limiter.hear(attempt.charge, failure.limits)

    def _health_after(self, attempt: Attempt, failure: Failure) -> Health:
        """Let the slots and the circuit breaker know of the failure, and return the health of the model's API."""
        channel, now, sent_at = attempt.channel, attempt.channel.clock(), attempt.sent_at
        with self._announcing_outages(channel, failure.name):
            proven = channel.circuit_breaker.health(now) is not Health.UNPROVEN
            doubted = proven and kind_of(failure) is FailureKind.NOT_FOUND  # a model that has answered exists
            if is_no_answer(failure) or doubted:
                self._no_answer(attempt, failure, now)
                if doubted:
                    channel.circuit_breaker.trip(now)
            elif asks_to_wait(failure):
                channel.circuit_breaker.turned_away(now, sent_at=sent_at, retry_after_s=failure.retry_after_s or 0.0)
                channel.turned_away(sent_at)
            elif failure.cause is Cause.STATUS:
                channel.circuit_breaker.heard(sent_at=sent_at)
                channel.counters.long_waits.end(channel.model)
        return channel.circuit_breaker.health(now)

    def _no_answer(self, attempt: Attempt, failure: Failure, now: float) -> None:
        channel, tries, circuit_breaker = attempt.channel, attempt.pending.tries, attempt.channel.circuit_breaker
        if not circuit_breaker.is_open:
            channel.slots.cut(OVERLOADED, sent_at=attempt.sent_at, now=now)
        unreachable = is_unreachable(failure)
        exhausted = tries.attempts + (tries.waits if unreachable else 0) + 1 >= self._context.retry.max_attempts
        circuit_breaker.failed(
            now,
            sent_at=attempt.sent_at,
            request_no=attempt.pending.record.request_no,
            first_time=tries == Tries(),
            last_time=exhausted,
        )
        if unreachable and exhausted and circuit_breaker.health(now) is Health.ANSWERING:
            circuit_breaker.trip(now)  # the document is not to blame for a connection that is never made

    @contextmanager
    def _announcing_outages(self, channel: ModelChannel, cause: str) -> Iterator[None]:
        """Announce an outage that begins inside the context, or the end of an outage."""
        before = channel.circuit_breaker.down_since
        yield
        if before is None and channel.circuit_breaker.is_open:
            self._tell(OutageBegan(channel.model, cause))
        elif before is not None and not channel.circuit_breaker.is_open:
            channel.slots.recover()
            self._tell(OutageEnded(channel.model, channel.clock() - before))

    def _outlasts(self, attempt: Attempt, failure: Failure, health: Health) -> bool:
        """Return whether the run goes on although this model answers nobody."""
        channel, now = attempt.channel, attempt.channel.clock()
        if is_unreachable(failure) and not self._failure_history.ever_answered:
            provider, *later = (model.provider for model in self._chain.models[channel.model_no :])
            if set(later) <= {provider}:
                return False  # every later model is at the same address
        if self._chain.falls_back(channel.model_no, OUTAGE):
            return True  # the next model answers meanwhile
        if not self._failure_history.ever_answered:
            return False
        before = self._channels[attempt.pending.model_no : channel.model_no]
        return health is Health.UNPROVEN or any(one.circuit_breaker.health(now) is not Health.LOST for one in before)

    def _act(self, attempt: Attempt, action: Action, failure: Failure, wait_s: float) -> None:
        pending = attempt.pending
        doc_id, attempts = pending.record.ref.doc_id, pending.tries.attempts
        if action in {Action.STOP, Action.STOP_MONEY, Action.STOP_OUTAGE}:
            self._tell(AttemptFailed(doc_id, failure.name, attempts, None))
            several = len(self._chain.models) > 1
            self._halt.stop(fatal_problem(failure, model=attempt.channel.model if several else None))
            raise Halted
        if action is Action.FAIL:
            attempt.channel.prove()
            return
        self._tell(AttemptFailed(doc_id, failure.name, attempts, wait_s))
        self._wait_for(attempt.channel, failure)
        if action is Action.WAIT:
            raise RetryLater(0.0)  # the rate limiter or the circuit breaker makes everyone wait
        attempt.channel.counters.waited("retry", wait_s)
        raise RetryLater(wait_s)

    def _wait_for(self, channel: ModelChannel, failure: Failure) -> None:
        """Note what is waited for until the model answers somebody; the next model answers meanwhile if it may."""
        if channel.circuit_breaker.is_open and self._chain.falls_back(channel.model_no, OUTAGE):
            channel.counters.long_waits.end(channel.model)
            return
        pause_s = (failure.retry_after_s or 0.0) if asks_to_wait(failure) else 0.0
        channel.counters.long_waits.begin(channel.model, waited_for(failure), now=channel.clock(), least_s=pause_s)

    async def conclude(self, *, at_end: bool = False) -> None:
        """Give documents the outcomes that are no longer held back.

        In a run that has stopped, for whatever reason, what is held back stays pending.
        """
        if self._halt.reason is None:
            for end, attempt in self._failure_history.final(at_end=at_end):
                await self.settle(end, attempt, was_held=True)

    def _stop_if_all_alike(self) -> None:
        """Stop the run before the ledger has the attempt's end: nothing more is sent while the end is written."""
        if problem := self._failure_history.problem():
            self._halt.stop(problem)

    async def settle(self, end: Settlement, attempt: Attempt | None = None, *, was_held: bool = False) -> None:
        """Commit how an attempt ended, then announce the end. An escalated answer passes documents to the next model.

        A valid row of an earlier model is better than none: documents keep that row when the costlier model fails.
        An attempt whose outcome `was_held` back is settled already.
        """

        def settle(ledger: Ledger) -> list[DocumentSettled]:
            kept: list[str] = []
            if attempt and end.escalated:
                next_model = self._chain.models[attempt.channel.model_no + 1]
                has_row = end.outcome is Outcome.SUCCEEDED
                move = attempt.pending.move_to(next_model, self._judges.form, has_row=has_row)
                attempt.pending.record = ledger.move(self._context.job, move)
            elif attempt and end.outcome and end.outcome.failed and self._chain.acceptance_rules:
                earlier = attempt.pending.earlier_ids(self._chain, attempt.channel.model_no)
                kept = take_back(ledger, self._context.job, attempt.pending.record.request_no, earlier)
            rest = ledger.conclude(end) if was_held else ledger.settle(end)
            ended: list[tuple[str, Outcome, str | None]] = [(doc_id, Outcome.SUCCEEDED, None) for doc_id in kept]
            ended += [(doc_id, end.outcome, end.reason) for doc_id in rest if end.outcome]
            paid = itertools.chain([end.cost_nusd or 0], itertools.repeat(0))  # documents of one request pay once
            return [DocumentSettled(*one, cost_nusd) for one, cost_nusd in zip(ended, paid, strict=False)]

        settled = await self._context.writer.write(settle)
        self.settled.set()
        self.settled = asyncio.Event()
        if attempt and not was_held:
            self._tell(attempt_ended(end, attempt))
        for event in settled:
            self._tell(event)


def attempt_ended(end: Settlement, attempt: Attempt) -> AttemptEnded:
    """Return the event that follows once the ledger has the end of an attempt."""
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
