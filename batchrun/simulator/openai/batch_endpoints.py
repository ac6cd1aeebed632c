"""The paths of batches and files in the OpenAI dialect; their faults, queue and books are those of Message Batches."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from batchrun.simulator.api_error import TOO_LARGE, ApiRefusal, invalid_request, not_found
from batchrun.simulator.batches.batch import SimulatedBatch
from batchrun.simulator.batches.body import SentRequest
from batchrun.simulator.batches.collection import SimulatedBatches
from batchrun.simulator.batches.uploaded_files import SimulatedFile
from batchrun.simulator.dialect import Dialect
from batchrun.simulator.http.batch_endpoints import BatchEndpoints, Make, send_lines
from batchrun.simulator.http.file_endpoints import FileEndpoints, Form, whole_number
from batchrun.simulator.http.responses import Responses, check_access, read_body
from batchrun.simulator.openai.batches import (
    DIALECTS,
    MOST_BYTES,
    MOST_REQUESTS,
    BatchForm,
    InputFile,
    lines_of,
    written,
)
from batchrun.simulator.requests.parameters import check_form, parse

_BATCHES, _FILES = "/v1/batches", "/v1/files"
_LONGEST_BODY = 100_000
_MADE = re.compile(r"file-(batch_\w+)-(output|error)")
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
        data = batches.uploaded.find(form.input_file_id, now).data
        most, resolve = min(MOST_REQUESTS, batches.terms.most_requests), partial(batches.uploaded.resolved, now=now)
        given = await asyncio.to_thread(
            InputFile, data, batches.file, endpoint=form.endpoint, most=most, resolve=resolve
        )
        errors = {"object": "list", "data": given.problems} if given.problems else None
        order = {**form.model_dump(), "model": given.model, "errors": errors}
        return given.requests, partial(self._made, DIALECTS[form.endpoint], order)

    def _made(
        self, dialect: Dialect, order: dict[str, Any], requests: Sequence[SentRequest], *, now: float
    ) -> tuple[str, SimulatedBatch | None]:
        """Create a batch; one that is too much for the queue is created all the same, and fails."""
        try:
            return self._batches.create(requests, now=now, dialect=dialect, order=order)
        except ApiRefusal as refusal:
            problem = {"code": "token_limit_exceeded", "message": str(refusal), "param": None, "line": None}
            order["errors"] = {"object": "list", "data": [problem]}
            return self._batches.create([], now=now, dialect=dialect, order=order)

    def _written(self, batch: SimulatedBatch, request: web.Request) -> Mapping[str, object]:
        del request  # only the other dialect names its own address
        return written(batch, time.monotonic())

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

    def _check(self, form: Form) -> None:
        if form.purpose not in _PURPOSES:
            raise invalid_request(f"purpose: '{form.purpose}' is not one of {', '.join(_PURPOSES)}")
        if form.purpose == "batch" and len(form.data) > min(MOST_BYTES, self._batches.terms.most_bytes):
            raise ApiRefusal(TOO_LARGE)

    def _written(self, file: SimulatedFile) -> dict[str, Any]:
        expires = None if file.expires_at is None else int(self._files.epoch_s + file.expires_at)
        told = _told(file.id, len(file.place), file.name, file.purpose, self._files.epoch_s + file.created_at)
        return {**told, "expires_at": expires}

    async def _list(self, request: web.Request) -> web.Response:
        check_access(request)
        limit = whole_number("limit", request.query.get("limit", "10000"), least=1, most=10_000)
        purpose, after = request.query.get("purpose"), request.query.get("after")
        listed = [file for file in self._files.newest() if file.purpose and purpose in {None, file.purpose}]
        start = [file.id for file in listed].index(after) + 1 if after in {file.id for file in listed} else 0
        data = [self._written(file) for file in listed[start : start + limit]]
        return self._responses.json({"object": "list", "data": data, "has_more": len(listed) > start + limit})

    async def _show(self, request: web.Request) -> web.Response:
        check_access(request)
        file_id = request.match_info["file"]
        if made := self._made(file_id):
            batch, lines = made
            size = await asyncio.to_thread(lambda: sum(map(len, lines(batch))))
            told = _told(file_id, size, f"{batch.id}.jsonl", "batch_output", batch.epoch_at(batch.life.ends_at))
            return self._responses.json(told)
        return self._responses.json(self._written(self._files.find(file_id, time.monotonic())))

    async def _content(self, request: web.Request) -> web.StreamResponse:
        check_access(request)
        file_id = request.match_info["file"]
        if made := self._made(file_id):
            batch, lines_of_file = made
            lines, cut = self._batches.results(batch.id, now=time.monotonic(), lines_of=lines_of_file)
            return await send_lines(request, lines, f"{file_id}.jsonl", self._responses, cut=cut)
        data = self._files.find(file_id, time.monotonic()).data
        return web.Response(body=data, headers=self._responses.headers(), content_type="application/octet-stream")

    async def _delete(self, request: web.Request) -> web.Response:
        check_access(request)
        file_id = request.match_info["file"]
        self._files.delete(file_id)
        return self._responses.json({"id": file_id, "object": "file", "deleted": True})

    def _made(self, file_id: str) -> tuple[SimulatedBatch, Callable[[SimulatedBatch], Iterator[bytes]]] | None:
        """Find the batch that made a file, and what writes the file. Returns None for a file of a client."""
        if (named := _MADE.fullmatch(file_id)) is None:
            return None
        batch = next((batch for batch in self._batches.all if batch.id == named[1]), None)
        if batch is None or not batch.has_results(time.monotonic()):
            raise not_found(f"No such File object: {file_id}")
        return batch, lines_of(named[2] == "error")


def _told(file_id: str, size: int, name: str, purpose: str, created: float) -> dict[str, Any]:
    return {
        "id": file_id,
        "object": "file",
        "bytes": size,
        "created_at": int(created),
        "filename": name,
        "purpose": purpose,
        "status": "processed",
    }
