"""A server on loopback for the clients of the API, and what it may answer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "4"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 20, "output_tokens": 4},
}


@asynccontextmanager
async def listening(method: str, path: str, answer: Answer) -> AsyncIterator[int]:
    """Serve one path for as long as the block lasts; yields the port."""
    app = web.Application()
    app.router.add_route(method, path, answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def responding(body: object, *, status: int = 200, **headers: str) -> Answer:
    """A server that answers with this JSON, or with this text."""

    async def answer(_: web.Request) -> web.Response:
        sent = {"request-id": "req_1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if isinstance(body, str):
            return web.Response(text=body, status=status, headers=sent, content_type="text/html")
        return web.json_response(body, status=status, headers=sent)

    return answer
