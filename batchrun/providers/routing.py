"""The ports over all providers of a job: a request goes to the provider that the name of its model says."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch
from batchrun.catalog.lifecycle import ModelLife
from batchrun.job.provider_sections import ANTHROPIC, ProviderSection
from batchrun.job.providers import Providers, engine_name
from batchrun.providers import BatchProvider, Connected, FileStore, ModelDirectory, Provider, TokenCounter
from batchrun.providers.anthropic.wire import at_provider, batch_around
from batchrun.providers.capabilities import capabilities_of
from batchrun.providers.factories import Factory, factory_of
from batchrun.reply import Reply
from batchrun.request import Request

Client = TypeVar("Client", bound=Connected)


@dataclass(frozen=True, slots=True)
class RoutingFactory:
    """Makes the clients of all providers of a job. Connections to a provider are made when the provider is asked."""

    providers: Providers = field(default_factory=Providers)
    models: tuple[str, ...] = ()
    """The engine names of the models that the job may ask, the job's own model first."""
    make_factory: Callable[[ProviderSection], Factory] = factory_of
    name_there: Callable[[str, ProviderSection], str] = lambda there, _: there
    """Returns what a model is called by the clients that are made, from the model's name at the provider."""
    met: Callable[[str, Factory], None] = lambda *_: None
    """Hears of each provider before the provider is asked for the first time."""
    _factories: dict[str, Factory] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The providers of the job's models, that of the job's own model first."""
        return tuple(dict.fromkeys(self.providers.split(model)[0] for model in self.models)) or (ANTHROPIC,)

    def address(self, model: str) -> tuple[str, str]:
        """Return the provider of a model, and what the model is called there."""
        name, there = self.providers.split(model)
        return name, self.name_there(there, self.providers.section(name))

    def factory(self, name: str) -> Factory:
        """Return what makes the clients of a provider. Raises EnvironmentProblem if an extra is missing."""
        if name not in self._factories:
            self._factories[name] = self.make_factory(self.providers.section(name))
            self.met(name, self._factories[name])
        return self._factories[name]

    def check(self) -> None:
        """Raise UsageProblem or EnvironmentProblem when one of the job's providers cannot be asked."""
        for name in self.names:
            self.factory(name).check()

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        """Make the client of streaming inside the running loop."""
        return RoutingProvider(self, lambda one: one.make(concurrency=concurrency, timeout_s=timeout_s))

    def make_counter(self, *, timeout_s: float) -> TokenCounter:
        """Make the counter of tokens inside the running loop."""
        return RoutingCounter(self, lambda one: one.make_counter(timeout_s=timeout_s))

    def make_models(self, *, timeout_s: float) -> ModelDirectory:
        """Make the directory of models inside the running loop."""
        return RoutingDirectory(self, lambda one: one.make_models(timeout_s=timeout_s))

    def make_batches(self, *, timeout_s: float) -> BatchProvider:
        """Make the client of batches inside the running loop."""
        return RoutingBatches(self, lambda one: one.make_batches(timeout_s=timeout_s))

    def make_files(self, *, timeout_s: float) -> FileStore:
        """Make the store of files inside the running loop: that of the first provider which keeps files."""
        keeping = (name for name in self.names if capabilities_of(self.providers.section(name)).files)
        return self.factory(next(keeping, ANTHROPIC)).make_files(timeout_s=timeout_s)


class Routing(Generic[Client]):
    """The clients of one port, by provider, each made when first asked."""

    def __init__(self, factories: RoutingFactory, make: Callable[[Factory], Client]) -> None:
        self._address = factories.address
        self._factory = factories.factory
        self._make = make
        self._clients: dict[str, Client] = {}

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()

    def _client(self, name: str) -> Client:
        if name not in self._clients:
            self._clients[name] = self._make(self._factory(name))
        return self._clients[name]

    def _there(self, request: Request) -> tuple[Client, Request]:
        """Return the client that a request goes to, and the request with the model's name there."""
        name, there = self._address(request.model)
        if there == request.model:
            return self._client(name), request
        body, marked = (one and at_provider(one, request.model, there) for one in (request.body, request.marked))
        return self._client(name), replace(request, body=body or b"", marked=marked)


class RoutingProvider(Routing[Provider]):
    """Sends each request to the provider of its model."""

    async def send(self, request: Request) -> Reply:
        """Send the request once. Raises AttemptError; a canceled send may have been billed."""
        client, there = self._there(request)
        return await client.send(there)


class RoutingCounter(Routing[TokenCounter]):
    """Has each request counted by the provider of its model."""

    async def count(self, request: Request) -> int:
        """Count the tokens of a request's prompt. Raises AttemptError."""
        client, there = self._there(request)
        return await client.count(there)


class RoutingDirectory(Routing[ModelDirectory]):
    """Asks the provider of each model."""

    async def life(self, name: str) -> ModelLife:
        """Ask for one model. Raises AttemptError."""
        provider, there = self._address(name)
        return await self._client(provider).life(there)


class RoutingBatches(Routing[BatchProvider]):
    """Brings each batch to the provider of its model. The id of a batch tells the provider from then on."""

    async def create(self, body: BatchBody) -> RemoteBatch:
        """Create a batch, once. Raises AttemptError; after any doubt the batch may exist."""
        name, there = self._address(body.model)
        named = body if there == body.model else RenamedBody(body, there)
        return _named(name, await self._client(name).create(named))

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """Ask for one batch. Raises AttemptError."""
        name, there = provider_of(batch_id)
        return _named(name, await self._client(name).retrieve(there))

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        """Ask for a page of all batches at the provider of a model. Raises AttemptError."""
        name, _ = self._address(model)
        after = after_id and provider_of(after_id)[1]
        page = await self._client(name).page(model=model, after_id=after, limit=limit)
        return replace(page, batches=tuple(_named(name, batch) for batch in page.batches))

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be canceled. Raises AttemptError."""
        name, there = provider_of(batch_id)
        return _named(name, await self._client(name).cancel(there))

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of a batch that has ended. Raises AttemptError."""
        name, there = provider_of(batch.batch_id)
        async with aclosing(self._client(name).results(replace(batch, batch_id=there))) as results:
            async for result in results:
                yield result


def provider_of(batch_id: str) -> tuple[str, str]:
    """Take the id of a batch apart: the name of the provider, and the id there. No id of a provider has a slash."""
    name, slash, there = batch_id.partition("/")
    return (name, there) if slash else (ANTHROPIC, batch_id)


def _named(provider: str, batch: RemoteBatch) -> RemoteBatch:
    return replace(batch, batch_id=engine_name(provider, batch.batch_id))


def _length(name: str) -> int:
    return len(json.dumps(name, ensure_ascii=False).encode())


class RenamedBody:
    """The body of a batch in which the model has the name that the model has at its provider."""

    def __init__(self, body: BatchBody, there: str) -> None:
        self._body = body
        self._there = there
        self.model, self.nonce, self.requests = body.model, body.nonce, body.requests
        self.size = body.size - body.requests * (_length(body.model) - _length(there))

    async def members(self) -> AsyncIterator[bytes]:
        """Yield each member as JSON, in order."""
        async for member in self._body.members():
            name, params, rest = member.partition(b'"params":')
            yield name + params + at_provider(rest, self._body.model, self._there)

    def parts(self) -> AsyncIterator[bytes]:
        """Yield the bytes, in order."""
        return batch_around(self.members())
