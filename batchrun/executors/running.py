"""The execution of one run: who takes part, what a signal does, and rows on their way to the output meanwhile."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from batchrun.errors import BatchrunError, ExitCode
from batchrun.events import Event, Listener, PublishDelayed, Tick
from batchrun.executors.attempts import Attempts, Terms
from batchrun.executors.expectation import Expectation
from batchrun.executors.halting import Bug, Halt
from batchrun.executors.pacing import Gate
from batchrun.executors.recorder import Recorder
from batchrun.executors.stream import Reader, RunKey, StreamExecutor
from batchrun.job.spec import RetrySection
from batchrun.judge import Judge
from batchrun.planning.estimate import Estimator
from batchrun.planning.limits import RateLimits
from batchrun.planning.model_price import ModelPrice
from batchrun.planning.preparing import Preparer
from batchrun.providers import Provider
from batchrun.sources import Source
from batchrun.store.ledger import Ledger
from batchrun.store.output import Output

PUBLISH_EVERY_S = 3.0
GRACE_S = {signal.SIGINT: 30.0, signal.SIGTERM: 10.0, signal.SIGHUP: 10.0}
"""How long requests in flight are waited for."""


class ProviderFactory(Protocol):
    """Makes the provider inside the run's event loop."""

    def check(self) -> None:
        """Raise EnvironmentProblem when nothing could be sent, for want of a key."""
        ...

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        """Make the provider; it belongs to the running loop."""
        ...


class Interrupted(BatchrunError):
    """Ctrl-C or SIGTERM: what was in flight is recorded, the rest is pending."""

    word = "interrupted"

    def __init__(self, received: signal.Signals) -> None:
        super().__init__(f"{received.name} received", hint="run the same command again to continue")
        self.exit_code = ExitCode.INTERRUPTED if received is signal.SIGINT else ExitCode.TERMINATED


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetting:
    """Everything the execution of a run needs."""

    run: RunKey
    job: str
    ledger: Ledger
    """The writing connection; the recorder owns it while the run goes on."""
    reading: Ledger
    """A second connection, for the reader."""
    output: Output
    """Fed from a third one."""
    source: Source
    preparer: Preparer
    estimator: Estimator
    price: ModelPrice
    limits: RateLimits
    retry: RetrySection
    concurrency: int
    schema: dict[str, Any]
    recover: Callable[[Ledger], None]
    """Books what dead processes of other jobs left, inside a transaction."""


async def execute(setting: RunSetting, *, provider: ProviderFactory, listener: Listener) -> BatchrunError | None:
    """Send every pending document of the run. Returns why it halted, or None when it went through."""
    client = provider.make(concurrency=setting.concurrency, timeout_s=setting.retry.timeout_s)
    halt = Halt()
    listener = guarded(listener, halt)
    reader = Reader(setting.reading, setting.source, setting.preparer)
    try:
        async with Recorder(setting.ledger) as recorder:
            attempts = Attempts(
                Terms(
                    estimator=setting.estimator,
                    run_no=setting.run.run_no,
                    job=setting.job,
                    price=setting.price,
                    retry=setting.retry,
                    concurrency=setting.concurrency,
                ),
                provider=client,
                gate=Gate(setting.limits, clock=asyncio.get_running_loop().time),
                expectation=Expectation(setting.estimator),
                judge=Judge(setting.schema),
                recorder=recorder,
                halt=halt,
                listener=listener,
            )
            executor = StreamExecutor(
                setting.run,
                reader=reader,
                attempts=attempts,
                recorder=recorder,
                halt=halt,
                listener=listener,
                concurrency=setting.concurrency,
                recover=setting.recover,
            )
            with halting_on_signals(halt, executor):
                async with publishing(setting.output, listener, halt):
                    await executor.run()
    except BatchrunError as problem:
        halt.stop(problem)
    finally:
        reader.close()
        setting.reading.close()
        setting.output.close()
        await client.close()
    return halt.reason


@contextlib.contextmanager
def halting_on_signals(halt: Halt, executor: StreamExecutor) -> Iterator[None]:
    """The first signal stops sending and waits for what is in flight; the second waits no longer."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if halt.reason is not None:
            executor.give_up()
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
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), PUBLISH_EVERY_S)
            return
        listener(Tick())
        try:
            await asyncio.to_thread(output.publish, wait_s=0)
        except BatchrunError as problem:  # held, or its disk is full: the rows are safe in the ledger
            if not told:
                listener(PublishDelayed(str(problem)))
                told = True
        except Exception as bug:  # noqa: BLE001 - shown at the end, when what is in flight has landed
            halt.stop(Bug(bug))
            return


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
