"""The rate limits that the headers of an answer tell; nothing in them is taken on trust."""

from collections.abc import Mapping

from batchrun.reply import ToldLimit, ToldLimits

PREFIX = "anthropic-ratelimit-"
MOST_DIGITS = 12
UNTOLD = ToldLimits()


def told_limits(headers: Mapping[str, str]) -> ToldLimits | None:
    """The organisation's limits for this model; None when no header is about them. Names are in lower case."""
    told = ToldLimits(
        requests=_limit(headers, "requests"),
        input_tokens=_limit(headers, "input-tokens"),
        output_tokens=_limit(headers, "output-tokens"),
    )
    return None if told == UNTOLD and not any(name.startswith(PREFIX) for name in headers) else told


def _limit(headers: Mapping[str, str], name: str) -> ToldLimit:
    return ToldLimit(
        limit=_count(headers.get(f"{PREFIX}{name}-limit", "")) or None,
        remaining=_count(headers.get(f"{PREFIX}{name}-remaining", "")),
    )


def _count(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS else None
