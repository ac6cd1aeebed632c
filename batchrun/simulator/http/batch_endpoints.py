"""The paths of Message Batches over HTTP. Work that takes long is done in a thread."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from aiohttp import web

from batchrun.simulator.api_error import ApiError, ApiRefusal
from batchrun.simulator.batches.batch import SimulatedBatch
from batchrun.simulator.batches.body import SentRequest, read_requests
from batchrun.simulator.batches.collection import SimulatedBatches
from batchrun.simulator.faults.catalogue import BATCH_FAULTS, no_fault
from batchrun.simulator.faults.kinds import Call, Listing, Wire
from batchrun.simulator.http.file_endpoints import whole_number
from batchrun.simulator.http.responses import Responses, check_access, read_body, retry_after
from batchrun.simulator.usage.books import Books, CreateEntry

_PATH = "/v1/messages/batches"
_LINES_AT_ONCE = 32
_LONGEST_PAGE = 1000
_NO_BATCHES: Mapping[str, object] = {"data": [], "has_more": False, "first_id": None, "last_id": None}

Make = Callable[..., tuple[str, SimulatedBatch | None]]


class BatchEndpoints:
    """The batches of one simulator behind HTTP."""

    no_batches: Mapping[str, object] = _NO_BATCHES  # an empty page

    def __init__(self, batches: SimulatedBatches, responses: Responses, books: Books) -> None:
        self._batches, self._responses, self._books = batches, responses, books
        self._started_at = time.monotonic()
        self._last_list = self.no_batches

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
        try:
            return await self._created(request, entry)
        except ApiRefusal as refusal:
            entry.status = refusal.error.status
            if entry.status == 429:
                refusal.retry_after_s = self._batches.queue_wait_s
            raise

    async def _created(self, request: web.Request, entry: CreateEntry) -> web.Response:
        requests, make = await self._read(request)
        entry.requests = len(requests)
        name, batch = await asyncio.to_thread(make, requests, now=time.monotonic())
        effect = BATCH_FAULTS[name].effect
        entry.fault = None if name == no_fault(Call.CREATE) else name
        entry.batch_id = batch.id if batch else None
        if isinstance(effect, ApiError):
            raise ApiRefusal(effect)
        if isinstance(effect, Wire) or batch is None:
            return await self._responses.cut(request, hangs=effect is Wire.HANG)
        entry.status = 200
        return self._responses.json(await self._written(batch, request))

    async def _read(self, request: web.Request) -> tuple[Sequence[SentRequest], Make]:
        """Read what a client wants created; return the requests, and what creates their batch."""
        terms, file = self._batches.terms, self._batches.file
        body = await read_body(request, most=terms.most_bytes)
        resolve = partial(self._batches.uploaded.resolved, now=time.monotonic())
        requests = await asyncio.to_thread(read_requests, body, file, most=terms.most_requests, resolve=resolve)
        return requests, self._batches.create

    async def _written(self, batch: SimulatedBatch, request: web.Request) -> Mapping[str, object]:
        return batch.as_json(time.monotonic(), _origin(request))

    def _page(self, query: Mapping[str, str]) -> tuple[Sequence[SimulatedBatch], bool]:
        limit = whole_number("limit", query.get("limit", "20"), least=1, most=_LONGEST_PAGE)
        return self._batches.page(limit=limit, after_id=query.get("after_id"), before_id=query.get("before_id"))

    async def _list(self, request: web.Request) -> web.Response:
        check_access(request)
        match self._batches.listing():
            case Listing.EMPTY:
                return self._responses.json(self.no_batches)
            case Listing.STALE:
                return self._responses.json(self._last_list)
        batches, has_more = self._page(request.query)
        ids = [batch.id for batch in batches]
        body = {
            **self.no_batches,
            "data": [await self._written(batch, request) for batch in batches],
            "has_more": has_more,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
        }
        self._last_list = body
        return self._responses.json(body)

    async def _poll(self, request: web.Request) -> web.Response:
        check_access(request)
        batch, now = self._batches.poll(request.match_info["batch"]), time.monotonic()
        wait = {} if batch.ended(now) else {"retry-after": retry_after(self._batches.poll_again_s)}
        return self._responses.json(await self._written(batch, request), wait)

    async def _cancel(self, request: web.Request) -> web.Response:
        check_access(request)
        batch = self._batches.cancel(request.match_info["batch"], now=time.monotonic())
        return self._responses.json(await self._written(batch, request))

    async def _delete(self, request: web.Request) -> web.Response:
        check_access(request)
        deleted = self._batches.delete(request.match_info["batch"], now=time.monotonic())
        return self._responses.json({"id": deleted.id, "type": "message_batch_deleted"})

    async def _results(self, request: web.Request) -> web.StreamResponse:
        check_access(request)
        batch_id = request.match_info["batch"]
        lines, cut = self._batches.results(batch_id, now=time.monotonic())
        return await send_lines(request, lines, f"{batch_id}_results.jsonl", self._responses, cut=cut)


async def send_lines(
    request: web.Request, lines: Iterator[bytes], name: str, responses: Responses, *, cut: bool
) -> web.StreamResponse:
    """Send the lines of a file as they are made; in the end, the connection may break."""
    response = web.StreamResponse(headers=responses.headers())
    response.content_type = "application/x-jsonl"
    response.headers["content-disposition"] = f"attachment; filename*=utf-8''{name}"
    try:
        await response.prepare(request)
        while piece := await asyncio.to_thread(lambda: b"".join(islice(lines, _LINES_AT_ONCE))):
            await response.write(piece)
    except ConnectionResetError:  # the client went away
        return response
    if cut and request.transport is not None:
        request.transport.close()  # when what was written has left, and without the mark of the end
    return response


def _origin(request: web.Request) -> str:
    """Return the server's base URL as this client knows it."""
    return str(request.url.origin())
