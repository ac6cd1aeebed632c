"""How far a call has come: whether its first byte has left, and whether this process slept while the call waited."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx2

from batchrun.providers.anthropic.endpoint import Endpoint, endpoint_of, transport_of

ASLEEP_S, GRACE_S = 1.0, 10.0
"""A timer so late shows that this process was stopped meanwhile; what has arrived by then is read for so long."""


@dataclass(slots=True)
class Sending:
    """How far one call has come."""

    has_begun: bool = False
    """Whether the first byte of the request may have left; the CONNECT to a proxy is no part of the request."""
    endpoint: Endpoint | None = None
    """Where the call goes, as soon as the client has taken the call up."""


CURRENT: ContextVar[Sending] = ContextVar("sending", default=Sending())  # noqa: B039 - of calls that nobody watches


def watch_sends(client: httpx2.AsyncClient, base_url: httpx2.URL, named_by: str = "") -> None:
    """Let a client note in CURRENT how far each of its calls has come."""
    transport, endpoint = transport_of(client, base_url), endpoint_of(client, base_url, named_by)
    trace = aiohttp.TraceConfig()

    async def begin(*_: Any) -> None:
        CURRENT.get().endpoint = endpoint

    async def send(*_: Any) -> None:
        CURRENT.get().has_begun = True

    trace.on_request_start.append(begin)
    trace.on_request_headers_sent.append(send)  # called just before the headers are written
    trace.freeze()

    def session() -> aiohttp.ClientSession:
        transport.client = None  # then the transport makes its own session
        made: aiohttp.ClientSession = transport.get_client()
        made.trace_configs.append(trace)
        return made

    transport.client = session


@asynccontextmanager
async def awake_within(timeout_s: float) -> AsyncIterator[None]:
    """Raise TimeoutError when the call inside takes longer, unless this process was stopped.

    A stopped process (SIGSTOP) finds all its timers due at once, though the answer may have arrived meanwhile.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + timeout_s
    async with asyncio.timeout(None) as limit:

        def expire() -> None:
            now = loop.time()
            limit.reschedule(now + GRACE_S if now - due > ASLEEP_S else now)

        timer = loop.call_at(due, expire)
        try:
            yield
        finally:
            timer.cancel()
