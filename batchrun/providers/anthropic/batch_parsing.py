"""Reads without trust what the Message Batches API answers: batches, pages of the list, and lines of results."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from batchrun.batch import BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.escaping import escape_control
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, malformed
from batchrun.providers.anthropic.errors import STATUS_OF_TYPE
from batchrun.providers.anthropic.message_parsing import json_from, reply_of, request_id_in
from batchrun.providers.anthropic.retry_after import retry_after_s, server_time
from batchrun.providers.anthropic.wire import member_name
from batchrun.reply import Cause, Failure

PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""What an id must look like to be put into a URL."""
LONGEST_WORD = 200
LAST_S = 253_402_300_800.0
"""The year 10,000: no date of ours can be later."""
MOST_COUNTED = 2**40
COUNTED = ("processing", "succeeded", "errored", "canceled", "expired")


def batch_from(body: bytes, headers: Mapping[str, str]) -> RemoteBatch:
    """Read an answer with status 200. Raises AttemptError when the answer is no batch."""
    return _batch_of(json_from(body, request_id_in(headers)), headers)


def page_from(body: bytes, headers: Mapping[str, str]) -> BatchPage:
    """Read a page of the list. Raises AttemptError when the answer is no page, or one entry is no batch.

    A page with one batch left out would prove that a batch does not exist.
    """
    told = _fields(json_from(body, request_id_in(headers)))
    listed = told.get("data")
    if not isinstance(listed, list):
        raise malformed("the answer is no list of batches", request_id_in(headers))
    return BatchPage(
        batches=tuple(_batch_of(batch, headers) for batch in listed),
        has_more=bool(told.get("has_more") and listed),
        server_time=server_time(headers),
    )


def result_from(line: bytes) -> BatchResult:
    """Read one line of a batch's results; a line that is no result becomes a result without a type."""
    try:
        told = _fields(json.loads(line))
    except (ValueError, RecursionError):
        told = {}
    nonce, request_id = member_name(_word(told.get("custom_id")) or "")
    return replace(_result_of(_fields(told.get("result"))), nonce=nonce, request_id=request_id)


class Lines:
    """Makes lines of bytes that come in pieces; only the line that has begun is kept."""

    def __init__(self) -> None:
        self._begun = bytearray()

    def whole(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that end in this piece; only a line feed ends a line, since JSON may contain U+2028."""
        end, *begins = piece.split(b"\n")
        self._begun += end
        for begin in begins:
            yield from self.rest()
            self._begun = bytearray(begin)

    def rest(self) -> Iterator[bytes]:
        """Yield the line that has begun, unless the line is blank."""
        if self._begun.strip():
            yield bytes(self._begun)


def _batch_of(batch: Any, headers: Mapping[str, str]) -> RemoteBatch:
    told = _fields(batch)
    batch_id, status, created_at = told.get("id"), _word(told.get("processing_status")), _time(told.get("created_at"))
    if not (isinstance(batch_id, str) and PLAIN_ID.fullmatch(batch_id)):
        raise malformed("the answer is no batch: it has no id", request_id_in(headers))
    if status is None or created_at is None:
        raise malformed(f"the answer is no batch: {batch_id} has no status or no date", request_id_in(headers))
    results_url = told.get("results_url")
    return RemoteBatch(
        batch_id=batch_id,
        status=status,
        counts=_counts(told.get("request_counts")),
        created_at=created_at,
        expires_at=_time(told.get("expires_at")),
        ended_at=_time(told.get("ended_at")),
        archived=told.get("archived_at") is not None,
        results_url=escape_control(results_url) if isinstance(results_url, str) else None,
        retry_after_s=retry_after_s(headers),
    )


def _counts(told: Any) -> dict[str, int]:
    counts = _fields(told)
    return {name: _count(counts[name]) for name in COUNTED if name in counts}


def _count(told: Any) -> int:
    return told if type(told) is int and 0 <= told < MOST_COUNTED else 0


def _time(told: Any) -> float | None:
    """Read a date in RFC 3339 as seconds since 1970; a date without a zone is UTC. Returns None if it is no date."""
    try:
        date = datetime.fromisoformat(told)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < LAST_S else None


def _type_of(result: dict[str, Any]) -> ResultType | None:
    told = result.get("type")
    return next((kind for kind in ResultType if kind.value == told), None)


def _result_of(result: dict[str, Any]) -> BatchResult:
    match _type_of(result):
        case ResultType.SUCCEEDED as kind:
            return _succeeded(kind, result.get("message"))
        case ResultType.ERRORED as kind:
            return BatchResult(type=kind, failure=_failure_of(_fields(result.get("error"))))
        case kind:
            return BatchResult(type=kind)


def _succeeded(kind: ResultType, message: Any) -> BatchResult:
    try:
        return BatchResult(type=kind, reply=reply_of(message))
    except AttemptError as error:
        return BatchResult(type=kind, failure=error.failure)


def _failure_of(error: dict[str, Any]) -> Failure:
    told = _fields(error.get("error"))
    error_type, message = _word(told.get("type")), told.get("message")
    return Failure(
        cause=Cause.STATUS,
        status=STATUS_OF_TYPE.get(error_type or ""),
        error_type=error_type,
        error_code=_word(_fields(told.get("details")).get("error_code")),
        message=escape_control(message if isinstance(message, str) else "an error without a message")[:LONGEST_MESSAGE],
        api_request_id=_word(error.get("request_id")),
    )


def _fields(told: Any) -> dict[str, Any]:
    return told if isinstance(told, dict) else {}


def _word(told: Any) -> str | None:
    return escape_control(told)[:LONGEST_WORD] if isinstance(told, str) else None
