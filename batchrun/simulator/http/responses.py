"""What all responses of the simulated API have in common: headers, errors, and connections that break."""

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count

from aiohttp import web
from aiohttp.typedefs import Handler

from batchrun.simulator.api_error import TOO_LARGE, ApiError, ApiRefusal, invalid_request
from batchrun.simulator.replies.message_json import new_id, to_json
from batchrun.simulator.requests.parameters import check_headers
from batchrun.simulator.simulator import ORGANIZATION_ID
from batchrun.simulator.usage.rate_limits import Levels, limit_headers

_GONE_CHECK_S = 0.05
_NEVER_RETRIED = (400, 401, 402, 403, 404, 413)
_LINGER_RESET = struct.pack("ii", 1, 0)  # closing then answers with RST instead of FIN

Headers = dict[str, str]


class Responses:
    """Makes the responses of one server."""

    def __init__(self, stopping: asyncio.Event, *, started_at: float) -> None:
        self._stopping = stopping
        self._started_at = started_at
        self._numbers = count(1)

    def headers(self) -> Headers:
        """Make the headers that every response has."""
        return {
            "request-id": new_id("req_011C", self._started_at, next(self._numbers)),
            "anthropic-organization-id": ORGANIZATION_ID,
            "server": "batchrun-simulator",
        }

    def json(self, body: object, extra: Mapping[str, str] | None = None) -> web.Response:
        """Answer with 200."""
        headers = self.headers() | dict(extra or {})
        return web.Response(body=to_json(body), headers=headers, content_type="application/json")

    def error(self, error: ApiError, extra: Mapping[str, str] | None = None) -> web.Response:
        """Answer with an error."""
        headers = self.headers() | dict(extra or {})
        if error.status == 401:
            del headers["anthropic-organization-id"]
        if error.status in _NEVER_RETRIED:
            headers["x-should-retry"] = "false"
        response = web.Response(status=error.status, headers=headers, content_type="application/json")
        response.body = to_json(error.body(headers["request-id"]))
        return response

    def limits(self, levels: Levels, *, epoch_s: float) -> Iterator[tuple[str, str]]:
        """Write the rate limit headers; `epoch_s` is when the clock was 0, since 1970."""
        return limit_headers(levels, epoch_s=epoch_s)

    async def refuse(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer what a handler refuses."""
        try:
            return await handler(request)
        except ApiRefusal as refusal:
            wait_s = refusal.retry_after_s
            return self.error(refusal.error, {} if wait_s is None else {"retry-after": retry_after(wait_s)})

    async def cut(self, request: web.Request, *, hangs: bool) -> web.Response:
        """Break the connection, at once or when the client gives up."""
        while hangs and request.transport is not None and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GONE_CHECK_S):
                    await self._stopping.wait()
        return reset(request)


def check_access(request: web.Request) -> None:
    """Refuse a request without what every request has to bring; the OpenAI dialect has no version."""
    version = "none" if speaks_openai(request) else request.headers.get("anthropic-version")
    check_headers(request.headers.get("authorization"), version)


def speaks_openai(request: web.Request) -> bool:
    """Return whether a client speaks the OpenAI dialect; on a path of both, the header of the other tells."""
    if request.path.startswith("/v1/files"):
        return "anthropic-version" not in request.headers
    return request.path == "/v1/models" or request.path.startswith(("/v1/chat/", "/v1/batches"))


async def read_body(request: web.Request, *, most: int) -> bytes:
    """Read a body, if its headers are in order; refuse one that is too large or does not arrive whole."""
    check_access(request)
    try:
        return await request.clone(client_max_size=most).read()
    except web.HTTPRequestEntityTooLarge as error:
        raise ApiRefusal(TOO_LARGE) from error
    except (ConnectionResetError, web.RequestPayloadError) as error:  # the client went away, and nobody reads this
        raise invalid_request("The request body could not be read") from error


def retry_after(seconds: float, *, as_date: bool = False) -> str:
    """Write how long to wait, in whole seconds."""
    whole = max(1, math.ceil(seconds))
    if not as_date:
        return str(whole)
    return format_datetime(datetime.now(UTC) + timedelta(seconds=whole), usegmt=True)


def reset(request: web.Request) -> web.Response:
    """Break the connection; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        request.transport.abort()
    return web.Response()
