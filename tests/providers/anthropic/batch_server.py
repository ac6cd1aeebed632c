"""A server on loopback that answers the calls of Message Batches as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from loopback import MESSAGE, Answer, listening

from batchrun.batch import BatchPage, BatchResult, RemoteBatch
from batchrun.providers import AttemptError, BatchProvider
from batchrun.providers.anthropic.batches import AnthropicBatches
from batchrun.providers.anthropic.provider import AnthropicFactory

Scenario = Callable[[BatchProvider], Awaitable[Any]]

KEY = "sk-ant-SECRET0123456789"

CREATED = 1_787_150_691.493319

TOLD: dict[str, Any] = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-08-19T14:44:51.493319+00:00",
    "expires_at": "2026-08-20T14:44:51.493319+00:00",
    "ended_at": None,
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": None,
}

REMOTE = RemoteBatch(
    batch_id="msgbatch_1",
    status="in_progress",
    counts=TOLD["request_counts"],
    created_at=CREATED,
    expires_at=CREATED + 24 * 3600,
)

ENDED = replace(REMOTE, status="ended")


@dataclass(frozen=True)
class Body:
    """A body of these parts, so often."""

    chunks: Sequence[bytes] = (b'{"requests":', b"[]}")
    times: int = 1

    @property
    def size(self) -> int:
        return self.times * sum(map(len, self.chunks))

    async def parts(self) -> AsyncIterator[bytes]:
        for _ in range(self.times):
            for chunk in self.chunks:
                yield chunk


@dataclass
class Server:
    """A server on loopback that gives one answer to everything, and remembers what it was asked."""

    answer: Answer
    port: int = 0
    seen: list[web.Request] = field(default_factory=list)

    async def take(self, got: web.Request) -> web.StreamResponse:
        self.seen.append(got)
        return await self.answer(got)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        return [f"{got.method} {got.raw_path}" for got in self.seen]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    async with listening("*", "/{path:.*}", server.take) as server.port:
        yield server


@asynccontextmanager
async def batches_at(url: str, *, timeout_s: float = 60.0) -> AsyncIterator[AnthropicBatches]:
    batches = AnthropicFactory(base_url=url, api_key=KEY).make_batches(timeout_s=timeout_s)
    try:
        yield batches
    finally:
        await batches.close()


def outcome_of(scenario: Scenario, answer: Answer, *, timeout_s: float = 60.0) -> Any:
    """What comes of one call, or its failure."""

    async def run() -> Any:
        async with serving(answer) as server, batches_at(server.url, timeout_s=timeout_s) as batches:
            try:
                return await scenario(batches)
            except AttemptError as error:
                return error.failure

    return asyncio.run(run())


async def create(batches: BatchProvider) -> RemoteBatch:
    return await batches.create(Body())


async def retrieve(batches: BatchProvider) -> RemoteBatch:
    return await batches.retrieve("msgbatch_1")


async def cancel(batches: BatchProvider) -> RemoteBatch:
    return await batches.cancel("msgbatch_1")


async def page(batches: BatchProvider) -> BatchPage:
    return await batches.page()


async def results(batches: BatchProvider) -> list[BatchResult]:
    return [result async for result in batches.results(ENDED)]


def api_error(kind: str, message: str, **more: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


async def reset_at_once(got: web.Request) -> web.StreamResponse:
    assert got.transport
    got.transport.abort()
    return web.Response()


async def silent(got: web.Request) -> web.StreamResponse:
    await got.read()
    await asyncio.Event().wait()
    raise AssertionError


def ended(url: str | None) -> RemoteBatch:
    return replace(ENDED, results_url=url)


def succeeded(custom_id: str, text: str = "4") -> bytes:
    message = MESSAGE | {"content": [{"type": "text", "text": text}]}
    told = {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}
    return json.dumps(told, ensure_ascii=False).encode()
