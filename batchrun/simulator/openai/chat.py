"""Chat Completions: the body of a request as Messages parameters, and a message as a completion.

The Messages API checks what comes out; here is refused what cannot be said in its words.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from batchrun.simulator.api_error import invalid_request, not_found
from batchrun.simulator.dialect import Body, Dialect
from batchrun.simulator.replies.message_json import to_json
from batchrun.simulator.requests.model_cards import find_any_model
from batchrun.simulator.requests.parameters import Params, parse
from batchrun.simulator.requests.schema_rules import nodes, schema_problem

_WITHOUT_EFFECT = {"metadata", "n", "seed", "service_tier", "stop", "store", "temperature", "top_p", "user"}
_KNOWN = _WITHOUT_EFFECT | {
    *("max_completion_tokens", "max_tokens", "messages", "model", "parallel_tool_calls", "reasoning_effort"),
    *("response_format", "stream", "tool_choice", "tools"),
}
_INSTRUCTIONS = ("system", "developer")
_NO_REASONING = (None, "none", "minimal")
_FINISH_REASONS = {
    **dict.fromkeys(("max_tokens", "model_context_window_exceeded"), "length"),
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def _read(raw: bytes) -> Params:
    """Say the body of a chat completion in the words of the Messages API. Raises ApiRefusal."""
    body = parse(raw)
    if unknown := sorted(body.keys() - _KNOWN):
        raise invalid_request(f"{unknown[0]}: Extra inputs are not permitted")
    if body.get("stream"):
        raise invalid_request("stream: streaming is not simulated")
    if find_any_model(str(body.get("model"))) is None:
        raise not_found(f"model: {body.get('model')}")
    try:
        return _said_in_messages(body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid_request(f"messages: the request does not have the expected shape: {error!r}") from error


def _said_in_messages(body: Params) -> Params:
    config: dict[str, Any] = {}
    params = {"model": body["model"], "messages": list(_turns(body["messages"])), "output_config": config}
    limits = [body.get(name) for name in ("max_completion_tokens", "max_tokens")]
    if 0 in limits:
        raise invalid_request("max_completion_tokens: Input should be greater than or equal to 1")
    card, effort, choice = find_any_model(body["model"]), body.get("reasoning_effort"), body.get("tool_choice")
    params["max_tokens"] = next((limit for limit in limits if limit is not None), card and card.max_output)
    if system := [block for one in body["messages"] if one["role"] in _INSTRUCTIONS for block in _blocks(one)]:
        params["system"] = [*system[:-1], {**system[-1], "cache_control": {"type": "ephemeral"}}]
    if body.get("tools"):
        params["tools"] = [_tool(one["function"]) for one in body["tools"]]
    if isinstance(choice, dict):
        params["tool_choice"] = {"type": "tool", "name": choice["function"]["name"]}
    elif choice:
        params["tool_choice"] = {"type": choice.replace("required", "any")}
    elif effort:
        params["thinking"] = {"type": "disabled" if effort in _NO_REASONING else "adaptive"}
    if effort not in _NO_REASONING:
        config["effort"] = effort
    asked = body.get("response_format") or {"type": "text"}
    if asked["type"] != "text":
        named: Any = {"name": "any", "schema": _ANY_OBJECT} if asked["type"] == "json_object" else asked["json_schema"]
        config["format"] = {"type": "json_schema", "schema": _checked(named, named["schema"], "response_format")}
    return params


def _checked(named: Params, schema: dict[str, Any], place: str) -> dict[str, Any]:
    """Refuse a strict schema with a property that is not required, besides what no strict schema may have."""
    problem = f"{place}: Invalid schema for {place} '{named['name']}'"
    if named.get("strict") and (wrong := schema_problem(json.dumps(schema), problem)):
        raise invalid_request(wrong)
    for node in nodes(schema) if named.get("strict") else ():
        if missing := sorted(node.get("properties", {}).keys() - set(node.get("required", ()))):
            rule = "'required' is required to be supplied and to be an array including every key in properties"
            raise invalid_request(f"{problem}: In context=(), {rule}. Missing '{missing[0]}'.")
    return schema


def _tool(function: Params) -> dict[str, Any]:
    schema = _checked(function, function.get("parameters") or _ANY_OBJECT, "tools")
    told = {"name": function["name"], "description": function.get("description") or ""}
    return {**told, "input_schema": schema, "strict": bool(function.get("strict"))}


def _turns(messages: Sequence[Params]) -> Iterator[dict[str, Any]]:
    """Put results of tools that follow each other into one turn, which is never a question of its own."""
    spoken = (message for message in messages if message["role"] not in _INSTRUCTIONS)
    for role, several in groupby(spoken, key=lambda message: message["role"]):
        if role == "tool":
            ids = ((one["tool_call_id"], _blocks(one)) for one in several)
            result = {"type": "tool_result", "is_error": True}
            yield {"role": "user", "content": [{**result, "tool_use_id": name, "content": said} for name, said in ids]}
        else:
            yield from ({"role": role, "content": _blocks(message)} for message in several)


def _blocks(message: Params) -> list[dict[str, Any]]:
    content = message.get("content") or []
    blocks = [_block(part) for part in ([{"type": "text", "text": content}] if isinstance(content, str) else content)]
    for call in message.get("tool_calls") or ():
        given = json.loads(call["function"]["arguments"])
        blocks.append({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given})
    return blocks


def _block(part: Params) -> dict[str, Any]:
    """Read a part of a message: a text, or an image or a PDF within a `data:` URL."""
    match part:
        case {"type": "text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "image_url", "image_url": {"url": url}}:
            kind = "image"
        case {"type": "file", "file": {"file_data": url}}:
            kind = "document"
        case _:
            raise ValueError(part)
    head, data = url.split(";base64,")
    return {"type": kind, "source": {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}}


def _write(message: Body, params: Params, created: int) -> Body:
    usage, refused, finish = message["usage"], None, _FINISH_REASONS.get(message["stop_reason"], "stop")
    if message["stop_reason"] == "refusal" and "format" in params["output_config"]:
        refused, finish = "I'm sorry, but I cannot assist with that request.", "stop"
    calls = [_call(block) for block in message["content"] if block["type"] == "tool_use"]
    text = None if calls or refused else "".join(block.get("text", "") for block in message["content"])
    answer = {"role": "assistant", "content": text, "refusal": refused, **({"tool_calls": calls} if calls else {})}
    thought = usage.get("output_tokens_details", {}).get("thinking_tokens", 0)
    cached, written = usage["cache_read_input_tokens"], usage["output_tokens"]
    asked = usage["input_tokens"] + cached  # cached tokens are a part of the input here
    return {
        "id": message["id"].replace("msg_", "chatcmpl-"),
        "object": "chat.completion",
        "created": created,
        "model": message["model"],
        "choices": [{"index": 0, "message": answer, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": written,
            "total_tokens": asked + written,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": thought},
        },
    }


def _call(block: Body) -> Body:
    given = block["input"]  # a text where the reply was cut
    arguments = given if isinstance(given, str) else to_json(given).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


CHAT = Dialect(_read, find_any_model, _write, free_writes=True)
