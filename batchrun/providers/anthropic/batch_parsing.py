"""Reads without trust what the Message Batches API answers: batches, pages of the list, and lines of results."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from batchrun.batch import BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.escaping import escape_control
from batchrun.masking import without_secrets
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.bounds import ENTRIES
from batchrun.providers.anthropic.client import malformed, not_found
from batchrun.providers.anthropic.json_values import (
    count_in,
    decoded,
    failure_in,
    fields_in,
    json_from,
    request_id_in,
    seconds_in,
    word_in,
)
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.anthropic.retry_after import retry_after_s, server_time
from batchrun.providers.anthropic.wire import member_name

PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""What an id must look like to be put into a URL."""
LONGEST_URL = 2_000
COUNTED = ("processing", "succeeded", "errored", "canceled", "expired")


def batch_from(body: bytes, headers: Mapping[str, str]) -> RemoteBatch:
    """Read an answer with status 200. Raises AttemptError when the answer is no batch."""
    return batch_of(json_from(body, headers), headers)


def page_from(
    body: bytes, headers: Mapping[str, str], read: Callable[[Any, Mapping[str, str]], RemoteBatch] | None = None
) -> BatchPage:
    """Read a page of the list. Raises AttemptError when the answer is no page, or one entry is no batch.

    A page with one batch left out would falsely prove that a batch does not exist.
    """
    fields = fields_in(json_from(body, headers))
    listed = fields.get("data")
    if not isinstance(listed, list):
        raise malformed("the answer is no list of batches", request_id_in(headers))
    if len(listed) > ENTRIES:
        raise malformed(f"the page of the list has more than {ENTRIES:,} batches", request_id_in(headers))
    return BatchPage(
        batches=tuple((read or batch_of)(batch, headers) for batch in listed),
        has_more=bool(fields.get("has_more") and listed),
        server_time=server_time(headers),
    )


def result_from(line: bytes) -> BatchResult:
    """Read one line of a batch's results; a line that is no result becomes a result without a type."""
    fields, nonce, request_id = named_line(line)
    return replace(_result_of(fields_in(fields.get("result"))), nonce=nonce, request_id=request_id)


def named_line(line: bytes, name: str = "custom_id") -> tuple[dict[str, Any], str, str]:
    """Return the fields of a line about one request, with the nonce of the batch and the id of the request.

    `name` is the key of the request's name.
    """
    try:
        fields = fields_in(decoded(line))
    except (ValueError, RecursionError):
        fields = {}
    return fields, *member_name(word_in(fields.get(name)) or "")


def batch_of(batch: Any, headers: Mapping[str, str]) -> RemoteBatch:
    """Read a batch. Raises AttemptError when the value is no batch."""
    fields = fields_in(batch)
    batch_id, status, created_at = (
        plain_id(fields.get("id")),
        word_in(fields.get("processing_status")),
        seconds_in(fields.get("created_at")),
    )
    if batch_id is None:
        raise malformed("the answer is no batch: it has no id", request_id_in(headers))
    if status is None or created_at is None:
        raise malformed(f"the answer is no batch: {batch_id} has no status or no date", request_id_in(headers))
    counts, results_url = fields_in(fields.get("request_counts")), fields.get("results_url")
    return RemoteBatch(
        batch_id=batch_id,
        status=status,
        counts={name: count_in(counts[name]) or 0 for name in COUNTED if name in counts},
        created_at=created_at,
        expires_at=seconds_in(fields.get("expires_at")),
        ended_at=seconds_in(fields.get("ended_at")),
        archived=fields.get("archived_at") is not None,
        results_url=escape_control(results_url)
        if isinstance(results_url, str) and len(results_url) < LONGEST_URL
        else None,
        retry_after_s=retry_after_s(headers),
    )


def answered(message: Any) -> BatchResult:
    """Read the message that answers a request. A message that cannot be read was billed all the same."""
    try:
        return BatchResult(type=ResultType.SUCCEEDED, reply=without_secrets(reply_of(message)))
    except AttemptError as error:
        return BatchResult(type=ResultType.SUCCEEDED, failure=error.failure)


def plain_id(value: Any) -> str | None:
    """Return an id that may be put into a URL. Returns None for any other value."""
    return value if isinstance(value, str) and PLAIN_ID.fullmatch(value) else None


def checked(batch_id: str) -> str:
    """Return the id of a batch that may be put into a URL. Raises AttemptError for any other id."""
    if plain_id(batch_id) is None:
        raise not_found(f"no batch has the id {escape_control(batch_id)[:100]}")
    return batch_id


def _result_of(result: dict[str, Any]) -> BatchResult:
    kind = next((kind for kind in ResultType if kind.value == result.get("type")), None)
    match kind:
        case ResultType.SUCCEEDED:
            return answered(result.get("message"))
        case ResultType.ERRORED:
            return BatchResult(type=kind, failure=without_secrets(failure_in(result.get("error"), {})))
        case _:
            return BatchResult(type=kind)
