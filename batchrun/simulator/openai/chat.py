"""Chat Completions: the body of a request as Messages parameters, and a message as a completion."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from batchrun.simulator.api_error import invalid_request, not_found
from batchrun.simulator.dialect import Body, Dialect
from batchrun.simulator.replies.message_json import to_json
from batchrun.simulator.requests.model_cards import find_any_model
from batchrun.simulator.requests.parameters import Params, StrictForm, check_form, parse
from batchrun.simulator.requests.schema_rules import nodes, schema_problem

WITHOUT_EFFECT = re.compile(
    "(frequency|presence)_penalty|include|metadata|n|parallel_tool_calls|prompt_cache_(key|retention)|safety_identifier|seed|"
    "service_tier|stop|store|stream_options|temperature|top_p|truncation|user|verbosity"
)
"""The parameters that are taken, and change nothing."""

_INSTRUCTIONS = ("system", "developer")
_NO_REASONING = (None, "none", "minimal")
_FINISH_REASONS = {"max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tool_calls"}
_ANY_OBJECT = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


class _Function(BaseModel):
    name: str
    description: str = ""
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    strict: bool | None = None
    arguments: str = "{}"


class _Named(StrictForm):
    type: Literal["function"]
    id: str = ""
    function: _Function


class _ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[_Named] | None = None
    tool_call_id: str = ""


class _Schema(BaseModel):
    name: Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")] = "any"
    parameters: dict[str, Any] = Field(_ANY_OBJECT, alias="schema")
    strict: bool | None = None


class _Format(StrictForm):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema = _Schema(schema=_ANY_OBJECT)


class _Chat(StrictForm):
    model: str
    messages: Annotated[list[_ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: _Format = _Format(type="text")
    stream: Literal[False] = False  # streaming is not simulated
    tool_choice: Literal["none", "auto", "required"] | _Named | None = None
    tools: list[_Named] | None = None


def read_chat(raw: bytes) -> Params:
    """Read the body of `POST /v1/chat/completions`. Raises ApiRefusal."""
    return messages_params(parse(raw))


def messages_params(body: Params) -> Params:
    """Say the body of a chat completion in the words of the Messages API. Raises ApiRefusal."""
    chat = check_form({name: value for name, value in body.items() if not WITHOUT_EFFECT.fullmatch(name)}, _Chat)
    card = find_any_model(chat.model)
    if card is None:
        raise not_found(f"model: {chat.model}")
    params: dict[str, Any] = {"model": chat.model, "messages": list(_turns(chat.messages))}
    params["max_tokens"] = chat.max_completion_tokens or chat.max_tokens or card.max_output
    if system := [block for one in chat.messages if one.role in _INSTRUCTIONS for block in _said(one)]:
        params["system"] = [*system[:-1], {**system[-1], "cache_control": {"type": "ephemeral"}}]
    if chat.tools:
        params["tools"] = [_tool(number, one.function) for number, one in enumerate(chat.tools)]
    if isinstance(chat.tool_choice, _Named):
        params["tool_choice"] = {"type": "tool", "name": chat.tool_choice.function.name}
    elif chat.tool_choice:
        params["tool_choice"] = {"type": chat.tool_choice.replace("required", "any")}
    elif chat.reasoning_effort:
        params["thinking"] = {"type": "disabled" if chat.reasoning_effort in _NO_REASONING else "adaptive"}
    config: dict[str, Any] = {} if chat.reasoning_effort in _NO_REASONING else {"effort": chat.reasoning_effort}
    if chat.response_format.type != "text":
        schema = _checked(chat.response_format.json_schema, "response_format")
        config["format"] = {"type": "json_schema", "schema": schema}
    return {**params, "output_config": config}


def _checked(named: _Function | _Schema, place: str) -> dict[str, Any]:
    """Refuse a strict schema with a property that is not required, besides what no strict schema may have."""
    problem = f"{place}: Invalid schema for {place} '{named.name}'"
    if named.strict and (wrong := schema_problem(json.dumps(named.parameters), problem)):
        raise invalid_request(wrong)
    for node in nodes(named.parameters) if named.strict else ():
        if missing := sorted(node.get("properties", {}).keys() - set(node.get("required", ()))):
            rule = "'required' is required to be supplied and to be an array including every key in properties"
            raise invalid_request(f"{problem}: In context=(), {rule}. Missing '{missing[0]}'.")
    return named.parameters


def _tool(number: int, function: _Function) -> dict[str, Any]:
    schema = _checked(function, f"tools[{number}].function.parameters")
    return {
        "name": function.name,
        "description": function.description,
        "input_schema": schema,
        "strict": bool(function.strict),
    }


def _turns(messages: Sequence[_ChatMessage]) -> Iterator[dict[str, Any]]:
    """Put results of tools that follow each other into one turn, which is never a question of its own."""
    spoken = (message for message in messages if message.role not in _INSTRUCTIONS)
    for role, several in groupby(spoken, key=lambda message: message.role):
        if role == "tool":
            results: list[dict[str, Any]]
            results = [{"tool_use_id": one.tool_call_id, "content": _said(one), "is_error": True} for one in several]
            yield {"role": "user", "content": [{"type": "tool_result", **result} for result in results]}
        else:
            yield from ({"role": role, "content": _said(message)} for message in several)


def _said(message: _ChatMessage) -> list[dict[str, Any]]:
    content = message.content or []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks = [_block(part) for part in parts]
    for call in message.tool_calls or ():
        arguments = parse(call.function.arguments.encode())
        blocks.append({"type": "tool_use", "id": call.id, "name": call.function.name, "input": arguments})
    return blocks


def _block(part: Mapping[str, Any]) -> dict[str, Any]:
    """Read a part of a message: a text, or an image or a PDF within a `data:` URL."""
    match part:
        case {"type": "text" | "refusal", **rest}:
            return {"type": "text", "text": rest.get("text") or rest.get("refusal")}
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return {"type": "image", "source": _source(url)}
        case {"type": "file", "file": {"file_data": str(url)}}:
            return {"type": "document", "source": _source(url)}
    raise invalid_request("messages: Invalid content part: a text, an image_url or a file with file_data is expected.")


def _source(url: str) -> dict[str, str]:
    head, _, data = url.partition(";base64,")
    if not data or not head.startswith("data:"):
        raise invalid_request("messages: Expected a base64-encoded data URL with a MIME type.")
    return {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}


class Said(NamedTuple):
    """A message in the terms of this API: cached tokens are a part of the input."""

    text: str
    calls: Sequence[tuple[str, str, str]]  # an id, the name of a function, and its arguments as JSON, maybe cut
    refusal: str | None  # instead of a text that would follow a schema
    filtered: bool  # whether a text without a schema was withheld
    tokens: Mapping[Literal["input", "cached", "output", "reasoning"], int]


def said(message: Body, params: Params) -> Said:
    """Take a message apart."""
    blocks, usage, declined = message["content"], message["usage"], message["stop_reason"] == "refusal"
    has_schema, cached = "format" in params["output_config"], usage["cache_read_input_tokens"]
    calls = [(one["id"], one["name"], one["input"]) for one in blocks if one["type"] == "tool_use"]
    return Said(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        calls=[
            (name, tool, given if isinstance(given, str) else to_json(given).decode()) for name, tool, given in calls
        ],
        refusal="I'm sorry, but I cannot assist with that request." if declined and has_schema else None,
        filtered=declined and not has_schema,
        tokens={
            "input": usage["input_tokens"] + cached,
            "cached": cached,
            "output": usage["output_tokens"],
            "reasoning": usage.get("output_tokens_details", {}).get("thinking_tokens", 0),
        },
    )


def _write_chat(message: Body, params: Params, created: int) -> Body:
    reply = said(message, params)
    tokens, reason = reply.tokens, _FINISH_REASONS.get(message["stop_reason"], "stop")
    calls = [
        {"id": name, "type": "function", "function": {"name": tool, "arguments": given}}
        for name, tool, given in reply.calls
    ]
    content = None if calls or reply.refusal else reply.text
    answer = {
        "role": "assistant",
        "content": content,
        "refusal": reply.refusal,
        **({"tool_calls": calls} if calls else {}),
    }
    finish = "content_filter" if reply.filtered else reason
    return {
        "id": message["id"].replace("msg_", "chatcmpl-"),
        "object": "chat.completion",
        "created": created,
        "model": message["model"],
        "choices": [{"index": 0, "message": answer, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": tokens["input"],
            "completion_tokens": tokens["output"],
            "total_tokens": tokens["input"] + tokens["output"],
            "prompt_tokens_details": {"cached_tokens": tokens["cached"]},
            "completion_tokens_details": {"reasoning_tokens": tokens["reasoning"]},
        },
        "service_tier": "default",
    }


CHAT = Dialect(read=read_chat, find=find_any_model, write=_write_chat, free_writes=True)
