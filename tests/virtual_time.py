"""An event loop whose clock is the timers themselves: an hour of sleeping takes no time at all.

`time()` jumps to the next timer when nothing is ready, and creeps a microsecond a turn so that timers within the
clock's resolution fire. It really waits only while a thread works for the loop.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CREEP_S = 1e-6
LONGEST_REAL_WAIT_S = 10.0


class JumpingSelector(selectors.DefaultSelector):
    """Advances its loop's clock instead of waiting, unless a thread is expected to answer."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.now += CREEP_S
        if self.loop.threads_at_work:
            return super().select(LONGEST_REAL_WAIT_S if timeout is None or timeout > 0 else 0)
        ready = super().select(0)
        if timeout is None and not ready:
            raise RuntimeError("a deadlock: nothing is ready, no timer is set and no thread is at work")
        if not ready and timeout is not None:
            self.loop.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; `asyncio.run` uses it under the fixture `virtual_time`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.threads_at_work = 0
        selector = JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        self.threads_at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_answered)
        return future

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        self.threads_at_work += 1
        await super().shutdown_default_executor(*timeout)
        self.threads_at_work -= 1

    def _thread_answered(self, _: object) -> None:
        self.threads_at_work -= 1


def answered_by_a_thread(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Wrap a coroutine function that waits for a thread of its own, so that the clock stands still meanwhile."""

    @functools.wraps(method)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualTimeLoop):
            return await method(*args, **kwargs)
        loop.threads_at_work += 1
        try:
            return await method(*args, **kwargs)
        finally:
            loop.threads_at_work -= 1

    return wrapped


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
