"""A Messages body as the body of a chat completion."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchrun.providers.anthropic.wire import NOTHING_SAID

Block = Mapping[str, Any]
DEEPEST = 10
"""The most levels of objects and lists in a strict schema (OpenAI's guide to structured outputs)."""


def chat_body(params: Mapping[str, Any], *, is_openais: bool) -> dict[str, Any]:
    """Say a Messages body in the words of Chat Completions; thinking and marks for the cache are left out.

    OpenAI's models refuse `max_tokens`, and most other servers leave `max_completion_tokens` aside.
    """
    output, most = params.get("output_config", {}), "max_completion_tokens" if is_openais else "max_tokens"
    body = {"model": params["model"], "messages": list(_messages(params)), most: params["max_tokens"]}
    if "format" in output:
        schema = output["format"]["schema"]
        named = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    if "effort" in output:
        body["reasoning_effort"] = output["effort"]
    if params.get("tools"):
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in params["tools"]]
        choice = params.get("tool_choice", {"type": "auto"})
        called = {"type": "function", "function": {"name": choice.get("name")}}
        body["tool_choice"] = called if choice["type"] == "tool" else choice["type"].replace("any", "required")
        body["parallel_tool_calls"] = not choice.get("disable_parallel_tool_use", False)
    return body


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether OpenAI holds answers to a schema, and not merely guides answers by the schema.

    All properties are required in our schemas, and there are no others, as OpenAI asks of a strict schema.
    """
    return _levels(schema) <= DEEPEST


def _levels(schema: Mapping[str, Any]) -> int:
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    return ("properties" in schema or "items" in schema) + max(map(_levels, inner), default=0)


def _function(tool: Block) -> dict[str, Any]:
    schema = tool["input_schema"]
    strict = {"strict": is_strict(schema)} if tool.get("strict") else {}
    return {"name": tool["name"], "description": tool.get("description", ""), "parameters": schema, **strict}


def _messages(params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if system := _text(params.get("system", "")):
        yield {"role": "system", "content": system}
    for turn in params["messages"]:
        blocks = _blocks(turn["content"])
        if turn["role"] == "assistant":
            yield _assistant(blocks)
            continue
        for result in _of_type(blocks, "tool_result"):
            yield {"role": "tool", "tool_call_id": result["tool_use_id"], "content": _text(result["content"])}
        if said := [block for block in blocks if block["type"] != "tool_result"]:
            is_text = len(_of_type(said, "text")) == len(said)  # as a text, which every server takes
            yield {"role": "user", "content": _text(said) if is_text else list(map(_part, said))}


def _assistant(blocks: Sequence[Block]) -> dict[str, Any]:
    calls = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["input"])},
        }
        for call in _of_type(blocks, "tool_use")
    ]
    text = _text(blocks) or (None if calls else NOTHING_SAID)
    return {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}


def _part(block: Block) -> dict[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": block["text"]}
    source = block["source"]
    return {"type": "image_url", "image_url": {"url": f"data:{source['media_type']};base64,{source['data']}"}}


def _blocks(content: Any) -> Sequence[Block]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: Any) -> str:
    return "".join(block["text"] for block in _of_type(_blocks(content), "text"))


def _of_type(blocks: Sequence[Block], kind: str) -> list[Block]:
    return [block for block in blocks if block["type"] == kind]
