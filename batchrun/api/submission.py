"""A submit that a program waits for: awaited, iterated over, or in the ordinary way.

The run has a thread and an event loop of its own. So planning and writing never hold up the caller's loop, a caller
without a loop and a caller inside one are alike, and no handler of signals is needed: whoever stops waiting, by Ctrl-C,
a canceled task or a timeout, halts the run as the first Ctrl-C halts a command. What is in flight is waited for and
recorded, and the next submit goes on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any, TypeVar

from batchrun.api.run import Run
from batchrun.events import Event
from batchrun.execution.halt import Halt, Interrupted
from batchrun.execution.run import Interrupts
from batchrun.strategy.plan import Plan
from batchrun.workflow.observer import Observer

T = TypeVar("T")
GRACE_S = 30.0
"""How long a run waits for requests in flight when nobody waits for the run any more."""
Main = Callable[[Observer, Interrupts], Coroutine[Any, Any, Run]]


def begun(main: Callable[[], Coroutine[Any, Any, T]], *, daemon: bool) -> "Future[T]":
    """Run a coroutine in a thread of its own, with the context variables of the caller.

    The end of the program does not wait for a `daemon`.
    """
    future = Future[T]()

    def work() -> None:
        try:
            future.set_result(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            future.set_exception(error)

    Thread(target=copy_context().run, args=(work,), name="batchrun", daemon=daemon).start()
    return future


class _Line(Observer):
    """What goes to and fro between a run and the thread that waits for the run."""

    def __init__(self) -> None:
        self.hear: Callable[[Event | None], object] | None = None
        self._interruptions = 0
        self._halt: Callable[[], object] | None = None

    def interrupt(self) -> None:
        """Halt the run; the second time, without waiting for what is in flight."""
        self._interruptions += 1
        if halt := self._halt:
            halt()

    @contextlib.contextmanager
    def interrupts(self, halt: Halt) -> Iterator[None]:
        """Let the other thread halt the run, as long as the context lasts."""
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            with contextlib.suppress(RuntimeError):  # the loop of the run is closed: the run has just ended
                loop.call_soon_threadsafe(lambda: halt.interrupt(_nobody_waits(), grace_s=GRACE_S))

        self._halt = interrupt
        if self._interruptions:
            interrupt()
        try:
            yield
        finally:
            self._halt = None

    def planned(self, plan: Plan, first: Plan | None = None, *, what: str = "pilot") -> None:  # noqa: ARG002
        """Let nothing be sent if nobody waits any more."""
        if self._interruptions:
            raise _nobody_waits()

    def heard(self, event: Event) -> None:
        """Pass an event on to whoever iterates."""
        if hear := self.hear:
            hear(event)


def _nobody_waits() -> Interrupted:
    return Interrupted("the program no longer waits for the run")


class Submission:
    """A submit of a job, which begins when somebody waits: by `await`, `async for`, or `result`.

    Whoever waits again gets the same run.
    """

    def __init__(self, main: Main) -> None:
        self._main, self._line = main, _Line()
        self._future: Future[Run] | None = None
        self._lock = Lock()

    def result(self) -> Run:
        """Wait for the run. Raises Refused and other BatchrunErrors if nothing was sent.

        Inside a running event loop the call holds the loop up, and works all the same.
        """
        future, stopped = self._begun(), None
        while not future.done():
            try:
                future.exception()
            except BaseException as error:  # noqa: BLE001 - whatever ends the wait, such as Ctrl-C, halts the run
                stopped = error
                self.interrupt()
        if stopped:
            raise stopped
        return future.result()

    def interrupt(self) -> None:
        """Halt the run: nothing new is sent. A second call no longer waits for what is in flight."""
        self._line.interrupt()

    def __await__(self) -> Generator[Any, None, Run]:
        yield from self._over().__await__()
        return self._begun().result()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events of the run. Leaving the loop early halts the run; at its end, raises what the run raised."""
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event | None]()

        def hear(event: Event | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop of the listener is closed
                loop.call_soon_threadsafe(events.put_nowait, event)

        self._line.hear = hear
        future = self._begun()
        future.add_done_callback(lambda _: hear(None))
        try:
            while (event := await events.get()) is not None:
                yield event
        except BaseException:
            self.interrupt()
            await self._over()
            raise
        finally:
            self._line.hear = None
        future.result()

    async def _over(self) -> None:
        """Return when the run is over, however it went. A cancellation halts the run, and is raised at its end."""
        waited, canceled = asyncio.wrap_future(self._begun()), None
        while not waited.done():
            try:
                await asyncio.wait([waited])
            except asyncio.CancelledError as error:
                canceled = error
                self.interrupt()
        waited.exception()  # which is raised elsewhere
        if canceled:
            raise canceled

    def _begun(self) -> "Future[Run]":
        with self._lock:  # threads may wait for one submission at once
            if self._future is None:
                self._future = begun(lambda: self._main(self._line, self._line.interrupts), daemon=False)
            return self._future
