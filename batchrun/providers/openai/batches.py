"""The Batch API of OpenAI, one call at a time: a batch is a file of requests, and its results are files too."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import IO, Any

import httpx2
import openai

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import checked, page_from
from batchrun.providers.anthropic.batches import SLOWEST_UPLOAD
from batchrun.providers.anthropic.client import answered_within, timeout_for
from batchrun.providers.anthropic.downloads import lines_of
from batchrun.providers.anthropic.json_values import json_from
from batchrun.providers.anthropic.line_files import results_in_lines, uploaded
from batchrun.providers.openai.batch_parsing import (
    QUEUE_FULL,
    VALIDATING,
    StoredBatch,
    batch_of,
    file_id_of,
    left_out,
    result_from,
)
from batchrun.providers.openai.client import OpenAIClient, sdk_errors_mapped
from batchrun.reply import Cause, Failure

BATCHES = "batches"
MOST_BYTES = 200_000_000
"""The most bytes of an input file."""
MOST_LISTED = 100
"""The most batches on one page of the list."""
FIRST_LOOK_S, LONGEST_LOOK_S = 0.05, 30.0
"""How soon a new batch is looked at, and for how long, until the API has looked at its input file."""


class OpenAIBatches(OpenAIClient):
    """One call is one request: nothing is sent twice."""

    @property
    def _endpoint(self) -> str:
        return f"/v1/{self._dialect.path}"

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Upload the requests of a batch and create the batch, once. Raises AttemptError, and OSError of the disk.

        A batch whose file is refused as a whole counts as not created: nothing of the batch is processed or billed.
        """
        file_id = await uploaded(body, self._line_of, partial(self._upload, f"{body.nonce}.jsonl"))
        order = {
            "input_file_id": file_id,
            "endpoint": self._endpoint,
            "completion_window": "24h",
            "metadata": {"nonce": body.nonce, "requests": str(body.requests)},
        }
        return await self._looked_at(_batch_in(await self._post(BATCHES, order)))

    async def retrieve(self, batch_id: str) -> StoredBatch:
        """Ask for one batch. Raises AttemptError."""
        return _batch_in(await self._get(f"{BATCHES}/{checked(batch_id)}"))

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:  # noqa: ARG002 - one list for all models
        """Ask for a page of all batches of the key's project, the newest first, after the given one.

        The API gives at most 100 at once. Raises AttemptError.
        """
        after = f"&after={checked(after_id)}" if after_id else ""
        answer = await self._get(f"{BATCHES}?limit={min(limit, MOST_LISTED)}{after}")
        return page_from(answer.content, answer.headers, batch_of)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; the batch ends some time later. May be repeated. Raises AttemptError."""
        return _batch_in(await self._post(f"{BATCHES}/{checked(batch_id)}/cancel", {}))

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended, and what became of requests without one. Raises AttemptError."""
        told = await self.retrieve(batch.batch_id)
        read = partial(result_from, message_in=partial(self._dialect.message, {}))
        left = partial(left_out, batch=told)
        async with aclosing(results_in_lines(told, told.output_files, self._lines, read, left)) as results:
            async for result in results:
                yield result

    def _line_of(self, member: Mapping[str, Any]) -> dict[str, Any]:
        asked = {"method": "POST", "url": self._endpoint, "body": self._dialect.body(member["params"])}
        return {"custom_id": member["custom_id"], **asked}

    def _lines(self, file_id: str) -> AsyncGenerator[bytes, None]:
        async def begin() -> openai.AsyncStream[object]:
            with sdk_errors_mapped():
                return await self._client.get(
                    f"files/{file_id}/content",
                    cast_to=object,
                    options=self._options,
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )

        return lines_of(begin, self._timeout_s)

    async def _upload(self, name: str, spool: IO[bytes], size: int) -> str:
        """Upload the requests of a batch; return the id of the file. Raises AttemptError."""
        if size > MOST_BYTES:
            words = f"the requests of the batch take {size:,} bytes, and {MOST_BYTES:,} are allowed"
            raise AttemptError(Failure(cause=Cause.STATUS, status=413, message=words))
        within_s = self._timeout_s + size / SLOWEST_UPLOAD
        async with answered_within(within_s):
            with sdk_errors_mapped():
                answer = await self._client.files.with_raw_response.create(
                    file=(name, spool, "application/jsonl"),
                    purpose="batch",
                    extra_headers=self._options["headers"],
                    timeout=timeout_for(within_s),
                )
        return file_id_of(json_from(answer.content, answer.headers), answer.headers)

    async def _looked_at(self, batch: StoredBatch) -> StoredBatch:
        """Look at a new batch until the API begins with the batch or refuses it, or for a while. Raises AttemptError.

        Where the queue is full the batch may be tried again later, and a smaller batch where nothing else is queued.
        """
        loop, wait_s, refusal = asyncio.get_running_loop(), FIRST_LOOK_S, None
        until = loop.time() + LONGEST_LOOK_S
        try:
            while batch.status == VALIDATING and loop.time() < until:
                await asyncio.sleep(wait_s)
                batch, wait_s = await self.retrieve(batch.batch_id), min(2 * wait_s, 5.0)
            refusal = batch.refusals.get(0)
            if refusal and refusal.error_code == QUEUE_FULL and all(one.ended for one in (await self.page()).batches):
                refusal = replace(refusal, status=413)
        except AttemptError:
            return batch  # the batch is there, and the polls ask for it again
        if refusal:
            raise AttemptError(refusal, before_create=True)
        return batch


def _batch_in(answer: httpx2.Response) -> StoredBatch:
    return batch_of(json_from(answer.content, answer.headers), answer.headers)
