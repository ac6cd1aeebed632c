"""The search for a batch whose create call got no answer: the batch is adopted, or was certainly never created."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from batchrun.batch import BatchPage, BatchResult, RemoteBatch
from batchrun.events import BatchSubmitted
from batchrun.execution.batch.context import BatchContext, BatchProblem
from batchrun.execution.batch.reconcile import (
    SCANS_APART,
    Adopt,
    Answer,
    Elsewhere,
    Missed,
    Resend,
    Several,
    Unproven,
    reconcile,
)
from batchrun.execution.failure_messages import another_list, nowhere_found, nowhere_proven, several_found
from batchrun.providers import AttemptError, BatchProvider
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches

PAGE = 1000
MOST_PAGES = 200
"""The most pages of a list: 200,000 batches that are newer than the last one before the call are not a list of ours."""
ENDLESS = Failure(cause=Cause.MALFORMED, message="the list of batches has no end, so nothing is decided on it")
JUMP_S = 5.0
"""The seconds that two clocks may drift apart without either having been set."""


class LostBatchFinder:
    """Settles batches in doubt: by the API's list and, among several candidates, by the nonces of their results."""

    def __init__(self, context: BatchContext) -> None:
        self._context = context
        self._holds = context.run.batch.on_ambiguous == "hold"
        self._announced = set[int]()
        """Batches whose several candidates have been announced."""
        self._looked: dict[int, tuple[float, float]] = {}
        """When each batch was looked for last, by the wall clock and by the loop's."""

    async def look(self, batch: Batch) -> None:
        """Look for the batch once, if the batch is due. Raises BatchProblem when a person has to decide."""
        now = self._context.run.clock()  # before the list is asked for: a batch that is not listed did not exist by now
        if not self._context.is_due(batch.next_poll_at):
            return
        listed = await self._context.ask_for_list(batch, read_list(self._context.provider, batch))
        if isinstance(listed, Failure):
            await self._context.apply(lambda batches: batches.postpone(batch, next_poll_at=self._next(batch)))
            return
        batch = await self._with_true_times(batch, now, listed.server_time)
        answer = await self._context.apply(lambda batches: self._decide(batches, batch, listed.batches, now))
        match answer:
            case Adopt(remote):
                self._context.run.tell(BatchSubmitted(remote.batch_id, batch.requests, batch.bytes, adopted=True))
            case Resend() if self._holds:
                raise BatchProblem(nowhere_found(batch))
            case Unproven():
                raise BatchProblem(nowhere_proven(batch))
            case Resend():
                self._context.trouble(batch.name, "it was never created; its requests are pending again")
            case Several(candidates):
                await self._choose(batch, candidates)
            case Elsewhere():
                self._elsewhere(batch, now)
            case Missed():
                pass

    async def _with_true_times(self, batch: Batch, now: float, server_time: float | None) -> Batch:
        """Correct since when the batch is in doubt if our clock was set; never to a time in the future.

        `reconcile_wait` is time that has passed, whatever a clock that was set shows. A jump of our clock shows against
        the API's clock, even from one process to the next, or against the loop's clock while this process lives. The
        loop's clock does not count the time that a machine sleeps either.
        """
        monotonic = asyncio.get_running_loop().time()
        last, self._looked[batch.batch_no] = self._looked.get(batch.batch_no), (now, monotonic)
        ahead_s = batch.clock_ahead if server_time is None else server_time - now
        if ahead_s is not None and batch.clock_ahead is not None:
            jump_s = batch.clock_ahead - ahead_s
        else:
            jump_s = (now - last[0]) - (monotonic - last[1]) if last else 0.0
        since = min(now, (batch.unclear_at or now) + (jump_s if abs(jump_s) > JUMP_S else 0.0))

        def corrected(batches: Batches) -> Batch:
            batches.correct(batch, unclear_at=since, clock_ahead=ahead_s)
            return batches.one(batch.batch_no)

        return await self._context.apply(corrected)

    def _elsewhere(self, batch: Batch, now: float) -> None:
        """Decide nothing on a list that is cut, or of another workspace; after a while a person has to decide."""
        self._context.trouble(batch.name, f"the list of batches lacks {batch.newest_before}, which was there before")
        if batch.unclear_at is not None and now - batch.unclear_at >= self._context.run.batch.reconcile_wait_s:
            raise BatchProblem(another_list(batch))

    def _decide(self, batches: Batches, batch: Batch, listed: Sequence[RemoteBatch], now: float) -> Answer:
        """Decide and record the decision in one transaction, so that no other job claims the same batch in between."""
        wait_s = self._context.run.batch.reconcile_wait_s
        claims = batches.claims(batch, (remote.batch_id for remote in listed))
        answer = reconcile(batch, listed, claims=claims, now=now, wait_s=wait_s)
        match answer:
            case Adopt(remote):
                batches.attach(batch, remote, adopted=remote.nonce is None, next_poll_at=now)
            case Resend() if not self._holds:
                batches.abandon(batch, "it was never created")
            case Missed(counts):
                if counts:
                    batches.missed(batch, now=now)
                batches.postpone(batch, next_poll_at=self._next(batch))
            case _:
                batches.postpone(batch, next_poll_at=self._next(batch))
        return answer

    async def _choose(self, batch: Batch, candidates: Sequence[RemoteBatch]) -> None:
        """Choose among candidates by the names of their results. A candidate that has not ended has no results yet."""
        if self._holds or all(remote.archived for remote in candidates):
            raise BatchProblem(several_found(batch, candidates))
        if batch.batch_no not in self._announced:
            self._announced.add(batch.batch_no)
            ids = ", ".join(remote.batch_id for remote in candidates)
            self._context.trouble(batch.name, f"it may be any of {ids}: the custom_ids of their results will tell")
        for remote in candidates:
            if not remote.ended or remote.archived:
                continue
            result = await self._first_named_result(batch, remote)
            if result is None:
                continue
            if result.nonce == batch.nonce:
                await self._claim(batch, remote)
                return
            await self._rule_out(batch, remote)

    async def _claim(self, batch: Batch, remote: RemoteBatch) -> None:
        now = self._context.run.clock()
        await self._context.apply(lambda batches: batches.attach(batch, remote, adopted=False, next_poll_at=now))
        self._context.run.tell(BatchSubmitted(remote.batch_id, batch.requests, batch.bytes, adopted=True))

    async def _rule_out(self, batch: Batch, remote: RemoteBatch) -> None:
        await self._context.apply(lambda batches: batches.rule_out(batch, remote.batch_id))

    async def _first_named_result(self, batch: Batch, remote: RemoteBatch) -> BatchResult | None:
        try:
            async with aclosing(self._context.provider.results(remote)) as results:
                async for result in results:
                    if result.is_named:
                        return result
        except AttemptError as error:
            self._context.trouble(batch.name, error.failure.message)
        return None

    def _next(self, batch: Batch) -> float:
        """Return when to look again: often enough to be certain as soon as `reconcile_wait` is over."""
        terms = self._context.run.batch
        soon = self._context.run.clock() + min(terms.poll_interval_s, SCANS_APART * terms.reconcile_wait_s)
        over = (batch.unclear_at or self._context.run.clock()) + terms.reconcile_wait_s
        return over if self._context.run.clock() < over < soon else soon


async def read_list(provider: BatchProvider, batch: Batch) -> BatchPage:
    """Read the list down to the newest batch before the call, or to the end, with the time of the first page.

    Raises AttemptError.
    """
    listed: list[RemoteBatch] = []
    after_id: str | None = None
    server_time: float | None = None
    for _ in range(MOST_PAGES):
        page = await provider.page(model=batch.model, after_id=after_id, limit=PAGE)
        listed += page.batches
        server_time = server_time or page.server_time
        if not page.has_more or not page.batches or batch.newest_before in {one.batch_id for one in page.batches}:
            return BatchPage(tuple(listed), has_more=False, server_time=server_time)
        if page.batches[-1].batch_id == after_id:
            break
        after_id = page.batches[-1].batch_id
    raise AttemptError(ENDLESS)
