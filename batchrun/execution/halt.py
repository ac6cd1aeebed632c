"""How a run is brought to a stop: the first reason counts, and no new request is sent after it."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from batchrun.errors import BatchrunError, ExitCode

DEFAULT_GRACE_S = 60.0


class Bug(BatchrunError):
    """Something batchrun did not expect, with its own exception as the cause; shown with its traceback at the end."""

    exit_code = ExitCode.BUG
    word = "bug"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}", hint="please report it; what was answered is safe")
        self.__cause__ = error


class Interrupted(BatchrunError):
    """Somebody interrupted the run: what was in flight is recorded, the rest is pending."""

    word = "interrupted"

    def __init__(self, what: str, *, exit_code: ExitCode = ExitCode.INTERRUPTED) -> None:
        super().__init__(what, hint="run the same command again to continue")
        self.exit_code = exit_code


class Halted(Exception):
    """Raised inside a worker whose document will not be sent in this run."""


class Halt:
    """The reason to stop, once there is one. Every method is for the thread of the run's event loop."""

    def __init__(self) -> None:
        self.reason: BatchrunError | None = None
        self.grace_s = DEFAULT_GRACE_S
        """How long a halted run waits for what is in flight."""
        self._raised = asyncio.Event()
        self._given_up = asyncio.Event()

    def stop(self, reason: BatchrunError) -> None:
        """No new requests from now on. Later reasons are ignored: they usually follow from the first."""
        if self.reason is None:
            self.reason = reason
            self._raised.set()

    def interrupt(self, reason: Interrupted, *, grace_s: float) -> None:
        """Stop the run from outside. A run that is stopping already does not wait for what is in flight any longer."""
        if self.reason is not None:
            self._given_up.set()
        self.grace_s = grace_s
        self.stop(reason)

    async def wait(self) -> None:
        """Return when there is a reason."""
        await self._raised.wait()

    async def drain(self, landed: Coroutine[Any, Any, object]) -> None:
        """Wait until `landed` returns, but not beyond the grace, and not after a second interruption."""
        ends = [asyncio.create_task(landed), asyncio.create_task(self._given_up.wait())]
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
        """Stop the run on an error instead of raising the error. Halted passes: the run has its reason then.

        Others have answers under way that are paid for: those answers are recorded before a bug is shown.
        """
        try:
            yield
        except Halted:
            raise
        except BatchrunError as problem:
            self.stop(problem)
        except Exception as bug:  # noqa: BLE001 - shown at the end of the run, with its traceback
            self.stop(Bug(bug))
