"""The paths of Message Batches: puts decisions into HTTP. What takes long is done in a thread."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from aiohttp import web

from batchrun.simulator.api_error import TOO_LARGE, ApiError, invalid_request
from batchrun.simulator.batch import Batch
from batchrun.simulator.batch_bodies import read_requests
from batchrun.simulator.batches import Batches, Creation, Page
from batchrun.simulator.books import Books, CreateEntry
from batchrun.simulator.http_replies import CLIENT_GONE, UNREADABLE, Replies, header_problem, retry_after
from batchrun.simulator.spool import Spool

_PATH = "/v1/messages/batches"
_LINES_AT_ONCE = 32
_LONGEST_PAGE = 1000
_PAGE = 20


class BatchEndpoints:
    """The batches of one simulator behind HTTP."""

    def __init__(self, batches: Batches, replies: Replies, books: Books) -> None:
        self._batches, self._replies, self._books = batches, replies, books
        self._started_at = time.monotonic()

    def routes(self) -> Iterable[web.RouteDef]:
        """List the paths."""
        return (
            web.post(_PATH, self._create),
            web.get(_PATH, self._list),
            web.get(_PATH + "/{batch}", self._poll),
            web.delete(_PATH + "/{batch}", self._delete),
            web.post(_PATH + "/{batch}/cancel", self._cancel),
            web.get(_PATH + "/{batch}/results", self._results),
        )

    async def _create(self, request: web.Request) -> web.Response:
        entry = CreateEntry(arrived_s=time.monotonic() - self._started_at)
        self._books.creates.append(entry)
        body = await self._receive(request)
        if isinstance(body, ApiError):
            return self._refuse(body, entry)
        requests = await asyncio.to_thread(read_requests, body, most=self._batches.terms.most_requests)
        if isinstance(requests, ApiError):
            return self._refuse(requests, entry)
        entry.requests = len(requests)
        creation = await asyncio.to_thread(self._batches.create, requests, body, now=time.monotonic(), wall=time.time())
        return await self._created(request, creation, entry)

    async def _created(self, request: web.Request, creation: Creation, entry: CreateEntry) -> web.Response:
        entry.fault = creation.fault_name
        entry.batch_id = creation.batch.id if creation.batch else None
        if creation.fault.cut:
            return await self._replies.cut(request, hangs=creation.fault.cut == "hang")
        if creation.error:
            return self._refuse(creation.error, entry)
        assert creation.batch is not None
        entry.status = 200
        return self._replies.json(creation.batch.told(time.monotonic(), _origin(request)))

    def _refuse(self, error: ApiError, entry: CreateEntry) -> web.Response:
        entry.status = error.status
        wait = {"retry-after": retry_after(self._batches.queue_wait_s)} if error.status == 429 else {}
        return self._replies.error(error, wait)

    async def _receive(self, request: web.Request) -> Spool | ApiError:
        """Read a body, if its headers are in order, without holding it in memory."""
        most = self._batches.terms.most_bytes
        if problem := header_problem(request):
            return problem
        if (request.content_length or 0) > most:
            return TOO_LARGE
        body = Spool()
        try:
            async for piece in request.content.iter_any():
                body.append(piece)
                if body.size > most:
                    return TOO_LARGE
        except CLIENT_GONE:
            return UNREADABLE
        return body

    async def _list(self, request: web.Request) -> web.Response:
        page = header_problem(request) or self._page(request.query)
        if isinstance(page, ApiError):
            return self._replies.error(page)
        now, ids = time.monotonic(), [batch.id for batch in page.batches]
        body = {
            "data": [batch.told(now, _origin(request)) for batch in page.batches],
            "has_more": page.has_more,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
        }
        return self._replies.json(body)

    def _page(self, query: Mapping[str, str]) -> Page | ApiError:
        limit = _limit(query.get("limit", str(_PAGE)))
        if isinstance(limit, ApiError):
            return limit
        return self._batches.page(limit=limit, after_id=query.get("after_id"), before_id=query.get("before_id"))

    async def _poll(self, request: web.Request) -> web.Response:
        found = header_problem(request) or self._batches.poll(request.match_info["batch"])
        if isinstance(found, ApiError):
            return self._replies.error(found)
        now = time.monotonic()
        again_s = self._batches.poll_again_s(found, now=now)
        wait = {} if again_s is None else {"retry-after": retry_after(again_s)}
        return self._replies.json(found.told(now, _origin(request)), wait)

    async def _cancel(self, request: web.Request) -> web.Response:
        now = time.monotonic()
        canceled = header_problem(request) or self._batches.cancel(request.match_info["batch"], now=now)
        return self._tell(canceled, request, now=now)

    def _tell(self, batch: Batch | ApiError, request: web.Request, *, now: float) -> web.Response:
        if isinstance(batch, ApiError):
            return self._replies.error(batch)
        return self._replies.json(batch.told(now, _origin(request)))

    async def _delete(self, request: web.Request) -> web.Response:
        deleted = header_problem(request) or self._batches.delete(request.match_info["batch"], now=time.monotonic())
        if isinstance(deleted, ApiError):
            return self._replies.error(deleted)
        return self._replies.json({"id": deleted.id, "type": "message_batch_deleted"})

    async def _results(self, request: web.Request) -> web.StreamResponse:
        batch_id = request.match_info["batch"]
        download = header_problem(request) or self._batches.results(batch_id, now=time.monotonic())
        if isinstance(download, ApiError):
            return self._replies.error(download)
        response = web.StreamResponse(headers=self._replies.headers())
        response.content_type = "application/x-jsonl"
        response.headers["content-disposition"] = f"attachment; filename*=utf-8''{batch_id}_results.jsonl"
        try:
            await response.prepare(request)
            while piece := await asyncio.to_thread(_several, download.lines):
                await response.write(piece)
        except ConnectionResetError:  # the client went away
            return response
        if download.cut and request.transport is not None:
            request.transport.close()  # when what was written has left, and without the mark of the end
        return response


def _several(lines: Iterator[bytes]) -> bytes:
    return b"".join(islice(lines, _LINES_AT_ONCE))


def _limit(text: str) -> int | ApiError:
    try:
        limit = int(text)
    except ValueError:
        return invalid_request("limit: Input should be a valid integer, unable to parse string as an integer")
    if limit < 1:
        return invalid_request("limit: Input should be greater than or equal to 1")
    if limit > _LONGEST_PAGE:
        return invalid_request(f"limit: Input should be less than or equal to {_LONGEST_PAGE}")
    return limit


def _origin(request: web.Request) -> str:
    """Return the server's base URL as this client knows it."""
    return str(request.url.origin())
