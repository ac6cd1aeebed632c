"""Reads without trust what the Batch API of OpenAI answers: batches, and lines of its files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from batchrun.batch import BatchResult, ResultType
from batchrun.masking import without_secrets
from batchrun.providers.anthropic.batch_parsing import answered, named_line, plain_id
from batchrun.providers.anthropic.client import malformed
from batchrun.providers.anthropic.json_values import (
    LAST_MOMENT,
    count_in,
    failure_in,
    fields_in,
    request_id_in,
    word_in,
)
from batchrun.providers.anthropic.line_files import FiledBatch
from batchrun.providers.anthropic.retry_after import retry_after_s
from batchrun.reply import Cause, Failure

STATUSES = {
    "finalizing": "in_progress",
    "cancelling": "canceling",
    **dict.fromkeys(("completed", "failed", "expired", "cancelled"), "ended"),
}
"""The statuses of this API in the words of the port. A batch has failed if its input file was refused as a whole."""
VALIDATING = "validating"
"""The status of a batch whose input file the API still looks at."""
LEFT = {"expired": ResultType.EXPIRED, "cancelled": ResultType.CANCELED, "failed": ResultType.ERRORED}
"""How the requests ended that a batch of this status left unprocessed."""
CODES = {"batch_expired": ResultType.EXPIRED, "batch_cancelled": ResultType.CANCELED}
"""How requests ended whose lines have no response, by the code."""
MOST_DIGITS = 10
"""A number of so many digits is no number of requests."""
QUEUE_FULL = "token_limit_exceeded"
STATUS_OF_CODE = {QUEUE_FULL: 429, "model_not_found": 404}
"""The statuses that the same problems have as answers of calls; others are of the request, like a 400."""
KEPT_BACK = Failure(
    cause=Cause.STATUS, status=429, error_type="batch_failed", message="its batch was refused for another request"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch(FiledBatch):
    """A batch with the files that the API keeps of the batch."""

    output_files: tuple[str, ...] = ()
    """The ids of the files with the results: of the requests that succeeded, then of the others."""
    refusals: Mapping[int, Failure] = field(default_factory=dict)
    """Why the input file was refused, by the number of the line from 1 on; what concerns the whole file is at 0."""


def batch_of(value: Any, headers: Mapping[str, str]) -> StoredBatch:
    """Read a batch. Raises AttemptError when the value is no batch."""
    fields = fields_in(value)
    batch_id, status, created_at = (
        plain_id(fields.get("id")),
        word_in(fields.get("status")),
        _seconds(fields.get("created_at")),
    )
    if batch_id is None or status is None or created_at is None:
        raise malformed("the answer is no batch: it lacks its id, its status or its date", request_id_in(headers))
    counts, metadata = fields_in(fields.get("request_counts")), fields_in(fields.get("metadata"))
    total, completed, failed = (count_in(counts.get(name)) for name in ("total", "completed", "failed"))
    meant = word_in(metadata.get("requests")) or ""  # nothing is counted before the input file was looked at
    total = total or (int(meant) if meant.isdecimal() and len(meant) < MOST_DIGITS else 0)
    done, ended = {"succeeded": completed or 0, "errored": failed or 0}, STATUSES.get(status) == "ended"
    rest = LEFT.get(status, ResultType.ERRORED).value if ended else "processing"
    return StoredBatch(
        batch_id=batch_id,
        status=STATUSES.get(status, status),
        counts=done | {rest: done.get(rest, 0) + max(0, total - sum(done.values()))},
        created_at=created_at,
        expires_at=_seconds(fields.get("expires_at")),
        ended_at=_seconds(fields.get(f"{status}_at")) if ended else None,
        retry_after_s=retry_after_s(headers),
        nonce=word_in(metadata.get("nonce")),
        completed=0 if status == "failed" else completed,
        left=LEFT.get(status),
        input_file=plain_id(fields.get("input_file_id")),
        output_files=tuple(filter(None, (plain_id(fields.get(f"{name}_file_id")) for name in ("output", "error")))),
        refusals=_refusals(fields_in(fields.get("errors")).get("data")) if status == "failed" else {},
    )


def file_id_of(value: Any, headers: Mapping[str, str]) -> str:
    """Read the id of a file. Raises AttemptError when the value is no file."""
    if file_id := plain_id(fields_in(value).get("id")):
        return file_id
    raise malformed("the answer is no file: it has no id", request_id_in(headers))


def result_from(line: bytes, message_in: Callable[[Any], Any]) -> BatchResult:
    """Read a line of an output file; a line that is no result becomes a result without a type.

    `message_in` says the body of an answer in the words of the Messages API.
    """
    fields, nonce, request_id = named_line(line)
    response, error = fields_in(fields.get("response")), fields_in(fields.get("error"))
    result = BatchResult(nonce=nonce, request_id=request_id, type=CODES.get(word_in(error.get("code")) or ""))
    match count_in(response.get("status_code")):
        case 200:
            return replace(answered(message_in(response.get("body"))), nonce=nonce, request_id=request_id)
        case None if result.type or not error:
            return result
        case status:
            told = fields_in(fields_in(response.get("body")).get("error")) or error
            return replace(result, type=ResultType.ERRORED, failure=_failure_of(told, status))


def left_out(line: bytes, number: int, batch: StoredBatch) -> BatchResult:
    """Say how a request ended that was not processed, by its line in the input file and the number of the line."""
    _, nonce, request_id = named_line(line)
    refusals = batch.refusals
    failure = refusals.get(number) or refusals.get(0) or KEPT_BACK if batch.left is ResultType.ERRORED else None
    return BatchResult(nonce=nonce, request_id=request_id, type=batch.left, failure=failure)


def _seconds(value: Any) -> float | None:
    seconds = count_in(value)
    return None if seconds is None or seconds > LAST_MOMENT.timestamp() else float(seconds)


def _refusals(problems: Any) -> dict[int, Failure]:
    """Read what is wrong with an input file, by the line. Of several problems of a line the first counts."""
    refusals: dict[int, Failure] = {}
    for problem in problems if isinstance(problems, list) else ():
        fields = fields_in(problem)
        status = STATUS_OF_CODE.get(word_in(fields.get("code")) or "", 400)
        refusals.setdefault(count_in(fields.get("line")) or 0, _failure_of(fields, status))
    return refusals or {0: _failure_of({}, 400)}


def _failure_of(error: Mapping[str, Any], status: int | None) -> Failure:
    failure = replace(failure_in({"error": error}, {}), status=status, error_code=word_in(error.get("code")))
    return without_secrets(failure)
