"""Requests, counts and batches go to the provider that the name of the model says, under the model's name there."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from batchrun.batch import BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.job.provider_sections import ProviderSection
from batchrun.job.providers import Providers
from batchrun.providers.anthropic.wire import batch_around, batch_member, batch_size
from batchrun.providers.routing import RenamedBody, RoutingFactory
from batchrun.reply import Reply
from batchrun.request import Request

PROVIDERS = Providers(
    {
        "bedrock": ProviderSection(type="bedrock"),
        "home": ProviderSection(type="openai", base_url="http://127.0.0.1:9/v1"),
    }
)
MODELS = ("claude-haiku-4-5", "bedrock/claude-haiku-4-5", "home/llama/é3")


def request_to(model: str, text: str = "Ä") -> Request:
    return Request.of({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": text}]})


def model_in(body: bytes) -> str:
    return str(json.loads(body)["model"])


@dataclass
class Server:
    """One provider's clients in one, which remember what arrived."""

    kind: str
    heard: list[tuple[str, Any]] = field(default_factory=list)
    closed: int = 0

    async def send(self, request: Request) -> Reply:
        self.heard.append(("send", model_in(request.wire)))
        return Reply("", "end_turn", None, "", None, "{}")

    async def count(self, request: Request) -> int:
        self.heard.append(("count", model_in(request.body)))
        return 7

    async def create(self, body: Any) -> RemoteBatch:
        parts = b"".join([part async for part in body.parts()])
        assert len(parts) == body.size
        self.heard.append(("create", [one["params"]["model"] for one in json.loads(parts)["requests"]]))
        return RemoteBatch(batch_id="b/1", status="in_progress", counts={}, created_at=1.0)

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        self.heard.append(("retrieve", batch_id))
        return RemoteBatch(batch_id=batch_id, status="ended", counts={}, created_at=1.0)

    async def cancel(self, batch_id: str) -> RemoteBatch:
        return await self.retrieve(batch_id)

    async def page(self, *, model: str, after_id: str | None, limit: int) -> BatchPage:
        self.heard.append(("page", after_id))
        return BatchPage((await self.retrieve("b/1"),), has_more=False)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        self.heard.append(("results", batch.batch_id))
        yield BatchResult(type=ResultType.SUCCEEDED)

    async def close(self) -> None:
        self.closed += 1


class Factories:
    """A factory for each type, all of whose clients are one server."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}

    def __call__(self, section: ProviderSection) -> Any:
        server = self.servers[section.type] = Server(section.type)

        class Factory:
            def __getattr__(self, _: str) -> Any:
                return lambda **_: server

        return Factory()


@pytest.fixture
def made() -> Factories:
    return Factories()


@pytest.fixture
def factory(made: Factories) -> RoutingFactory:
    return RoutingFactory(PROVIDERS, MODELS, made)


@dataclass
class Body:
    model: str
    nonce: str = "n"
    requests: int = 2

    @property
    def all(self) -> list[bytes]:
        return [batch_member(request_to(self.model, text), nonce=self.nonce) for text in ("Ä", '"model":"x"')]

    @property
    def size(self) -> int:
        return batch_size([len(member) for member in self.all])

    async def members(self) -> AsyncIterator[bytes]:
        for member in self.all:
            yield member

    def parts(self) -> AsyncIterator[bytes]:
        return batch_around(self.members())


def test_requests_and_counts(factory: RoutingFactory, made: Factories) -> None:
    async def ask() -> None:
        provider, counter = factory.make(concurrency=1, timeout_s=1), factory.make_counter(timeout_s=1)
        for model in MODELS:
            await provider.send(request_to(model))
            await provider.send(request_to(model, "\ud800"))
            assert await counter.count(request_to(model)) == 7
        await provider.close()

    asyncio.run(ask())

    heard = {kind: [name for _, name in server.heard] for kind, server in made.servers.items()}
    assert heard == {
        "anthropic": ["claude-haiku-4-5"] * 3,
        "bedrock": ["claude-haiku-4-5"] * 3,
        "openai": ["llama/é3"] * 3,
    }
    assert all(server.closed == 1 for server in made.servers.values())


def test_a_marked_request_is_sent_as_marked(factory: RoutingFactory, made: Factories) -> None:
    first = request_to("home/llama")
    marked = Request(first.body, first.model, 5, marked=request_to("home/llama", "marked").body)

    asyncio.run(factory.make(concurrency=1, timeout_s=1).send(marked))

    assert made.servers["openai"].heard == [("send", "llama")]


@pytest.mark.parametrize(
    ("model", "kind", "there", "batch_id"),
    [
        ("claude-haiku-4-5", "anthropic", "claude-haiku-4-5", "b/1"),
        ("home/llama", "openai", "llama", "home/b/1"),
    ],
)
def test_batches(factory: RoutingFactory, made: Factories, model: str, kind: str, there: str, batch_id: str) -> None:
    async def travel() -> list[RemoteBatch]:
        batches = factory.make_batches(timeout_s=1)
        page = await batches.page(model=model, after_id=None)
        remote = await batches.create(Body(model))
        if kind != "anthropic":  # whose ids have no slash
            remote = await batches.retrieve(remote.batch_id)
            await batches.cancel(remote.batch_id)
            await batches.page(model=model, after_id=remote.batch_id)
            assert [one.type async for one in batches.results(remote)] == [ResultType.SUCCEEDED]
        return [*page.batches, remote]

    assert {remote.batch_id for remote in asyncio.run(travel())} == {batch_id}

    heard = made.servers[kind].heard
    assert list(made.servers) == [kind]
    assert ("create", [there, there]) in heard
    assert {said for what, said in heard if what in {"retrieve", "results"}} == {"b/1"}


def test_a_renamed_body_has_the_same_bytes_otherwise() -> None:
    async def read() -> bytes:
        return b"".join([part async for part in RenamedBody(Body("home/llama"), "a-longer-name").parts()])

    bodies = asyncio.run(read()), b"".join(asyncio.run(_parts(Body("a-longer-name"))))
    renamed, other = (json.loads(body)["requests"] for body in bodies)
    assert [one["params"] for one in renamed] == [one["params"] for one in other]
    assert [one["custom_id"] for one in renamed] != [one["custom_id"] for one in other]


async def _parts(body: Body) -> list[bytes]:
    return [part async for part in body.parts()]


def test_the_providers_of_a_job_are_checked_once_each(made: Factories) -> None:
    factory = RoutingFactory(PROVIDERS, (*MODELS, "home/other"), made)
    factory.check()
    assert factory.names == ("anthropic", "bedrock", "home")
    assert list(made.servers) == ["anthropic", "bedrock", "openai"]


def test_files_are_kept_where_files_can_be_kept(made: Factories) -> None:
    factory = RoutingFactory(PROVIDERS, ("home/llama",), made)
    factory.make_files(timeout_s=1)
    assert list(made.servers) == ["anthropic"]
