"""Reads a message of the API as a reply, without trust, whether an answer or a line of results has brought it."""

import json
from collections.abc import Mapping
from typing import Any

from batchrun.escaping import escape_control
from batchrun.providers.anthropic.client import malformed
from batchrun.providers.anthropic.json_values import count_in, json_from, request_id_in
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.reply import Reply, ReportedLimits, Usage


def reply_from(body: bytes, headers: Mapping[str, str], *, first_byte_s: float | None = None) -> Reply:
    """Read a body with status 200; the names of headers are in lower case. Raises AttemptError for another body."""
    api_request_id = request_id_in(headers)
    message = json_from(body, api_request_id)
    # Bytes below 128 with a NUL among them are UTF-16 or UTF-32, not ASCII.
    raw = body.decode("ascii") if body.isascii() and b"\0" not in body else None
    return reply_of(
        message, api_request_id=api_request_id, limits=reported_limits(headers), first_byte_s=first_byte_s, raw=raw
    )


def reply_of(
    message: Any,
    *,
    api_request_id: str | None = None,
    limits: ReportedLimits | None = None,
    first_byte_s: float | None = None,
    raw: str | None = None,
) -> Reply:
    """Read a message; `raw` is the message as ASCII JSON, where there is such a text.

    A `raw` that is made here is ASCII, so that a lone surrogate cannot keep the reply out of the ledger.
    Raises AttemptError when `message` is no message.
    """
    try:
        raw = json.dumps(message, ensure_ascii=True) if raw is None else raw
        text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
        stop_reason, model = message["stop_reason"], escape_control(message["model"])
        usage = usage_from(message.get("usage"))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise malformed("the answer is no message", api_request_id) from error
    if not isinstance(stop_reason, str):
        raise malformed("the answer broke off: it has no stop reason", api_request_id)
    return Reply(text, escape_control(stop_reason), usage, model, api_request_id, raw, limits, first_byte_s)


def usage_from(usage: Any) -> Usage | None:
    """Read the billed tokens. Returns None when they are missing, or are not whole numbers."""
    if not isinstance(usage, dict):
        return None
    written = usage.get("cache_creation") or {}
    if not isinstance(written, dict):
        return None
    written_1h = written.get("ephemeral_1h_input_tokens") or 0
    tokens: tuple[Any, ...] = (
        usage.get("input_tokens"),
        (usage.get("cache_creation_input_tokens") or 0) - written_1h,
        written_1h,
        usage.get("cache_read_input_tokens") or 0,
        usage.get("output_tokens"),
    )
    if not all(count_in(count) is not None for count in tokens):
        return None
    return Usage(*tokens)
