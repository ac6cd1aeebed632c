"""A server on loopback that speaks one provider's wire, and answers each request as the case in its text wants."""

import asyncio
import gzip
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice

from aiohttp import web
from contract_streams import events_of, framed, server_sent
from contract_wires import GOOGLE_TOKEN, SECRET, Refusal, Wire

CASE = re.compile(r"case=([^;]+);")
BOMB, FLOOD = 40_000_000, 34
"""How much white space stands before a good answer: in bytes before compression, and in megabytes as they are."""
ELSEWHERE = "/elsewhere"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


class ContractServer:
    """Remembers what arrived, by the case."""

    def __init__(self, wire: Wire, answers: "Mapping[str, Answer] | None" = None) -> None:
        self.wire = wire
        self.answers = ANSWERS if answers is None else answers
        self.seen = defaultdict[str, list[Seen]](list)
        self.arrived = defaultdict[str, asyncio.Event](asyncio.Event)
        self.over = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve for as long as the block lasts; yields the address for [provider], without the wire's suffix."""
        app = web.Application(client_max_size=10**7)
        app.router.add_route("*", "/{any:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            self.over.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"access_token": GOOGLE_TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        body = await request.read()
        found = CASE.search(body.decode("utf-8", "replace"))
        case = found.group(1) if found else request.path
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen[case].append(Seen(request.rel_url.raw_path, headers, body))
        self.arrived[case].set()
        if case in self.wire.refusals:
            return self.refused(self.wire.refusals[case])
        return await self.answers[case](self, request)

    def refused(self, refusal: Refusal) -> web.Response:
        """Answer with an error that repeats what the client has proved itself with."""
        text = json.dumps(refusal.body).replace(SECRET, " ".join(self.wire.secrets))
        return web.Response(
            text=text, status=refusal.status, content_type="application/json", headers=dict(refusal.headers)
        )


Answer = Callable[[ContractServer, web.Request], Awaitable[web.StreamResponse]]


def _ending(end: str, *, counted: bool = True, told: bool = False) -> Answer:
    async def answer(server: ContractServer, _: web.Request) -> web.Response:
        return web.json_response(
            server.wire.message(end, counted),  # type: ignore[arg-type]
            headers={"request-id": "req_1", "x-request-id": "req_1", **(server.wire.limits if told else {})},
        )

    return answer


def saying(text: str, *, status: int = 200, content_type: str = "application/json", **headers: str) -> Answer:
    async def answer(server: ContractServer, _: web.Request) -> web.Response:
        said = text.replace(SECRET, " ".join(server.wire.secrets))
        return web.Response(text=said, status=status, content_type=content_type, headers=headers)

    return answer


async def _redirecting(_: ContractServer, request: web.Request) -> web.Response:
    return web.Response(status=307, headers={"location": f"http://{request.host}{ELSEWHERE}"})


async def _hanging(server: ContractServer, _: web.Request) -> web.Response:
    await server.over.wait()
    return web.Response()


async def _cutting(_: ContractServer, request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


async def _cutting_inside(_: ContractServer, request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-length": "1000", "content-type": "application/json"})
    await answer.prepare(request)
    await answer.write(b'{"id": ')
    assert request.transport
    request.transport.abort()
    return answer


@cache
def _bomb(message: str) -> bytes:
    return gzip.compress(b" " * BOMB + message.encode(), compresslevel=1)


async def _exploding(server: ContractServer, _: web.Request) -> web.Response:
    body = _bomb(json.dumps(server.wire.message("end", True)))
    return web.Response(body=body, headers={"content-encoding": "gzip", "content-type": "application/json"})


async def _flooding(server: ContractServer, request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-type": "application/json"})
    await answer.prepare(request)
    for _ in range(FLOOD):
        await answer.write(b" " * 1_000_000)
    await answer.write(json.dumps(server.wire.message("end", True)).encode())
    return answer


def _streaming(*, events: int | None, error: bool = False) -> Answer:
    """Answer in a stream where one is asked for: so many events, all of them if None, and perhaps an error then."""

    async def answer(server: ContractServer, request: web.Request) -> web.StreamResponse:
        message = server.wire.message("end", True)
        if not (b'"stream":true' in (await request.read()).replace(b" ", b"") or "tream" in request.path):
            return await (_ending("end") if events is None else _cutting_inside)(server, request)
        is_framed = "invoke" in request.path
        kind = "application/vnd.amazon.eventstream" if is_framed else "text/event-stream"
        answer = web.StreamResponse(headers={"content-type": kind, "request-id": "req_1", "x-amzn-requestid": "req_1"})
        await answer.prepare(request)
        overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        for event in [*islice(events_of(message), events), *([overloaded] if error else [])]:
            await answer.write((framed if is_framed else server_sent)(event))
        return answer

    return answer


PAGE = "<html><head><title>502 Bad Gateway</title></head></html>"
ANSWERS: dict[str, Answer] = {
    "end": _ending("end"),
    "max tokens": _ending("max tokens"),
    "refusal": _ending("refusal"),
    "tool": _ending("tool"),
    "limits": _ending("end", told=True),
    "no usage": _ending("end", counted=False),
    "page": saying(PAGE, status=502, content_type="text/html"),
    "page with 200": saying(PAGE, content_type="text/html"),
    "no JSON": saying("{"),
    "no message": saying("{}"),
    "no object": saying("[7]"),
    "empty": saying(""),
    "error with 200": saying(json.dumps({"error": {"message": f"Provider returned error {SECRET}", "code": 502}})),
    "redirect": _redirecting,
    "hang": _hanging,
    "canceled in flight": _hanging,
    "cut": _cutting,
    "cut inside": _cutting_inside,
    "long": _streaming(events=None),
    "long, cut": _streaming(events=3),
    "long, error": _streaming(events=3, error=True),
    "bomb": _exploding,
    "flood": _flooding,
}
