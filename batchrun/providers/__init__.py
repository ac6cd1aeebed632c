"""Who answers: the ports that executors see, and the clients behind the ports."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch
from batchrun.catalog.lifecycle import ModelLife
from batchrun.masking import without_secrets
from batchrun.reply import Failure, Reply
from batchrun.request import Request


class AttemptError(Exception):
    """An attempt brought no reply; `failure` says what is known."""

    def __init__(self, failure: Failure, *, before_create: bool = False) -> None:
        """`before_create` says that a batch was not created, because the call that creates was not made yet."""
        self.failure = without_secrets(failure)
        self.before_create = before_create
        super().__init__(self.failure.message)


class NeverSent(asyncio.CancelledError):
    """A call was canceled before the first byte of its request left."""


class Connected(Protocol):
    """Whatever has connections to an API. No call is retried, and nothing is remembered from call to call."""

    async def close(self) -> None:
        """Close the connections."""


class Provider(Connected, Protocol):
    """The Messages API, one attempt at a time and without pacing."""

    async def send(self, request: Request) -> Reply:
        """Send the request once. Raises AttemptError; a canceled send may have been billed."""


class TokenCounter(Connected, Protocol):
    """The token-counting endpoint, one call at a time."""

    async def count(self, request: Request) -> int:
        """Count the tokens of a request's prompt, free of charge. Raises AttemptError."""


class BatchProvider(Connected, Protocol):
    """Batches as the Message Batches API has them, one call at a time. Every method raises AttemptError."""

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Create a batch, once. After any doubt the batch may exist."""

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """Ask for one batch."""

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        """Ask for a page of all batches at the provider of a model, the newest first, after the given one."""

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; the batch ends some time later. May be repeated."""

    def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended, in any order, from the API's own origin only."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that the API keeps."""

    file_id: str
    name: str
    expires_at: float
    """When the API deletes the file, in seconds since 1970."""


class FileStore(Connected, Protocol):
    """The Files API, one call at a time and free of charge. Every method raises AttemptError."""

    @property
    def address(self) -> str:
        """Where the files are kept: elsewhere their ids mean nothing."""

    async def upload(self, name: str, media_type: str, data: bytes) -> UploadedFile:
        """Upload a file under a name, once. After any doubt the file may be there."""

    async def find(self, name: str) -> UploadedFile | None:
        """Look for a file among those that were uploaded last. Returns None if there is none of that name."""

    async def delete(self, file_id: str) -> None:
        """Delete a file."""


class ModelDirectory(Connected, Protocol):
    """The Models API, one call at a time and free of charge."""

    async def life(self, name: str) -> ModelLife:
        """Ask for one model, by its id or an alias. Raises AttemptError, with status 404 when there is none."""
