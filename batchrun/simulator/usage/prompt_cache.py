"""The prompt cache of the simulated API: what is written and read, as the documentation of 2026-10-08 says.

An entry is everything up to a marked block, of one model and its settings. An entry can be read once the first reply
to its request has begun, lives for its time from the start of the request that used it last, and is not made of fewer
tokens than the model's minimum. The real cache also finds what ends up to 20 blocks before a breakpoint; this one looks
at the breakpoints only.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from batchrun.simulator.api_error import invalid_request
from batchrun.simulator.requests.model_cards import ModelCard
from batchrun.simulator.requests.token_count import PromptPart, around, prompt_parts

Ttl = Literal["5m", "1h"]
_KEPT_S: Mapping[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
_CLEARED_AT = 10_000  # entries, after which those that are over are let go


class Breakpoint(NamedTuple):
    """A marked block that is far enough into the prompt to be cached."""

    key: bytes  # names everything up to the breakpoint
    tokens: int  # of everything up to the breakpoint
    ttl: Ttl


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptUsage:
    """A prompt's tokens as they are billed; `input_tokens` are those behind the last breakpoint."""

    input_tokens: int = 0
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
class SizedPrompt:
    """A prompt as the cache sees it; the first breakpoint comes first."""

    tokens: int = 0
    breakpoints: tuple[Breakpoint, ...] = ()
    free_writes: bool = False  # whether what is written to the cache costs as much as any input

    def used(self, read: Breakpoint | None) -> PromptUsage:
        """Bill the prompt when everything up to a breakpoint was read: what is marked behind it is written."""
        done = read.tokens if read else 0
        if self.free_writes:
            return PromptUsage(input_tokens=self.tokens - done, cache_read_tokens=done)
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


NO_PROMPT = SizedPrompt()


def size_prompt(params: Mapping[str, Any], card: ModelCard) -> SizedPrompt:
    """Count valid Messages parameters and find their breakpoints; refuse what does not fit the context window."""
    parts = list(prompt_parts(params, card.tokenizer))
    total = around(params) + sum(part.tokens for part in parts)
    if total > card.context:
        raise invalid_request(f"prompt is too long: {total} tokens > {card.context} maximum")
    mark = params.get("cache_control")
    if mark and parts[-1].mark is None:  # a breakpoint at the top stands for one on the last block
        parts[-1] = parts[-1]._replace(mark=mark)
    if not any(part.mark for part in parts):
        return SizedPrompt(total)
    points = _breakpoints(params, parts, card)
    return SizedPrompt(total, tuple(point for point in points if point.tokens >= card.caches_from))


def _breakpoints(params: Mapping[str, Any], parts: list[PromptPart], card: ModelCard) -> Iterator[Breakpoint]:
    settings = [card.id, params.get("output_config"), params.get("thinking"), params.get("tool_choice")]
    names, tokens = hashlib.blake2b(_written(settings), digest_size=16), 0
    for part in parts:
        names.update(_written(part.content))
        tokens += part.tokens
        if part.mark:
            yield Breakpoint(names.digest(), tokens, part.mark.get("ttl") or "5m")


def _written(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class _Cached(NamedTuple):
    readable_at: float
    until: float
    ttl: Ttl


class PromptCache:
    """The entries of one workspace. Times are seconds of a monotonic clock; `speed` makes virtual ones of them."""

    def __init__(self, *, speed: float) -> None:
        self._speed = speed
        self._entries: dict[bytes, _Cached] = {}

    def look(self, prompt: SizedPrompt, now: float) -> Breakpoint | None:
        """Find the longest part of a prompt that can be read. Nothing is changed."""
        for point in reversed(prompt.breakpoints):
            entry = self._entries.get(point.key)
            if entry and entry.readable_at <= now < entry.until:
                return point
        return None

    def use(self, prompt: SizedPrompt, read: Breakpoint | None, *, now: float, answer_at: float) -> None:
        """Keep what a request wrote, readable once its reply begins; keep what the request read for as long again."""
        if len(self._entries) >= _CLEARED_AT:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.until > now}
        if read:
            entry = self._entries[read.key]
            until = max(entry.until, now + _KEPT_S[entry.ttl] / self._speed)
            self._entries[read.key] = entry._replace(until=until)
        for point in prompt.breakpoints:
            if point.tokens > (read.tokens if read else 0):
                before = self._entries.get(point.key)
                shared = before is not None and before.until > now  # others write it at the same time
                readable_at = min(answer_at, before.readable_at) if before and shared else answer_at
                self._entries[point.key] = _Cached(readable_at, now + _KEPT_S[point.ttl] / self._speed, point.ttl)
