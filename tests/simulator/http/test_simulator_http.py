"""The simulator behind HTTP, as the real SDK and a bare client see it."""

import asyncio
import io
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic

from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

ASK: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 500,
    "messages": [{"role": "user", "content": "This lease is governed by the laws of Norway."}],
    "thinking": {"type": "disabled"},
    "output_config": {
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"governing_law": {"type": "string"}},
                "required": ["governing_law"],
                "additionalProperties": False,
            },
        }
    },
}
HEADERS = {"authorization": "Bearer x", "anthropic-version": "2026-10-21"}


@asynccontextmanager
async def simulated(*script: str, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncAnthropic]]:
    simulator = Simulator(PROFILES["calm"], latency=INSTANT, script=script, **options)
    async with SimulatorServer(simulator) as server, client_of(server) as client:
        yield server, client


@asynccontextmanager
async def client_of(server: SimulatorServer, key: str = "x") -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(api_key=key, base_url=server.base_url, max_retries=0, timeout=5) as client:
        yield client


def test_a_plain_message() -> None:
    async def scenario() -> None:
        async with simulated() as (_, client):
            raw = await client.messages.with_raw_response.create(**ASK)
            message = await raw.parse()

            assert message.content[0].type == "text"
            assert json.loads(message.content[0].text) == {"governing_law": "Norway"}
            assert (message.model, message.stop_reason) == ("claude-haiku-5-5", "end_turn")
            assert message.id.startswith("msg_01")
            assert message.usage.input_tokens > 100
            assert (message.usage.cache_read_input_tokens, message.usage.service_tier) == (0, "standard")
            assert str(raw.headers["request-id"]).startswith("req_011C")
            assert raw.headers["anthropic-ratelimit-requests-remaining"] == "999"
            assert raw.headers["anthropic-ratelimit-input-tokens-limit"] == "2000000"
            assert raw.headers["content-type"] == "application/json"

    asyncio.run(scenario())


def test_the_same_message_streamed() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client):
            plain = await client.messages.create(**ASK)
            async with client.messages.stream(**ASK) as stream:
                streamed = await stream.get_final_message()

            assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in plain.content]
            assert streamed.stop_reason == "end_turn"
            assert streamed.usage.output_tokens == plain.usage.output_tokens
            assert server.books.summary()["billed"] == 2

    asyncio.run(scenario())


def test_a_thinking_block_may_come_first() -> None:
    async def scenario() -> None:
        async with simulated("thinking_first", "thinking_first") as (_, client):
            plain = await client.messages.create(**ASK)
            async with client.messages.stream(**ASK) as stream:
                streamed = await stream.get_final_message()

            for message in (plain, streamed):
                thinking, text = (block.to_dict() for block in message.content)
                assert (thinking["type"], thinking["thinking"], text["type"]) == ("thinking", "", "text")

    asyncio.run(scenario())


def test_counting_tokens_agrees_with_the_bill() -> None:
    async def scenario() -> None:
        async with simulated() as (_, client):
            counted = await client.messages.count_tokens(**{name: ASK[name] for name in ASK.keys() - {"max_tokens"}})
            message = await client.messages.create(**ASK)

            assert counted.input_tokens == message.usage.input_tokens

    asyncio.run(scenario())


def test_models() -> None:
    async def scenario() -> None:
        async with simulated() as (_, client):
            model = await client.models.retrieve("claude-haiku-4-5")

            assert (model.id, model.max_input_tokens, model.lifecycle) == (
                "claude-haiku-4-5-20251001",
                200_000,
                "active",
            )
            assert model.capabilities is not None
            assert model.capabilities.effort.supported is False
            with pytest.raises(anthropic.NotFoundError, match="model: claude-none"):
                await client.models.retrieve("claude-none")

    asyncio.run(scenario())


def test_an_invalid_key() -> None:
    async def scenario() -> None:
        async with simulated() as (server, _), client_of(server, key="invalid") as client:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                await client.messages.create(**ASK)

            assert caught.value.type == "authentication_error"
            assert caught.value.response.headers["x-should-retry"] == "false"
            assert "anthropic-organization-id" not in caught.value.response.headers
            assert server.books.summary()["by_status"] == {"401": 1}

    asyncio.run(scenario())


def test_an_unknown_model() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client):
            with pytest.raises(anthropic.NotFoundError) as caught:
                await client.messages.create(**{**ASK, "model": "claude-none"})

            assert caught.value.api_message == "model: claude-none"
            assert caught.value.request_id == caught.value.response.headers["request-id"]
            assert server.books.summary()["billed"] == 0

    asyncio.run(scenario())


