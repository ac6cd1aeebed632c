"""A chat completion as a message of the Messages API, read without trust."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from batchrun.providers.anthropic.json_values import count_in, decoded, fields_in, word_in

ENDS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def message_of_completion(completion: Any) -> dict[str, Any]:
    """Say a completion in the words of the Messages API.

    Whatever is no completion becomes a message without a stop reason, which is no answer. An answer that was cut inside
    its reasoning has no content. A call that was asked for by name ends with `stop` at some servers.
    """
    told = fields_in(completion)
    choice = fields_in(next(iter(list_in(told.get("choices"))), None))
    said = fields_in(choice.get("message"))
    refused, calls = said.get("refusal"), [fields_in(one) for one in list_in(said.get("tool_calls"))]
    ended = word_in(choice.get("finish_reason"))
    stop_reason = "tool_use" if calls and ended == "stop" else ENDS.get(ended or "", ended)
    return {
        "id": told.get("id"),
        "type": "message",
        "role": "assistant",
        "model": told.get("model"),
        "content": [*_texts("" if refused else said.get("content")), *map(_call, calls)],
        "stop_reason": "refusal" if refused else stop_reason,
        **({"stop_details": {"explanation": refused}} if refused else {}),
        "usage": _usage(fields_in(told.get("usage"))),
    }


def list_in(value: Any) -> list[Any]:
    """Return the elements of a list. Whatever is no list has none."""
    return value if isinstance(value, list) else []


def _texts(content: Any) -> list[dict[str, Any]]:
    """List the texts of an answer, which some gateways give in parts."""
    parts = [content] if isinstance(content, str) else [fields_in(part).get("text") for part in list_in(content)]
    return [{"type": "text", "text": text} for text in parts if isinstance(text, str) and text]


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Make the block of a call, whose arguments are JSON as text. Arguments that were cut stay text."""
    function = fields_in(call.get("function"))
    given = function.get("arguments")
    if isinstance(given, str):
        with suppress(ValueError, RecursionError):
            given = decoded(given.encode("utf-8", "surrogatepass"))
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": given}


def _usage(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the counters of tokens, under the names of either API. Returns None if the input or the output is missing.

    The prompt contains what was read from the cache and written to it. Some servers count reasoning beside the output,
    and then the total alone has all that the model produced.
    """
    names = ("input", "output") if "input_tokens" in told else ("prompt", "completion")
    prompt, output, total = (count_in(told.get(f"{name}_tokens")) for name in (*names, "total"))
    if prompt is None or output is None:
        return None
    cache, thought = (fields_in(told.get(f"{name}_tokens_details")) for name in names)
    read = min(count_in(cache.get("cached_tokens")) or 0, prompt)
    written = min(count_in(cache.get("cache_write_tokens")) or 0, prompt - read)
    return {
        "input_tokens": prompt - read - written,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": max(output, (total or 0) - prompt),
        "output_tokens_details": {"thinking_tokens": thought.get("reasoning_tokens")},
    }
