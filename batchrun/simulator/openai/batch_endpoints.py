"""The paths of batches and files in the OpenAI dialect; their faults, queue and books are those of Message Batches."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from batchrun.simulator.api_error import TOO_LARGE, ApiRefusal, invalid_request
from batchrun.simulator.batches.batch import SimulatedBatch
from batchrun.simulator.batches.body import SentRequest
from batchrun.simulator.batches.collection import SimulatedBatches
from batchrun.simulator.batches.uploaded_files import SimulatedFile
from batchrun.simulator.dialect import Dialect
from batchrun.simulator.http.batch_endpoints import BatchEndpoints, Make, send_lines
from batchrun.simulator.http.file_endpoints import FileEndpoints, Upload, whole_number
from batchrun.simulator.http.responses import Responses, check_access, read_body
from batchrun.simulator.openai.batches import (
    DIALECTS,
    MOST_BYTES,
    MOST_REQUESTS,
    BatchForm,
    problem,
    read_lines,
    written,
)
from batchrun.simulator.requests.parameters import check_form, parse

_BATCHES, _FILES = "/v1/batches", "/v1/files"
_LONGEST_BODY = 100_000
_PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")


class OpenAIBatchEndpoints(BatchEndpoints):
    """The batches of one simulator behind HTTP."""

    no_batches: Mapping[str, object] = {"object": "list", **BatchEndpoints.no_batches}

    def routes(self) -> Iterable[web.RouteDef]:
        """List the paths."""
        return (
            web.post(_BATCHES, self._create),
            web.get(_BATCHES, self._list),
            web.get(_BATCHES + "/{batch}", self._poll),
            web.post(_BATCHES + "/{batch}/cancel", self._cancel),
        )

    async def _read(self, request: web.Request) -> tuple[Sequence[SentRequest], Make]:
        form = check_form(parse(await read_body(request, most=_LONGEST_BODY)), BatchForm)
        if form.endpoint not in DIALECTS:
            raise invalid_request(f"endpoint: {form.endpoint} is not supported")
        batches, now = self._batches, time.monotonic()
        file = batches.uploaded.find(form.input_file_id, now)
        most, resolve = min(MOST_REQUESTS, batches.terms.most_requests), partial(batches.uploaded.resolved, now=now)
        read = partial(read_lines, file.data, batches.file, endpoint=form.endpoint, most=most, resolve=resolve)
        requests, problems, model = await asyncio.to_thread(read)
        order = {**form.model_dump(), "model": model, "errors": _errors(problems)}
        return requests, partial(self._made, DIALECTS[form.endpoint], order)

    def _made(
        self, dialect: Dialect, order: dict[str, Any], requests: Sequence[SentRequest], *, now: float
    ) -> tuple[str, SimulatedBatch | None]:
        """Create a batch; one that is too much for the queue is created all the same, and fails."""
        try:
            return self._batches.create(requests, now=now, dialect=dialect, order=order)
        except ApiRefusal:
            order["errors"] = _errors([problem("token_limit_exceeded")])
            return self._batches.create([], now=now, dialect=dialect, order=order)

    async def _written(self, batch: SimulatedBatch, request: web.Request) -> Mapping[str, object]:
        del request  # only the other dialect names its own address
        return await asyncio.to_thread(written, batch, time.monotonic())

    def _page(self, query: Mapping[str, str]) -> tuple[Sequence[SimulatedBatch], bool]:
        limit = whole_number("limit", query.get("limit", "20"), least=1, most=100)
        return self._batches.page(limit=limit, after_id=query.get("after"), ordered=True)


class OpenAIFileEndpoints(FileEndpoints):
    """The files of one simulator behind HTTP: those of clients, and those that batches made."""

    def __init__(self, batches: SimulatedBatches, responses: Responses) -> None:
        super().__init__(batches.uploaded, responses)
        self._batches = batches

    def routes(self) -> Iterable[web.RouteDef]:
        """List the paths."""
        return (
            web.post(_FILES, self._upload),
            web.get(_FILES, self._list),
            web.get(_FILES + "/{file}", self._show),
            web.delete(_FILES + "/{file}", self._delete),
            web.get(_FILES + "/{file}/content", self._content),
        )

    def _check(self, form: Upload) -> None:
        if form.purpose not in _PURPOSES:
            raise invalid_request(f"purpose: '{form.purpose}' is not one of {', '.join(_PURPOSES)}")
        if form.purpose == "batch" and len(form.data) > min(MOST_BYTES, self._batches.terms.most_bytes):
            raise ApiRefusal(TOO_LARGE)

    def _written(self, file: SimulatedFile) -> dict[str, Any]:
        return {
            "id": file.id,
            "object": "file",
            "bytes": len(file.place),
            "created_at": int(self._files.epoch_s + file.created_at),
            "filename": file.name,
            "purpose": file.purpose,
            "status": "processed",
        }

    async def _list(self, request: web.Request) -> web.Response:
        check_access(request)
        limit = whole_number("limit", request.query.get("limit", "10000"), least=1, most=10_000)
        listed, after = self._files.newest(purposed=True), request.query.get("after")
        start = next((number for number, file in enumerate(listed, 1) if file.id == after), 0)
        data = [self._written(file) for file in listed[start : start + limit]]
        return self._responses.json({"object": "list", "data": data, "has_more": len(listed) > start + limit})

    async def _show(self, request: web.Request) -> web.Response:
        check_access(request)
        return self._responses.json(self._written(self._files.find(request.match_info["file"], time.monotonic())))

    async def _content(self, request: web.Request) -> web.StreamResponse:
        check_access(request)
        file = self._files.find(request.match_info["file"], time.monotonic())
        lines, cut = file.data.splitlines(keepends=True), False
        sent = iter(lines)
        if file.purpose == "batch_output":
            sent, cut = self._batches.sent_lines(sent, len(lines), file.id.encode())
        return await send_lines(request, sent, file.name, self._responses, cut=cut)

    async def _delete(self, request: web.Request) -> web.Response:
        check_access(request)
        file_id = request.match_info["file"]
        self._files.delete(file_id)
        return self._responses.json({"id": file_id, "object": "file", "deleted": True})


def _errors(problems: Sequence[Mapping[str, object]]) -> Mapping[str, object] | None:
    return {"object": "list", "data": problems} if problems else None
