"""The prompt cache of the simulated API: what is written and read, as the documentation of 2026-10-08 says.

An entry is everything up to a marked block, of one model and its settings. It can be read once the first answer to it
has begun, lives for its time from the start of the request that used it last, and is not made of fewer tokens than the
model's minimum. The real cache also finds what ends up to 20 blocks before a mark; this one looks at the marks only.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from batchrun.simulator.counting import Piece, around, pieces
from batchrun.simulator.models import ModelCard

Ttl = Literal["5m", "1h"]
KEPT_S: Mapping[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
_CLEARED_AT = 10_000
"""Entries, after which those that are over are let go."""


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """A marked block that is far enough into the prompt to be cached."""

    key: bytes
    """Names everything up to it."""
    tokens: int
    """Of everything up to it."""
    ttl: Ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptUsage:
    """A prompt's tokens as they are billed."""

    input_tokens: int = 0
    """Behind the last breakpoint."""
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0

    @property
    def counted(self) -> int:
        """What counts against the limit of input tokens."""
        return self.input_tokens + self.cache_write_tokens

    @property
    def cache_write_tokens(self) -> int:
        """All that was written."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as the cache sees it."""

    tokens: int = 0
    breakpoints: tuple[Breakpoint, ...] = ()
    """The first one first."""

    def used(self, read: Breakpoint | None) -> PromptUsage:
        """Bill the prompt when everything up to a breakpoint was read: what is marked behind it is written."""
        done = read.tokens if read else 0
        written: dict[Ttl, int] = {"5m": 0, "1h": 0}
        for point in self.breakpoints:
            if point.tokens > done:
                written[point.ttl] += point.tokens - done
                done = point.tokens
        return PromptUsage(
            input_tokens=self.tokens - done,
            cache_write_5m_tokens=written["5m"],
            cache_write_1h_tokens=written["1h"],
            cache_read_tokens=read.tokens if read else 0,
        )


NO_PROMPT = Prompt()


def prompt_of(params: Mapping[str, Any], card: ModelCard) -> Prompt:
    """Count valid Messages parameters and find their breakpoints."""
    parts = list(pieces(params, card.tokenizer))
    total = around(params) + sum(part.tokens for part in parts)
    mark = params.get("cache_control")
    if mark and parts[-1].mark is None:  # it stands for one on the last block
        parts[-1] = Piece(parts[-1].content, parts[-1].tokens, mark)
    if not any(part.mark for part in parts):
        return Prompt(total)
    return Prompt(
        total, tuple(point for point in _breakpoints(params, parts, card) if point.tokens >= card.caches_from)
    )


def _breakpoints(params: Mapping[str, Any], parts: list[Piece], card: ModelCard) -> Iterator[Breakpoint]:
    settings = [card.id, params.get("output_config"), params.get("thinking"), params.get("tool_choice")]
    names, tokens = hashlib.blake2b(_written(settings), digest_size=16), 0
    for part in parts:
        names.update(_written(part.content))
        tokens += part.tokens
        if part.mark:
            yield Breakpoint(names.digest(), tokens, part.mark.get("ttl") or "5m")


def _written(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@dataclass(slots=True)
class _Entry:
    readable_at: float
    until: float
    ttl: Ttl


class PromptCache:
    """The entries of one workspace. Times are seconds of a monotonic clock; `speed` makes virtual ones of them."""

    def __init__(self, *, speed: float) -> None:
        self._speed = speed
        self._entries: dict[bytes, _Entry] = {}

    def __repr__(self) -> str:
        return f"PromptCache({len(self._entries)} entries)"

    def look(self, prompt: Prompt, now: float) -> Breakpoint | None:
        """Find the longest part of a prompt that can be read. Nothing is changed."""
        return next((point for point in reversed(prompt.breakpoints) if self._readable(point, now)), None)

    def use(self, prompt: Prompt, read: Breakpoint | None, *, now: float, answer_at: float) -> None:
        """Keep what a request wrote, to be read when its answer begins, and what it read for as long again."""
        if len(self._entries) >= _CLEARED_AT:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.until > now}
        done = 0
        if read:
            entry, done = self._entries[read.key], read.tokens
            entry.until = max(entry.until, self._until(entry.ttl, now))
        for point in prompt.breakpoints:
            if point.tokens > done:
                self._write(point, now=now, answer_at=answer_at)

    def _write(self, point: Breakpoint, *, now: float, answer_at: float) -> None:
        before = self._entries.get(point.key)
        if before and before.until > now:  # others write it at the same time
            answer_at = min(answer_at, before.readable_at)
        self._entries[point.key] = _Entry(answer_at, self._until(point.ttl, now), point.ttl)

    def _readable(self, point: Breakpoint, now: float) -> bool:
        entry = self._entries.get(point.key)
        return entry is not None and entry.readable_at <= now < entry.until

    def _until(self, ttl: Ttl, now: float) -> float:
        return now + KEPT_S[ttl] / self._speed
