"""Reads without trust the rate limits that the headers of an answer report."""

from collections.abc import Mapping

from batchrun.reply import ReportedLimit, ReportedLimits

PREFIX = "anthropic-ratelimit-"
MOST_DIGITS = 12


def reported_limits(headers: Mapping[str, str]) -> ReportedLimits | None:
    """Read the organisation's limits for this model; names of headers are in lower case.

    Returns None when no header is about limits.
    """
    if not any(name.startswith(PREFIX) for name in headers):
        return None
    return ReportedLimits(
        requests=_limit(headers, "requests"),
        input_tokens=_limit(headers, "input-tokens"),
        output_tokens=_limit(headers, "output-tokens"),
    )


def _limit(headers: Mapping[str, str], name: str) -> ReportedLimit:
    return ReportedLimit(
        limit=_count(headers.get(f"{PREFIX}{name}-limit", "")) or None,
        remaining=_count(headers.get(f"{PREFIX}{name}-remaining", "")),
    )


def _count(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS else None
