"""The Message Batches API through the Anthropic client, one call at a time."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing

import anthropic
import httpx2

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import batch_from, checked, page_from, result_from
from batchrun.providers.anthropic.client import ApiClient, answered_within, timeout_for
from batchrun.providers.anthropic.downloads import lines_of

SLOWEST_UPLOAD = 1_000_000
"""The slowest upload, in bytes a second, that a body has time for beyond the time of a plain call."""
PATH = "/v1/messages/batches"
PORTS = {"http": 80, "https": 443}


class AnthropicBatches(ApiClient):
    """One call is one request: nothing is sent twice."""

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Create a batch, once. Raises AttemptError, or whatever reading the body raises."""
        source = _ByteSource(body)
        within_s = self._timeout_s + body.size / SLOWEST_UPLOAD
        headers = {"content-type": "application/json", "content-length": str(body.size)}
        headers |= await self._platform.signing(body)
        try:
            async with answered_within(within_s):
                answer = await self._client.post(
                    PATH,
                    content=source.parts(),
                    cast_to=httpx2.Response,
                    options={"headers": headers, "timeout": timeout_for(within_s)},
                )
        except AttemptError:
            if source.broken is None:
                raise
        else:
            return batch_from(answer.content, answer.headers)
        raise source.broken

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """Ask for one batch. Raises AttemptError."""
        answer = await self._get(_path_of(batch_id))
        return batch_from(answer.content, answer.headers)

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:  # noqa: ARG002 - one list for all models
        """Ask for a page of all batches of the key's workspace, the newest first, after the given one.

        Raises AttemptError.
        """
        after = {} if after_id is None else {"after_id": after_id}
        answer = await self._get(PATH, {"limit": limit, **after})
        return page_from(answer.content, answer.headers)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled; the batch ends some time later. May be repeated. Raises AttemptError."""
        path = _path_of(batch_id) + "/cancel"
        async with answered_within(self._timeout_s):
            answer = await self._client.post(path, cast_to=httpx2.Response)
        return batch_from(answer.content, answer.headers)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended, in any order, from the API's own origin only.

        The results that a download brought before it broke are good. An address that begins with no result is given up
        for the next. Raises AttemptError.
        """
        *others, last = results_urls(batch, self._client.base_url)
        for url in others:
            async with aclosing(self._results_at(url)) as results:
                try:
                    first = await anext(results, None)
                except AttemptError:
                    continue
                if first and first.is_named:
                    yield first
                    async for result in results:
                        yield result
                    return
        async with aclosing(self._results_at(last)) as results:
            async for result in results:
                yield result

    async def _results_at(self, url: str) -> AsyncGenerator[BatchResult, None]:
        def begin() -> Awaitable[anthropic.AsyncStream[object]]:
            return self._client.get(url, cast_to=object, stream=True, stream_cls=anthropic.AsyncStream[object])

        async with aclosing(lines_of(begin, self._timeout_s)) as lines:
            async for line in lines:
                yield result_from(line)


def results_urls(batch: RemoteBatch, base_url: httpx2.URL) -> list[str]:
    """Return where to ask for the results, in order: at the address that the API tells and at the batch's own.

    The key goes with the call, so the call goes nowhere but to the API's own origin. A gateway may tell an address
    without its path; the batch's own address is more likely then.
    """
    own = base_url.join(_path_of(batch.batch_id).removeprefix("/") + "/results")
    try:
        told = own.join(batch.results_url or "")
    except (httpx2.InvalidURL, ValueError):
        return [str(own)]
    if _origin(told) != _origin(own) or ".." in told.path.split("/") or told.raw_path == own.raw_path:
        return [str(own)]
    others = [str(base_url.copy_with(raw_path=told.raw_path)), str(own)]
    return others if told.path.startswith(base_url.path) else others[::-1]


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or PORTS.get(url.scheme)


def _path_of(batch_id: str) -> str:
    return f"{PATH}/{checked(batch_id)}"


class _ByteSource:
    """The parts of a body, and the error that broke reading: the client would report a broken connection instead."""

    def __init__(self, body: BatchBody) -> None:
        self._body = body
        self.broken: Exception | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._body.parts():
                yield part
        except Exception as error:  # of any kind: no such error is the API's
            self.broken = error
            raise
