"""The Responses API: the body of a request as that of a chat completion, and a message as a response."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchrun.simulator.api_error import invalid_request
from batchrun.simulator.dialect import Body, Dialect
from batchrun.simulator.openai.chat import WITHOUT_EFFECT, messages_params, said
from batchrun.simulator.requests.model_cards import find_any_model
from batchrun.simulator.requests.parameters import Params, parse

_INCOMPLETE = {"max_tokens": "max_output_tokens", "model_context_window_exceeded": "max_output_tokens"}
_SAME = WITHOUT_EFFECT | {"model", "stream"}


def _read(raw: bytes) -> Params:
    body = dict(parse(raw))
    chat = {name: body.pop(name) for name in _SAME & body.keys()}
    try:
        asked, chat["messages"] = body.pop("input"), [{"role": "system", "content": body.pop("instructions", None)}]
        chat["messages"] += _messages([{"role": "user", "content": asked}] if isinstance(asked, str) else asked)
        chat["max_completion_tokens"] = body.pop("max_output_tokens", None)
        chat["reasoning_effort"] = body.pop("reasoning", {}).get("effort")
        wanted = _named(body.pop("text", {}).get("format") or {"type": "text"}, "json_schema")
        chat["response_format"] = wanted
        chat["tools"] = [_named(tool, "function") for tool in body.pop("tools", ())]
        choice = body.pop("tool_choice", None)
        chat["tool_choice"] = _named(choice, "function") if isinstance(choice, dict) else choice
    except (AttributeError, KeyError, TypeError) as error:
        raise invalid_request(f"input: the request does not have the expected shape: {error!r}") from error
    return messages_params(chat | body)


def _named(flat: Mapping[str, Any], inner: str) -> dict[str, Any]:
    """Put everything but the type of an object one level down, as chat completions have it."""
    return {"type": flat["type"], inner: {name: value for name, value in flat.items() if name != "type"}}


def _messages(items: Sequence[Any]) -> Iterator[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    for item in items:
        match item:
            case {"type": "function_call", "call_id": call_id, **call}:
                calls.append({"id": call_id, "function": call})
                continue
            case {"type": "reasoning"}:
                continue
        if calls:
            yield {"role": "assistant", "tool_calls": calls}
            calls = []
        match item:
            case {"type": "function_call_output", "call_id": call_id, "output": output}:
                yield {"role": "tool", "tool_call_id": call_id, "content": output}
            case {"role": role, "content": content}:
                yield {"role": role, "content": content if isinstance(content, str) else list(map(_part, content))}
            case _:
                raise KeyError(item)


def _part(part: Any) -> Mapping[str, Any]:
    match part:
        case {"type": "input_text" | "output_text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": url}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "input_file", "file_data": url}:
            return {"type": "file", "file": {"file_data": url}}
    raise KeyError(part)


def _write(message: Body, params: Params, created: int) -> Body:
    reply = said(message, params)
    tokens, response_id = reply.tokens, message["id"].replace("msg_", "resp_")
    reason = "content_filter" if reply.filtered else _INCOMPLETE.get(message["stop_reason"])
    status = "incomplete" if reason else "completed"
    text = {"type": "output_text", "text": reply.text, "annotations": []}
    content = {"type": "refusal", "refusal": reply.refusal} if reply.refusal else text
    output: list[dict[str, Any]] = [
        {"type": "function_call", "id": name, "call_id": name, "name": tool, "arguments": given, "status": status}
        for name, tool, given in reply.calls
    ] or [{"type": "message", "id": message["id"], "role": "assistant", "status": status, "content": [content]}]
    if tokens["reasoning"]:
        output.insert(0, {"type": "reasoning", "id": message["id"].replace("msg_", "rs_"), "summary": []})
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


RESPONSES = Dialect(_read, find_any_model, _write, free_writes=True)
