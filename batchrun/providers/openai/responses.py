"""The Responses API: the body of a chat completion as that of a response, and a response as a completion."""

from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.providers.anthropic.json_values import fields_in
from batchrun.providers.openai.completion import list_in

LEAST_OUTPUT = 16
"""The least `max_output_tokens` that the API takes."""


def responses_body(chat: Mapping[str, Any]) -> dict[str, Any]:
    """Say the body of a chat completion in the words of the Responses API.

    OpenAI keeps no copy of the response, as it would without `store`.
    """
    body: dict[str, Any] = {"model": chat["model"], "store": False}
    body["input"] = [item for message in chat["messages"] for item in _items(message)]
    body["max_output_tokens"] = max(LEAST_OUTPUT, chat.get("max_completion_tokens") or chat["max_tokens"])
    if "response_format" in chat:
        body["text"] = {"format": _flat(chat["response_format"])}
    if "reasoning_effort" in chat:
        body["reasoning"] = {"effort": chat["reasoning_effort"]}
    if "tools" in chat:
        choice = chat["tool_choice"]
        body["tools"] = [{"strict": False} | _flat(tool) for tool in chat["tools"]]
        body["tool_choice"] = _flat(choice) if isinstance(choice, dict) else choice
        body["parallel_tool_calls"] = chat["parallel_tool_calls"]
    return body


def _flat(named: Mapping[str, Any]) -> dict[str, Any]:
    """Put what stands under the name of a type beside the type."""
    return {"type": named["type"], **named[named["type"]]}


def _items(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    role, content = message["role"], message["content"]
    if role == "tool":
        yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": content}
        return
    if content:
        said = content if isinstance(content, str) else list(map(_part, content))
        yield {"type": "message", "role": role, "content": said}  # llama.cpp takes no turn without its type
    for call in message.get("tool_calls", ()):
        yield {"type": "function_call", "call_id": call["id"], **call["function"]}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "input_text", "text": part["text"]}
    return {"type": "input_image", "image_url": part["image_url"]["url"]}


def completion_of(response: Any) -> dict[str, Any]:
    """Say a response in the words of Chat Completions, without trust. A response that is not over has no end."""
    told = fields_in(response)
    items = [fields_in(item) for item in list_in(told.get("output"))]
    parts = [
        fields_in(part) for item in items for part in list_in(item.get("content")) if item.get("type") == "message"
    ]
    message = {
        "content": parts,
        "refusal": next((part["refusal"] for part in parts if part.get("refusal")), None),
        "tool_calls": [
            {"id": item.get("call_id"), "function": item} for item in items if item.get("type") == "function_call"
        ],
    }
    choice = {"message": message, "finish_reason": _ended(told)}
    return {"id": told.get("id"), "model": told.get("model"), "choices": [choice], "usage": told.get("usage")}


def _ended(told: Mapping[str, Any]) -> Any:
    reason = fields_in(told.get("incomplete_details")).get("reason")
    ends = {"completed": "stop", "incomplete": "length" if reason == "max_output_tokens" else reason}
    return ends.get(str(told.get("status")))
