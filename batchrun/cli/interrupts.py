"""Ctrl-C and other signals, for a command that works and for a run in progress."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from batchrun.errors import ExitCode
from batchrun.execution.halt import Halt, Interrupted

T = TypeVar("T")
GRACE_S = {signal.SIGINT: 30.0, signal.SIGTERM: 10.0, signal.SIGHUP: 10.0}
"""How long a run waits for requests in flight after each signal."""


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine in an event loop of its own. Ctrl-C raises KeyboardInterrupt at once."""
    by_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (by_default and in_main_thread):
        return asyncio.run(main)
    try:
        return asyncio.run(ending_at_ctrl_c(main))
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


async def ending_at_ctrl_c(main: Coroutine[Any, Any, T]) -> T:
    """Await `main`, and let Ctrl-C end work that never awaits, too.

    `asyncio.run` answers the first Ctrl-C with a cancellation, which waits for the next await. A command plans and
    publishes without awaiting anything, perhaps for minutes.
    """
    loop, command, cancel = asyncio.get_running_loop(), asyncio.current_task(), signal.getsignal(signal.SIGINT)
    assert callable(cancel)

    def received(number: int, frame: FrameType | None) -> None:
        if asyncio.current_task(loop) is command:
            raise KeyboardInterrupt
        cancel(number, frame)

    signal.signal(signal.SIGINT, received)
    try:
        return await main
    finally:
        signal.signal(signal.SIGINT, cancel)


@contextmanager
def halting_on_signals(halt: Halt) -> Iterator[None]:
    """Let the first signal stop sending and wait for the requests in flight, and the second signal stop the wait."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        exit_code = ExitCode.INTERRUPTED if number is signal.SIGINT else ExitCode.TERMINATED
        halt.interrupt(Interrupted(f"{number.name} received", exit_code=exit_code), grace_s=GRACE_S[number])

    before = {number: signal.getsignal(number) for number in GRACE_S}
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]  # nohup ignores SIGHUP
    for number in handled:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
