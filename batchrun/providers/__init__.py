"""Who answers: the port that executors see, and the clients behind it."""

from collections.abc import AsyncGenerator
from typing import Protocol

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch
from batchrun.catalog.lifecycle import ModelLife
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


class TokenCounter(Protocol):
    """The token-counting endpoint, one call at a time."""

    async def count(self, request: Request) -> int:
        """The tokens of a request's prompt. Free of charge. Raises AttemptError."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class BatchProvider(Protocol):
    """The Message Batches API, one call at a time: no retries, no memory. Every method raises AttemptError."""

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Create a batch, once. There is no idempotency key: after any doubt it may exist."""
        ...

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """Ask for one batch."""
        ...

    async def page(self, *, after_id: str | None = None, limit: int = 1000) -> BatchPage:
        """A page of all batches of the key's workspace, the newest first, after the given one."""
        ...

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; it ends some time later. May be repeated."""
        ...

    def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """The results of a batch that has ended, in any order, from the API's own origin only."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class ModelDirectory(Protocol):
    """The Models API, one call at a time: free, no retries, no memory. Every method raises AttemptError."""

    async def life(self, name: str) -> ModelLife:
        """Ask for one model, by its id or an alias; status 404 means that there is none."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
