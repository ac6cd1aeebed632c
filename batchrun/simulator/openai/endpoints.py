"""The paths of the OpenAI dialect. Replies, batches and files have their own files."""

from collections.abc import Iterator

from aiohttp import web

from batchrun.simulator.api_error import not_found
from batchrun.simulator.http.reply_endpoint import ReplyEndpoint
from batchrun.simulator.http.responses import Responses, check_access
from batchrun.simulator.openai.batch_endpoints import OpenAIBatchEndpoints, OpenAIFileEndpoints
from batchrun.simulator.openai.batches import DIALECTS
from batchrun.simulator.requests.model_cards import CARDS, find_any_model
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.books import Books


def openai_routes(simulator: Simulator, books: Books, responses: Responses) -> Iterator[web.RouteDef]:
    """List the paths."""

    async def models(request: web.Request) -> web.Response:
        check_access(request)
        return responses.json({"object": "list", "data": [_model_info(name) for name in CARDS]})

    async def model(request: web.Request) -> web.Response:
        check_access(request)
        name = request.match_info["model"]
        if find_any_model(name) is None:
            raise not_found(f"model: {name}")
        return responses.json(_model_info(name))

    for path, dialect in DIALECTS.items():
        yield web.post(path, ReplyEndpoint(simulator, books, responses, dialect).answer)
    yield web.get("/v1/models", models)
    yield web.get("/v1/models/{model}", model)
    yield from OpenAIBatchEndpoints(simulator.batches, responses, books).routes()
    yield from OpenAIFileEndpoints(simulator.batches, responses).routes()


def _model_info(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}
