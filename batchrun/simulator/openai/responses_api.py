"""The Responses API: the body of a request as that of a chat completion, and a message as a response."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from batchrun.simulator.api_error import invalid_request
from batchrun.simulator.dialect import Body, Dialect
from batchrun.simulator.openai.chat import WITHOUT_EFFECT, messages_params, said
from batchrun.simulator.requests.model_cards import find_any_model
from batchrun.simulator.requests.parameters import Params, StrictForm, check_form, parse

_INCOMPLETE = {"max_tokens": "max_output_tokens", "model_context_window_exceeded": "max_output_tokens"}


class _Reasoning(BaseModel):
    effort: str | None = None


class _Text(BaseModel):
    format: dict[str, Any] | None = None


class _Response(StrictForm):
    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: int | None = None
    reasoning: _Reasoning = _Reasoning()
    stream: Literal[False] = False  # streaming is not simulated
    text: _Text = _Text()
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None


def _read(raw: bytes) -> Params:
    body = parse(raw)
    asked = check_form({name: value for name, value in body.items() if not WITHOUT_EFFECT.fullmatch(name)}, _Response)
    items = [{"role": "user", "content": asked.input}] if isinstance(asked.input, str) else asked.input
    first = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    chat: dict[str, Any] = {"model": asked.model, "messages": [*first, *_messages(items)]}
    if asked.max_output_tokens is not None:
        chat["max_completion_tokens"] = asked.max_output_tokens
    if asked.reasoning.effort:
        chat["reasoning_effort"] = asked.reasoning.effort
    if wanted := asked.text.format:
        named = {"json_schema": _but_type(wanted)} if wanted.get("type") == "json_schema" else {}
        chat["response_format"] = {"type": wanted.get("type"), **named}
    if asked.tools:
        chat["tools"] = [_function(tool) for tool in asked.tools]
    if asked.tool_choice:
        choice = asked.tool_choice
        chat["tool_choice"] = choice if isinstance(choice, str) else _function(choice)
    return messages_params(chat)


def _but_type(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if name != "type"}


def _function(named: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": named.get("type"), "function": _but_type(named)}


def _messages(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for item in items:
        match item:
            case {"type": "function_call", "call_id": call_id, "name": name, "arguments": given}:
                call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": given}}
                if not messages or "tool_calls" not in messages[-1]:
                    messages.append({"role": "assistant", "tool_calls": []})
                messages[-1]["tool_calls"].append(call)
            case {"type": "function_call_output", "call_id": call_id, "output": output}:
                messages.append({"role": "tool", "tool_call_id": call_id, "content": output})
            case {"type": "reasoning"}:
                continue
            case {"role": role, "content": list(parts)}:
                messages.append({"role": role, "content": [_part(part) for part in parts]})
            case {"role": role, "content": content}:
                messages.append({"role": role, "content": content})
            case _:
                raise invalid_request(f"input: an item of type {item.get('type')} is not simulated")
    return messages


def _part(part: Any) -> Mapping[str, Any]:
    match part:
        case {"type": "input_text" | "output_text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": url}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "input_file", "file_data": url}:
            return {"type": "file", "file": {"file_data": url}}
    raise invalid_request("input: a part is an input_text, an input_image or an input_file with file_data")


def _write(message: Body, params: Params, created: int) -> Body:
    reply = said(message, params)
    tokens, response_id = reply.tokens, message["id"].replace("msg_", "resp_")
    reason = "content_filter" if reply.filtered else _INCOMPLETE.get(message["stop_reason"])
    status = "incomplete" if reason else "completed"
    output: list[dict[str, Any]] = [
        {"type": "function_call", "id": name, "call_id": name, "name": tool, "arguments": given, "status": status}
        for name, tool, given in reply.calls
    ]
    if not output:
        text = {"type": "output_text", "text": reply.text, "annotations": []}
        content = {"type": "refusal", "refusal": reply.refusal} if reply.refusal else text
        output = [{"type": "message", "id": message["id"], "role": "assistant", "status": status, "content": [content]}]
    if tokens["reasoning"]:
        output.insert(0, {"type": "reasoning", "id": response_id.replace("resp_", "rs_"), "summary": []})
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": message["model"],
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": tokens["input"],
            "input_tokens_details": {"cached_tokens": tokens["cached"], "cache_write_tokens": 0},
            "output_tokens": tokens["output"],
            "output_tokens_details": {"reasoning_tokens": tokens["reasoning"]},
            "total_tokens": tokens["input"] + tokens["output"],
        },
    }


RESPONSES = Dialect(read=_read, find=find_any_model, write=_write, free_writes=True)
