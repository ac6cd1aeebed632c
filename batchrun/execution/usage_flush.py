"""What a run used and waited for, brought to the ledger while it goes on; what it learnt of limits, at its end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass

from batchrun.execution.run_context import RunContext
from batchrun.execution.stream.model_channel import ModelChannel
from batchrun.execution.usage_counters import UsageCounters
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics

NOTE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class UsageFlush:
    """Takes what was counted from the tally to the ledger."""

    context: RunContext
    counters: UsageCounters
    channels: Sequence[ModelChannel]

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Note every few seconds, so that `status` can show it and a killed run has it; and at the end."""
        over = asyncio.Event()
        noting = asyncio.create_task(self._guarded(self._note_until(over)))
        try:
            yield
        finally:
            over.set()
            await noting
            await self._guarded(self._note())
            await self._guarded(self.context.writer.write(self._learn))

    async def _note_until(self, over: asyncio.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), NOTE_EVERY_S)
            await self._note()

    async def _note(self) -> None:
        for channel in self.channels:
            if channel.slots.busiest:  # a minute in which nothing was sent is one in which nothing was used
                self.counters.passing(channel.model, channel.rate_limiter.limits)
        if counted := self.counters.take():
            run_no = self.context.key.run_no
            await self.context.writer.write(
                lambda ledger: RunMetrics(ledger).add(run_no, counted.minutes, counted.waits)
            )

    def _learn(self, ledger: Ledger) -> None:
        for channel in self.channels:
            if learned := channel.learned(time.time()):
                RunMetrics(ledger).learn(channel.model, learned)

    async def _guarded(self, noted: Awaitable[None]) -> None:
        with self.context.halt.guard():
            await noted
