"""The execution of one run: which route its documents take, and what a signal does."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from batchrun.errors import BatchrunError, ExitCode
from batchrun.events import Event, Listener
from batchrun.execution.assembly import RunSetting, Sending, Staff
from batchrun.execution.batch.cascade import BatchCascade
from batchrun.execution.batch.executor import BatchExecutor, Ending
from batchrun.execution.document_reader import Reader
from batchrun.execution.halt import Bug, Halt
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.output_sync import publishing
from batchrun.execution.stop_conditions import StopConditions
from batchrun.execution.stream.executor import StreamExecutor
from batchrun.providers import BatchProvider, ModelDirectory, Provider, TokenCounter
from batchrun.store.ledger.batches import Batches
from batchrun.strategy.routes import Route

GRACE_S = {signal.SIGINT: 30.0, signal.SIGTERM: 10.0, signal.SIGHUP: 10.0}
"""How long requests in flight are waited for."""


class ProviderFactory(Protocol):
    """Makes providers inside the run's event loop."""

    def check(self) -> None:
        """Raise EnvironmentProblem when nothing could be sent, for want of a key."""
        ...

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        """Make the provider of streaming; it belongs to the running loop."""
        ...

    def make_counter(self, *, timeout_s: float) -> TokenCounter:
        """Make the counter of tokens; it belongs to the running loop."""
        ...

    def make_models(self, *, timeout_s: float) -> ModelDirectory:
        """Make the directory of models; it belongs to the running loop."""
        ...

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        """Make the provider of batches; it belongs to the running loop."""
        ...


class Interrupted(BatchrunError):
    """Ctrl-C or SIGTERM: what was in flight is recorded, the rest is pending."""

    word = "interrupted"

    def __init__(self, received: signal.Signals) -> None:
        super().__init__(f"{received.name} received", hint="run the same command again to continue")
        self.exit_code = ExitCode.INTERRUPTED if received is signal.SIGINT else ExitCode.TERMINATED


async def execute(setting: RunSetting, *, provider: ProviderFactory, listener: Listener) -> BatchrunError | None:
    """Bring the run's documents to their outcomes. Returns why it halted, or None when it went through."""
    halt = Halt()
    stop_conditions = StopConditions(setting.tolerance, halt)
    tell = guarded(stop_conditions.watching(listener), halt)
    sending = setting.sending
    reader = Reader(sending.reading, sending.source, sending.builder, sending.chain) if sending else None
    try:
        async with LedgerWriter(setting.ledger) as writer:
            journey = Journey(Staff(setting, writer, reader, halt, tell), provider)
            with halting_on_signals(halt, journey), stop_conditions.timed():
                async with publishing(setting.output, tell, halt):
                    await journey.run_routes()
    except BatchrunError as problem:
        halt.stop(problem)
    finally:
        if reader and sending:
            reader.close()
            sending.reading.close()
        setting.output.close()
    return halt.reason


@dataclass(slots=True)
class Journey:
    """The routes of one run, one after the other."""

    staff: Staff
    provider: ProviderFactory
    under_way: StreamExecutor | BatchExecutor | None = field(default=None, init=False)
    """Whom a signal concerns."""

    async def run_routes(self) -> None:
        """Stream, or take care of batches and stream what they leave when the deadline is near."""
        sending = self.staff.setting.sending
        if sending is None or sending.route is Route.BATCH:
            ending = await self._batches()
            # Documents that another model answers are not batched with the others.
            if sending and (ending is Ending.STREAM or (ending is Ending.DONE and len(sending.chain.models) > 1)):
                await self._escalate(sending)
                await self._stream(sending)
            return
        await self._stream(sending)
        # An earlier submit may have put documents into batches: they are never streamed besides.
        if await self._any_batch_open() and await self._batches() in {Ending.DONE, Ending.STREAM}:
            await self._escalate(sending)
            await self._stream(sending)

    async def _escalate(self, sending: Sending) -> None:
        """Answers that came in batches are only now held against the ladder: that may take the documents' texts."""
        staff, run = self.staff, self.staff.setting.run
        if len(sending.chain.models) == 1 or staff.reader is None:
            return
        await BatchCascade(run, staff.setting.job, sending.chain, staff.reader, staff.writer, staff.halt).escalate()

    async def _stream(self, sending: Sending) -> None:
        if self.staff.halt.reason:
            return
        setting = self.staff.setting
        connections = sending.concurrency * len(sending.chain.models)
        client = self.provider.make(concurrency=connections, timeout_s=setting.retry.timeout_s)
        executor = self.staff.stream_executor(sending, client, clock=asyncio.get_running_loop().time)
        self.under_way = executor
        try:
            await executor.run()
        finally:
            await client.close()

    async def _batches(self) -> Ending:
        if self.staff.halt.reason:
            return Ending.HALTED
        client = self.provider.make_batches(timeout_s=self.staff.setting.retry.timeout_s)
        executor = self.staff.batch_executor(client)
        self.under_way = executor
        try:
            return await executor.run()
        finally:
            await client.close()

    async def _any_batch_open(self) -> bool:
        job = self.staff.setting.job
        return bool(await self.staff.writer.write(lambda ledger: Batches(ledger).open(job)))


@contextlib.contextmanager
def halting_on_signals(halt: Halt, journey: Journey) -> Iterator[None]:
    """The first signal stops sending and waits for what is in flight; the second waits no longer."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        executor = journey.under_way
        if executor and halt.reason is not None:
            executor.give_up()
        if executor:
            executor.grace_s = GRACE_S[number]
        halt.stop(Interrupted(number))

    heard = [number for number in GRACE_S if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    for number in heard:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


def guarded(listener: Listener, halt: Halt) -> Listener:
    """A listener that may fail: the run is stopped, what is in flight lands, and the bug is shown at the end."""
    broken = False

    def tell(event: Event) -> None:
        nonlocal broken
        if broken:
            return
        try:
            listener(event)
        except Exception as bug:  # noqa: BLE001 - see above
            broken = True
            halt.stop(Bug(bug))

    return tell
