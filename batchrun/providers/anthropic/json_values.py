"""Values of the API's JSON and headers, read without trust."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any

from batchrun.escaping import escape_control
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, LONGEST_WORD, malformed, request_id_of
from batchrun.providers.anthropic.errors import STATUS_OF_TYPE, is_answer_lost
from batchrun.providers.anthropic.rate_limit_headers import reported_limits
from batchrun.providers.anthropic.retry_after import retry_after_s
from batchrun.reply import Cause, Failure

MOST_DIGITS = 1_000
"""Python reads no whole number of more than 4,300 digits."""
BEYOND_COUNTING = 2**40
"""A number from here on is no count: the ledger could not even store the number."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""A later moment, rounded as seconds since 1970, would be in the year 10,000, which Python does not have."""


def json_from(body: bytes, headers: Mapping[str, str]) -> Any:
    """Read the body of an answer with status 200. Raises AttemptError for no JSON, and for an error of the API.

    An error of a type that says nothing is malformed: nobody knows whether the call has been carried out.
    """
    try:
        value = decoded(body)
    except (ValueError, RecursionError) as error:
        raise malformed("the answer is not JSON", request_id_in(headers)) from error
    if is_error(value):
        raise AttemptError(unasked_failure(value, headers))
    return value


def unasked_failure(value: Any, headers: Mapping[str, str], *, has_begun: bool = False) -> Failure:
    """Read an error that came with status 200, and in a stream perhaps after the message had begun."""
    failure = failure_in(value, headers)
    if failure.status is None:
        return replace(failure, cause=Cause.MALFORMED)
    return replace(failure, in_doubt=has_begun or is_answer_lost(failure))


def decoded(text: bytes) -> Any:
    """Decode JSON. A number of too many digits becomes infinite, and costs nothing but itself.

    Raises ValueError and RecursionError.
    """
    return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= MOST_DIGITS else inf


def is_error(value: Any) -> bool:
    """Return whether a body has the form of the API's errors, whatever the status is that it came with."""
    fields = fields_in(value)
    return isinstance(fields.get("error"), dict) and fields.get("type", "error") == "error"


def failure_in(value: Any, headers: Mapping[str, str]) -> Failure:
    """Read an error that has no status of its own: its type tells the status."""
    fields = fields_in(fields_in(value).get("error"))
    error_type, message = word_in(fields.get("type")), fields.get("message")
    words = message if isinstance(message, str) else "an error without a message"
    return Failure(
        cause=Cause.STATUS,
        status=STATUS_OF_TYPE.get(error_type or ""),
        error_type=error_type,
        error_code=word_in(fields_in(fields.get("details")).get("error_code")),
        message=escape_control(words[:LONGEST_MESSAGE])[:LONGEST_MESSAGE],
        retry_after_s=retry_after_s(headers),
        api_request_id=word_in(fields_in(value).get("request_id")) or request_id_in(headers),
        limits=reported_limits(headers),
    )


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """Return the id that the API gave the call; the API's support asks for this id."""
    return word_in(request_id_of(headers))


def fields_in(value: Any) -> dict[str, Any]:
    """Return the fields of an object. Whatever is no object has no fields."""
    return value if isinstance(value, dict) else {}


def inner_value(value: Any, *names: str) -> Any:
    """Return the value at the end of a path of names into an object. Returns None if the path leads nowhere."""
    for name in names:
        value = fields_in(value).get(name)
    return value


def word_in(value: Any) -> str | None:
    """Return a text, inert and not too long. Returns None if the value is no text."""
    return escape_control(value[:LONGEST_WORD])[:LONGEST_WORD] if isinstance(value, str) else None


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


def seconds_in(value: Any) -> float | None:
    """Read a date in RFC 3339 as seconds since 1970. Returns None if the value is no date."""
    moment = moment_in(value)
    return moment.timestamp() if moment else None
