"""Reads without trust what the Message Batches API answers: batches, pages of the list, and lines of results."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from batchrun.batch import BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.escaping import escape_control
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, malformed
from batchrun.providers.anthropic.errors import STATUS_OF_TYPE
from batchrun.providers.anthropic.json_values import (
    count_in,
    fields_in,
    json_from,
    moment_in,
    request_id_in,
    word_in,
)
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.anthropic.retry_after import retry_after_s, server_time
from batchrun.providers.anthropic.wire import member_name
from batchrun.providers.masking import without_secrets
from batchrun.reply import Cause, Failure

PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""What an id must look like to be put into a URL."""
COUNTED = ("processing", "succeeded", "errored", "canceled", "expired")


def batch_from(body: bytes, headers: Mapping[str, str]) -> RemoteBatch:
    """Read an answer with status 200. Raises AttemptError when the answer is no batch."""
    return _batch_of(json_from(body, request_id_in(headers)), headers)


def page_from(body: bytes, headers: Mapping[str, str]) -> BatchPage:
    """Read a page of the list. Raises AttemptError when the answer is no page, or one entry is no batch.

    A page with one batch left out would falsely prove that a batch does not exist.
    """
    fields = fields_in(json_from(body, request_id_in(headers)))
    listed = fields.get("data")
    if not isinstance(listed, list):
        raise malformed("the answer is no list of batches", request_id_in(headers))
    return BatchPage(
        batches=tuple(_batch_of(batch, headers) for batch in listed),
        has_more=bool(fields.get("has_more") and listed),
        server_time=server_time(headers),
    )


def result_from(line: bytes) -> BatchResult:
    """Read one line of a batch's results; a line that is no result becomes a result without a type."""
    try:
        fields = fields_in(json.loads(line))
    except (ValueError, RecursionError):
        fields = {}
    nonce, request_id = member_name(word_in(fields.get("custom_id")) or "")
    return replace(_result_of(fields_in(fields.get("result"))), nonce=nonce, request_id=request_id)


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
    fields = fields_in(batch)
    batch_id, status, created_at = (
        fields.get("id"),
        word_in(fields.get("processing_status")),
        _seconds(fields.get("created_at")),
    )
    if not (isinstance(batch_id, str) and PLAIN_ID.fullmatch(batch_id)):
        raise malformed("the answer is no batch: it has no id", request_id_in(headers))
    if status is None or created_at is None:
        raise malformed(f"the answer is no batch: {batch_id} has no status or no date", request_id_in(headers))
    counts, results_url = fields_in(fields.get("request_counts")), fields.get("results_url")
    return RemoteBatch(
        batch_id=batch_id,
        status=status,
        counts={name: count_in(counts[name]) or 0 for name in COUNTED if name in counts},
        created_at=created_at,
        expires_at=_seconds(fields.get("expires_at")),
        ended_at=_seconds(fields.get("ended_at")),
        archived=fields.get("archived_at") is not None,
        results_url=escape_control(results_url) if isinstance(results_url, str) else None,
        retry_after_s=retry_after_s(headers),
    )


def _seconds(value: Any) -> float | None:
    moment = moment_in(value)
    return moment.timestamp() if moment else None


def _result_of(result: dict[str, Any]) -> BatchResult:
    kind = next((kind for kind in ResultType if kind.value == result.get("type")), None)
    match kind:
        case ResultType.SUCCEEDED:
            try:
                return BatchResult(type=kind, reply=without_secrets(reply_of(result.get("message"))))
            except AttemptError as error:
                return BatchResult(type=kind, failure=error.failure)
        case ResultType.ERRORED:
            return BatchResult(type=kind, failure=without_secrets(_failure_of(fields_in(result.get("error")))))
        case _:
            return BatchResult(type=kind)


def _failure_of(error: dict[str, Any]) -> Failure:
    fields = fields_in(error.get("error"))
    error_type, message = word_in(fields.get("type")), fields.get("message")
    return Failure(
        cause=Cause.STATUS,
        status=STATUS_OF_TYPE.get(error_type or ""),
        error_type=error_type,
        error_code=word_in(fields_in(fields.get("details")).get("error_code")),
        message=escape_control(message if isinstance(message, str) else "an error without a message")[:LONGEST_MESSAGE],
        api_request_id=word_in(error.get("request_id")),
    )
