"""How a run is brought to a stop: the first reason counts, and no new request is sent after it."""

import asyncio

from batchrun.errors import BatchrunError, ExitCode


class Bug(BatchrunError):
    """Something batchrun did not expect, with its own exception as the cause; shown with its traceback at the end."""

    exit_code = ExitCode.BUG
    word = "bug"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}", hint="please report it; what was answered is safe")
        self.__cause__ = error


class Halted(Exception):
    """Raised inside a worker whose document will not be sent in this run."""


class Halt:
    """The reason to stop, once there is one."""

    def __init__(self) -> None:
        self.reason: BatchrunError | None = None
        self._raised = asyncio.Event()

    def stop(self, reason: BatchrunError) -> None:
        """No new requests from now on. Later reasons are ignored: they usually follow from the first."""
        if self.reason is None:
            self.reason = reason
            self._raised.set()

    async def wait(self) -> None:
        """Return when there is a reason."""
        await self._raised.wait()

    def check(self) -> None:
        """Raise Halted when there is a reason."""
        if self.reason is not None:
            raise Halted
