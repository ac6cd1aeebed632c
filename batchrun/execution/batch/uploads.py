"""Native files that are uploaded apart from their batch, so that one batch can hold the requests of many files.

The intent is durable before an upload, and the file's id as soon as the API has answered: a process that dies uploads
nothing twice. A file whose answer was lost is looked for by its name, which is random. One file at a time is in memory.
"""

import asyncio
import hashlib
import random
import secrets
from collections.abc import Callable
from mimetypes import guess_extension
from typing import TypeVar

from batchrun.batch import EXPIRES_AFTER_S
from batchrun.document import NativeFile
from batchrun.execution.retry_policy import Tries, asks_to_wait, delay_s, is_no_answer
from batchrun.execution.run_context import RunContext
from batchrun.providers import AttemptError, FileStore, UploadedFile
from batchrun.providers.anthropic.errors import is_absence, is_missing
from batchrun.providers.anthropic.wire import file_in, with_file_id
from batchrun.request import Request
from batchrun.store.ledger.uploads import Upload, Uploads, has_uploads

T = TypeVar("T")
LEAST_LIFE_S = EXPIRES_AFTER_S + 3600.0
"""A file is used if it outlives a batch that is created within the hour."""
DELETED_AT_ONCE, MOST_DELETED = 8, 500
"""How many files are deleted at a time, and as a whole: the API takes about so many calls a minute. The rest expire."""


def goes_apart(file_bytes: int, all_bytes: int, most: int) -> bool:
    """Return whether native files are uploaded apart from the batch.

    Native files are uploaded if the requests pass the `most` bytes of a batch, and half of the bytes or more are those
    of native files. Uploads make no room among texts.
    """
    return all_bytes > most and 2 * file_bytes >= all_bytes


class Uploader:
    """Uploads the files of requests for one run. Nothing connects before there is something to upload or delete."""

    def __init__(self, context: RunContext, make_store: Callable[[], FileStore]) -> None:
        self._context = context
        self._make_store = make_store
        self._made: FileStore | None = None
        self._rng = random.Random()  # noqa: S311 - jitter, not secrets

    async def with_upload(self, request: Request) -> Request:
        """Make the same request, with its file uploaded and named by its id. Raises AttemptError."""
        file = await asyncio.to_thread(file_in, request)
        file_id = await self._file_id(file)
        return await asyncio.to_thread(with_file_id, request, file_id)

    async def delete_all(self) -> None:
        """Delete the job's files, which no batch needs any more. A file that is not deleted expires."""
        job = self._context.job
        if not await self._context.writer.write(lambda ledger: has_uploads(ledger, job)):
            return
        rest = await self._apply(lambda uploads: uploads.some(limit=MOST_DELETED))
        while rest:
            some, rest = rest[:DELETED_AT_ONCE], rest[DELETED_AT_ONCE:]
            if not all(await asyncio.gather(*map(self._delete, some))):
                return
        now = self._context.clock()
        await self._apply(lambda uploads: uploads.forget_expired(now=now))

    async def close(self) -> None:
        """Close the connections."""
        if self._made:
            await self._made.close()

    async def _delete(self, upload: Upload) -> bool:
        """Delete a file, or what became of it if nobody knows. Returns False if the API does not do it now."""
        try:
            lost = None if upload.file_id else await self._store.find(upload.name)
            if file_id := upload.file_id or (lost and lost.file_id):
                await self._store.delete(file_id)
        except AttemptError as error:
            if not is_absence(error.failure):
                return False
        await self._apply(lambda uploads: uploads.remove(upload))
        return True

    @property
    def _store(self) -> FileStore:
        self._made = self._made or self._make_store()
        return self._made

    async def _apply(self, change: Callable[[Uploads], T]) -> T:
        job, address = self._context.job, self._store.address
        return await self._context.writer.write(lambda ledger: change(Uploads(ledger, job, address)))

    async def _file_id(self, file: NativeFile) -> str:
        """Return the id of a file, uploaded if need be. An API that is busy or silent is asked again."""
        sha = (await asyncio.to_thread(hashlib.sha256, file.data)).hexdigest()
        retry, tries = self._context.retry, Tries()
        while True:
            self._context.halt.check()
            try:
                return await self._known(sha) or await self._upload(sha, file)
            except AttemptError as error:
                tries = tries.after(error.failure)
                again = asks_to_wait(error.failure) or is_no_answer(error.failure)
                if not again or is_missing(error.failure) or tries.attempts + tries.waits >= retry.max_attempts:
                    raise
                wait_s = delay_s(
                    error.failure, tries, initial_s=retry.initial_delay_s, max_s=retry.max_delay_s, rng=self._rng
                )
            await asyncio.sleep(wait_s)

    async def _known(self, sha: str) -> str | None:
        """Return the id of a file that the API has and keeps for long enough."""
        upload = await self._apply(lambda uploads: uploads.find(sha))
        if upload is None:
            return None
        if upload.file_id is None:
            found = await self._store.find(upload.name)
            return await self._finish(upload, found) if found else None
        is_fresh = (upload.expires_at or 0.0) - self._context.clock() >= LEAST_LIFE_S
        return upload.file_id if is_fresh else None

    async def _upload(self, sha: str, file: NativeFile) -> str:
        name = secrets.token_hex(16) + (guess_extension(file.media_type) or "")
        upload = Upload(sha, name, self._context.clock())
        await self._apply(lambda uploads: uploads.begin(upload))
        return await self._finish(upload, await self._store.upload(name, file.media_type, file.data))

    async def _finish(self, upload: Upload, uploaded: UploadedFile) -> str:
        await self._apply(lambda uploads: uploads.finish(upload, uploaded))
        return uploaded.file_id
