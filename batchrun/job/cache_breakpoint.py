"""The breakpoint for the API's prompt cache: where the part ends with which every request of a job begins.

The schema comes before this part: the API renders the schema into the system prompt. A request is marked when the
request is sent, and keeps the id of the unmarked body: otherwise another decision on caching would make every document
new work.
"""

from dataclasses import dataclass

from batchrun.request import Ttl

LONGEST_LEFT = 200
"""The most characters of an unfinished line before the document that stay outside of the block."""


@dataclass(frozen=True, slots=True)
class CacheBreakpoint:
    """The breakpoint, at the same place in every request of a job."""

    opening: str
    """The document's message before the breakpoint; empty when the breakpoint stands behind what comes before."""
    ttl: Ttl
    turns: int = 0
    """How many messages stand before the document's: those of the examples."""


@dataclass(frozen=True, slots=True)
class CacheablePrefix:
    """What stands before the first word of a document in every request, without the schema."""

    system: str | None
    opening: str
    """The user message before its first placeholder."""
    turns: tuple[str, ...] = ()
    """The messages of the examples, which stand between the system prompt and the user message."""

    @property
    def marked_opening(self) -> str:
        """The part of the opening that makes a block of its own; empty when the breakpoint stands before the message.

        The block ends with a line if possible, so that neither a word nor a tag is cut in two.
        """
        cut = self.opening.rfind("\n") + 1
        if len(self.opening) - cut > LONGEST_LEFT:
            cut = len(self.opening)
        lines = self.opening[:cut]
        if lines.strip():
            return lines
        return self.opening if not self._comes_before and self.opening.strip() else ""

    @property
    def _comes_before(self) -> bool:
        """Whether anything stands before the document's message that can be marked instead."""
        return self.system is not None or bool(self.turns)

    @property
    def obstacle(self) -> str | None:
        """Say why nothing can be marked. Returns None if something can be marked."""
        if self.marked_opening or self._comes_before:
            return None
        return "the prompt begins with the document, and there is no system prompt"

    @property
    def text(self) -> str:
        """The text that would be cached, for counting its tokens."""
        return "\n".join(part for part in (self.system, *self.turns, self.marked_opening) if part)

    def mark(self, ttl: Ttl | None) -> CacheBreakpoint | None:
        """Return the breakpoint for a time to live. Returns None without one, or if nothing can be marked."""
        if ttl is None or self.obstacle:
            return None
        return CacheBreakpoint(self.marked_opening, ttl, len(self.turns))
