"""From the results of an ended batch to outcomes in the ledger: streamed, judged and settled in groups.

A download may break anywhere and starts again from the top: what is settled is no open member any more and is skipped.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from batchrun.answers.validation import Judge
from batchrun.batch import BatchResult, RemoteBatch, ResultType
from batchrun.catalog.price import ModelPrice
from batchrun.events import DocumentSettled
from batchrun.execution.failure_messages import failed_outcome
from batchrun.execution.retry_policy import Action, FailureHistory, Tries, decide, stops_everyone
from batchrun.execution.run_context import RunContext
from batchrun.execution.stream.circuit_breaker import FEWEST, Health
from batchrun.outcome import Outcome
from batchrun.providers import BatchProvider
from batchrun.reply import Cause, Failure, Reply
from batchrun.store.ledger.batch_records import Batch, Member
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Settlement

GROUP, GROUP_CHARACTERS = 200, 4_000_000
"""Results settled in one transaction: at most so many, and not much more text than this."""
MOST_DOWNLOADS = 10
"""After so many downloads that ended without an error, and brought nothing new, a missing result is given up."""
MOST_SHORT = 50
"""The same when it is certain that they ended early, because the API counts more results than came."""
ENDINGS = {ResultType.EXPIRED: Outcome.EXPIRED, ResultType.CANCELED: Outcome.CANCELED}
UNPROCESSED = {
    ResultType.EXPIRED: Failure(cause=Cause.EXPIRED, message="the batch expired before it was processed"),
    ResultType.CANCELED: Failure(cause=Cause.CANCELED, message="the batch was canceled before it was processed"),
}
NO_RESULT = Failure(cause=Cause.MALFORMED, message="the batch ended without a result for it")
RESULTS_GONE = Failure(
    cause=Cause.DROPPED,
    message="the API has deleted the results of its batch, 29 days after it was created; it was probably billed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one download of a batch's results came to."""

    foreign: bool = False
    """None of it carries the batch's nonce: an adopted batch that is somebody else's."""
    complete: bool = False
    """Every member has its outcome or is pending again."""
    again: int = 0
    """Requests that are pending again."""
    odd: int = 0
    """Results that nobody waits for: without our nonce, unreadable, or more than there are members."""


