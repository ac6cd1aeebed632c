"""The token-counting endpoint over the wire: what is asked, what is told, and what goes wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from batchrun.providers import AttemptError, TokenCounter
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.reply import Cause, Failure
from batchrun.request import Request
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.requests.token_count import count_prompt
from batchrun.simulator.simulator import Simulator

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}
PARAMS: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 100,
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "system": "Be terse.",
    "messages": [{"role": "user", "content": "What is the capital of France? Größe 漢 🙂"}],
}


async def told(counter: TokenCounter, params: dict[str, Any]) -> int | Failure:
    try:
        return await counter.count(Request.of(params))
    except AttemptError as error:
        return error.failure
    finally:
        await counter.close()


def counted(answer: Answer, *, path: str = "", timeout_s: float = 60.0) -> int | Failure:
    """What the counter makes of one answer of a server."""

    async def scenario() -> int | Failure:
        app = web.Application()
        app.router.add_post(f"{path}/v1/messages/count_tokens", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            base_url = f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
            return await told(
                AnthropicFactory(base_url=base_url, api_key="test").make_counter(timeout_s=timeout_s), PARAMS
            )
        finally:
            await runner.cleanup()

    return asyncio.run(scenario())


def responding(body: object, *, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        sent = {"request-id": "req_1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, headers=sent, content_type="application/json")

    return answer


def failure_of(answer: Answer, **options: Any) -> Failure:
    failure = counted(answer, **options)
    assert isinstance(failure, Failure)
    return failure


@pytest.mark.parametrize("path", ["", "/gateway/anthropic"])
def test_the_request_is_asked_for_without_what_the_endpoint_does_not_take(path: str) -> None:
    seen: list[Any] = []

    async def answer(got: web.Request) -> web.Response:
        seen.append((await got.json(), got.content_type, got.headers["authorization"]))
        return web.json_response({"input_tokens": 14})

    assert counted(answer, path=path) == 14
    params = {name: value for name, value in PARAMS.items() if name != "max_tokens"}
    assert seen == [(params, "application/json", "Bearer test")]


def api_error(kind: str, message: str) -> dict[str, Any]:
    """As recorded: the body of an error of this endpoint."""
    return {"error": {"message": message, "type": kind}, "request_id": "req_1", "type": "error"}


STATUSES = {
    "401": (401, "authentication_error", "API key is invalid."),
    "404": (404, "not_found_error", "model: claude-does-not-exist"),
    "413": (413, "request_too_large", "Request exceeds the maximum size"),
    "429": (429, "rate_limit_error", "later"),
    "529": (529, "overloaded_error", "Overloaded"),
}


@pytest.mark.parametrize(("status", "kind", "message"), STATUSES.values(), ids=STATUSES)
def test_an_error_status_keeps_the_apis_words(status: int, kind: str, message: str) -> None:
    failure = failure_of(responding(api_error(kind, message), status=status, retry_after="7"))

    assert (failure.cause, failure.status, failure.error_type, failure.message) == (Cause.STATUS, status, kind, message)
    assert (failure.retry_after_s, failure.api_request_id) == (7.0, "req_1")


def test_it_is_asked_once() -> None:
    times: list[None] = []

    async def answer(_: web.Request) -> web.Response:
        times.append(None)
        return web.json_response(api_error("overloaded_error", "Overloaded"), status=529)

    failure_of(answer)

    assert len(times) == 1, "the SDK's own retries are off"


MALFORMED: dict[str, object] = {
    "no JSON": "<html>",
    "nothing": "",
    "nested too deep": "[" * 100_000,
    "no object": [14],
    "null": None,
    "no count": {"tokens": 14},
    "words": {"input_tokens": "14"},
    "a fraction": {"input_tokens": 14.5},
    "true": {"input_tokens": True},
    "zero": {"input_tokens": 0},
    "negative": {"input_tokens": -3},
    "more than can be": {"input_tokens": 2**70},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_an_answer_that_is_no_count(case: str) -> None:
    failure = failure_of(responding(json.dumps(None) if case == "null" else MALFORMED[case]))

    assert (failure.cause, failure.api_request_id) == (Cause.MALFORMED, "req_1")


def test_more_than_a_count_is_a_count_still() -> None:
    assert counted(responding({"input_tokens": 1581, "context_management": None})) == 1581


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for() -> None:
    async def answer(got: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(got)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    failure = failure_of(answer, timeout_s=0.3)

    assert (failure.cause, failure.message) == (Cause.TIMEOUT, "no answer within 0.3 s")


def test_nobody_there() -> None:
    counter_of_nobody = asyncio.run(told_by("http://127.0.0.1:9"))

    assert isinstance(counter_of_nobody, Failure)
    assert counter_of_nobody.cause is Cause.UNREACHABLE


async def told_by(base_url: str, params: dict[str, Any] = PARAMS) -> int | Failure:
    return await told(AnthropicFactory(base_url=base_url, api_key="test").make_counter(timeout_s=60.0), params)


def test_the_simulator_counts_what_it_would_bill() -> None:
    simulator = Simulator(PROFILES["calm"])
    server = SimulatorServer(simulator)
    server.start_in_thread()
    try:
        tokens = asyncio.run(told_by(server.base_url))
        unknown = asyncio.run(told_by(server.base_url, PARAMS | {"model": "claude-does-not-exist"}))
    finally:
        server.stop()

    assert tokens == count_prompt(PARAMS, "old")
    assert isinstance(unknown, Failure)
    assert (unknown.status, unknown.message) == (404, "model: claude-does-not-exist")
    assert not server.books.entries, "nothing is billed"


def test_an_error_of_status_200_is_the_error_of_its_type() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"type": "error", "error": {"type": "permission_error", "message": "not you"}})

    failure = counted(answer)

    assert isinstance(failure, Failure)
    assert (failure.status, failure.error_type, failure.message) == (403, "permission_error", "not you")
