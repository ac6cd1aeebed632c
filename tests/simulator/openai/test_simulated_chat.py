"""Chat Completions of the simulator, as the real OpenAI SDK sees them."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
from native_samples import agreement
from openai import AsyncOpenAI

from batchrun.simulator.faults.outages import Outage
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

SCHEMA = {
    "type": "object",
    "properties": {"governing_law": {"type": "string"}},
    "required": ["governing_law"],
    "additionalProperties": False,
}
ASK: dict[str, Any] = {
    "model": "gpt-5",
    "max_completion_tokens": 500,
    "messages": [
        {"role": "system", "content": "You read leases."},
        {"role": "user", "content": "This lease is governed by the laws of Norway."},
    ],
    "response_format": {"type": "json_schema", "json_schema": {"name": "law", "strict": True, "schema": SCHEMA}},
}
TOOL = {"type": "function", "function": {"name": "law", "strict": True, "parameters": SCHEMA}}
BY_TOOL = {name: ASK[name] for name in ("model", "max_completion_tokens", "messages")} | {
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "law"}},
}
PLAIN = {name: ASK[name] for name in ("model", "max_completion_tokens", "messages")}
FOREIGN = [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]
LONG = [{"role": "user", "content": "a" * 2_000_000}]


@asynccontextmanager
async def simulated(*script: str, **options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncOpenAI]]:
    simulator = Simulator(PROFILES["calm"], latency=INSTANT, script=script, **options)
    async with SimulatorServer(simulator) as server, client_of(server) as client:
        yield server, client


@asynccontextmanager
async def client_of(server: SimulatorServer, key: str = "x") -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=key, base_url=f"{server.base_url}/v1", max_retries=0, timeout=5) as client:
        yield client


def refusal(ask: dict[str, Any], *script: str, **options: Any) -> openai.APIStatusError:
    async def scenario() -> openai.APIStatusError:
        async with simulated(*script, **options) as (server, client):
            with pytest.raises(openai.APIStatusError) as caught:
                await client.chat.completions.create(**ask)
            assert server.books.summary()["by_status"] == {str(caught.value.status_code): 1}
            assert server.books.summary()["billed"] == 0
            return caught.value

    return asyncio.run(scenario())


def reply(ask: dict[str, Any], *script: str) -> Any:
    async def scenario() -> Any:
        async with simulated(*script) as (server, client):
            completion = await client.chat.completions.create(**ask)
            assert server.books.entries[0].output_tokens == completion.usage.completion_tokens
            return completion

    return asyncio.run(scenario())


@pytest.mark.parametrize("model", ["gpt-5", "llama3", "claude-haiku-5-5"])
def test_a_reply_by_a_strict_schema(model: str) -> None:
    completion = reply(ASK | {"model": model})
    choice = completion.choices[0]

    assert json.loads(choice.message.content) == {"governing_law": "Norway"}
    assert (choice.finish_reason, choice.message.refusal, choice.message.tool_calls) == ("stop", None, None)
    assert (completion.object, completion.model, completion.id[:9]) == ("chat.completion", model, "chatcmpl-")
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 100


def test_a_call_of_a_tool() -> None:
    choice = reply(BY_TOOL).choices[0]

    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("law", {"governing_law": "Norway"})


@pytest.mark.parametrize(
    ("fault", "ask", "finish", "content", "refused"),
    [
        ("truncated", ASK, "length", '{"governing', False),
        ("window_exceeded", ASK, "length", '{"governing', False),
        ("refused", ASK, "stop", None, True),
        ("refused", PLAIN, "content_filter", "", False),
        ("invalid_json", ASK, "stop", '{"governing', False),
        ("empty", ASK, "stop", "", False),
    ],
)
def test_how_a_reply_ends(fault: str, ask: dict[str, Any], finish: str, content: str | None, refused: bool) -> None:
    choice = reply(ask, fault).choices[0]

    assert (choice.finish_reason, bool(choice.message.refusal)) == (finish, refused)
    assert (choice.message.content or "")[: len(content or "")] == (content or "")
    assert (choice.message.content is None) == (content is None)


def test_reasoning_counts_as_output() -> None:
    usage = reply(ASK, "thinking_first").usage

    assert usage.completion_tokens > usage.completion_tokens_details.reasoning_tokens > 0
    assert reply(ASK).usage.completion_tokens_details.reasoning_tokens == 0


def test_a_long_beginning_is_cached_and_writing_is_not_charged_apart() -> None:
    async def scenario() -> None:
        async with simulated() as (server, client):
            long = {"role": "system", "content": "You read leases. " * 800}
            usages = []
            for text in ("one", "two"):
                asked = ASK | {"messages": [long, {"role": "user", "content": text}]}
                usages.append((await client.chat.completions.create(**asked)).usage)

            assert [usage.prompt_tokens_details.cached_tokens > 1024 for usage in usages] == [False, True]
            assert usages[0].prompt_tokens == usages[1].prompt_tokens
            books = server.books.summary()
            assert books["cache_write_5m_tokens"] == 0
            assert books["input_tokens"] + books["cache_read_tokens"] == sum(usage.prompt_tokens for usage in usages)

    asyncio.run(scenario())


def test_a_follow_up_with_the_result_of_a_tool_asks_the_same_question() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "law", "arguments": '{"governing_law": ""}'}}
    turns = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "governing_law: is empty"},
    ]
    choice = reply(BY_TOOL | {"messages": [*ASK["messages"], *turns]}).choices[0]

    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"governing_law": "Norway"}


def test_a_pdf_is_read() -> None:
    url = f"data:application/pdf;base64,{b64encode(agreement()).decode()}"
    parts = [{"type": "text", "text": "Read."}, {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}]
    completion = reply(PLAIN | {"messages": [{"role": "user", "content": parts}]})

    assert completion.usage.prompt_tokens > 1_568


def test_the_headers_tell_the_limits() -> None:
    async def scenario() -> None:
        async with simulated(limits=Limits(60, 60_000, 1_000)) as (_, client):
            raw = await client.chat.completions.with_raw_response.create(**ASK)
            headers = raw.headers
            used = raw.parse().usage.prompt_tokens

            assert str(headers["x-request-id"]).startswith("req_")
            assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("60", "59")
            assert headers["x-ratelimit-limit-tokens"] == "60000"
            assert 60_000 - int(headers["x-ratelimit-remaining-tokens"]) in range(used - 50, used + 1)
            assert str(headers["x-ratelimit-reset-requests"]).endswith("s")
            assert not any("anthropic" in name for name in headers)

    asyncio.run(scenario())


def test_a_limit_bites_in_both_dialects() -> None:
    async def scenario() -> None:
        async with simulated(limits=Limits(1, 60_000, 1_000)) as (server, client):
            body = {"model": "claude-haiku-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Read."}]}
            headers = {"authorization": "Bearer x", "anthropic-version": "2026-10-21"}
            async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as bare:
                assert (await bare.post("/v1/messages", json=body)).status_code == 200
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(**ASK | {"model": "claude-haiku-5-5"})

            error = caught.value
            assert (error.code, error.type) == ("rate_limit_exceeded", "requests")
            assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
            assert 0 < int(error.response.headers["retry-after"]) <= 60

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "kind", "status", "code"),
    [
        ("rate_limited", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("spend_limit", openai.RateLimitError, 429, "insufficient_quota"),
        ("usage_limit", openai.RateLimitError, 429, "insufficient_quota"),
        ("billing", openai.RateLimitError, 429, "insufficient_quota"),
        ("overloaded", openai.InternalServerError, 503, "server_is_overloaded"),
        ("server_error", openai.InternalServerError, 500, None),
        ("unavailable", openai.InternalServerError, 503, None),
        ("authentication", openai.AuthenticationError, 401, "invalid_api_key"),
        ("permission", openai.PermissionDeniedError, 403, None),
        ("unknown_model", openai.NotFoundError, 404, "model_not_found"),
        ("invalid_request", openai.BadRequestError, 400, None),
        ("request_too_large", openai.APIStatusError, 413, None),
        ("request_timeout", openai.APIStatusError, 408, None),
        ("gateway_timeout", openai.InternalServerError, 504, None),
    ],
)
def test_an_injected_error(fault: str, kind: type[openai.APIStatusError], status: int, code: str | None) -> None:
    error = refusal(ASK, fault)

    assert type(error) is kind
    assert (error.status_code, error.code) == (status, code)
    assert ("retry-after" in error.response.headers) == (fault == "rate_limited")
    if fault != "unavailable":
        assert set(error.response.json()["error"]) == {"message", "type", "param", "code"}


def changed(**changes: Any) -> dict[str, Any]:
    schema = SCHEMA | changes
    return ASK | {
        "response_format": {"type": "json_schema", "json_schema": {"name": "law", "strict": True, "schema": schema}}
    }


@pytest.mark.parametrize(
    ("ask", "status", "code", "words"),
    [
        (ASK | {"model": "claude-none"}, 404, "model_not_found", "model"),
        (ASK | {"messages": LONG}, 400, "context_length_exceeded", "too long"),
        (ASK | {"messages": []}, 400, None, "messages"),
        (ASK | {"max_completion_tokens": 0}, 400, None, "max_completion_tokens"),
        (ASK | {"extra_body": {"thinking": {"type": "disabled"}}}, 400, "unknown_parameter", "thinking"),
        (changed(required=[]), 400, None, "response_format"),
        (changed(additionalProperties=True), 400, None, "response_format"),
        (changed(properties=5), 400, None, "response_format"),
        (PLAIN | {"tool_choice": "required"}, 400, None, "tool_choice"),
        (PLAIN | {"messages": FOREIGN}, 400, None, "messages"),
    ],
)
def test_what_is_wrong_with_a_request(ask: dict[str, Any], status: int, code: str | None, words: str) -> None:
    error = refusal(ask)

    assert (error.status_code, error.code) == (status, code)
    assert words in error.message


def test_a_key_is_needed_and_any_is_taken() -> None:
    async def scenario() -> None:
        async with simulated() as (server, _):
            async with client_of(server, key="invalid") as client:
                with pytest.raises(openai.AuthenticationError) as caught:
                    await client.chat.completions.create(**ASK)
                assert caught.value.code == "invalid_api_key"
            async with httpx2.AsyncClient(base_url=server.base_url) as bare:
                assert (await bare.post("/v1/chat/completions", json=ASK)).status_code == 401

    asyncio.run(scenario())


@pytest.mark.parametrize(("fault", "billed"), [("reset_after", 1), ("reset_before", 0), ("hang", 0)])
def test_a_completion_that_was_produced_is_billed_even_if_it_is_lost(fault: str, billed: int) -> None:
    async def scenario() -> None:
        async with simulated(fault) as (server, client):
            with pytest.raises(openai.APIConnectionError):
                await client.with_options(timeout=0.2).chat.completions.create(**ASK)
            summary = server.books.summary()

            assert (summary["billed"], summary["by_fault"], summary["by_status"]) == (billed, {fault: 1}, {})
            assert (summary["output_tokens"] > 0) == bool(billed)

    asyncio.run(scenario())


def test_an_outage_strikes_this_dialect_too() -> None:
    error = refusal(ASK, outages=[Outage(0, 100, "overloaded", "gpt-5")])

    assert error.status_code == 503
    assert refusal(ASK, outages=[Outage(0, 100, "unavailable")]).status_code == 503


def test_the_models() -> None:
    async def scenario() -> None:
        async with simulated() as (_, client):
            listed = [model.id async for model in client.models.list()]

            assert "claude-haiku-5-5" in listed

    asyncio.run(scenario())
