"""A request: one document under one prompt, schema and model, named by its content."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Request:
    """The exact body of a Messages call. The same parameters always give the same bytes, so the same name.

    Keys are not sorted: the order of the schema's fields is the order in which the model answers.
    """

    body: bytes
    """JSON without spaces, in UTF-8, keys in the order given. These bytes are what is sent."""
    model: str
    max_tokens: int

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Request":
        """Make the request for Messages parameters (`model`, `max_tokens`, `messages`, …)."""
        try:
            body = _canonical(params, ascii_only=False).encode("utf-8")
        except UnicodeEncodeError:  # a lone surrogate has no UTF-8; as an escape it is still JSON
            body = _canonical(params, ascii_only=True).encode("ascii")
        return cls(body=body, model=params["model"], max_tokens=int(params["max_tokens"]))

    @cached_property
    def request_id(self) -> str:
        """32 hex characters of the SHA-256 of the body."""
        return hashlib.sha256(self.body).hexdigest()[:32]


def _canonical(params: Mapping[str, Any], *, ascii_only: bool) -> str:
    return json.dumps(params, separators=(",", ":"), ensure_ascii=ascii_only)
