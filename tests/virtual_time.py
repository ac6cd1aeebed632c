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
        future.add_done_callback(self.thread_answered)
        return future

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        self.threads_at_work += 1
        await super().shutdown_default_executor(*timeout)
        self.threads_at_work -= 1

    def thread_answered(self, _: object) -> None:
        """Count one answer less to wait for."""
        self.threads_at_work -= 1


def answered_by_a_thread(method: Callable[P, Awaitable[T]]) -> Callable[P, asyncio.Future[T]]:
    """Wrap a function whose result comes from a thread, so that the clock stands still until it is there."""

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        loop, result = asyncio.get_running_loop(), asyncio.ensure_future(method(*args, **kwargs))
        if isinstance(loop, VirtualTimeLoop):
            loop.threads_at_work += 1
            result.add_done_callback(loop.thread_answered)
        return result

    return wrapped


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
