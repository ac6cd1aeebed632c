"""The Message Batches API through the Anthropic client, one call at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anthropic
import httpx2

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch
from batchrun.escaping import escape_control
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import PLAIN_ID, Lines, batch_from, page_from, result_from
from batchrun.providers.anthropic.client import JSON_BODY, answered_within, client_for, failures_mapped, timeout_for
from batchrun.reply import Cause, Failure

CONNECTIONS = 16
SLOWEST_UPLOAD = 1_000_000
"""Bytes a second: a body has so much longer to arrive than a plain call."""
PATH = "/v1/messages/batches"
PORTS = {"http": 80, "https": 443}


class AnthropicBatches:
    """One call is one request: nothing is sent twice, and no redirect is followed."""

    def __init__(self, *, timeout_s: float, base_url: str | None = None, api_key: str | None = None):
        self._timeout_s = timeout_s
        self._client = client_for(timeout_s=timeout_s, connections=CONNECTIONS, base_url=base_url, api_key=api_key)

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Create a batch, once. Raises AttemptError, or whatever reading the body raises."""
        source = _ByteSource(body)
        try:
            return await self._create(source, size=body.size)
        except AttemptError:
            if source.broken is None:
                raise
        raise source.broken

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """Ask for one batch. Raises AttemptError."""
        answer = await self._get(_path_of(batch_id))
        return batch_from(answer.content, answer.headers)

    async def page(self, *, after_id: str | None = None, limit: int = 1000) -> BatchPage:
        """A page of all batches of the key's workspace, the newest first, after the given one. Raises AttemptError."""
        after = {} if after_id is None else {"after_id": after_id}
        answer = await self._get(PATH, {"limit": limit, **after})
        return page_from(answer.content, answer.headers)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; it ends some time later. May be repeated. Raises AttemptError."""
        path = _path_of(batch_id) + "/cancel"
        async with answered_within(self._timeout_s):
            answer = await self._client.post(path, cast_to=httpx2.Response, options={"follow_redirects": False})
        return batch_from(answer.content, answer.headers)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """The results of a batch that has ended, in any order, from the API's own origin only. Raises AttemptError.

        A download may take as long as it likes while it does not stop. What it brought before it broke is good.
        """
        lines = Lines()
        async with self._download(results_url(batch, self._client.base_url)) as download:
            async for piece in download.aiter_bytes():
                for line in lines.whole(piece):
                    yield result_from(line)
        for line in lines.rest():
            yield result_from(line)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _create(self, source: "_ByteSource", *, size: int) -> RemoteBatch:
        within_s = self._timeout_s + size / SLOWEST_UPLOAD
        async with answered_within(within_s):
            answer = await self._client.post(
                PATH,
                content=source.parts(),
                cast_to=httpx2.Response,
                options={
                    "headers": JSON_BODY | {"content-length": str(size)},
                    "timeout": timeout_for(within_s),
                    "follow_redirects": False,
                },
            )
        return batch_from(answer.content, answer.headers)

    async def _get(self, path: str, params: dict[str, object] | None = None) -> httpx2.Response:
        async with answered_within(self._timeout_s):
            return await self._client.get(
                path, cast_to=httpx2.Response, options={"params": params or {}, "follow_redirects": False}
            )

    @asynccontextmanager
    async def _download(self, url: str) -> AsyncIterator[httpx2.Response]:
        with failures_mapped(self._timeout_s):
            async with asyncio.timeout(self._timeout_s):
                stream = await self._client.get(
                    url,
                    cast_to=object,
                    options={"follow_redirects": False},
                    stream=True,
                    stream_cls=anthropic.AsyncStream[object],
                )
            try:
                yield stream.response
            finally:
                await stream.close()


def results_url(batch: RemoteBatch, base_url: httpx2.URL) -> str:
    """Where the results are asked for. The key goes with the call, so never anywhere but to the API's own origin."""
    own = _path_of(batch.batch_id) + "/results"
    try:
        told = httpx2.URL(batch.results_url or own)
    except (httpx2.InvalidURL, ValueError):
        return own
    if _origin(told) == _origin(base_url):
        return str(base_url.copy_with(raw_path=told.raw_path))
    relative = not told.scheme and not told.netloc and told.path.startswith("/")
    return told.raw_path.decode("ascii") if relative else own


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or PORTS.get(url.scheme)


def _path_of(batch_id: str) -> str:
    if not PLAIN_ID.fullmatch(batch_id):
        # Nobody is asked: in a URL it could be the address of something else.
        words = f"no batch has the id {escape_control(batch_id)[:100]}"
        raise AttemptError(Failure(cause=Cause.STATUS, status=404, error_type="not_found_error", message=words))
    return f"{PATH}/{batch_id}"


class _ByteSource:
    """The parts of a body, and what broke reading them: the client would tell it as a broken connection."""

    def __init__(self, body: BatchBody) -> None:
        self._body = body
        self.broken: Exception | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._body.parts():
                yield part
        except Exception as error:  # of any kind: none of them is the API's
            self.broken = error
            raise
