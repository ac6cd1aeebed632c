"""Puts a streamed message together from its events, without trust: a malformed event is a failure of the attempt."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from batchrun.providers import AttemptError
from batchrun.providers.anthropic.bounds import BODY, Lines, UnreadableBodyError
from batchrun.providers.anthropic.client import malformed
from batchrun.providers.anthropic.json_values import decoded, fields_in, request_id_in, unasked_failure

EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    }
)
"""The types of events that mean something here; events of other types are left out, such as a `ping`."""
ONLY_AT_THE_END = ("output_tokens", "output_tokens_details")
"""The counters that only the end of a stream tells."""
GROWING = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
"""The field of a block to which a piece of this type is added; the piece stands under the same name. Pieces of JSON
make up the `input` of a block."""


async def message_of(pieces: AsyncIterator[bytes], headers: Mapping[str, str]) -> dict[str, Any]:
    """Read the events of a stream, and return the message. Raises AttemptError and UnreadableBodyError.

    Every `data:` line is an event, as the API writes them, and the type of an event stands in its JSON.
    """
    lines, message = Lines(), StreamedMessage(headers)
    async for piece in pieces:
        for line in lines.whole(piece):
            if line.startswith(b"data:"):
                message.add(line.removeprefix(b"data:"))
            if message.ended:
                return message.whole()
    raise malformed("the stream of the answer ended before the answer did", request_id_in(headers))


class StreamedMessage:
    """A message as far as its events have come."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._message: dict[str, Any] = {}
        self._blocks: list[dict[str, Any]] = []
        self._open: dict[int, list[tuple[str, str]]] = {}
        """The pieces of the blocks that have begun and not ended, by the block's number."""
        self._size = 0
        self.ended = False

    def add(self, text: bytes) -> None:
        """Take the next event. Raises AttemptError, and UnreadableBodyError for too long a message."""
        try:
            event = decoded(text)
        except (ValueError, RecursionError) as error:
            raise malformed("an event of the stream is not JSON", request_id_in(self._headers)) from error
        if not self._takes(event):
            raise malformed("an event of the stream is malformed or out of order", request_id_in(self._headers))

    def whole(self) -> dict[str, Any]:
        """Return the message, which has ended."""
        return {**self._message, "content": self._blocks}

    def _takes(self, event: Any) -> bool:
        """Take an event. Returns False for an event that cannot come here."""
        begun = bool(self._message) and not self.ended
        match event:
            case {"type": "message_start", "message": dict(message)} if message and not self._message:
                self._start(message)
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)} if begun:
                return self._begin(index, block)
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)} if begun:
                return index in self._open and self._grow(self._open[index], delta)
            case {"type": "content_block_stop", "index": int(index)} if index in self._open:
                self._close(index)
            case {"type": "message_delta", "delta": dict(delta)} if begun:
                self._message |= delta
                self._count(event.get("usage"))
            case {"type": "message_stop"} if begun:
                for index in list(self._open):
                    self._close(index)
                self.ended = True
            case {"type": "error"}:
                raise AttemptError(unasked_failure(event, self._headers, has_begun=bool(self._message)))
            case {"type": str(kind)}:
                return kind not in EVENTS
            case _:
                return False
        return True

    def _start(self, message: dict[str, Any]) -> None:
        self._message = message
        for name in ONLY_AT_THE_END:
            fields_in(message.get("usage")).pop(name, None)

    def _begin(self, index: int, block: dict[str, Any]) -> bool:
        if index != len(self._blocks):
            return False
        self._blocks.append(block)
        self._open[index] = []
        return True

    def _grow(self, pieces: list[tuple[str, str]], delta: Mapping[str, Any]) -> bool:
        kind = delta.get("type")
        if not isinstance(kind, str) or kind not in GROWING:
            return isinstance(kind, str)
        name = GROWING[kind]
        text = delta.get(name)
        if not isinstance(text, str):
            return False
        self._size += len(text)
        if self._size > BODY:
            raise UnreadableBodyError(f"the answer is larger than {BODY:,} bytes")
        pieces.append((name, text))
        return True

    def _close(self, index: int) -> None:
        pieces, block = self._open.pop(index), self._blocks[index]
        for name in dict(pieces):
            begun = block.get(name)
            grown = "".join(text for of, text in pieces if of == name)
            if name == "partial_json":
                block["input"] = _tool_input(grown)
            else:
                block[name] = (begun if isinstance(begun, str) else "") + grown

    def _count(self, usage: Any) -> None:
        """Take the counters, which are totals. A counter that is not told keeps what the beginning has told."""
        if isinstance(usage, dict):
            told = {name: count for name, count in usage.items() if count is not None}
            self._message["usage"] = fields_in(self._message.get("usage")) | told


def _tool_input(written: str) -> Any:
    """Read the input of a tool. Whatever is no JSON, such as an input that was cut, stays text."""
    try:
        return decoded(written.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return written