@dataclass(frozen=True, slots=True)
class BatchJudge:
    """How results of one batch are judged and priced."""

    batch: Batch
    judge: Judge
    price: ModelPrice | None
    """None when the table has none any more: then the worst case is booked."""
    max_attempts: int
    health: Health = Health.ANSWERING

    def settlement(self, member: Member, result: BatchResult) -> Settlement:
        """What a member's result means for its request: an outcome, or that it is pending again."""
        if result.reply:
            return self._answered(member, result.reply)
        failure = failure_in(result)
        if failure.maybe_billed:
            return lost(member, failure)
        outcome = ENDINGS.get(result.type or ResultType.ERRORED) or failed_outcome(failure)
        final = self.action(member, result) is Action.FAIL
        return Settlement(
            attempt_no=member.attempt_no,
            state="failed",
            cost_nusd=0,
            outcome=outcome if final else None,
            reason=f"{failure.error_type or failure.cause}: {failure.message}" if final else None,
            failure=failure,
        )

    def action(self, member: Member, result: BatchResult) -> Action:
        """What is done about a member that got no answer; what we canceled ourselves spends no attempt."""
        if result.type is ResultType.CANCELED and self.batch.cancel_at is not None:
            return Action.RETRY
        failure = failure_in(result)
        tries = Tries().after_all([*member.failures, failure])
        return decide(failure, tries, self.health, max_attempts=self.max_attempts, in_batch=True)

    def _answered(self, member: Member, reply: Reply) -> Settlement:
        judgement, price, usage = self.judge.judge(reply), self.price, reply.usage
        return Settlement(
            attempt_no=member.attempt_no,
            state="answered",
            # A reply that does not tell its usage is booked at its worst case.
            cost_nusd=price.cost_nusd(usage) if usage and price else None,
            price=price.row(usage) if usage and price else None,
            outcome=judgement.outcome,
            reason=judgement.reason,
            output=None if judgement.output is None else json.dumps(judgement.output),
            reply=reply,
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """What a group of results came to."""

    requests: int
    again: int
    """Of those, the ones that are pending again."""


def failure_in(result: BatchResult) -> Failure:
    """Why a result is no answer."""
    return result.failure or UNPROCESSED.get(result.type or ResultType.ERRORED, NO_RESULT)


def health_told_by(remote: RemoteBatch, *, ever_answered: bool) -> Health:
    """What a batch that has ended tells of its model: whether anybody is answered.

    A few requests may be odd themselves. If more of them errored and none was answered, the model is out.
    """
    counts = remote.counts
    silent = counts.get(ResultType.ERRORED, 0) >= FEWEST and not counts.get(ResultType.SUCCEEDED)
    return Health.UNPROVEN if silent and not ever_answered else Health.ANSWERING


def lost(member: Member, failure: Failure) -> Settlement:
    """A member whose result will never be had: it may have been billed, so a person decides about another attempt."""
    return Settlement(
        attempt_no=member.attempt_no,
        state="unknown",
        cost_nusd=None,
        outcome=Outcome.ERRORED,
        reason=failure.message,
        failure=failure,
    )


class Collector:
    """Collects the results of batches."""

    def __init__(
        self,
        context: RunContext,
        provider: BatchProvider,
        failure_history: FailureHistory,
        *,
        passes_on: Callable[[str, Settlement], bool] | None = None,
    ) -> None:
        """`passes_on`: whether another model is asked after a model's answer; then its documents are told of later."""
        self._context = context
        self._writer = context.writer
        self._provider = provider
        self._failure_history = failure_history
        self._passes_on = passes_on
        self.fatal: Failure | None = None
        """What errored in a way that would meet every other request too."""

    async def collect(self, batch: Batch, remote: RemoteBatch) -> Collected:
        """Settle every member of an ended batch. Raises AttemptError when the download breaks: what came is kept."""
        schema = await self._writer.write(lambda ledger: Batches(ledger).schema(batch.batch_no))
        price = self._context.price_of(batch.model)
        health = health_told_by(remote, ever_answered=self._failure_history.ever_answered)
        max_attempts = self._context.retry.max_attempts
        sentence = BatchJudge(batch, Judge(schema), price and price.in_batches, max_attempts, health)
        ours = odd = again = named = new = 0
        async with aclosing(grouped(self._provider.results(remote))) as groups:
            async for group in groups:
                self._context.halt.check()
                results = with_nonce(group, batch.nonce)
                if results and batch.adopted and not ours:
                    await self._writer.write(lambda ledger: Batches(ledger).proven(batch))
                ours += len(results)
                odd += len(group) - len(results)
                named += sum(result.is_named for result in group)
                settled = await self._settle(sentence, results)
                again, new = again + settled.again, new + settled.requests
        if not batch.adopted or ours:
            patience = MOST_SHORT if ours + odd < remote.requests else MOST_DOWNLOADS
            complete = await self._finish(replace(batch, adopted=False), news=new > 0, patience=patience)
            return Collected(complete=complete, again=again, odd=odd + max(0, ours - batch.requests))
        # A download that ended early proves nothing; only one that is whole, and names nothing of ours, does.
        if named and odd >= (remote.requests or batch.requests):
            return Collected(foreign=True)
        await self._writer.write(lambda ledger: Batches(ledger).downloaded(batch, news=False))
        return Collected()

    async def give_up(self, batch: Batch, failure: Failure) -> None:
        """Settle every member whose result will never be had, and close the batch."""
        while missing := await self._writer.write(
            lambda ledger: Batches(ledger).without_result(batch.batch_no, limit=GROUP)
        ):
            await self._record(batch, [lost(member, failure) for member in missing])
        await self._writer.write(lambda ledger: Batches(ledger).collected(batch))

    async def _finish(self, batch: Batch, *, news: bool, patience: int) -> bool:
        """Close the batch if nothing is missing; what many downloads in a row did not bring never comes."""

        def close(ledger: Ledger) -> bool:
            batches = Batches(ledger)
            if batches.without_result(batch.batch_no, limit=1):
                batches.downloaded(batch, news=news)
                return False
            batches.collected(batch)
            return True

        complete = await self._writer.write(close)
        if not complete and not news and batch.downloads + 1 >= patience:
            await self.give_up(batch, NO_RESULT)
            complete = True
        return complete

    async def _settle(self, sentence: BatchJudge, results: Mapping[str, BatchResult]) -> Settled:
        """Settle those of the results that are still waited for."""
        members = await self._writer.write(lambda ledger: Batches(ledger).members(sentence.batch.batch_no, results))
        found = [(member, results[request_id]) for request_id, member in members.items()]
        settlements = await asyncio.to_thread(lambda: [sentence.settlement(*one) for one in found])
        for member, result in found:
            self._note(result, sentence, member)
        await self._record(sentence.batch, settlements)
        return Settled(len(settlements), again=sum(end.outcome is None for end in settlements))

    async def _record(self, batch: Batch, settlements: list[Settlement]) -> None:
        if not settlements:
            return
        settled = await self._writer.write(lambda ledger: [ledger.settle(end) for end in settlements])
        for end, doc_ids in zip(settlements, settled, strict=True):
            for doc_id in doc_ids:
                assert end.outcome is not None
                if self._passes_on and self._passes_on(batch.model, end):
                    continue  # it is told of when the next model has answered
                self._context.tell(DocumentSettled(doc_id, end.outcome, end.reason, end.cost_nusd or 0))

    def _note(self, result: BatchResult, sentence: BatchJudge, member: Member) -> None:
        if result.reply:
            self._failure_history.answered()
        elif result.failure and result.failure.cause is Cause.STATUS:
            self._failure_history.failed(result.failure)
            if stops_everyone(result.failure) or sentence.action(member, result) is Action.STOP_OUTAGE:
                self.fatal = result.failure


async def grouped(results: AsyncGenerator[BatchResult, None]) -> AsyncGenerator[list[BatchResult], None]:
    """Results in lists of bounded size; what came before a download broke is handed on first."""
    group: list[BatchResult] = []
    size = 0
    try:
        async with aclosing(results):
            async for result in results:
                group.append(result)
                size += len(result.reply.raw) if result.reply else 0
                if len(group) == GROUP or size >= GROUP_CHARACTERS:
                    yield group
                    group, size = [], 0
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group


def with_nonce(group: list[BatchResult], nonce: str) -> dict[str, BatchResult]:
    """The results that carry the nonce, by request id; of one that comes twice, the first."""
    found: dict[str, BatchResult] = {}
    for result in group:
        if result.nonce == nonce:
            found.setdefault(result.request_id, result)
    return found