def test_limits_answer_429_until_the_bucket_has_refilled() -> None:
    async def scenario() -> None:
        async with simulated(limits=Limits(60, 10**6, 10**6), burst_s=2, speed=1) as (server, client):
            await client.messages.create(**ASK)
            await client.messages.create(**ASK)
            with pytest.raises(anthropic.RateLimitError) as caught:
                await client.messages.create(**ASK)

            headers = caught.value.response.headers
            assert headers["retry-after"] == "1"
            assert headers["anthropic-ratelimit-requests-limit"] == "60"
            assert headers["anthropic-ratelimit-requests-remaining"] == "0"
            assert str(caught.value.api_message).startswith(
                "This request would exceed your organization's rate limit of 60 requests per minute"
            )
            assert server.books.summary()["by_status"] == {"200": 2, "429": 1}
            assert server.books.summary()["by_fault"] == {}

    asyncio.run(scenario())


@pytest.mark.parametrize(("headers_at", "remaining"), [("completion", "0"), ("admission", "1000")])
def test_limits_are_told_as_of_the_completion_or_of_the_admission(headers_at: str, remaining: str) -> None:
    async def scenario() -> None:
        async with simulated(limits=Limits(60, 10**6, 505), headers_at=headers_at) as (_, client):
            answer = await client.messages.with_raw_response.create(**ASK)

            assert answer.headers["anthropic-ratelimit-output-tokens-remaining"] == remaining

    asyncio.run(scenario())


STATUS_FAULTS: dict[str, tuple[type[anthropic.APIStatusError], int, str | None]] = {
    "rate_limited": (anthropic.RateLimitError, 429, None),
    "rate_limited_without_retry_after": (anthropic.RateLimitError, 429, None),
    "ramp_limit": (anthropic.RateLimitError, 429, "ramp_limit_exceeded"),
    "overloaded": (anthropic.InternalServerError, 529, None),
    "overloaded_in_stream": (anthropic.InternalServerError, 529, None),
    "server_error": (anthropic.InternalServerError, 500, None),
    "bad_gateway": (anthropic.InternalServerError, 502, None),
    "unavailable": (anthropic.InternalServerError, 503, None),
    "gateway_timeout": (anthropic.InternalServerError, 504, None),
    "request_timeout": (anthropic.APIStatusError, 408, None),
    "conflict": (anthropic.ConflictError, 409, None),
    "spend_limit": (anthropic.RateLimitError, 429, "enforced_spend_limit_reached"),
    "contract_spend_limit": (anthropic.RateLimitError, 429, "contract_spend_limit_reached"),
    "usage_limit": (anthropic.BadRequestError, 400, None),
    "workspace_usage_limit": (anthropic.BadRequestError, 400, None),
    "billing": (anthropic.APIStatusError, 402, None),
    "authentication": (anthropic.AuthenticationError, 401, None),
    "permission": (anthropic.PermissionDeniedError, 403, None),
    "unknown_model": (anthropic.NotFoundError, 404, None),
    "invalid_request": (anthropic.BadRequestError, 400, None),
    "request_too_large": (anthropic.APIStatusError, 413, None),
}


def test_faults_with_a_status_are_the_errors_of_the_sdk() -> None:
    async def scenario() -> None:
        async with simulated(*STATUS_FAULTS) as (server, client):
            for name, (error, status, code) in STATUS_FAULTS.items():
                with pytest.raises(error) as caught:
                    await client.messages.create(**ASK)
                assert (caught.value.status_code, caught.value.error_code) == (status, code), name
            assert server.books.summary()["billed"] == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("spend_limit", "EnforcedSpendLimitReachedError", "You have reached your API usage limits"),
        ("contract_spend_limit", "ContractSpendLimitReachedError", "Your organization has reached its contract"),
        ("ramp_limit", "RampLimitExceededError", "This request would exceed"),
        ("usage_limit", "BadRequestError", "You have reached your specified API usage limits"),
        ("workspace_usage_limit", "BadRequestError", "You have reached your specified workspace API usage limits"),
        ("overloaded", "OverloadedError", "Overloaded"),
        ("gateway_timeout", "GatewayTimeoutError", "Request timed out"),
    ],
)
def test_error_classes(fault: str, error: str, message: str) -> None:
    async def scenario() -> None:
        async with simulated(fault) as (_, client):
            with pytest.raises(anthropic.APIStatusError) as caught:
                await client.messages.create(**ASK)
            assert type(caught.value).__name__ == error
            assert str(caught.value.api_message).startswith(message)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "speed", "expected"),
    [
        ("rate_limited", 1, "4"),
        ("rate_limited", 4, "1"),
        ("rate_limited_without_retry_after", 1, None),
        ("spend_limit", 1, None),
    ],
)
def test_retry_after_in_seconds(fault: str, speed: float, expected: str | None) -> None:
    async def scenario() -> None:
        async with simulated(fault, speed=speed) as (_, client):
            with pytest.raises(anthropic.RateLimitError) as caught:
                await client.messages.create(**ASK)
            assert caught.value.response.headers.get("retry-after") == expected

    asyncio.run(scenario())


