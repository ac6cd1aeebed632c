"""The polls of submitted batches, at growing delays, and the collection of ended batches."""

import random

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from batchrun.batch import RESULTS_KEPT_S, BatchState, RemoteBatch
from batchrun.events import BatchCollected, BatchEnded
from batchrun.execution.batch.collect import MOST_DOWNLOADS, RESULTS_GONE, Collected, Collector
from batchrun.execution.batch.context import BatchContext, BatchProblem
from batchrun.execution.failure_messages import batch_unknown, never_proven
from batchrun.execution.retry_policy import is_no_answer
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.errors import is_absence
from batchrun.reply import Failure
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches

GROWTH = 0.1
JITTER = 0.1
"""The delay of the next poll is a tenth of the batch's age, give or take a tenth: an end is seen at most 10% late."""
DOWNLOADS_AT_ONCE = 4
"""How often a broken download begins at once. After so many downloads the next poll begins another."""


def poll_delay_s(age_s: float, *, least_s: float, most_s: float, rng: random.Random) -> float:
    """Return how long to wait before a batch of this age is polled again."""
    return min(max(GROWTH * age_s, least_s), most_s) * rng.uniform(1 - JITTER, 1 + JITTER)


class Poller:
    """Brings submitted batches to their ends."""

    def __init__(self, context: BatchContext, collector: Collector) -> None:
        self._context = context
        self._collector = collector
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets

    async def visit(self, batch: Batch, *, cancels: bool) -> None:
        """Poll a batch if the batch is due, cancel the batch if the caller `cancels`, and collect an ended batch."""
        wanted = cancels and batch.state is BatchState.SUBMITTED and batch.cancel_at is None
        if not wanted and not self._context.is_due(batch.next_poll_at):
            return
        remote = await self._context.ask(batch, self._context.provider.retrieve(batch.batch_id or ""))
        if isinstance(remote, Failure):
            await self._not_told(batch, remote, hurried=wanted)
            return
        if batch.state is BatchState.SUBMITTED:
            unheard = batch.cancel_at is not None and remote.status == "in_progress"
            if unheard or (wanted and not remote.ended):
                remote = await self._cancel_if_ours(batch, remote)
            batch = await self._record(batch, remote, hurried=wanted)
        if batch.state is BatchState.ENDED:
            await self._collect(batch, remote)

    async def _cancel_if_ours(self, batch: Batch, remote: RemoteBatch) -> RemoteBatch:
        """Commit that the batch is to be canceled, then ask the API to cancel. Returns how the batch is now."""
        if batch.adopted and remote.requests != batch.requests:
            why = "it was found in the list without its size: it may be somebody else's, and is not canceled"
            self._context.trouble(batch.name, why)
            return remote
        now = self._context.run.clock()
        await self._context.apply(lambda batches: batches.ask_to_cancel(batch, now=now))
        answer = await self._context.ask(batch, self._context.provider.cancel(remote.batch_id))
        return remote if isinstance(answer, Failure) else answer

    async def _record(self, batch: Batch, remote: RemoteBatch, *, hurried: bool) -> Batch:
        """Record what the API said of a submitted batch, and return the batch as the ledger now has it."""
        due = self._due(batch, remote.retry_after_s, hurried=hurried)

        def record(batches: Batches) -> Batch:
            batches.polled(batch, remote, next_poll_at=due)
            return batches.one(batch.batch_no)

        recorded = await self._context.apply(record)
        if remote.ended:
            age_s = (remote.ended_at or self._context.run.clock()) - remote.created_at
            self._context.run.tell(BatchEnded(batch.name, age_s, remote.counts))
        return recorded

    async def _collect(self, batch: Batch, remote: RemoteBatch) -> None:
        if remote.archived:
            await self._gone(batch)
            return
        collected = await self._download(batch, remote)
        now = self._context.run.clock()
        is_old = now - remote.created_at > RESULTS_KEPT_S
        match collected:
            case Collected(complete=True):
                self._context.run.tell(BatchCollected(batch.name, collected.again, collected.odd))
            case Collected(foreign=True):
                self._context.trouble(batch.name, "its results are somebody else's; ours is looked for again")
                await self._context.apply(lambda batches: batches.detach(batches.one(batch.batch_no), now=now))
            case Collected() if batch.adopted and batch.downloads + 1 >= MOST_DOWNLOADS:
                raise BatchProblem(never_proven(batch))
            case Failure() if is_old and is_absence(collected):
                await self._gone(batch)
            case _:
                due = self._due(batch, collected.retry_after_s if isinstance(collected, Failure) else None)
                await self._context.apply(
                    lambda batches: batches.postpone(batches.one(batch.batch_no), next_poll_at=due)
                )

    async def _not_told(self, batch: Batch, failure: Failure, *, hurried: bool) -> None:
        """Ask again later. Raises BatchProblem once the API has denied the batch for `reconcile_wait`.

        A batch that the API has created is not gone because one answer says so: a cache or a replica may be behind.
        """
        now, due = self._context.run.clock(), self._due(batch, failure.retry_after_s, hurried=hurried)
        absent_at = min(now, batch.absent_at or now) if is_absence(failure) else None
        await self._context.apply(lambda batches: batches.postpone(batch, next_poll_at=due, absent_at=absent_at))
        if absent_at is not None and now - absent_at >= self._context.run.batch.reconcile_wait_s:
            raise BatchProblem(batch_unknown(batch, failure))

    async def _gone(self, batch: Batch) -> None:
        """Give up results that the API has deleted. A batch that may be somebody else's proves nothing."""
        if batch.adopted:
            raise BatchProblem(never_proven(batch))
        await self._collector.give_up(batch, RESULTS_GONE)
        self._context.trouble(batch.name, RESULTS_GONE.message)

    async def _download(self, batch: Batch, remote: RemoteBatch) -> Collected | Failure:
        """Collect, and begin again from the top when the download breaks. What is settled stays settled."""
        retry = self._context.run.retry
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_broken),
            stop=stop_after_attempt(DOWNLOADS_AT_ONCE),
            wait=wait_random_exponential(multiplier=retry.initial_delay_s, max=retry.max_delay_s),
            reraise=True,
        )
        try:
            return await retrying(self._collector.collect, batch, remote)
        except AttemptError as error:
            self._context.halt_if_fatal(error.failure)
            self._context.trouble(batch.name, f"its results: {error.failure.message}")
            return error.failure

    def _due(self, batch: Batch, asked_s: float | None, *, hurried: bool = False) -> float:
        """Return when to poll again, by the age of the batch or of its cancellation, but not before the API allows."""
        now, terms = self._context.run.clock(), self._context.run.batch
        age_s = 0.0 if hurried else now - (batch.cancel_at or batch.prepared_at)
        delay_s = poll_delay_s(age_s, least_s=terms.poll_interval_s, most_s=terms.max_poll_interval_s, rng=self._rng)
        return now + max(delay_s, asked_s or 0.0)


def is_broken(error: BaseException) -> bool:
    """Return whether a download broke while it was coming, rather than being refused."""
    return isinstance(error, AttemptError) and is_no_answer(error.failure)
