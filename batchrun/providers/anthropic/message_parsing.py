"""Reads a message of the API as a reply, without trust, whether an answer or a line of results has brought it."""

import json
from collections.abc import Mapping
from typing import Any

from batchrun.escaping import escape_control
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, malformed
from batchrun.providers.anthropic.json_values import count_in, fields_in, json_from, request_id_in, word_in
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.reply import Reply, Usage

OWN_ENDS = frozenset({"end_turn", "stop_sequence", "tool_use"})
"""The stop reasons of an answer that is complete."""
NO_HEADERS: Mapping[str, str] = {}


def reply_from(body: bytes, headers: Mapping[str, str], *, first_byte_s: float | None = None) -> Reply:
    """Read a body with status 200; the names of headers are in lower case. Raises AttemptError for another body."""
    message = json_from(body, headers)
    # Bytes below 128 with a NUL among them are UTF-16 or UTF-32, not ASCII.
    raw = body.decode("ascii") if body.isascii() and b"\0" not in body else None
    return reply_of(message, headers, first_byte_s=first_byte_s, raw=raw)


def reply_of(
    message: Any, headers: Mapping[str, str] = NO_HEADERS, *, first_byte_s: float | None = None, raw: str | None = None
) -> Reply:
    """Read a message; `raw` is the message as ASCII JSON, where there is such a text.

    A `raw` that is made here is ASCII, so that a lone surrogate cannot keep the reply out of the ledger. Content may be
    null where the answer did not come to its own end. Raises AttemptError when `message` is no message.
    """
    api_request_id = request_id_in(headers)
    try:
        raw = json.dumps(message, ensure_ascii=True) if raw is None else raw
        stop_reason, blocks = word_in(message.get("stop_reason")), message["content"]
        if blocks is None and stop_reason not in OWN_ENDS:
            blocks = []
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        inputs = [_tool_input(block["input"]) for block in blocks if block["type"] == "tool_use"]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise malformed("the answer is no message", api_request_id) from error
    if stop_reason is None:
        raise malformed("the answer broke off: it has no stop reason", api_request_id)
    return Reply(
        text=text,
        stop_reason=stop_reason,
        usage=usage_from(message.get("usage")),
        model=word_in(message.get("model")) or "",
        api_request_id=api_request_id,
        raw=raw,
        limits=reported_limits(headers),
        first_byte_s=first_byte_s,
        refusal=_refusal(fields_in(message.get("stop_details"))) if stop_reason == "refusal" else None,
        tool_input="\n".join(inputs) if inputs else None,
    )


def _tool_input(given: Any) -> str:
    """Write the input of a tool as JSON. A text is the JSON of an input that was cut, and several are no JSON."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=True)


def _refusal(details: Mapping[str, Any]) -> str | None:
    category, explanation = word_in(details.get("category")), details.get("explanation")
    words = escape_control(explanation[:LONGEST_MESSAGE]) if isinstance(explanation, str) else None
    return ": ".join(filter(None, (category, words)))[:LONGEST_MESSAGE] or None


def usage_from(usage: Any) -> Usage | None:
    """Read the billed tokens. Returns None when the input or the output is missing, or is no count.

    The other counters are read each by itself, and one that is no count is absent. Where that leaves a choice, the
    costlier reading counts: tokens written to the cache for an unreadable time were written for the longest time.
    """
    fields = fields_in(usage)
    input_tokens, output_tokens = count_in(fields.get("input_tokens")), count_in(fields.get("output_tokens"))
    if input_tokens is None or output_tokens is None:
        return None
    written = count_in(fields.get("cache_creation_input_tokens")) or 0
    written_5m, written_1h = _written_by_time(fields.get("cache_creation"), written)
    return Usage(
        input_tokens=input_tokens,
        cache_write_5m_tokens=written_5m,
        cache_write_1h_tokens=written_1h,
        cache_read_tokens=count_in(fields.get("cache_read_input_tokens")) or 0,
        output_tokens=output_tokens,
        thinking_tokens=_thought(fields.get("output_tokens_details"), output_tokens),
    )


def _thought(told: Any, output_tokens: int) -> int | None:
    """Read the tokens of thinking, which cannot be more than the whole output."""
    thinking_tokens = count_in(fields_in(told).get("thinking_tokens"))
    return thinking_tokens if thinking_tokens is not None and thinking_tokens <= output_tokens else None


def _written_by_time(told: Any, written: int) -> tuple[int, int]:
    """Share out the tokens that were written to the cache: for five minutes, and for an hour."""
    by_time = fields_in(told)
    for_5m, for_1h = by_time.get("ephemeral_5m_input_tokens"), by_time.get("ephemeral_1h_input_tokens")
    written_5m = count_in(for_5m) or 0
    is_odd = (told is not None and not isinstance(told, dict)) or (for_1h is not None and count_in(for_1h) is None)
    written_1h = max(written - written_5m, 0) if is_odd else count_in(for_1h) or 0
    return max(written - written_1h, written_5m), written_1h