def test_retry_after_as_a_date() -> None:
    async def scenario() -> None:
        async with simulated("rate_limited_http_date") as (_, client):
            with pytest.raises(anthropic.RateLimitError) as caught:
                await client.messages.create(**ASK)
            headers = caught.value.response.headers
            wait = parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])
            assert 3 <= wait.total_seconds() <= 5

    asyncio.run(scenario())


def test_an_error_in_the_middle_of_a_stream() -> None:
    async def scenario() -> None:
        async with simulated("overloaded_in_stream") as (server, client):
            with pytest.raises(anthropic.APIStatusError) as caught:
                async with client.messages.stream(**ASK) as stream:
                    await stream.get_final_message()
            assert (caught.value.status_code, caught.value.type) == (200, "overloaded_error")
            assert server.books.summary()["billed"] == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(("fault", "billed"), [("reset_before", 0), ("reset_after", 1)])
def test_resets(fault: str, billed: int) -> None:
    async def scenario() -> None:
        async with simulated(fault) as (server, client):
            with pytest.raises(anthropic.APIConnectionError):
                await client.messages.create(**ASK)
            await client.messages.create(**ASK)

            books = server.books.summary()
            assert (books["billed"], books["billed_twice"]) == (billed + 1, billed)
            assert books["by_fault"] == {fault: 1}
            assert books["by_status"] == {"200": 1}

    asyncio.run(scenario())


def test_a_hang_lasts_until_the_client_gives_up() -> None:
    async def scenario() -> None:
        async with simulated("hang") as (server, client):
            with pytest.raises(anthropic.APITimeoutError):
                await client.with_options(timeout=httpx2.Timeout(5, read=0.05)).messages.create(**ASK)
            await until(lambda: server.books.summary()["in_flight_now"] == 0)
            assert server.books.summary()["billed"] == 0

    asyncio.run(scenario())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  the server is watched from outside
            await asyncio.sleep(0.001)


def test_stopping_does_not_wait_for_a_hang() -> None:
    async def scenario() -> None:
        async with client_of_nothing() as session, asyncio.timeout(5):
            async with SimulatorServer(Simulator(PROFILES["calm"], script=["hang"])) as server:
                asking = asyncio.ensure_future(session.post(f"{server.base_url}/v1/messages", json=ASK))
                await until(lambda: server.books.summary()["in_flight_now"] == 1)
            with pytest.raises(aiohttp.ClientError):
                await asking

    asyncio.run(scenario())


@asynccontextmanager
async def client_of_nothing() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield session


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "message"),
    [
        ("GET", "/v1/nothing", HEADERS, b"", 404, "Not found"),
        ("POST", "/v1/messages", {"x-api-key": "x", "anthropic-version": "2026-10-21"}, b"{}", 401, "API key is req"),
        ("POST", "/v1/messages", {"authorization": "Bearer x"}, b"{}", 400, "anthropic-version: header is required"),
        ("POST", "/v1/messages", HEADERS, b"{", 400, "The request body is not valid JSON"),
        ("POST", "/v1/messages", HEADERS, b" " * (33 * 1024**2), 413, "Request exceeds the maximum size"),
        ("POST", "/simulator/script", {}, b'["nothing"]', 400, "unknown fault in the script: nothing; known are: ok"),
        ("POST", "/simulator/script", {}, b'"ok"', 400, "a script is a list"),
        ("POST", "/simulator/script", {}, b"[", 400, "The request body is not valid JSON"),
    ],
    ids=["path", "x-api-key", "version", "json", "too large", "unknown fault", "no list", "no json"],
)
def test_errors_have_the_shape_of_the_api(
    method: str, path: str, headers: dict[str, str], body: bytes, status: int, message: str
) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (server, _),
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, server.base_url + path, data=io.BytesIO(body)) as response,
        ):
            answer = await response.json()

            assert response.status == status
            assert answer["type"] == "error"
            assert answer["error"]["message"].startswith(message)
            assert answer["request_id"] == response.headers["request-id"]

    asyncio.run(scenario())


