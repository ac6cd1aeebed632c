"""A path that asks for one reply, in any dialect: puts decisions into HTTP, sleeps, and bills."""

import asyncio
import hashlib
import time

from aiohttp import web

from batchrun.simulator.api_error import ApiRefusal
from batchrun.simulator.dialect import Dialect
from batchrun.simulator.faults.catalogue import RETRY_AFTER_DATE
from batchrun.simulator.faults.kinds import HtmlPage, Wire
from batchrun.simulator.http.responses import Headers, Responses, read_body, reset, retry_after
from batchrun.simulator.replies.message_json import error_event, message_events
from batchrun.simulator.requests.model_cards import ModelCard
from batchrun.simulator.simulator import WITH_LIMIT_HEADERS, Delivery, Simulator, Unanswered
from batchrun.simulator.usage.books import Books, Entry
from batchrun.simulator.usage.rate_limits import Levels

MAX_BODY = 32 * 1024**2


class ReplyEndpoint:
    """The one path of a dialect at which replies are produced while the client waits."""

    def __init__(self, simulator: Simulator, books: Books, responses: Responses, dialect: Dialect) -> None:
        self._simulator, self._books, self._responses, self._dialect = simulator, books, responses, dialect
        self._started_at = time.monotonic()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        arrived_s = time.monotonic() - self._started_at
        raw, refused = b"", None
        try:
            raw = await read_body(request, most=MAX_BODY)
        except ApiRefusal as refusal:
            refused = Unanswered(refusal.error)
        body_sha = hashlib.sha256(raw).digest()
        with self._books.visit(body_sha.hex(), arrived_s=arrived_s) as entry:
            decision = refused or self._simulator.decide(raw, body_sha, now=time.monotonic(), dialect=self._dialect)
            entry.fault = decision.fault
            entry.model = decision.card.id if decision.card else None
            if isinstance(decision, Delivery):
                return await self._deliver(request, decision, entry)
            return await self._fail(request, decision, entry)

    async def _fail(self, request: web.Request, decision: Unanswered, entry: Entry) -> web.Response:
        answer = decision.answer
        if isinstance(answer, Wire):
            return await self._responses.cut(request, hangs=answer is Wire.HANG)
        if isinstance(answer, HtmlPage):
            entry.status = answer.status
            title = f"{answer.status} {answer.title}"
            text = f"<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
            return web.Response(status=answer.status, text=text, content_type="text/html")
        headers: Headers = {}
        if decision.card and answer.status in WITH_LIMIT_HEADERS:
            headers |= self._limit_headers(decision.card)
        if decision.retry_after_s is not None:
            as_date = decision.fault == RETRY_AFTER_DATE
            headers["retry-after"] = retry_after(decision.retry_after_s, as_date=as_date)
        response = self._responses.error(answer, headers)
        entry.status = response.status
        return response

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
        self._simulator.produced(delivery, now=time.monotonic())
        entry.bill(delivery.used, output_tokens=delivery.output_tokens)

    def _limit_headers(self, card: ModelCard, levels: Levels | None = None) -> Headers:
        levels = levels or self._simulator.levels(card, now=time.monotonic())
        return dict(self._responses.limits(levels, epoch_s=self._simulator.epoch_s))
