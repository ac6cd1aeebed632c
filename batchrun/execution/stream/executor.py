"""Documents one by one: a producer, a bounded queue, and workers that share one gate, one budget and one writer."""

import asyncio
from collections.abc import Callable

from batchrun.errors import BatchrunError
from batchrun.events import Draining, Listener
from batchrun.execution.document_reader import Gone, Reader, RunKey, set_aside, slices
from batchrun.execution.halt import Bug, Halt, Halted
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.stream.attempt import Attempts
from batchrun.execution.usage_flush import UsageFlush
from batchrun.execution.work_item import PendingRequest
from batchrun.outcome import Outcome
from batchrun.store.ledger.ledger import Ledger

DEFAULT_GRACE_S = 60.0
MOST_QUEUED = 32
"""Texts read ahead."""
REVISIT_S = 1.0
"""How soon to look again at documents whose identical request, or whose room in a cap, another job has just now."""


class StreamExecutor:
    """Streams the pending documents of one run until none is left or the run halts."""

    def __init__(  # noqa: PLR0913 - who takes part
        self,
        run: RunKey,
        *,
        reader: Reader,
        attempts: Attempts,
        writer: LedgerWriter,
        halt: Halt,
        listener: Listener,
        concurrency: int,
        recover: Callable[[Ledger], None],
        usage_flush: UsageFlush,
    ) -> None:
        self._run = run
        self._recover = recover
        self._reader = reader
        self._attempts = attempts
        self._writer = writer
        self._halt = halt
        self._tell = listener
        self._concurrency = concurrency
        self._usage_flush = usage_flush
        self.grace_s = DEFAULT_GRACE_S
        """How long a halted run waits for what is in flight."""
        self._queue: asyncio.Queue[PendingRequest] = asyncio.Queue(maxsize=min(concurrency, MOST_QUEUED))

    async def run(self) -> None:
        """Return when every document has its outcome, or when the run has halted and nothing is in flight."""
        async with self._usage_flush.taken(), asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work()) for _ in range(self._concurrency)]
            producer = group.create_task(self._produce())
            watch = group.create_task(self._drain_when_halted([producer, *workers]))
            await asyncio.wait([producer])
            if self._halt.reason is None:
                for task in (watch, *workers):
                    task.cancel()

    def give_up(self) -> None:
        """Wait no longer: what is in flight is booked as lost, at its worst case."""
        for task in self._attempts.tasks_in_flight():
            task.cancel()

    async def _produce(self) -> None:
        try:
            while await self._pass():
                pass
        except BatchrunError as problem:
            self._halt.stop(problem)
        except Exception as bug:  # noqa: BLE001 - told at the end, when what is in flight has landed
            self._halt.stop(Bug(bug))

    async def _pass(self) -> bool:
        """Bring every pending document to its outcome; False when none was left, True to look again."""
        attempts = self._attempts
        attempts.begin_pass()
        sent, queued = attempts.sent, await self._queue_all()
        await self._queue.join()
        if queued and (attempts.waits_for_others or attempts.sent == sent) and not attempts.waits_for_batches:
            if attempts.refusal and not attempts.waits_for_others:
                self._halt.stop(attempts.refusal)
                return False
            # Another job is just sending what is left, or what the cap has left; or died while it was.
            await asyncio.sleep(REVISIT_S)
            await self._writer.write(self._recover)
        return queued > 0 and not attempts.waits_for_batches

    async def _queue_all(self) -> int:
        after = queued = 0
        while not self._waits() and (page := await self._reader.page(self._run, after=after)):
            after = page[-1].document_no
            ours = [one for one in page if not self._attempts.sending(one.request_no)]
            for some in slices(ours, self._reader.texts_at_once):
                for pending in await self._reader.read(some):
                    queued += await self._queue_or_set_aside(pending)
        return queued

    def _waits(self) -> bool:
        """Whether nothing fits for now."""
        return self._attempts.waits_for_batches or self._attempts.waits_for_others

    async def _queue_or_set_aside(self, pending: PendingRequest | Gone) -> bool:
        if isinstance(pending, PendingRequest):
            await self._queue.put(pending)
            return True
        await set_aside(pending, Outcome.UNREADABLE, writer=self._writer, listener=self._tell)
        return False

    async def _work(self) -> None:
        while True:
            pending = await self._queue.get()
            try:
                self._halt.check()
                await self._attempts.answer(pending)
            except Halted:
                pass  # the document stays pending: the same command continues it
            finally:
                self._queue.task_done()

    async def _drain_when_halted(self, tasks: list[asyncio.Task[None]]) -> None:
        """Let what is in flight end, within the grace; whoever only waits is let go at once."""
        await self._halt.wait()
        sending = self._attempts.tasks_in_flight()
        for task in tasks:
            if task not in sending:
                task.cancel()
        if sending:
            self._tell(Draining(len(sending), self.grace_s, str(self._halt.reason)))
            await self._attempts.idle(within_s=self.grace_s)
        for task in tasks:
            task.cancel()
