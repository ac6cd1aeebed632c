"""The way of a run's usage and waits to the ledger, every few seconds; the learned limits follow at the end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from batchrun.events import Waiting
from batchrun.execution.run_context import RunContext
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.usage_counters import UsageCounters
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics
from batchrun.store.ledger.runs import Runs

FLUSH_EVERY_S = 5.0


@dataclass(slots=True)
class UsageFlush:
    """Takes what was counted from the counters to the ledger."""

    context: RunContext
    counters: UsageCounters
    channels: Sequence[ModelChannel]
    noted: str | None = None
    """The long waits that the ledger has of the run, as one text."""

    @contextlib.asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Flush every few seconds and at the end, so that `status` shows the usage and a killed run keeps the usage."""
        over = asyncio.Event()
        flushing = asyncio.create_task(self._flush_until(over))
        try:
            yield
        finally:
            over.set()
            await flushing

    async def _flush_until(self, over: asyncio.Event) -> None:
        with self.context.halt.guard():
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), FLUSH_EVERY_S)
                await self._flush()
            await self.context.writer.write(self._learn)

    async def _flush(self) -> None:
        for channel in self.channels:
            if channel.slots.busiest:  # a minute in which nothing was sent is one in which nothing was used
                self.counters.used(channel.counted_as, channel.rate_limiter.limits)
        await self._tell_waits()
        counted, run_no = self.counters.take(), self.context.key.run_no
        if counted.minutes or counted.waits:
            await self.context.writer.write(
                lambda ledger: RunMetrics(ledger).add(run_no, counted.minutes, counted.waits)
            )

    async def _tell_waits(self) -> None:
        """Tell of the waits that have become long, and note for `status` what is waited for just now."""
        long_waits, run_no = self.counters.long_waits, self.context.key.run_no
        for why in long_waits.news(asyncio.get_running_loop().time()):
            self.context.tell(Waiting(why))
        if self.noted != (told := long_waits.told):
            self.noted = told
            await self.context.writer.write(lambda ledger: Runs(ledger).note(run_no, told))

    def _learn(self, ledger: Ledger) -> None:
        for channel in self.channels:
            if learned := channel.learned(time.time()):
                RunMetrics(ledger).learn(channel.model, learned)
