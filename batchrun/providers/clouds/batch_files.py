"""The files of batches in the clouds: requests go up as lines of JSON, and results come down as such lines.

All files of a batch stay in the bucket, in the folder `batchrun/NONCE` behind `[provider] bucket`: the requests in
`requests.jsonl`, or in `by-tool.jsonl` if a tool stands in the place of their schema, and the results behind them.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any

from batchrun.batch import BatchBody, BatchResult, ResultType
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection
from batchrun.masking import without_secrets
from batchrun.providers import AttemptError
from batchrun.providers.anthropic import line_files
from batchrun.providers.anthropic.batch_parsing import PLAIN_ID, answered, named_line
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, malformed
from batchrun.providers.anthropic.errors import is_bad_key
from batchrun.providers.anthropic.json_values import count_in, decoded, failure_in, fields_in, is_error
from batchrun.providers.anthropic.tool_instead import answered_in_text, asks_by_schema
from batchrun.reply import Cause, Failure
from batchrun.request import Request

NAMED = "batchrun-"
"""How the names of our batches begin; the nonce follows."""
PLAIN, BY_TOOL = "requests.jsonl", "by-tool.jsonl"
PART = 256 * 1024
"""How many bytes of a file travel at once."""
LISTED_S = 60 * 24 * 3600.0
"""How old the jobs are at most that are listed. Results that old are of no use to a run any more."""
MOST_PAGES = 200
REFUSED_FILES = frozenset({301, 307, 400, 403, 404})
"""The statuses by which a cloud says that a bucket is missing, is elsewhere, or may not be written."""
STATUS_OF_RPC = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 13: 500, 14: 503, 16: 401}
"""The HTTP statuses of the codes of Google (`google.rpc.Code`)."""
LOST = Failure(cause=Cause.STATUS, status=500, message="the batch ended without a result of this request")


@dataclass(frozen=True, slots=True)
class Cloud:
    """How a cloud writes the lines of its files, and what it calls the states of a batch."""

    version: str
    """The version of the Messages API there, which stands in the place of the model."""
    name: str
    """The key of a request's name; the next ones are the keys of the request and of the message that answers."""
    request: str
    message: str
    canceling: str
    ends: Mapping[str, ResultType | None]
    """What requests without a line are in the states at the end; None where every one has a line.

    A batch of any other state goes on.
    """
    unbegun: frozenset[str]
    """The states at the end in which no request was processed, unless the cloud tells another number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudBatch(line_files.FiledBatch):
    """A batch with its files."""

    output_folder: str
    why: Failure | None
    """Why the batch was not carried out. None where the cloud does not say."""


def standing(
    cloud: Cloud,
    *,
    name: Any,
    state: Any,
    created_at: float | None,
    total: int | None,
    succeeded: int | None,
    errored: int | None,
) -> dict[str, Any]:
    """Return which batch a job is, and how far: the fields of `CloudBatch` that follow from the job's state.

    Raises AttemptError when the job lacks what every job has.
    """
    batch_id = str(name or "").rpartition("/")[2]
    if not (PLAIN_ID.fullmatch(batch_id) and isinstance(state, str)) or created_at is None:
        raise malformed("the answer is no batch: it has no id, no state or no date", None)
    ended, left = state in cloud.ends, cloud.ends.get(state)
    counts = {"succeeded": succeeded or 0, "errored": errored or 0} if ended else {}
    rest = (left or ResultType.ERRORED).value if ended else "processing"
    counts[rest] = counts.get(rest, 0) + max(0, (total or 0) - sum(counts.values()))
    return {
        "batch_id": batch_id,
        "status": "ended" if ended else "canceling" if state == cloud.canceling else "in_progress",
        "counts": counts,
        "created_at": created_at,
        "completed": 0 if succeeded is None and state in cloud.unbegun else succeeded,
        "left": left,
    }


def folder_of(section: ProviderSection, nonce: str) -> str:
    """Return the folder for the files of a batch."""
    return f"{(section.bucket or '').rstrip('/')}/batchrun/{nonce}"


def place_of(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of a file or a folder."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


async def uploaded(
    cloud: Cloud,
    body: BatchBody,
    folder: str,
    translated: Callable[[Request], Request],
    put: Callable[[str, IO[bytes], int], Awaitable[None]],
) -> str:
    """Put the requests of a batch into a file in the folder, by `put`. Returns the address of the file.

    Raises AttemptError, and OSError of the disk.
    """
    file = PLAIN

    def line_of(member: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal file
        request = Request.of(member["params"])
        there = translated(request)
        if there is not request and asks_by_schema(member["params"]):
            file = BY_TOOL
        params = json.loads(there.body)
        del params["model"]
        return {cloud.name: member["custom_id"], cloud.request: {"anthropic_version": cloud.version, **params}}

    async def upload(spool: IO[bytes], size: int) -> str:
        uri = f"{folder}/{file}"
        try:
            await put(uri, spool, size)
        except AttemptError as error:
            raise AttemptError(_of_the_bucket(error.failure, uri)) from error
        return uri

    return await line_files.uploaded(body, line_of, upload)


def _of_the_bucket(failure: Failure, uri: str) -> Failure:
    if failure.status not in REFUSED_FILES or is_bad_key(failure):
        return failure
    words = f"{escape_control(uri)} cannot be written: {failure.message} ({failure.name}); check that the bucket exists"
    words += " in the region of the provider, and that its credentials may write there"
    return replace(failure, cause=Cause.MISCONFIGURED, message=words)


def results_of(
    cloud: Cloud, batch: CloudBatch, outputs: Iterable[str], lines: Callable[[str], AsyncGenerator[bytes, None]]
) -> AsyncGenerator[BatchResult, None]:
    """Yield the results in the output files, and what became of the requests without a result. Raises AttemptError."""

    def left_out(line: bytes, number: int) -> BatchResult:  # noqa: ARG001 - the line says everything
        _, nonce, request_id = named_line(line, cloud.name)
        why = batch.why or LOST if batch.left is ResultType.ERRORED else None
        return BatchResult(nonce=nonce, request_id=request_id, type=batch.left, failure=why)

    read = partial(result_from, cloud, by_tool=str(batch.input_file).endswith(f"/{BY_TOOL}"))
    return line_files.results_in_lines(batch, outputs, lines, read, left_out)


def result_from(cloud: Cloud, line: bytes, *, by_tool: bool) -> BatchResult:
    """Read a line of an output file; a line that is no result becomes a result without a type."""
    fields, nonce, request_id = named_line(line, cloud.name)
    message, error = fields.get(cloud.message), fields.get("error") or fields.get("status")  # of Bedrock, and of Google
    result = BatchResult(type=None)
    if is_error(message):
        result = _errored(failure_in(message, {}))
    elif message and isinstance(message, dict):
        result = answered(answered_in_text(message) if by_tool else message)
    elif error:
        result = _errored(failure_of(error))
    return replace(result, nonce=nonce, request_id=request_id)


def _errored(failure: Failure) -> BatchResult:
    return BatchResult(type=ResultType.ERRORED, failure=without_secrets(failure))


def failure_of(told: Any) -> Failure:
    """Read an error of a request or of a whole batch. An error without a code may end by itself."""
    fields = fields_in(told)
    if isinstance(told, str):
        with suppress(ValueError, RecursionError):
            fields = fields_in(decoded(told.encode()))
    fields = fields_in(fields.get("error")) or fields
    code = count_in(fields.get("errorCode", fields.get("code")))
    message = fields.get("errorMessage", fields.get("message"))
    words = next((one for one in (message, told) if isinstance(one, str) and one), "an error without a message")
    words = escape_control(words[:LONGEST_MESSAGE])[:LONGEST_MESSAGE]
    return Failure(cause=Cause.STATUS, status=STATUS_OF_RPC.get(code or 0, code), message=words)
