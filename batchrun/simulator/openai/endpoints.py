"""The paths of the OpenAI dialect; batches and files have their own file."""

import asyncio
import time
from collections.abc import Iterable

from aiohttp import web

from batchrun.simulator.api_error import not_found
from batchrun.simulator.http.reply_endpoint import ReplyEndpoint
from batchrun.simulator.http.responses import check_access
from batchrun.simulator.openai.batch_endpoints import OpenAIBatchEndpoints, OpenAIFileEndpoints
from batchrun.simulator.openai.batches import DIALECTS
from batchrun.simulator.openai.http_responses import OpenAIResponses
from batchrun.simulator.requests.model_cards import CARDS, find_any_model
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.books import Books


class OpenAIEndpoints:
    """One simulator behind HTTP in the OpenAI dialect."""

    def __init__(self, simulator: Simulator, books: Books, stopping: asyncio.Event) -> None:
        self.responses = OpenAIResponses(stopping, started_at=time.monotonic())
        self._batches = OpenAIBatchEndpoints(simulator.batches, self.responses, books)
        self._files = OpenAIFileEndpoints(simulator.batches, self.responses)
        self._replies = {
            path: ReplyEndpoint(simulator, books, self.responses, dialect) for path, dialect in DIALECTS.items()
        }

    def routes(self) -> Iterable[web.RouteDef]:
        """List the paths."""
        return (
            *(web.post(path, endpoint.answer) for path, endpoint in self._replies.items()),
            web.get("/v1/models", self._models),
            web.get("/v1/models/{model}", self._model),
            *self._batches.routes(),
            *self._files.routes(),
        )

    async def _models(self, request: web.Request) -> web.Response:
        check_access(request)
        return self.responses.json({"object": "list", "data": [_model_info(name) for name in CARDS]})

    async def _model(self, request: web.Request) -> web.Response:
        check_access(request)
        name = request.match_info["model"]
        if find_any_model(name) is None:
            raise not_found(f"model: {name}")
        return self.responses.json(_model_info(name))


def _model_info(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}
