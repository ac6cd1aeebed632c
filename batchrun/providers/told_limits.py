"""The rate limits that the headers of an answer tell; nothing in them is taken on trust."""

from collections.abc import Mapping

from batchrun.reply import ToldLimit, ToldLimits

PREFIX = "anthropic-ratelimit-"
MOST_DIGITS = 12


def told_limits(headers: Mapping[str, str]) -> ToldLimits | None:
    """The organisation's limits for this model; None when no header is about them."""
    told = {name.lower(): value for name, value in headers.items() if name[:20].lower() == PREFIX}
    if not told:
        return None

    def limit(name: str) -> ToldLimit:
        return ToldLimit(
            limit=_count(told.get(f"{PREFIX}{name}-limit", "")) or None,
            remaining=_count(told.get(f"{PREFIX}{name}-remaining", "")),
        )

    return ToldLimits(
        requests=limit("requests"), input_tokens=limit("input-tokens"), output_tokens=limit("output-tokens")
    )


def _count(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS else None
