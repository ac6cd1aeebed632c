"""What the API refuses of tools: their schemas, the choice among them, and results that belong to no call."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.simulator.requests.model_cards import ModelCard
from batchrun.simulator.requests.schema_rules import schema_problem

_THINKING = ("adaptive", "enabled")

Params = Mapping[str, Any]


def forces_tool(params: Params) -> bool:
    """Return whether the model has to call a tool."""
    return (params.get("tool_choice") or {}).get("type") in {"any", "tool"}


def tool_problems(params: Params, card: ModelCard) -> Iterator[str]:
    """Say what is wrong with the tools of a request."""
    tools, choice = params.get("tools") or [], params.get("tool_choice") or {}
    for number, tool in enumerate(tools):
        if tool["input_schema"].get("type") != "object":
            yield f"tools.{number}.custom.input_schema.type: Input should be 'object'"
        else:
            place, strict = f"tools.{number}.custom.input_schema", bool(tool.get("strict"))
            if problem := schema_problem(json.dumps(tool["input_schema"]), place, strict=strict):
                yield problem
    if forces_tool(params) and not card.forced_tools:
        yield "tool_choice forces tool use is not compatible with this model."
    if choice and not tools:
        yield "tool_choice: tool_choice may only be specified while providing tools."
    if choice.get("type") == "tool" and choice.get("name") not in {tool["name"] for tool in tools}:
        yield f"Tool '{choice.get('name')}' not found in provided tools"
    if forces_tool(params) and (params.get("thinking") or {}).get("type") in _THINKING:
        yield "Thinking may not be enabled when tool_choice forces tool use."
    yield from _conversation_problems(params["messages"], has_tools=bool(tools))


def _conversation_problems(messages: list[dict[str, Any]], *, has_tools: bool) -> Iterator[str]:
    called: list[str] = []
    for number, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = [block.get("tool_use_id") for block in blocks if block["type"] == "tool_result"]
        if unanswered := [name for name in called if name not in results]:
            yield (
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(unanswered)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        if unknown := [name for name in results if name not in called]:
            yield (
                f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {unknown[0]}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        called = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if (called or results) and not has_tools:
            yield "Requests which have `tool_use` or `tool_result` blocks in their messages must define tools."
