"""Documents one by one: a producer, a bounded queue, and workers that share rate limiter, budget and writer."""

import asyncio

from batchrun.events import Draining
from batchrun.execution.document_reader import set_aside, slices
from batchrun.execution.halt import Halted
from batchrun.execution.pending_request import PendingRequest
from batchrun.execution.run_context import RunContext
from batchrun.execution.send_setup import SendSetup
from batchrun.execution.stream.attempt import Attempts
from batchrun.execution.usage_flush import UsageFlush
from batchrun.outcome import Outcome

MOST_QUEUED = 32
"""How many texts are read ahead."""
MOST_HELD_BYTES = 256_000_000
"""How many bytes of requests are read ahead or in flight: five hundred scans in flight would not fit into memory."""
REVISIT_S = 1.0
"""How soon to look again at documents whose identical request, or whose room in a cap, another job has just now."""


class StreamExecutor:
    """Streams the pending documents of one run until none is left or the run halts."""

    def __init__(self, context: RunContext, setup: SendSetup, attempts: Attempts, usage_flush: UsageFlush) -> None:
        self._context = context
        self._halt = context.halt
        self._reader = setup.reader
        self._concurrency = setup.concurrency
        self._attempts = attempts
        self._usage_flush = usage_flush
        self._queue: asyncio.Queue[PendingRequest] = asyncio.Queue(maxsize=min(setup.concurrency, MOST_QUEUED))
        self._held_bytes = 0
        self._released = asyncio.Event()

    async def run(self) -> None:
        """Return when every document has its outcome, or when the run has halted and nothing is in flight."""
        async with self._usage_flush.flushing(), asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work()) for _ in range(self._concurrency)]
            producer = group.create_task(self._produce())
            watch = group.create_task(self._drain_when_halted([producer, *workers]))
            await asyncio.wait([producer])
            if self._halt.reason is None:
                for task in (watch, *workers):
                    task.cancel()

    async def _produce(self) -> None:
        with self._halt.guard():
            while await self._pass():
                pass

    async def _pass(self) -> bool:
        """Bring every pending document to its outcome. Returns whether to look for pending documents again."""
        attempts = self._attempts
        attempts.begin_pass()
        sent, queued = attempts.sent, await self._queue_all()
        await self._queue.join()
        await attempts.conclude()
        if queued and (attempts.waits_for_others or attempts.sent == sent) and not attempts.waits_for_batches:
            if attempts.refusal and not attempts.waits_for_others:
                self._halt.stop(attempts.refusal)
                return False
            # Another job is just sending the rest, or spending the rest of the cap; or that job died meanwhile.
            await asyncio.sleep(REVISIT_S)
            await self._context.writer.write(self._context.recover)
        return queued > 0 and not attempts.waits_for_batches

    async def _queue_all(self) -> int:
        attempts = self._attempts
        after = queued = 0
        while page := await self._reader.page(self._context.key, after=after):
            if attempts.waits_for_batches or attempts.waits_for_others:
                break
            after = page[-1].document_no
            # A request in flight may be that of an identical document.
            ours = [one for one in page if one.request_no not in attempts.in_flight.values()]
            for some in slices(ours, self._reader.texts_at_once):
                for pending in await self._reader.read(some):
                    if isinstance(pending, PendingRequest):
                        await self._hold(pending)
                        await self._queue.put(pending)
                        queued += 1
                    else:
                        await set_aside(self._context, pending, Outcome.UNREADABLE)
        return queued

    async def _hold(self, pending: PendingRequest) -> None:
        """Wait until there is room in memory for a request. One request alone always has room."""
        size = len(pending.request.body)
        while self._held_bytes and self._held_bytes + size > MOST_HELD_BYTES:
            self._released.clear()
            await self._released.wait()
        self._held_bytes += size

    async def _work(self) -> None:
        while True:
            pending = await self._queue.get()
            try:
                self._halt.check()
                await self._attempts.answer(pending)
            except Halted:
                pass  # the document stays pending: the same command continues it
            finally:
                self._held_bytes -= len(pending.request.body)
                self._released.set()
                self._queue.task_done()

    async def _drain_when_halted(self, tasks: list[asyncio.Task[None]]) -> None:
        """Let what is in flight end, within the grace. Workers that only wait are canceled at once.

        What is in flight after the grace is booked as lost, at its worst case.
        """
        await self._halt.wait()
        sending = set(self._attempts.in_flight)
        for task in tasks:
            if task not in sending:
                task.cancel()
        if sending:
            self._context.tell(Draining(len(sending), self._halt.grace_s, str(self._halt.reason)))
            await self._halt.drain(self._attempts.idle())
        for task in tasks:
            task.cancel()
