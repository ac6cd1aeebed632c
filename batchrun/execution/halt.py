"""The halt of a run: the first reason to stop counts, and no new request is sent afterwards."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from batchrun.errors import BatchrunError, ExitCode
from batchrun.file_system import machine_fault

DEFAULT_GRACE_S = 60.0


class Bug(BatchrunError):
    """An exception that batchrun did not expect. The end of the run shows the exception with its traceback."""

    exit_code = ExitCode.BUG
    word = "bug"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}", hint="please report it; what was answered is safe")
        self.__cause__ = error


class Interrupted(BatchrunError):
    """Somebody interrupted the run. What was in flight is recorded, and the rest is pending."""

    word = "interrupted"

    def __init__(self, what: str, *, exit_code: ExitCode = ExitCode.INTERRUPTED) -> None:
        super().__init__(what)  # the summary says what to type
        self.exit_code = exit_code


class Halted(Exception):
    """Raised inside a worker whose document will not be sent in this run."""


class Halt:
    """The reason to stop, once there is one. All methods belong to the thread of the run's event loop."""

    def __init__(self) -> None:
        self.reason: BatchrunError | None = None
        self.grace_s = DEFAULT_GRACE_S
        """How long a halted run waits for what is in flight."""
        self._raised = asyncio.Event()
        self._given_up = asyncio.Event()

    def stop(self, reason: BatchrunError) -> None:
        """Let no new request be sent. Later reasons are ignored, because they usually follow from the first."""
        if self.reason is None:
            self.reason = reason
            self._raised.set()

    def interrupt(self, reason: Interrupted, *, grace_s: float) -> None:
        """Stop the run from outside. A run that is stopping already no longer waits for what is in flight."""
        if self.reason is not None:
            self._given_up.set()
        self.grace_s = grace_s
        self.stop(reason)

    async def wait(self) -> None:
        """Return when there is a reason."""
        await self._raised.wait()

    async def drain(self, idle: Coroutine[Any, Any, object]) -> None:
        """Wait until `idle` returns, but not beyond the grace, and not after a second interruption."""
        ends = [asyncio.create_task(idle), asyncio.create_task(self._given_up.wait())]
        try:
            await asyncio.wait(ends, timeout=self.grace_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def check(self) -> None:
        """Raise Halted when there is a reason."""
        if self.reason is not None:
            raise Halted

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Stop the run on an error instead of raising the error. Halted passes, because the run then has a reason.

        Other workers wait for answers that are paid for. Those answers are recorded before a bug is shown.
        """
        try:
            yield
        except Halted:
            raise
        except BatchrunError as problem:
            self.stop(problem)
        except Exception as error:  # noqa: BLE001 - a bug is shown at the end of the run, with its traceback
            self.stop(machine_fault(error) or Bug(error))
