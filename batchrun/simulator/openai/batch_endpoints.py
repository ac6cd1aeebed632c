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
from batchrun.simulator.http.batch_endpoints import BatchEndpoints, Make, send_lines
from batchrun.simulator.http.file_endpoints import FileEndpoints, Upload, whole_number
from batchrun.simulator.http.responses import Responses, check_access, read_body
from batchrun.simulator.openai.batches import MOST_BYTES, MOST_REQUESTS, BatchForm, problem, read_lines, written
from batchrun.simulator.openai.chat import CHAT
from batchrun.simulator.requests.parameters import check_form, parse

_BATCHES = "/v1/batches"
_LONGEST_BODY = 100_000


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
        body = parse(await read_body(request, most=_LONGEST_BODY))
        check_form(body, BatchForm)
        batches, now = self._batches, time.monotonic()
        data = batches.uploaded.find(body["input_file_id"], now).data
        most, resolve = min(MOST_REQUESTS, batches.terms.most_requests), partial(batches.uploaded.resolved, now=now)
        requests, problems = await asyncio.to_thread(read_lines, data, batches.file, most=most, resolve=resolve)
        return requests, partial(self._made, {"metadata": None, **body}, problems)

    def _made(
        self, order: Mapping[str, Any], problems: Sequence[object], requests: Sequence[SentRequest], *, now: float
    ) -> tuple[str, SimulatedBatch | None]:
        """Create a batch; one that is too much for the queue is created all the same, and fails."""
        try:
            return self._batches.create(requests, now=now, dialect=CHAT, order={**order, "errors": _errors(problems)})
        except ApiRefusal:
            return self._made(order, [problem("token_limit_exceeded")], [], now=now)

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
        """List the paths; uploads have theirs in common with the other dialect."""
        return [web.get("/v1/files/{file}/content", self._content)]

    def _check(self, form: Upload) -> None:
        if form.purpose != "batch":
            raise invalid_request("purpose: only files of the purpose 'batch' are simulated")
        if len(form.data) > min(MOST_BYTES, self._batches.terms.most_bytes):
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

    async def _content(self, request: web.Request) -> web.StreamResponse:
        check_access(request)
        file = self._files.find(request.match_info["file"], time.monotonic())
        lines, cut = file.data.splitlines(keepends=True), False
        sent = iter(lines)
        if file.purpose == "batch_output":
            sent, cut = self._batches.sent_lines(sent, len(lines), file.id.encode())
        return await send_lines(request, sent, file.name, self._responses, cut=cut)


def _errors(problems: Sequence[object]) -> Mapping[str, object] | None:
    return {"object": "list", "data": problems} if problems else None
