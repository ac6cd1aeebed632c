"""The Responses API of the simulator, as the real OpenAI SDK sees it."""

import asyncio
import json
from typing import Any

import openai
import pytest
from test_simulated_chat import SCHEMA, simulated

ASK: dict[str, Any] = {
    "model": "gpt-5",
    "instructions": "You read leases.",
    "input": "This lease is governed by the laws of Norway.",
    "text": {"format": {"type": "json_schema", "name": "law", "strict": True, "schema": SCHEMA}},
}
BY_TOOL = {name: ASK[name] for name in ("model", "instructions", "input")} | {
    "tools": [{"type": "function", "name": "law", "strict": True, "parameters": SCHEMA}],
    "tool_choice": {"type": "function", "name": "law"},
}
PLAIN = {name: ASK[name] for name in ("model", "instructions", "input")}


def reply(ask: dict[str, Any], *script: str) -> Any:
    async def scenario() -> Any:
        async with simulated(*script) as (server, client):
            response = await client.responses.create(**ask)
            entry = server.books.entries[0]
            assert (entry.input_tokens, entry.output_tokens) == (
                response.usage.input_tokens,
                response.usage.output_tokens,
            )
            return response

    return asyncio.run(scenario())


def test_a_response_by_a_strict_schema() -> None:
    response = reply(ASK)

    assert json.loads(response.output_text) == {"governing_law": "Norway"}
    assert (response.status, response.incomplete_details, response.model) == ("completed", None, "gpt-5")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_a_call_and_what_follows() -> None:
    (call,) = reply(BY_TOOL).output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "law", {"governing_law": "Norway"})

    turns = [
        {"role": "user", "content": [{"type": "input_text", "text": BY_TOOL["input"]}]},
        {"type": "function_call", "call_id": call.call_id, "name": "law", "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "governing_law: is wrong"},
    ]
    assert json.loads(reply(BY_TOOL | {"input": turns}).output[0].arguments) == {"governing_law": "Norway"}


@pytest.mark.parametrize(
    ("ask", "fault", "reason"),
    [(ASK, "truncated", "max_output_tokens"), (ASK, "refused", None), (PLAIN, "refused", "content_filter")],
)
def test_how_a_response_ends(ask: dict[str, Any], fault: str, reason: str | None) -> None:
    response = reply(ask, fault)

    assert response.status == ("incomplete" if reason else "completed")
    assert (response.incomplete_details.reason if reason else response.incomplete_details) == reason
    (content,) = response.output[-1].content
    assert content.type == ("output_text" if reason else "refusal")


def test_reasoning_is_an_item_of_its_own() -> None:
    response = reply(ASK, "thinking_first")

    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage.output_tokens_details.reasoning_tokens > 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"max_output_tokens": 0}, None),
        ({"input": [{"type": "computer_call"}]}, None),
        ({"model": "claude-x"}, "model_not_found"),
    ],
)
def test_what_is_wrong_with_a_request(change: dict[str, Any], code: str | None) -> None:
    async def scenario() -> None:
        async with simulated() as (_, client):
            with pytest.raises(openai.APIStatusError) as caught:
                await client.responses.create(**ASK | change)
            assert caught.value.code == code

    asyncio.run(scenario())
