"""A smoke test at real servers, for people with keys:  pytest -m live

Each configured provider is asked for one message, for one count where it counts, and for one batch of two where it
takes batches, for less than a cent in all. The environment says which:

BATCHRUN_LIVE
    Models, such as "claude-haiku-4-5,bedrock/claude-haiku-4-5". The default is the cheapest model of Anthropic's API
    where ANTHROPIC_API_KEY is set. Without either the tests are skipped.
BATCHRUN_LIVE_PROJECT
    A folder whose batchrun.toml has the sections of the providers; the default is that there are none.
BATCHRUN_LIVE_WAIT
    For how many seconds a batch is waited for, before it is canceled; the default is 600.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from batchrun.batch import BatchResult, RemoteBatch
from batchrun.catalog.price import ModelPrice
from batchrun.catalog.price_table import PriceTable
from batchrun.job.project import read_project
from batchrun.job.provider_sections import TYPES
from batchrun.job.providers import Providers, engine_name
from batchrun.providers import BatchProvider
from batchrun.providers.anthropic.wire import batch_around, batch_member, batch_size
from batchrun.providers.capabilities import Capabilities, capabilities_of
from batchrun.providers.routing import RoutingFactory
from batchrun.request import Request
from batchrun.workflow.job_models import common_prices, utc_today

CHEAPEST = "claude-haiku-4-5"
MOST_NUSD = 10_000_000
"""One cent: what all live tests together may cost."""
PROMPT_TOKENS, MAX_TOKENS = 200, 64
"""The most tokens of a prompt, which is a line, with whatever a server puts before it; and of an answer."""
TIMEOUT_S = 60.0
PAUSE_S = 10.0
WHO = ("a sailor", "a king")


def models() -> list[str]:
    given = os.environ.get("BATCHRUN_LIVE", CHEAPEST if os.environ.get("ANTHROPIC_API_KEY") else "")
    return [name.strip() for name in given.split(",") if name.strip()]


def table() -> PriceTable:
    folder = os.environ.get("BATCHRUN_LIVE_PROJECT")
    project = read_project(Path(folder)) if folder else None
    assert project is None or not project.problems, [problem.message for problem in project.problems]
    prices = common_prices(today=utc_today())
    return prices.known_to(project.spec.providers_of(None, {})) if project else prices


def most_nusd(price: ModelPrice) -> int:
    """What the calls about a model cost at most: one message, and two in a batch at half the price. Counts are free."""
    one = price.worst_case_nusd(prompt_tokens=PROMPT_TOKENS, max_tokens=MAX_TOKENS)
    return one + 2 * -(-one // 2)


def asking(model: str, what: str = "a sailor") -> Request:
    words = f"Answer with one word of greeting, as {what} would say it."
    return Request.of({"model": model, "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": words}]})


@dataclass(frozen=True)
class TwoRequests:
    """The body of a batch of two."""

    model: str
    nonce: str
    requests: int = 2

    @property
    def all(self) -> list[bytes]:
        return [batch_member(asking(self.model, what), nonce=self.nonce) for what in WHO]

    @property
    def size(self) -> int:
        return batch_size([len(member) for member in self.all])

    async def members(self) -> AsyncIterator[bytes]:
        for member in self.all:
            yield member

    def parts(self) -> AsyncIterator[bytes]:
        return batch_around(self.members())


@dataclass(frozen=True)
class Live:
    """A model, and what its provider can do."""

    model: str
    factory: RoutingFactory
    able: Capabilities


@pytest.fixture(params=models() or [pytest.param("", marks=pytest.mark.skip("BATCHRUN_LIVE names no model"))])
def live(request: pytest.FixtureRequest) -> Live:
    prices = table()
    at_most = sum(most_nusd(prices.model(name)) for name in models())
    assert at_most < MOST_NUSD, f"these models may cost {at_most / 1e9:.4f} dollars: name cheaper ones"
    factory = RoutingFactory(prices.providers, (request.param,))
    factory.check()  # says what is missing
    return Live(request.param, factory, capabilities_of(prices.providers.section(factory.names[0])))


@pytest.mark.live
def test_a_message(live: Live) -> None:
    async def send() -> None:
        provider = live.factory.make(concurrency=1, timeout_s=TIMEOUT_S)
        try:
            reply = await provider.send(asking(live.model))
        finally:
            await provider.close()
        assert reply.text.strip() or reply.stop_reason == "max_tokens", "thinking may take all of an answer"
        assert reply.usage is not None
        assert 0 < reply.usage.prompt_tokens <= PROMPT_TOKENS
        assert 0 < reply.usage.output_tokens <= MAX_TOKENS

    asyncio.run(send())


@pytest.mark.live
def test_a_count(live: Live) -> None:
    if not live.able.counts_tokens:
        pytest.skip("this provider counts no tokens")

    async def count() -> int:
        counter = live.factory.make_counter(timeout_s=TIMEOUT_S)
        try:
            return await counter.count(asking(live.model))
        finally:
            await counter.close()

    assert 5 < asyncio.run(count()) <= PROMPT_TOKENS


@pytest.mark.live
def test_a_batch_of_two(live: Live) -> None:
    if not live.able.batches or live.able.min_batch_requests > 2:
        pytest.skip("this provider takes no batch of two")
    body = TwoRequests(live.model, token_hex(8))

    async def collect() -> list[BatchResult]:
        batches = live.factory.make_batches(timeout_s=TIMEOUT_S)
        try:
            batch = await batches.create(body)
            page = await batches.page(model=live.model, limit=20)
            assert batch.batch_id in [one.batch_id for one in page.batches], "the list has it"
            ended = await waited_for(batches, batch)
            return [result async for result in batches.results(ended)]
        finally:
            await batches.close()

    found = asyncio.run(collect())
    assert {result.nonce for result in found} == {body.nonce}
    assert {result.request_id for result in found} == {asking(live.model, what).request_id for what in WHO}
    assert all(result.reply and result.reply.usage for result in found)


async def waited_for(batches: BatchProvider, batch: RemoteBatch) -> RemoteBatch:
    until = time.monotonic() + float(os.environ.get("BATCHRUN_LIVE_WAIT", "600"))
    while not batch.ended:
        if time.monotonic() > until:
            await batches.cancel(batch.batch_id)
            pytest.skip(f"the batch {batch.batch_id} took too long, and is canceled")
        await asyncio.sleep(PAUSE_S)
        batch = await batches.retrieve(batch.batch_id)
    return batch


# --- held without a key


def test_the_usual_model_at_every_cloud_costs_less_than_a_cent() -> None:
    prices = common_prices(today=utc_today()).known_to(Providers())
    names = [engine_name(kind, CHEAPEST) for kind in TYPES if kind != "openai"]
    assert sum(most_nusd(prices.model(name)) for name in names) < MOST_NUSD
