"""The paths of the simulated API: puts decisions into HTTP, sleeps, and bills. Those of batches have their own file."""

import asyncio
import hashlib
import json
import time

from aiohttp import web

from batchrun.errors import UsageProblem
from batchrun.simulator.api_error import TOO_LARGE, ApiError, invalid_request, not_found
from batchrun.simulator.batch_endpoints import BatchEndpoints
from batchrun.simulator.books import Books, Entry
from batchrun.simulator.http_replies import (
    CLIENT_GONE,
    UNREADABLE,
    Headers,
    Replies,
    header_problem,
    reset,
    retry_after,
)
from batchrun.simulator.models import ModelCard, find_model, model_info
from batchrun.simulator.simulator import WITH_LIMIT_HEADERS, Answered, Cut, Paged, Rejected, Simulator
from batchrun.simulator.wire_format import error_event, message_events, to_json

_MAX_BODY = 32 * 1024**2


class Endpoints:
    """One simulator behind HTTP, and its books."""

    def __init__(self, simulator: Simulator, *, stopping: asyncio.Event) -> None:
        self.simulator = simulator
        self.books = Books(simulator.batches, clock=time.monotonic)
        self._started_at = time.monotonic()
        self._replies = Replies(stopping, started_at=self._started_at)
        self._batches = BatchEndpoints(simulator.batches, self._replies, self.books)

    def application(self) -> web.Application:
        """Make the aiohttp application. What is not routed is a 404 in the API's words."""
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_post("/v1/messages", self._messages)
        application.router.add_post("/v1/messages/count_tokens", self._count_tokens)
        application.router.add_get("/v1/models/{model}", self._model)
        application.router.add_routes(self._batches.routes())
        application.router.add_get("/simulator/books", self._show_books)
        application.router.add_post("/simulator/script", self._take_script)
        application.router.add_route("*", "/{path:.*}", self._nowhere)
        return application

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        arrived_s = time.monotonic() - self._started_at
        received = await _receive(request)
        raw = b"" if isinstance(received, ApiError) else received
        body_sha = hashlib.sha256(raw).digest()
        with self.books.visit(body_sha.hex(), arrived_s=arrived_s) as entry:
            if isinstance(received, ApiError):
                return self._reject(Rejected(error=received), entry)
            decision = self.simulator.decide(raw, body_sha, now=time.monotonic())
            entry.fault = decision.fault
            entry.model = decision.card.id if decision.card else None
            match decision:
                case Rejected():
                    return self._reject(decision, entry)
                case Paged():
                    return self._show_page(decision, entry)
                case Cut():
                    return await self._replies.cut(request, hangs=decision.hangs)
                case Answered():
                    return await self._answer(request, decision, entry)

    def _reject(self, rejected: Rejected, entry: Entry) -> web.Response:
        status = entry.status = rejected.error.status
        headers = self._limit_headers(rejected.card) if rejected.card and status in WITH_LIMIT_HEADERS else {}
        if rejected.retry_after_s is not None:
            headers["retry-after"] = retry_after(rejected.retry_after_s, as_date=rejected.retry_after_date)
        return self._replies.error(rejected.error, headers)

    def _show_page(self, paged: Paged, entry: Entry) -> web.Response:
        status = entry.status = paged.page.status
        title = f"{status} {paged.page.title}"
        text = f"<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
        return web.Response(status=status, text=text, content_type="text/html")

    async def _answer(self, request: web.Request, answered: Answered, entry: Entry) -> web.StreamResponse:
        """Produce, bill, then send: the order in which money is lost when a connection breaks."""
        await asyncio.sleep(answered.first_token_s)
        if answered.stream and not answered.cut_at_the_end:
            return await self._stream(request, answered, entry)
        await asyncio.sleep(answered.producing_s)
        self._bill(answered, entry)
        if answered.cut_at_the_end:
            return reset(request)
        entry.status = 200
        headers = self._replies.headers() | self._answer_headers(answered)
        return web.Response(body=to_json(answered.body), headers=headers, content_type="application/json")

    async def _stream(self, request: web.Request, answered: Answered, entry: Entry) -> web.StreamResponse:
        headers = self._replies.headers() | self._answer_headers(answered)
        headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        entry.status = 200
        events = list(message_events(answered.body))
        if answered.overloaded_midway:
            events[len(events) // 2 :] = [
                error_event("overloaded_error", "Overloaded", request_id=headers["request-id"])
            ]
        try:
            await response.prepare(request)
            for event in events:
                await asyncio.sleep(answered.producing_s / len(events))
                await response.write(event)
        except ConnectionResetError:  # the client went away: what was begun is billed all the same
            return response
        finally:
            if not answered.overloaded_midway:
                self._bill(answered, entry)
        return response

    def _bill(self, answered: Answered, entry: Entry) -> None:
        self.simulator.produced(answered, now=time.monotonic())
        entry.bill(answered.used, output_tokens=answered.output_tokens)

    async def _count_tokens(self, request: web.Request) -> web.Response:
        received = await _receive(request)
        if isinstance(received, ApiError):
            return self._replies.error(received)
        counted = self.simulator.count(received, now=time.monotonic())
        return (
            self._replies.error(counted)
            if isinstance(counted, ApiError)
            else self._replies.json({"input_tokens": counted})
        )

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        if problem := header_problem(request):
            return self._replies.error(problem)
        card = find_model(name)
        return self._replies.json(model_info(card)) if card else self._replies.error(not_found(f"model: {name}"))

    async def _show_books(self, request: web.Request) -> web.Response:
        summary = await asyncio.to_thread(self.books.summary)  # which may have to produce the answers of batches
        if request.query.get("entries") == "1":
            summary |= await asyncio.to_thread(self.books.listed)
        return self._replies.json(summary)

    async def _take_script(self, request: web.Request) -> web.Response:
        try:
            names = json.loads(await request.read())
            if not isinstance(names, list):
                return self._replies.error(invalid_request("a script is a list of names of faults"))
            return self._replies.json({"waiting": self.simulator.extend_script(names)})
        except UsageProblem as problem:
            return self._replies.error(invalid_request(f"{problem}; {problem.hint}"))
        except ValueError as error:
            return self._replies.error(invalid_request(f"The request body is not valid JSON: {error}"))

    async def _nowhere(self, _: web.Request) -> web.Response:
        return self._replies.error(not_found("Not found"))

    def _limit_headers(self, card: ModelCard) -> Headers:
        return dict(self.simulator.limit_headers(card, now=time.monotonic(), wall=time.time()))

    def _answer_headers(self, answered: Answered) -> Headers:
        return dict(self.simulator.answer_headers(answered, now=time.monotonic(), wall=time.time()))


async def _receive(request: web.Request) -> bytes | ApiError:
    """Read a body, if its headers are in order."""
    if problem := header_problem(request):
        return problem
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return TOO_LARGE
    except CLIENT_GONE:
        return UNREADABLE
