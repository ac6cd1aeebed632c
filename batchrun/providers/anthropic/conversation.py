"""What the bodies of requests and replies say, as texts for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.request import Request


@dataclass(frozen=True, slots=True)
class Said:
    """What one side says in a conversation."""

    role: str
    """One of system, user and assistant."""
    text: str


def conversation(request: Request) -> list[Said]:
    """List the texts of a request as they are sent, the system prompt first. A file is named in place of its bytes."""
    params = json.loads(request.wire)
    system = [Said("system", _text(params["system"]))] if "system" in params else []
    return [*system, *(Said(message["role"], _text(message["content"])) for message in params["messages"])]


def reply_text(raw: str) -> str:
    """Return what a reply says, without its thinking. A body that is no message stays as it is."""
    try:
        return _text(json.loads(raw)["content"] or ())
    except (ValueError, KeyError, TypeError, RecursionError):
        return raw


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(filter(None, map(_block_text, content)))


def _block_text(block: Mapping[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "tool_use", "input": given}:
            return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        case {"type": "tool_result", "content": said}:
            return _text(said)
        case {"source": {"media_type": media_type, "data": str(data)}}:
            return f"[{media_type}, {len(data) * 3 // 4:,} bytes]"
        case _:
            return ""
