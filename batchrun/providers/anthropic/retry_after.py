"""Reads when the API asks to be called again: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 600.0
"""The longest wait, whatever the server asks for: the wait of a whole job must not hang on one header."""

LONGEST_DATE = 64
"""The longest text that is read as a date, in characters."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, 0 or more. Returns None when the headers do not say.

    A date is held against the date of the response itself.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return _bounded(seconds)
    until, now = _date(value), _date(headers.get("date")) or datetime.now(UTC)
    return _bounded(until.timestamp() - now.timestamp()) if until else None


def server_time(headers: Mapping[str, str]) -> float | None:
    """Return when the server answered by its own clock (`date`), in seconds since 1970. Returns None without a date."""
    date = _date(headers.get("date"))
    return date.timestamp() if date else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_S)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(value: str | None) -> datetime | None:
    if value is None or len(value) > LONGEST_DATE:
        return None
    try:
        date = parsedate_to_datetime(value)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return date.astimezone(UTC)  # an offset may take a date out of the years that there are
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
