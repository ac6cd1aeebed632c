"""Messages as they go over the wire: the JSON body, and the same as server-sent events."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.simulator.replies.production import Production
from batchrun.simulator.requests.model_cards import ModelCard
from batchrun.simulator.usage.prompt_cache import PromptUsage

_BASE58 = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TO_BASE58 = bytes(_BASE58[byte % 58] for byte in range(256))
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ID_LENGTH = 24  # after the word that says what it names
_EMPTY: Mapping[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}  # as a block begins
_SHORTEST_CHUNK, _MOST_CHUNKS = 12, 40

Body = dict[str, Any]


def new_id(prefix: str, *facts: object) -> str:
    """Make an id that looks like the API's; the same facts give the same id."""
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=24).digest()
    return (prefix + digest.translate(_TO_BASE58).decode())[: prefix.index("_") + 1 + _ID_LENGTH]


def to_json(body: object) -> bytes:
    """Write JSON as the API does: without spaces, in UTF-8."""
    return _JSON.encode(body).encode()


def message_body(
    production: Production, card: ModelCard, *, message_id: str, used: PromptUsage, tier: str = "standard"
) -> Body:
    """Write a reply as the API does."""
    content = _answer_blocks(production, message_id)
    if production.thought is not None:
        signature = base64.b64encode(hashlib.sha512(message_id.encode()).digest()).decode()
        content.insert(0, {"type": "thinking", "thinking": production.thought, "signature": signature})
    thought = {"output_tokens_details": {"thinking_tokens": production.thinking_tokens}}
    return {
        "model": card.id,
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": production.stop_reason,
        "stop_sequence": None,
        "stop_details": production.stop_details,
        "usage": {
            "input_tokens": used.input_tokens,
            "cache_creation_input_tokens": used.cache_write_tokens,
            "cache_read_input_tokens": used.cache_read_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": used.cache_write_5m_tokens,
                "ephemeral_1h_input_tokens": used.cache_write_1h_tokens,
            },
            "output_tokens": production.output_tokens,
            "service_tier": tier,
            "inference_geo": "global" if card.efforts else "not_available",
            **(thought if card.thinks_unasked or production.thinking_tokens else {}),
        },
    }


def _answer_blocks(production: Production, message_id: str) -> list[Body]:
    if production.tool is not None:
        tool_id = new_id("toolu_01", message_id)
        return [{"type": "tool_use", "id": tool_id, "name": production.tool, "input": _input(production.text)}]
    return [{"type": "text", "text": production.text}] if production.text else []


def _input(written: str) -> Any:
    """Return the input of a tool. One that was cut is no JSON, and stands as the text that a stream has of it."""
    try:
        return json.loads(written)
    except ValueError:
        return written


def message_events(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Write a message as the events of a stream."""
    begun = {**body, "content": [], "stop_reason": None, "stop_details": None}
    begun["usage"] = {**body["usage"], "output_tokens": 1}
    begun["usage"].pop("output_tokens_details", None)
    yield _event("message_start", message=begun)
    for index, block in enumerate(body["content"]):
        empty = {name: _EMPTY.get(name, value) for name, value in block.items()}
        yield _event("content_block_start", index=index, content_block=empty)
        if index == 0:
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
        yield from (_event("content_block_delta", index=index, delta=delta) for delta in _deltas(block))
        yield _event("content_block_stop", index=index)
    ending = {name: body[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    usage = {name: count for name, count in body["usage"].items() if name.endswith(("_tokens", "_details"))}
    yield _event("message_delta", delta=ending, usage=usage)
    yield _event("message_stop")


def _deltas(block: Mapping[str, Any]) -> Iterator[Body]:
    if block.get("thinking"):
        yield {"type": "thinking_delta", "thinking": block["thinking"]}
    if block["type"] == "thinking":
        yield {"type": "signature_delta", "signature": block["signature"]}
    if block["type"] == "tool_use":
        yield {"type": "input_json_delta", "partial_json": ""}
        written = block["input"] if isinstance(block["input"], str) else to_json(block["input"]).decode()
        yield from ({"type": "input_json_delta", "partial_json": chunk} for chunk in _chunks(written))
    yield from ({"type": "text_delta", "text": chunk} for chunk in _chunks(block.get("text", "")))


def _chunks(text: str) -> Iterator[str]:
    step = max(_SHORTEST_CHUNK, len(text) // _MOST_CHUNKS)
    return (text[start : start + step] for start in range(0, len(text), step))


def error_event(error_type: str, message: str, *, request_id: str) -> bytes:
    """Write the error that may come in the middle of a stream."""
    error = {"details": None, "type": error_type, "message": message}
    return _event("error", error=error, request_id=request_id)


def _event(name: str, **fields: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), to_json({"type": name, **fields}))
