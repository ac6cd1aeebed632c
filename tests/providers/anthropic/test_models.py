"""The Models API client: against the simulator, and against servers that answer what no API should."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import date

import pytest
from aiohttp import web
from anthropic.types import ModelInfo
from hypothesis import given
from hypothesis import strategies as st

from batchrun.catalog.lifecycle import ModelCapabilities, ModelLife
from batchrun.catalog.price_table import load_prices
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.models import life_from
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.requests.model_cards import CARDS, model_info
from batchrun.simulator.simulator import Simulator

PRICES = load_prices(today=date(2026, 11, 21))
TOLD = {
    "id": "claude-sonnet-4-5-20250929", "type": "model", "display_name": "Claude Sonnet 4.5",
    "created_at": "2025-09-29T00:00:00Z", "lifecycle": "deprecated", "deprecated_at": "2026-09-01T10:00:00Z",
    "retires_at": "2026-11-30T23:30:00-05:00", "max_input_tokens": 200_000, "max_tokens": 64_000,
    "capabilities": {
        "batch": {"supported": True}, "image_input": {"supported": "yes"}, "structured_outputs": {"supported": False},
        "effort": {"supported": True, "low": {"supported": True}, "max": {"supported": False}, "high": None},
        "thinking": {"supported": True, "types": []},
    },
}  # fmt: skip
LIFE = ModelLife(
    name="claude-sonnet-4-5-20250929",
    lifecycle="deprecated",
    deprecated=date(2026, 9, 1),
    retires=date(2026, 12, 1),
    max_input_tokens=200_000,
    max_output_tokens=64_000,
    capabilities=ModelCapabilities(efforts=("low",), structured_outputs=False, batch=True),
)


async def asked(url: str, name: str, *, key: str = "k", timeout_s: float = 60.0) -> ModelLife | Failure:
    models = AnthropicFactory(base_url=url, api_key=key).make_models(timeout_s=timeout_s)
    try:
        return await models.life(name)
    except AttemptError as error:
        return error.failure
    finally:
        await models.close()


def from_simulator(name: str, *, key: str = "k") -> ModelLife | Failure:
    async def run() -> ModelLife | Failure:
        async with SimulatorServer(Simulator(PROFILES["calm"])) as server:
            return await asked(server.base_url, name, key=key)

    return asyncio.run(run())


def from_server(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], name: str = "m", *, timeout_s: float = 60.0
) -> tuple[ModelLife | Failure, list[str]]:
    """What comes of one call, and what the server was asked."""
    seen: list[str] = []

    async def take(got: web.Request) -> web.StreamResponse:
        seen.append(f"{got.method} {got.raw_path}")
        return await answer(got)

    async def run() -> ModelLife | Failure:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", take)
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            return await asked(f"http://127.0.0.1:{runner.addresses[0][1]}", name, timeout_s=timeout_s)
        finally:
            await runner.cleanup()

    return asyncio.run(run()), seen


# --- the simulator


@pytest.mark.slow
def test_every_priced_model_is_as_the_table_says() -> None:
    async def run() -> dict[str, ModelLife | Failure]:
        async with SimulatorServer(Simulator(PROFILES["calm"])) as server:
            return {name: await asked(server.base_url, name) for name in PRICES.prices if name.startswith("claude-")}

    for name, life in asyncio.run(run()).items():
        price = PRICES.model(name)
        assert isinstance(life, ModelLife)
        assert life.name.startswith(name)
        assert (life.max_input_tokens, life.max_output_tokens) == (price.context_window, price.max_output_tokens)
        assert life.retires == price.retires
        assert life.capabilities.efforts == price.effort_levels
        assert set(life.capabilities.thinking or ()) == set(price.thinking)
        assert (life.capabilities.structured_outputs, life.capabilities.batch) == (True, True)
        assert life.lifecycle == ("deprecated" if price.retires else "active")
        assert life.deprecated is None, "the simulator does not know the day, and tells the epoch"


def test_the_simulator_tells_what_the_sdk_knows() -> None:
    for card in CARDS.values():
        info = model_info(card)
        read = ModelInfo.model_validate(info, strict=False)
        assert set(info) == set(ModelInfo.model_fields)
        assert read.capabilities is not None
        assert set(info["capabilities"]) == set(type(read.capabilities).model_fields)
        assert read.capabilities.effort.low.supported is ("low" in card.efforts)


@pytest.mark.parametrize(("name", "key", "status"), [("claude-none", "k", 404), ("claude-opus-5", "invalid", 401)])
def test_errors_are_told_as_everywhere(name: str, key: str, status: int) -> None:
    failure = from_simulator(name, key=key)
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.status) == (Cause.STATUS, status)


# --- one call


def test_what_is_told_is_read() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(TOLD)

    assert from_server(answer, "claude-sonnet-4-5") == (LIFE, ["GET /v1/models/claude-sonnet-4-5"])


@pytest.mark.parametrize("name", ["anthropic.claude-opus-5", "claude-haiku-4-5@20251001", "us.anthropic.m-v1:0"])
def test_names_of_other_platforms_can_be_asked_for(name: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(TOLD)

    assert from_server(answer, name)[0] == LIFE


@pytest.mark.parametrize("name", ["", "..", "../messages", "a/b", "a?b", "a#b", "a b", "a\n", "ä", "a" * 201, "%2e"])
def test_a_name_that_would_be_another_address_is_not_asked_for(name: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(TOLD)

    failure, seen = from_server(answer, name)
    assert isinstance(failure, Failure)
    assert (failure.status, seen) == (404, [])


@pytest.mark.parametrize("status", [404, 429, 500, 529])
def test_nothing_is_asked_twice(status: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"type": "error", "error": {"type": "x", "message": "no\x1b[2J"}}, status=status)

    failure, seen = from_server(answer)
    assert isinstance(failure, Failure)
    assert (failure.status, len(seen)) == (status, 1)
    assert "\x1b" not in failure.message


def test_no_redirect_is_followed() -> None:
    async def answer(got: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    failure, seen = from_server(answer)
    assert isinstance(failure, Failure)
    assert seen == ["GET /v1/models/m"]


def test_a_server_that_says_nothing_is_given_up() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    failure, _ = from_server(answer, timeout_s=0.3)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.TIMEOUT


# --- what is no model


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"id": 3}'])
def test_an_answer_that_is_no_model(body: bytes) -> None:
    with pytest.raises(AttemptError) as caught:
        life_from(body, {})
    assert caught.value.failure.cause is Cause.MALFORMED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.slow
@given(wrong=st.fixed_dictionaries({}, optional={name: json_values for name in TOLD if name != "id"}))
def test_what_is_told_wrongly_is_not_told(wrong: dict[str, object]) -> None:
    life = life_from(json.dumps({"id": "m", **wrong}).encode(), {})
    assert life.name == "m"
    assert life.lifecycle in {None, "active", "deprecated", "retired"}
    assert life.max_input_tokens is None or life.max_input_tokens > 0
    assert life.retires is None or life.retires > date(1970, 1, 1)


def test_names_are_inert() -> None:
    assert life_from(b'{"id": "\\u001b[2J"}', {}).name == r"\x1b[2J"
