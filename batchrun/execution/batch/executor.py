"""The batch route: a reconciler that does whatever the ledger says is due, until nothing is left or nothing is due.

The reconciler remembers nothing that the ledger does not: the next process continues where one died, and a call every
hour from cron is as good as a call that waits.
"""

import asyncio
import contextlib
import math
from enum import StrEnum

from batchrun.batch import BatchState
from batchrun.events import BatchesOpen, Draining
from batchrun.execution.batch.collect import Collector
from batchrun.execution.batch.context import BatchContext, BatchProblem
from batchrun.execution.batch.create import Creator
from batchrun.execution.batch.find_lost import LostBatchFinder
from batchrun.execution.batch.packing import Packer
from batchrun.execution.batch.poll import Poller
from batchrun.execution.halt import Halted
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.runs import Runs

LONGEST_SLEEP_S = 15.0
"""The wall clock is read this often, so that a machine that slept finds out soon."""


class Ending(StrEnum):
    """Why the reconciler returned."""

    DONE = "done"
    """No batch is open, and no document is left that could be packed."""
    UNFINISHED = "unfinished"
    """Nothing is due, and the run does not wait; or the run has halted."""
    STREAM = "stream"
    """The deadline is near: the rest is pending, in no batch, and is to be streamed."""


class BatchExecutor:
    """Brings the batches of one job to their ends, and packs what is pending into new ones."""

    def __init__(
        self,
        context: BatchContext,
        packer: Packer | None,
        collector: Collector,
        *,
        switch_at: float | None = None,
    ) -> None:
        """The rest is streamed from `switch_at` on, to be done by the deadline. None means never."""
        self._context = context
        self._switch_at = math.inf if switch_at is None else switch_at
        self._creator = Creator(context, packer) if packer else None
        self._finder = LostBatchFinder(context)
        self._poller = Poller(context, collector)
        self._collector = collector

    async def run(self) -> Ending:
        """Return when there is nothing more to do, or for now, or when the run has halted."""
        work = asyncio.create_task(self._until_done())
        halted = asyncio.create_task(self._context.run.halt.wait())
        try:
            await asyncio.wait({work, halted}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._drain()
        finally:
            work.cancel()
            halted.cancel()
        with self._context.run.halt.guard(), contextlib.suppress(Halted, asyncio.CancelledError):
            return await work
        return Ending.UNFINISHED

    async def _drain(self) -> None:
        """Wait for the answer to a create call, within the grace. Otherwise the next submit has to find the batch."""
        if self._creator is None or self._creator.idle.is_set():
            return
        halt = self._context.run.halt
        self._context.run.tell(Draining(1, halt.grace_s, str(halt.reason)))
        await halt.drain(self._creator.idle.wait())

    async def _until_done(self) -> Ending:
        while True:
            switches = self._context.run.clock() >= self._switch_at
            await self._visit_all(cancels=switches or self._context.run.cancels)
            # The results of a batch that is open may show that documents which were rejected alike are not at fault.
            if not self._context.run.waits or not await self._context.open_batches():
                await self._collector.conclude()
            blocked = False
            if self._creator and not switches and not self._collector.holds_back:
                blocked = await self._creator.create_all()
            open_batches = await self._context.open_batches()
            if not open_batches and not blocked:
                if self._context.uploader:
                    await self._context.uploader.delete_all()
                few = self._creator is not None and self._creator.leaves_few
                return Ending.STREAM if switches or few else Ending.DONE
            if not self._context.run.waits:
                return Ending.UNFINISHED
            await self._wait(open_batches)

    async def _visit_all(self, *, cancels: bool) -> None:
        # Batches in doubt come last: a batch that has been found by then cannot be the one in doubt.
        open_batches = await self._context.open_batches()
        problems = []
        for batch in sorted(open_batches, key=lambda batch: batch.state is BatchState.PREPARED):
            self._context.run.halt.check()
            try:
                if batch.state is BatchState.PREPARED:
                    await self._finder.look(batch)
                else:
                    await self._poller.visit(batch, cancels=cancels)
            except BatchProblem as problem:
                problems.append(problem.problem)
        for reason in (self._collector.hopeless(), *problems):
            if reason:
                self._context.stop(reason)

    async def _wait(self, open_batches: list[Batch]) -> None:
        """Sleep until something is due."""
        await self._note_troubles()
        now, due = self._context.run.clock(), self._due(open_batches)
        if due <= now:
            return
        requests = sum(batch.requests for batch in open_batches)
        expiries = [batch.expires_at for batch in open_batches if batch.expires_at is not None]
        self._context.run.tell(BatchesOpen(len(open_batches), requests, due - now, min(expiries, default=None)))
        loop = asyncio.get_running_loop()
        latest = loop.time() + due - now  # a clock that is set back prolongs nothing
        while (left_s := min(due - self._context.run.clock(), latest - loop.time())) > 0:  # noqa: ASYNC110 - time sets no event
            await asyncio.sleep(min(left_s, LONGEST_SLEEP_S))

    async def _note_troubles(self) -> None:
        """Note for `status` what did not work since the last wait, and is waited for."""
        run, note = self._context.run, "; ".join(self._context.troubles.values()) or None
        self._context.troubles.clear()
        await run.writer.write(lambda ledger: Runs(ledger).note(run.key.run_no, note))

    def _due(self, open_batches: list[Batch]) -> float:
        now = self._context.run.clock()
        later = [now if self._context.is_due(due) else due or now for due in (one.next_poll_at for one in open_batches)]
        not_before = self._creator.not_before if self._creator else 0.0
        if not open_batches or not_before > now:
            later.append(max(not_before, now + self._context.run.batch.poll_interval_s))
        if self._switch_at > now:
            later.append(self._switch_at)
        return min(later)
