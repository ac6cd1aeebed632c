"""Who answers: the port that executors see, and the clients behind it."""

from typing import Protocol

from batchrun.reply import Failure, Reply
from batchrun.request import Request


class AttemptError(Exception):
    """An attempt brought no reply; `failure` says what is known."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Provider(Protocol):
    """One try at a time: no retries, no pacing, no memory."""

    async def send(self, request: Request) -> Reply:
        """Send the request once. Raises AttemptError; a canceled send may have been billed."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
