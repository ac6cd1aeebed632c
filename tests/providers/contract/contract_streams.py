"""A long answer as a stream of events: as server-sent events, and in the frames that Bedrock puts around events."""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any


def events_of(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events that make up a message of the Messages API."""
    usage = message.get("usage", {})
    begun = {name: count for name, count in usage.items() if not name.startswith("output")}
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": begun}}
    for index, block in enumerate(message["content"]):
        text = block["text"]
        yield {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
        for piece in (text[:5], text[5:]):
            yield {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}
        yield {"type": "content_block_stop", "index": index}
    ended = {name: count for name, count in usage.items() if name.startswith("output")}
    yield {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"]}, "usage": ended}
    yield {"type": "message_stop"}


def server_sent(event: Mapping[str, Any]) -> bytes:
    """Write an event as a server-sent event."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def framed(event: Mapping[str, Any]) -> bytes:
    """Write an event as a frame of Amazon's event stream, with the event's JSON in base64."""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    named = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
        for name, value in named.items()
    )
    prelude = (len(payload) + len(headers) + 16).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    frame = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return frame + zlib.crc32(frame).to_bytes(4, "big")
