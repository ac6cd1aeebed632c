"""Values of the API's JSON and headers, read without trust."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from batchrun.escaping import escape_control
from batchrun.providers.anthropic.client import malformed

LONGEST_WORD = 200
BEYOND_COUNTING = 2**40
"""A number from here on is no count: the ledger could not even store the number."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""A later moment, rounded as seconds since 1970, would be in the year 10,000, which Python does not have."""


def json_from(body: bytes, api_request_id: str | None = None) -> Any:
    """Read JSON. Raises AttemptError when the body is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise malformed("the answer is not JSON", api_request_id) from error


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """Return the id that the API gave the call; the API's support asks for this id."""
    return escape_control(headers["request-id"]) if "request-id" in headers else None


def fields_in(value: Any) -> dict[str, Any]:
    """Return the fields of an object. Whatever is no object has no fields."""
    return value if isinstance(value, dict) else {}


def word_in(value: Any) -> str | None:
    """Return a text, inert and not too long. Returns None if the value is no text."""
    return escape_control(value)[:LONGEST_WORD] if isinstance(value, str) else None


def count_in(value: Any) -> int | None:
    """Return a count. Returns None if the value is no whole number from 0 on, or too large to be a count."""
    return value if type(value) is int and 0 <= value < BEYOND_COUNTING else None


def moment_in(value: Any) -> datetime | None:
    """Read a date in RFC 3339 as a time in UTC; a date without a zone is UTC. Returns None if the value is no date."""
    try:
        date = datetime.fromisoformat(value)
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if EPOCH <= moment <= LAST_MOMENT else None
