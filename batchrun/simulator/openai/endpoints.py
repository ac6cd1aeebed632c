"""The paths of the OpenAI dialect that no other dialect has. Those of batches and files have their own file."""

from collections.abc import Iterator

from aiohttp import web

from batchrun.simulator.http.reply_endpoint import ReplyEndpoint
from batchrun.simulator.http.responses import Responses, check_access
from batchrun.simulator.openai.batch_endpoints import OpenAIBatchEndpoints
from batchrun.simulator.openai.batches import ENDPOINT
from batchrun.simulator.openai.chat import CHAT
from batchrun.simulator.requests.model_cards import CARDS
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.books import Books


def openai_routes(simulator: Simulator, books: Books, responses: Responses) -> Iterator[web.RouteDef]:
    """List the paths."""

    async def models(request: web.Request) -> web.Response:
        check_access(request)
        told = [{"id": name, "object": "model", "created": 0, "owned_by": "simulator"} for name in CARDS]
        return responses.json({"object": "list", "data": told})

    yield web.post(ENDPOINT, ReplyEndpoint(simulator, books, responses, CHAT).answer)
    yield web.get("/v1/models", models)
    yield from OpenAIBatchEndpoints(simulator.batches, responses, books).routes()
