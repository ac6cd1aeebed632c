"""A request: one document under one prompt, schema and model, named by its content."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Ttl = Literal["5m", "1h"]
"""How long the API's prompt cache keeps a marked prefix, from the request on that wrote or read the prefix last."""


@dataclass(frozen=True)
class Request:
    """The exact body of a Messages call. The same parameters always give the same bytes, so the same name.

    Keys are not sorted: the order of the schema's fields is the order in which the model answers.
    """

    body: bytes
    """JSON without spaces, in UTF-8, keys in the order given. These bytes name the request."""
    model: str
    max_tokens: int
    marked: bytes | None = field(default=None, compare=False)
    """The body as it is sent where that is not the body that names the request.

    It may have marks for the prompt cache, or an uploaded file named in the place of its bytes. It may also be a turn
    of the conversation in which the request is answered.
    """
    added_bytes: int = field(default=0, compare=False)
    """How many of the bytes that are sent are those of a conversation behind the request."""
    votes: int = 1
    """How often the request may be asked for one answer. More votes make it another request, with the same body."""
    provider_type: str = ""
    """The type of the provider where the name of the model does not tell the type. Another type is another request."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Request":
        """Make the request for Messages parameters (`model`, `max_tokens`, `messages`, …)."""
        try:
            body = _canonical(params, ascii_only=False).encode("utf-8")
        except UnicodeEncodeError:  # a lone surrogate has no UTF-8; its escape is still JSON
            body = _canonical(params, ascii_only=True).encode("ascii")
        return cls(body=body, model=params["model"], max_tokens=int(params["max_tokens"]))

    @property
    def wire(self) -> bytes:
        """The bytes that are sent."""
        return self.body if self.marked is None else self.marked

    @cached_property
    def request_id(self) -> str:
        """The name of the request: the first 32 characters of `sha`."""
        return self.sha[:32]

    @cached_property
    def sha(self) -> str:
        """The SHA-256 of the body, of several votes, and of the provider's type, as hexadecimal characters."""
        votes = b"\nvotes=%d" % self.votes if self.votes > 1 else b""
        provider = b"\nprovider=%s" % self.provider_type.encode() if self.provider_type else b""
        return hashlib.sha256(self.body + votes + provider).hexdigest()


def _canonical(params: Mapping[str, Any], *, ascii_only: bool) -> str:
    return json.dumps(params, separators=(",", ":"), ensure_ascii=ascii_only)
