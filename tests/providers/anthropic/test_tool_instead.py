"""A tool in the place of a schema, and a text in the place of its call."""

from typing import Any

import pytest

from batchrun.providers.anthropic.tool_instead import answered_in_text, asked_by_tool, asks_by_schema

SCHEMA = {"type": "object"}
CALL = {"type": "tool_use", "id": "t", "name": "give_answer", "input": {"größe": 1}}
TEXT = {"type": "text", "text": '{"größe": 1}'}


def test_the_tool_has_the_schema_and_the_rest_stays() -> None:
    params = {"model": "m", "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}, "messages": []}

    asked = asked_by_tool(params, "auto")

    assert asks_by_schema(params)
    assert not asks_by_schema(asked)
    assert "output_config" not in asked
    assert asked["tools"][0]["input_schema"] == SCHEMA
    assert "strict" not in asked["tools"][0]
    assert asked_by_tool(params, "forced", strict=True)["tools"][0]["strict"] is True
    assert (asked["model"], asked["messages"]) == ("m", [])


def test_without_a_schema_nothing_is_asked_in_another_way() -> None:
    params = {"model": "m", "output_config": {"effort": "low"}}

    assert asked_by_tool(params, "auto") == params


@pytest.mark.parametrize(
    ("content", "becomes"),
    [
        ([CALL], [TEXT]),
        ([{"type": "thinking", "thinking": ""}, {"type": "text", "text": "Here:"}, CALL], ["thinking", TEXT]),
        ([TEXT], [TEXT]),
        ([{**CALL, "input": '{"cut'}], [{"type": "text", "text": '{"cut'}]),
        ([{"type": "tool_use"}, 7, None], [{"type": "text", "text": "null"}, 7, None]),
        (None, None),
        ("text", "text"),
    ],
)
def test_a_call_becomes_the_text_of_its_input(content: Any, becomes: Any) -> None:
    message = answered_in_text({"content": content, "stop_reason": "max_tokens"})

    said = message["content"]
    if isinstance(said, list):
        said = ["thinking" if isinstance(one, dict) and one.get("type") == "thinking" else one for one in said]
    assert (said, message["stop_reason"]) == (becomes, "max_tokens")


@pytest.mark.parametrize("message", [None, 7, [], "text", {}])
def test_whatever_is_no_message_stays(message: Any) -> None:
    assert answered_in_text(message) == message


def test_an_input_nested_too_deep_stays_a_call() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    message = {"content": [{**CALL, "input": deep}]}

    assert answered_in_text(message) is message
