"""What the simulated API refuses, and in which words."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from batchrun.simulator.api_error import ApiError, ApiRefusal
from batchrun.simulator.requests.model_cards import find_model
from batchrun.simulator.requests.parameters import check_headers, check_message, parse
from batchrun.simulator.usage.prompt_cache import size_prompt

GOOD: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "What is 2 + 2?"}],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


def with_schema(**changes: Any) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": {**SCHEMA, **changes}}}}


def with_property(definition: dict[str, Any]) -> dict[str, Any]:
    return with_schema(properties={"name": definition})


def refusal(check: Callable[..., object], *what: object) -> ApiError:
    with pytest.raises(ApiRefusal) as refused:
        check(*what)
    return refused.value.error


ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": {},
    "alias": {"model": "claude-haiku-4-5"},
    "stream": {"stream": True},
    "system as text": {"system": "Be brief."},
    "system as blocks": {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
    "content as blocks": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
    "system message": {
        "messages": [*GOOD["messages"], {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go"}]
    },
    "prefill on a 4.5 model": {
        "model": "claude-haiku-4-5",
        "messages": [*GOOD["messages"], {"role": "assistant", "content": "{"}],
    },
    "effort": {"output_config": {"effort": "max"}},
    "adaptive thinking": {"thinking": {"type": "adaptive"}},
    "no thinking": {"model": "claude-haiku-5-5", "thinking": {"type": "disabled"}},
    "no thinking between tools": {
        "model": "claude-sonnet-5-5",
        "thinking": {"type": "between_tools"},
        "output_config": {"effort": "high"},
    },
    "a budget": {
        "model": "claude-haiku-4-5",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    },
    "schema": with_schema(),
    "nullable by anyOf": with_property({"anyOf": [{"type": "string"}, {"type": "null"}]}),
    "nullable by type": with_property({"type": ["integer", "null"]}),
    "enum": with_property({"type": "string", "enum": ["a", "b"]}),
    "date": with_property({"type": "string", "format": "date"}),
    "array": with_property({"type": "array", "items": {"type": "string"}, "minItems": 1}),
    "reference": with_schema(properties={"name": {"$ref": "#/$defs/Name"}}, **{"$defs": {"Name": {"type": "string"}}}),
    "16 unions": with_schema(properties={f"f{n}": {"type": ["string", "null"]} for n in range(16)}, required=[]),
}


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(change: dict[str, Any]) -> None:
    model = {**GOOD, **change}["model"]

    assert check_message({**GOOD, **change}) == find_model(model)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "temperature": ({"temperature": 1.0}, "`temperature` is deprecated for this model."),
    "top_p": ({"top_p": 0.9}, "`top_p` is deprecated for this model."),
    "top_k": ({"top_k": 5}, "`top_k` is deprecated for this model."),
    "unknown parameter": ({"max_token": 5}, "max_token: Extra inputs are not permitted"),
    "max_tokens as text": ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
    "max_tokens below zero": ({"max_tokens": -1}, "max_tokens: must be greater than or equal to 0"),
    "max_tokens above the model's": (
        {"max_tokens": 128_001},
        "max_tokens: 128001 > 128000, which is the maximum allowed number of output tokens for claude-sonnet-5-5",
    ),
    "no messages": ({"messages": []}, "messages: at least one message is required"),
    "a message of text": ({"messages": ["Hi"]}, "messages.0: Input does not match the expected shape."),
    "empty content": (
        {"messages": [{"role": "user", "content": ""}]},
        "messages.0: all messages must have non-empty content except for the optional final assistant message",
    ),
    "empty block": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        "messages: text content blocks must be non-empty",
    ),
    "role": (
        {"messages": [{"role": "robot", "content": "Hi"}]},
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    "prefill": (
        {"messages": [*GOOD["messages"], {"role": "assistant", "content": "{"}]},
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
    "unknown effort": (
        {"output_config": {"effort": "huge"}},
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
    ),
    "effort of a model without": (
        {"model": "claude-haiku-4-5", "output_config": {"effort": "low"}},
        "This model does not support the effort parameter.",
    ),
    "effort that a model lacks": (
        {"model": "claude-opus-4-6", "output_config": {"effort": "xhigh"}},
        "This model does not support effort level 'xhigh'. Supported levels: high, low, max, medium.",
    ),
    "thinking disabled where it is always on": (
        {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}},
        '"thinking.type.disabled" is not supported for this model.',
    ),
    "thinking with a budget on a new model": (
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.',
    ),
    "adaptive thinking on an old model": (
        {"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}},
        "adaptive thinking is not supported on this model",
    ),
    "a small budget": (
        {"model": "claude-haiku-4-5", "thinking": {"type": "enabled", "budget_tokens": 500}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "no thinking at high effort": (
        {"model": "claude-opus-5", "thinking": {"type": "disabled"}, "output_config": {"effort": "max"}},
        "thinking.type: disabled is not supported with effort level 'max'.",
    ),
    "thinking between tools at the highest effort": (
        {
            "model": "claude-sonnet-5-5",
            "thinking": {"type": "between_tools"},
            "output_config": {"effort": "xhigh"},
        },
        "thinking.type: between_tools is not supported with effort level 'xhigh'.",
    ),
    "thinking between tools on another model": (
        {"model": "claude-haiku-5-5", "thinking": {"type": "between_tools"}},
        '"thinking.type.between_tools" is not supported for this model.',
    ),
    "forced tool": (
        {"tool_choice": {"type": "any"}},
        "tool_choice forces tool use is not compatible with this model.",
    ),
    "format type": (
        {"output_config": {"format": {"type": "json"}}},
        "output_config.format.type: Input should be 'json_schema'",
    ),
    "open object": (
        with_schema(additionalProperties=True),
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    ),
    "open nested object": (
        with_property({"type": "object", "properties": {}}),
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    ),
    "minimum": (
        with_property({"type": "integer", "minimum": 0}),
        "output_config.format.schema: For 'integer' type, property 'minimum' is not supported",
    ),
    "minimum and maximum": (
        with_property({"type": "number", "minimum": 0, "maximum": 1}),
        "output_config.format.schema: For 'number' type, properties maximum, minimum are not supported",
    ),
    "pattern": (
        with_property({"type": "string", "pattern": "a+"}),
        "output_config.format.schema: For 'string' type, property 'pattern' is not supported",
    ),
    "minLength": (
        with_property({"type": "string", "minLength": 1}),
        "output_config.format.schema: For 'string' type, property 'minLength' is not supported",
    ),
    "maxItems within a nullable array": (
        with_property({"anyOf": [{"type": "array", "items": {"type": "string"}, "maxItems": 3}, {"type": "null"}]}),
        "output_config.format.schema: For 'array' type, property 'maxItems' is not supported",
    ),
    "minItems 2": (
        with_property({"type": "array", "items": {"type": "string"}, "minItems": 2}),
        "output_config.format.schema: For 'array' type, 'minItems' values other than 0 or 1 are not supported "
        "(got: [2, ∞])",
    ),
    "unknown keyword at the top": (
        with_schema(**{"$schema": "https://json-schema.org/draft/2020-12/schema"}),
        "output_config.format.schema: For 'object' type, property '$schema' is not supported",
    ),
    "17 unions": (
        with_schema(properties={f"f{n}": {"type": ["string", "null"]} for n in range(17)}, required=[]),
        "Schemas contains too many parameters with union types (17 parameters with type arrays or anyOf). "
        "This causes exponential compilation cost. Reduce the number of nullable or union-typed parameters "
        "(limit: 16 parameters with unions).",
    ),
    "25 optional": (
        with_schema(properties={f"f{n}": {"type": "string"} for n in range(25)}, required=[]),
        "Schemas contains too many optional parameters (25), which would make grammar compilation inefficient. "
        "Reduce the number of optional parameters in your tool schemas (limit: 24).",
    ),
    "recursion": (
        with_schema(properties={"name": {"$ref": "#/$defs/Node"}}, **{"$defs": {"Node": {"$ref": "#/$defs/Node"}}}),
        "output_config.format.schema: Invalid schema: Circular reference detected in schema definitions: "
        "Node -> Node. Self-referencing or mutually-referencing definitions are not supported.",
    ),
    "reference to nothing": (
        with_property({"$ref": "#/$defs/Missing"}),
        "output_config.format.schema: Invalid schema: Reference '#/$defs/Missing' not found in schema definitions.",
    ),
    "no type": (
        with_property({"description": "anything"}),
        "output_config.format.schema: Schema must have a 'type', 'anyOf', 'oneOf', or 'allOf' field",
    ),
    "malformed": (
        with_schema(properties=["name"]),
        "output_config.format.schema: Invalid schema: 'properties' does not match the expected shape.",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_in_the_words_of_the_api(change: dict[str, Any], message: str) -> None:
    error = refusal(check_message, {**GOOD, **change})

    assert error == ApiError(400, "invalid_request_error", message)


@pytest.mark.parametrize("name", ["model", "max_tokens", "messages"])
def test_names_a_missing_parameter(name: str) -> None:
    error = refusal(check_message, {key: GOOD[key] for key in GOOD.keys() - {name}})

    assert error.message == f"{name}: Field required"


def test_an_unknown_model_is_not_found() -> None:
    error = refusal(check_message, {**GOOD, "model": "claude-sonet-5"})

    assert error == ApiError(404, "not_found_error", "model: claude-sonet-5")


def test_token_counts_take_no_max_tokens() -> None:
    counting = partial(check_message, counting=True)

    counting({"model": GOOD["model"], "messages": GOOD["messages"]})
    assert refusal(counting, GOOD).message == "max_tokens: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("authorization", "version", "status"),
    [
        ("Bearer anything", "2026-10-21", None),
        ("bearer anything", "2023-06-01", None),
        (None, "2026-10-21", 401),
        ("Bearer ", "2026-10-21", 401),
        ("Basic eDp5", "2026-10-21", 401),
        ("Bearer invalid", "2026-10-21", 401),
        ("Bearer anything", None, 400),
    ],
)
def test_headers(authorization: str | None, version: str | None, status: int | None) -> None:
    if status is None:
        check_headers(authorization, version)
    else:
        assert refusal(check_headers, authorization, version).status == status


@pytest.mark.parametrize(("tokens", "fits"), [(200_000, True), (200_001, False)])
def test_the_prompt_has_to_fit_the_window(tokens: int, fits: bool) -> None:
    card = find_model("claude-haiku-4-5")
    assert card is not None

    params = {**GOOD, "messages": [{"role": "user", "content": "合" * (tokens - 7)}]}  # 7 are around a message
    if fits:
        assert size_prompt(params, card).tokens == tokens
    else:
        error = refusal(size_prompt, params, card)
        assert error.message == "prompt is too long: 200001 tokens > 200000 maximum"


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a": "\\ud800"}', b"[" * 100_000], ids=repr)
def test_a_body_that_is_no_json(raw: bytes) -> None:
    assert refusal(parse, raw).message.startswith("The request body is not valid JSON")
