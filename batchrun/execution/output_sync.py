"""The way of rows to the output while a run goes on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from batchrun.errors import BatchrunError
from batchrun.events import PublishDelayed, Tick
from batchrun.execution.run_context import RunContext
from batchrun.store.output.publish import Output

PUBLISH_EVERY_S = 3.0
REST = 5
"""The next publication waits so many times as long as the last one took, so a sixth of the time is spent at most."""


@contextlib.asynccontextmanager
async def publishing(output: Output, context: RunContext) -> AsyncIterator[None]:
    """Bring rows to the output every few seconds. A process that locks the file delays the rows, and is named once."""
    over = asyncio.Event()
    publisher = asyncio.create_task(_publish_until(over, output, context))
    try:
        yield
    finally:
        over.set()
        await publisher


async def _publish_until(over: asyncio.Event, output: Output, context: RunContext) -> None:
    is_delay_reported = False
    published: int | None = None
    rested_at = 0.0
    with context.halt.guard():
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), PUBLISH_EVERY_S)
                return
            context.tell(Tick())
            if (began := time.monotonic()) < rested_at:
                continue
            try:
                head = await asyncio.to_thread(output.head)
                if head != published:  # a run that waits for batches leaves the file alone
                    await asyncio.to_thread(output.publish, wait_s=0)
                    published = head
            except BatchrunError as problem:  # the file is locked, or its disk is full: the rows are in the ledger
                if not is_delay_reported:
                    context.tell(PublishDelayed(str(problem)))
                    is_delay_reported = True
            rested_at = began + (REST + 1) * (time.monotonic() - began)
