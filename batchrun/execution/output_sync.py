"""Rows on their way to the output while a run goes on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from batchrun.errors import BatchrunError
from batchrun.events import Listener, PublishDelayed, Tick
from batchrun.execution.halt import Bug, Halt
from batchrun.store.output.publish import Output

PUBLISH_EVERY_S = 3.0
REST = 5
"""How many times as long as the last publication took the next one waits: a sixth of the time at most goes into it."""


@contextlib.asynccontextmanager
async def publishing(output: Output, listener: Listener, halt: Halt) -> AsyncIterator[None]:
    """Bring rows to the output every few seconds; who holds the file delays them, and is named once."""
    over = asyncio.Event()
    publisher = asyncio.create_task(_publish_until(over, output, listener, halt))
    try:
        yield
    finally:
        over.set()
        await publisher


async def _publish_until(over: asyncio.Event, output: Output, listener: Listener, halt: Halt) -> None:
    told = False
    published: int | None = None
    rested_at = 0.0
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), PUBLISH_EVERY_S)
            return
        listener(Tick())
        if (began := time.monotonic()) < rested_at:
            continue
        try:
            published = await asyncio.to_thread(_publish_news, output, published)
        except BatchrunError as problem:  # held, or its disk is full: the rows are safe in the ledger
            if not told:
                listener(PublishDelayed(str(problem)))
                told = True
        except Exception as bug:  # noqa: BLE001 - shown at the end, when what is in flight has landed
            halt.stop(Bug(bug))
            return
        rested_at = began + (REST + 1) * (time.monotonic() - began)


def _publish_news(output: Output, published: int | None) -> int:
    """Publish if the ledger has something new: a run that waits for batches leaves the file alone."""
    head = output.head()
    if head != published:
        output.publish(wait_s=0)
    return head
