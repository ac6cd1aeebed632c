"""The paths of the simulated API: puts decisions into HTTP, sleeps, and bills. Those of batches have their own file."""

import asyncio
import hashlib
import json
import time

from aiohttp import web

from batchrun.errors import UsageProblem
from batchrun.simulator.api_error import ApiRefusal, invalid_request, not_found
from batchrun.simulator.faults.catalogue import RETRY_AFTER_DATE
from batchrun.simulator.faults.kinds import HtmlPage, Wire
from batchrun.simulator.http.batch_endpoints import BatchEndpoints
from batchrun.simulator.http.file_endpoints import FileEndpoints
from batchrun.simulator.http.responses import Headers, Responses, check_access, read_body, reset, retry_after
from batchrun.simulator.replies.message_json import error_event, message_events
from batchrun.simulator.requests.model_cards import ModelCard, find_model, model_info
from batchrun.simulator.simulator import WITH_LIMIT_HEADERS, Delivery, Simulator, Unanswered
from batchrun.simulator.usage.books import Books, Entry
from batchrun.simulator.usage.rate_limits import Levels

_MAX_BODY = 32 * 1024**2


class Endpoints:
    """One simulator behind HTTP, and its books."""

    def __init__(self, simulator: Simulator, *, stopping: asyncio.Event) -> None:
        self.simulator = simulator
        self.books = Books(simulator.batches, clock=time.monotonic)
        self._started_at = time.monotonic()
        self._responses = Responses(stopping, started_at=self._started_at)
        self._batches = BatchEndpoints(simulator.batches, self._responses, self.books)
        self._files = FileEndpoints(simulator.files, self._responses)

    def application(self) -> web.Application:
        """Make the aiohttp application. What is not routed is a 404 in the API's words."""
        application = web.Application(middlewares=[self._responses.refuse])
        application.add_routes(
            [
                web.post("/v1/messages", self._messages),
                web.post("/v1/messages/count_tokens", self._count_tokens),
                web.get("/v1/models/{model}", self._model),
                *self._batches.routes(),
                *self._files.routes(),
                web.get("/simulator/books", self._show_books),
                web.post("/simulator/script", self._take_script),
                web.route("*", "/{path:.*}", self._nowhere),
            ]
        )
        return application

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        arrived_s = time.monotonic() - self._started_at
        raw, refused = b"", None
        try:
            raw = await read_body(request, most=_MAX_BODY)
        except ApiRefusal as refusal:
            refused = Unanswered(refusal.error)
        body_sha = hashlib.sha256(raw).digest()
        with self.books.visit(body_sha.hex(), arrived_s=arrived_s) as entry:
            decision = refused or self.simulator.decide(raw, body_sha, now=time.monotonic())
            entry.fault = decision.fault
            entry.model = decision.card.id if decision.card else None
            if isinstance(decision, Delivery):
                return await self._deliver(request, decision, entry)
            return await self._fail(request, decision, entry)

    async def _fail(self, request: web.Request, decision: Unanswered, entry: Entry) -> web.Response:
        answer = decision.answer
        if isinstance(answer, Wire):
            return await self._responses.cut(request, hangs=answer is Wire.HANG)
        entry.status = answer.status
        if isinstance(answer, HtmlPage):
            title = f"{answer.status} {answer.title}"
            text = f"<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
            return web.Response(status=answer.status, text=text, content_type="text/html")
        headers: Headers = {}
        if decision.card and answer.status in WITH_LIMIT_HEADERS:
            headers |= self._limit_headers(decision.card)
        if decision.retry_after_s is not None:
            as_date = decision.fault == RETRY_AFTER_DATE
            headers["retry-after"] = retry_after(decision.retry_after_s, as_date=as_date)
        return self._responses.error(answer, headers)

    async def _deliver(self, request: web.Request, delivery: Delivery, entry: Entry) -> web.StreamResponse:
        """Produce, bill, then send: the order in which money is lost when a connection breaks."""
        await asyncio.sleep(delivery.first_token_s)
        if delivery.stream and delivery.wire is not Wire.RESET_AFTER:
            return await self._stream(request, delivery, entry)
        await asyncio.sleep(delivery.producing_s)
        self._bill(delivery, entry)
        if delivery.wire is Wire.RESET_AFTER:
            return reset(request)
        entry.status = 200
        return self._responses.json(delivery.body, self._limit_headers(delivery.card, delivery.levels))

    async def _stream(self, request: web.Request, delivery: Delivery, entry: Entry) -> web.StreamResponse:
        headers = self._responses.headers() | self._limit_headers(delivery.card, delivery.levels)
        headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        entry.status = 200
        events = list(message_events(delivery.body))
        if delivery.wire is Wire.OVERLOADED_MIDWAY:
            error = error_event("overloaded_error", "Overloaded", request_id=headers["request-id"])
            events[len(events) // 2 :] = [error]
        try:
            await response.prepare(request)
            for event in events:
                await asyncio.sleep(delivery.producing_s / len(events))
                await response.write(event)
        except ConnectionResetError:  # the client went away: what was begun is billed all the same
            return response
        finally:
            if delivery.wire is not Wire.OVERLOADED_MIDWAY:
                self._bill(delivery, entry)
        return response

    def _bill(self, delivery: Delivery, entry: Entry) -> None:
        self.simulator.produced(delivery, now=time.monotonic())
        entry.bill(delivery.used, output_tokens=delivery.output_tokens)

    def _limit_headers(self, card: ModelCard, levels: Levels | None = None) -> Headers:
        return dict(self.simulator.limit_headers(card, now=time.monotonic(), levels=levels))

    async def _count_tokens(self, request: web.Request) -> web.Response:
        raw = await read_body(request, most=_MAX_BODY)
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