def test_a_script_may_be_posted_while_it_runs() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client), client_of_nothing() as session:
            async with session.post(f"{server.base_url}/simulator/script", json=["ok", "billing"]) as response:
                assert await response.json() == {"waiting": 2}
            await client.messages.create(**ASK)
            with pytest.raises(anthropic.APIStatusError) as caught:
                await client.messages.create(**ASK)
            assert caught.value.status_code == 402

    asyncio.run(scenario())


def test_the_books_add_up() -> None:
    async def scenario() -> None:
        async with simulated("ok", "overloaded") as (server, client), client_of_nothing() as session:
            message = await client.messages.create(**ASK)
            with pytest.raises(anthropic.APIStatusError):
                await client.messages.create(**ASK)
            async with session.get(f"{server.base_url}/simulator/books?entries=1") as response:
                books = await response.json()

            entries = books.pop("entries")
            books = {name: told for name, told in books.items() if name != "creates" and not name.startswith("batch")}
            usage = {"input_tokens": message.usage.input_tokens, "output_tokens": message.usage.output_tokens}
            usage |= {"cache_read_tokens": 0, "cache_write_5m_tokens": 0, "cache_write_1h_tokens": 0}
            assert books == {
                "requests": 2,
                "billed": 1,
                "billed_twice": 0,
                "by_status": {"200": 1, "529": 1},
                "by_fault": {"overloaded": 1},
                "max_in_flight": 1,
                "in_flight_now": 0,
                "model_usage": {"claude-haiku-5-5": {"requests": 1, **usage}},
                **usage,
            }
            assert [entry["billed"] for entry in entries] == [True, False]
            assert entries[0]["sha256"] == entries[1]["sha256"]
            assert entries[0]["arrived_s"] <= entries[1]["arrived_s"]

    asyncio.run(scenario())


def test_a_hostile_rehearsal_is_repeatable_whatever_the_order() -> None:
    bodies = [{**ASK, "messages": [{"role": "user", "content": f"Document {number}"}]} for number in range(120)]

    async def faults(order: list[dict[str, Any]]) -> dict[str, Any]:
        simulator = Simulator(PROFILES["hostile"], seed=3, latency=INSTANT)
        async with SimulatorServer(simulator) as server, client_of_nothing() as session:
            for body in order:
                await ask_once(session, server, body)
            return {entry.sha256: (entry.fault, entry.output_tokens) for entry in server.books.entries}

    async def scenario() -> None:
        forwards, backwards = await faults(bodies), await faults(bodies[::-1])

        assert forwards == backwards
        assert len({fault for fault, _ in forwards.values()}) > 3

    asyncio.run(scenario())


async def ask_once(session: aiohttp.ClientSession, server: SimulatorServer, body: dict[str, Any]) -> None:
    timeout = aiohttp.ClientTimeout(sock_read=0.1)
    try:
        async with session.post(f"{server.base_url}/v1/messages", json=body, timeout=timeout) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError):
        return


def test_concurrent_requests_are_counted() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client):
            await asyncio.gather(*(client.messages.create(**ASK) for _ in range(5)))

            books = server.books.summary()
            assert 1 <= books["max_in_flight"] <= 5
            assert (books["requests"], books["in_flight_now"], books["billed_twice"]) == (5, 0, 1)

    asyncio.run(scenario())


@pytest.fixture
def threaded() -> Iterator[SimulatorServer]:
    server = SimulatorServer(Simulator(PROFILES["calm"], latency=INSTANT))
    server.start_in_thread()
    yield server
    server.stop()


def test_in_a_thread(threaded: SimulatorServer) -> None:
    async def scenario() -> None:
        async with client_of(threaded) as client:
            await client.messages.create(**ASK)

    asyncio.run(scenario())
    assert threaded.books.summary()["billed"] == 1
    threaded.stop()
    threaded.stop()
    assert "simulator" not in [thread.name for thread in threading.enumerate()]


def test_a_port_in_use(threaded: SimulatorServer) -> None:
    port = int(threaded.base_url.rpartition(":")[2])

    with pytest.raises(EnvironmentProblem, match=f"cannot listen on http://127.0.0.1:{port}"):
        SimulatorServer(Simulator(PROFILES["calm"]), port=port).start_in_thread()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_with_a_signal(number: signal.Signals) -> None:
    announced: list[str] = []

    def ready(base_url: str) -> None:
        announced.append(base_url)
        os.kill(os.getpid(), number)

    SimulatorServer(Simulator(PROFILES["calm"])).serve_forever(when_ready=ready)

    assert announced[0].startswith("http://127.0.0.1:")


def test_a_script_with_an_unknown_fault_is_refused() -> None:
    with pytest.raises(UsageProblem, match="unknown fault in the script: nothing"):
        Simulator(PROFILES["calm"], script=["nothing"])
