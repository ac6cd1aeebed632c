"""The paths of the simulated API, in both dialects. Those of replies, batches and files have their own files."""

import asyncio
import json
import time

from aiohttp import web
from aiohttp.typedefs import Handler

from batchrun.errors import UsageProblem
from batchrun.simulator.api_error import invalid_request, not_found
from batchrun.simulator.dialect import MESSAGES
from batchrun.simulator.http.batch_endpoints import BatchEndpoints
from batchrun.simulator.http.file_endpoints import FileEndpoints
from batchrun.simulator.http.reply_endpoint import MAX_BODY, ReplyEndpoint
from batchrun.simulator.http.responses import Responses, check_access, read_body, speaks_openai
from batchrun.simulator.openai.batch_endpoints import OpenAIFileEndpoints
from batchrun.simulator.openai.endpoints import openai_routes
from batchrun.simulator.openai.http_responses import OpenAIResponses
from batchrun.simulator.requests.model_cards import find_model, model_info
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.books import Books


class Endpoints:
    """One simulator behind HTTP, and its books."""

    def __init__(self, simulator: Simulator, *, stopping: asyncio.Event) -> None:
        self.simulator = simulator
        self.books = Books(simulator.batches, clock=time.monotonic)
        self._responses = Responses(stopping, started_at=time.monotonic())
        self._openai = OpenAIResponses(stopping, started_at=time.monotonic())
        self._replies = ReplyEndpoint(simulator, self.books, self._responses, MESSAGES)
        self._batches = BatchEndpoints(simulator.batches, self._responses, self.books)
        self._files = FileEndpoints(simulator.files, self._responses)
        self._openai_files = OpenAIFileEndpoints(simulator.batches, self._openai)

    def application(self) -> web.Application:
        """Make the aiohttp application. What is not routed is a 404 in the API's words."""
        application = web.Application(middlewares=[self._refuse])
        application.add_routes(
            [
                web.post("/v1/messages", self._replies.answer),
                web.post("/v1/messages/count_tokens", self._count_tokens),
                web.get("/v1/models/{model}", self._model),
                *self._batches.routes(),
                web.post("/v1/files", self._upload),
                *self._files.routes(),
                *openai_routes(self.simulator, self.books, self._openai),
                *self._openai_files.routes(),
                web.get("/simulator/books", self._show_books),
                web.post("/simulator/script", self._take_script),
                web.route("*", "/{path:.*}", self._nowhere),
            ]
        )
        return application

    @web.middleware
    async def _refuse(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        responses = self._openai if speaks_openai(request) else self._responses
        return await responses.refuse(request, handler)

    async def _upload(self, request: web.Request) -> web.Response:
        files = self._openai_files if speaks_openai(request) else self._files
        return await files.upload(request)

    async def _count_tokens(self, request: web.Request) -> web.Response:
        raw = await read_body(request, most=MAX_BODY)
        return self._responses.json({"input_tokens": self.simulator.count(raw, now=time.monotonic())})

    async def _model(self, request: web.Request) -> web.Response:
        check_access(request)
        name = request.match_info["model"]
        card = find_model(name)
        if card is None:
            raise not_found(f"model: {name}")
        return self._responses.json(model_info(card))

    async def _show_books(self, request: web.Request) -> web.Response:
        summary = await asyncio.to_thread(self.books.summary)  # which may have to produce the replies of batches
        if request.query.get("entries") == "1":
            summary |= await asyncio.to_thread(self.books.listed)
        return self._responses.json(summary)

    async def _take_script(self, request: web.Request) -> web.Response:
        try:
            names = json.loads(await request.read())
            if not isinstance(names, list):
                raise invalid_request("a script is a list of names of faults")
            return self._responses.json({"waiting": self.simulator.extend_script(names)})
        except UsageProblem as problem:
            raise invalid_request(f"{problem}; {problem.hint}") from problem
        except ValueError as error:
            raise invalid_request(f"The request body is not valid JSON: {error}") from error

    async def _nowhere(self, _: web.Request) -> web.Response:
        raise not_found("Not found")
