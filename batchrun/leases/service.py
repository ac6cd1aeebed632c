"""The lease service: HTTP in front of the books."""

import hmac
import socket
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.leases.books import Books, Stale
from batchrun.leases.messages import ANSWER, CAPS, MOST_BYTES, STATEMENT

HERE = ("localhost", "127.0.0.1", "::1")


def application(books: Books, *, token: str | None) -> web.Application:
    """Make the application. If there is a token, only who shows the token is answered."""

    @web.middleware
    async def checked(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        shown = request.headers.get("authorization", "").encode(errors="surrogateescape")  # any bytes may come
        if token and not hmac.compare_digest(shown, f"Bearer {token}".encode()):
            return web.Response(status=401, text="the token is missing or wrong")
        try:
            return await handler(request)
        except Stale:
            return web.Response(status=409)
        except (ValidationError, web.RequestPayloadError):
            return web.Response(status=400, text="the question is not understood: is batchrun of another version?")
        except (UsageProblem, EnvironmentProblem) as problem:
            return web.Response(status=400 if isinstance(problem, UsageProblem) else 503, text=str(problem))

    async def caps(_: web.Request) -> web.Response:
        return _json(CAPS.dump_json(books.caps_left(now=time.time())))

    async def lease(request: web.Request) -> web.Response:
        if request.content_type != "application/json":  # which no page in a browser can send here unasked
            return web.Response(status=415)
        statement = STATEMENT.validate_json(await request.read())
        return _json(ANSWER.dump_json(books.exchange(statement, now=time.time())))

    app = web.Application(middlewares=[checked], client_max_size=MOST_BYTES)
    app.add_routes([web.get("/caps", caps), web.post("/lease", lease)])
    return app


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def listening(host: str, port: int, *, token: str | None) -> socket.socket:
    """Open the socket. Raises UsageProblem for an address that others reach, if there is no token."""
    if not token and host not in HERE:
        raise UsageProblem(
            f"{host} is reached from other hosts, and no token is set.",
            hint="set BATCHRUN_LEASES_TOKEN here and on the hosts, such as to the output of: openssl rand -hex 32",
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        problem = f"the lease service cannot listen on {host}:{port}: {error.strerror or error}."
        raise EnvironmentProblem(problem, hint="choose another --host or --port") from error
