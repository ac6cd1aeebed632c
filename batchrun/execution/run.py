"""The execution of one run: the route of its documents, and who takes part from outside."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from batchrun.errors import BatchrunError
from batchrun.events import Event, Listener
from batchrun.execution.halt import Halt
from batchrun.execution.output_sync import publishing
from batchrun.execution.run_context import RunContext, RunKey, Sending
from batchrun.execution.stop_conditions import EVERYTHING, StopConditions, Tolerance
from batchrun.planning.api_lookups import CounterFactory
from batchrun.providers import BatchProvider, FileStore, Provider
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.publish import Output
from batchrun.strategy.routes import Route

if TYPE_CHECKING:
    from batchrun.execution.batch.executor import Ending
    from batchrun.execution.send_setup import SendSetup


class ProviderFactory(CounterFactory, Protocol):
    """Makes providers inside the run's event loop. Each provider belongs to the running loop."""

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        """Make the provider of streaming."""

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        """Make the provider of batches."""

    def make_files(self, *, timeout_s: float) -> FileStore:
        """Make the store of files."""


Interrupts = Callable[[Halt], AbstractContextManager[object]]
"""Lets somebody interrupt a run through the run's Halt, as long as the context lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The program around a run: who answers requests, who hears of events, and who may interrupt the run."""

    provider: ProviderFactory
    listener: Listener
    interrupts: Interrupts = nullcontext
    """Nobody interrupts the run by default."""
    sending: Sending = nullcontext


async def execute(
    context: RunContext, setup: "SendSetup | None", *, caller: Caller, output: Output, tolerance: Tolerance = EVERYTHING
) -> BatchrunError | None:
    """Bring the run's documents to their outcomes. Returns why the run halted, or None when the run went through.

    Nothing is sent without a `setup`: open batches are only brought to their ends. The output is fed from a ledger
    connection of its own, and is closed at the end.
    """
    halt = context.halt
    stop_conditions = StopConditions(tolerance, halt)
    tell = guarded(stop_conditions.watching(context.tell), halt)
    context = replace(context, tell=tell, brakes=tolerance.brakes, sending=caller.sending)
    try:
        async with context.writer:
            await give_back(context, setup)  # an earlier process may have died with more than it used
            with caller.interrupts(halt), stop_conditions.timed():
                async with publishing(output, context):
                    await run_routes(context, setup, caller.provider)
            await give_back(context, setup)
    except BatchrunError as problem:
        halt.stop(problem)
    finally:
        if setup:
            setup.reader.close()
        output.close()
    return context.writer.cause_of(halt.reason)


async def give_back(context: RunContext, setup: "SendSetup | None") -> None:
    """Give back what is leased of caps that several hosts share, and not used."""
    if setup and setup.leases:
        await setup.leases.settle(context.writer.write, setup.caps)


async def run_routes(context: RunContext, setup: "SendSetup | None", provider: ProviderFactory) -> None:
    """Bring the documents to their answers, and merge the answers over the parts of documents by requests."""
    if await answer_documents(context, setup, provider) and setup and setup.merge:
        await merge_answers(context, setup, provider, setup.merge)


async def merge_answers(
    context: RunContext, setup: "SendSetup", provider: ProviderFactory, merge: Callable[[Ledger, int], int | None]
) -> None:
    """Stream the requests that merge answers, whatever the route: there are few, and their answers are waited for."""
    if context.halt.reason:
        return
    since = await context.writer.write(lambda ledger: merge(ledger, context.key.run_no))
    if since is not None:
        await stream(replace(context, key=RunKey(context.key.run_no, since)), setup, provider)


async def answer_documents(context: RunContext, setup: "SendSetup | None", provider: ProviderFactory) -> bool:
    """Stream, or take care of batches and stream what they leave when the deadline is near.

    Returns whether nothing is waited for any more.
    """
    from batchrun.execution.batch.cascade import BatchCascade
    from batchrun.execution.batch.executor import Ending

    if setup and setup.route is Route.STREAM:
        await stream(context, setup, provider)
        # An earlier submit may have put documents into batches: those documents are not streamed meanwhile.
        if not await context.writer.write(lambda ledger: Batches(ledger).open(context.job)):
            return True
    ending = await take_care_of_batches(context, setup, provider)
    if setup is None or ending is Ending.UNFINISHED:
        return False
    # A batched run whose batches are done has packed all documents but those that another model answers.
    if ending is Ending.STREAM or setup.route is Route.STREAM or len(setup.chain.models) > 1:
        await BatchCascade(context, setup.chain, setup.form, setup.reader).escalate()
        await stream(context, setup, provider)
    return True


async def stream(context: RunContext, setup: "SendSetup", provider: ProviderFactory) -> None:
    """Stream the pending documents, unless the run has halted."""
    if context.halt.reason:
        return
    from batchrun.execution.assembly import stream_executor

    connections = setup.concurrency * len(setup.chain.models)
    client = provider.make(concurrency=connections, timeout_s=context.retry.timeout_s)
    try:
        await stream_executor(context, setup, client, clock=asyncio.get_running_loop().time).run()
    finally:
        await client.close()


async def take_care_of_batches(context: RunContext, setup: "SendSetup | None", provider: ProviderFactory) -> "Ending":
    """Bring open batches to their ends, and create new ones if that is the route, unless the run has halted."""
    from batchrun.execution.assembly import batch_executor
    from batchrun.execution.batch.executor import Ending
    from batchrun.execution.batch.uploads import Uploader

    if context.halt.reason:
        return Ending.UNFINISHED
    client = provider.make_batches(timeout_s=context.retry.timeout_s)
    uploader = Uploader(context, lambda: provider.make_files(timeout_s=context.retry.timeout_s))
    try:
        return await batch_executor(context, setup, client, uploader).run()
    finally:
        await uploader.close()
        await client.close()


def guarded(listener: Listener, halt: Halt) -> Listener:
    """Return a listener that may fail. A failure stops the run, and the end of the run shows the bug."""
    works = True

    def tell(event: Event) -> None:
        nonlocal works
        if works:
            works = False
            with halt.guard():
                listener(event)
                works = True

    return tell
