"""Marks for the API's prompt cache: where the part ends that every request begins with, and the bytes that say so.

The schema is in front of it all: the API renders it into the system prompt. Marks are put on when a request is sent,
and never into what names it: else another decision on caching would make every document new work.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from batchrun.request import Request, Ttl

LONGEST_LEFT = 200
"""Characters of an unfinished line before the document that are not worth a block which ends within it."""


@dataclass(frozen=True, slots=True)
class CacheBreakpoint:
    """One breakpoint, at the same place in every request of a job."""

    opening: str
    """The user message up to it; empty: it stands behind the system prompt."""
    ttl: Ttl

    def on(self, request: Request) -> Request:
        """The request as it is sent; its name does not change."""
        return replace(request, marked=self.wire(request))

    def wire(self, request: Request) -> bytes:
        """The body with the mark, of a request to any model."""
        params = json.loads(request.body)
        if self.opening:
            (message,) = params["messages"]
            message["content"] = self._blocks(message["content"])
        else:
            params["system"] = [self._marked(params["system"])]
        return Request.of(params).body

    def _blocks(self, content: str) -> list[dict[str, Any]] | str:
        """The content in two blocks. The API refuses a block that is blank, so a document without text gets none."""
        rest = content[len(self.opening) :]
        if not rest:
            return [self._marked(content)]
        return [self._marked(self.opening), {"type": "text", "text": rest}] if rest.strip() else content

    def _marked(self, text: str) -> dict[str, Any]:
        control = {"type": "ephemeral"} if self.ttl == "5m" else {"type": "ephemeral", "ttl": self.ttl}
        return {"type": "text", "text": text, "cache_control": control}


@dataclass(frozen=True, slots=True)
class CacheablePrefix:
    """What comes before the first word of a document, schema aside."""

    system: str | None
    opening: str
    """The user message before its first placeholder."""

    @property
    def marked_opening(self) -> str:
        """The part of the opening that makes a block of its own; empty when the mark goes behind the system prompt.

        A block ends with a line if it can, so that neither a word nor a tag is cut in two.
        """
        cut = self.opening.rfind("\n") + 1
        if len(self.opening) - cut > LONGEST_LEFT:
            cut = len(self.opening)
        lines = self.opening[:cut]
        if lines.strip():
            return lines
        return self.opening if self.system is None and self.opening.strip() else ""

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be marked, or None."""
        if self.marked_opening or self.system is not None:
            return None
        return "the prompt begins with the document, and there is no system prompt"

    @property
    def text(self) -> str:
        """All of it that would be cached, for counting its tokens."""
        return "\n".join(part for part in (self.system, self.marked_opening) if part)

    def mark(self, ttl: Ttl | None) -> CacheBreakpoint | None:
        """The mark for a time to live; None: nothing is to be marked, or can be."""
        if ttl is None or self.obstacle:
            return None
        return CacheBreakpoint(self.marked_opening, ttl)
