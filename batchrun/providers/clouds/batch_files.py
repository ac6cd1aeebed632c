"""The files of batches in the clouds: requests go up as lines of JSON, and results come down as such lines.

All files of a batch stay in the bucket, in the folder `batchrun/NONCE` behind `[provider] bucket`: the requests in
`requests.jsonl`, or in `by-tool.jsonl` if a tool stands in the place of their schema, and the results behind them.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

from batchrun.batch import BatchBody, BatchResult, RemoteBatch, ResultType
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection
from batchrun.masking import without_secrets
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.batch_parsing import PLAIN_ID
from batchrun.providers.anthropic.client import LONGEST_MESSAGE, malformed, not_found
from batchrun.providers.anthropic.errors import is_absence
from batchrun.providers.anthropic.json_values import count_in, decoded, failure_in, fields_in, is_error, word_in
from batchrun.providers.anthropic.message_parsing import reply_of
from batchrun.providers.anthropic.tool_instead import answered_in_text, asks_by_schema
from batchrun.providers.anthropic.wire import member_name
from batchrun.reply import Cause, Failure
from batchrun.request import Request

NAMED = "batchrun-"
"""How the names of our batches begin; the nonce follows."""
PLAIN, BY_TOOL = "requests.jsonl", "by-tool.jsonl"
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
    completed: str
    canceling: str
    failed: str
    """The state of a batch that was not carried out, for a reason of the whole batch."""
    left: Mapping[str, ResultType]
    """What requests without a line are in the other states at the end. A completed batch has a line for every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledBatch(RemoteBatch):
    """A batch with its files."""

    input_uri: str
    output_uri: str
    """The folder with the results."""
    completed: int | None
    """How many requests have succeeded, and are billed. None if the cloud does not say."""
    left: ResultType | None
    why: Failure
    """Why requests have no line, where these count as errored."""


def filed_batch(
    cloud: Cloud,
    name: Any,
    state: Any,
    *,
    at: tuple[float | None, float | None],
    counted: tuple[int | None, int | None, int | None],
    uris: tuple[Any, Any],
    nonce: str | None,
    why: Failure,
) -> FiledBatch:
    """Put a batch together from what a cloud tells. Raises AttemptError when that is no batch.

    `at` has the times of the creation and of the end, and `counted` all requests, those that succeeded and those that
    have errors.
    """
    batch_id, (created_at, ended_at), (total, succeeded, errored) = str(name or "").rpartition("/")[2], at, counted
    if not (PLAIN_ID.fullmatch(batch_id) and isinstance(state, str)) or created_at is None:
        raise malformed("the answer is no batch: it has no id, no state or no date", None)
    left = ResultType.ERRORED if state == cloud.failed else cloud.left.get(state)
    ended, counts = left is not None or state == cloud.completed, {"processing": total or 0}
    if ended:
        counts = {"succeeded": succeeded or 0, "errored": errored or 0}
        rest = (left or ResultType.ERRORED).value
        counts[rest] = counts.get(rest, 0) + max(0, (total or 0) - sum(counts.values()))
    return FiledBatch(
        batch_id=batch_id,
        status="ended" if ended else "canceling" if state == cloud.canceling else "in_progress",
        counts=counts,
        created_at=created_at,
        ended_at=ended_at if ended else None,
        nonce=nonce,
        input_uri=str(uris[0] or ""),
        output_uri=str(uris[1] or "").rstrip("/"),
        completed=0 if succeeded is None and state == cloud.failed else succeeded,
        left=left,
        why=why if state == cloud.failed else LOST,
    )


def checked(batch_id: str) -> str:
    """Return an id that can be put into a URL. Raises AttemptError for another one."""
    if not PLAIN_ID.fullmatch(batch_id):
        raise not_found(f"no batch has the id {escape_control(batch_id)[:100]}")
    return batch_id


def folder_of(section: ProviderSection, nonce: str) -> str:
    """Return the folder for the files of a batch."""
    return f"{(section.bucket or '').rstrip('/')}/batchrun/{nonce}"


def place_of(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of a file or a folder."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


@contextmanager
def before_create() -> Iterator[None]:
    """Say of failures that the call that creates was not made yet."""
    try:
        yield
    except AttemptError as error:
        raise AttemptError(error.failure, before_create=True) from error


async def written(
    cloud: Cloud, body: BatchBody, spool: IO[bytes], translated: Callable[[Request], Request]
) -> AsyncIterator[str]:
    """Write the requests of a batch to a file, and yield the name that the file should have.

    The name comes once, before the end of the members is awaited: from the end on the batch may exist.
    """
    count, name = 0, PLAIN
    async for member in body.members():
        fields = json.loads(member)
        request = Request.of(fields["params"])
        there = translated(request)
        params = json.loads(there.body)
        del params["model"]
        line = {cloud.name: fields["custom_id"], cloud.request: {"anthropic_version": cloud.version, **params}}
        # A request with half a character in it is ASCII as a whole.
        spool.write(json.dumps(line, ensure_ascii=member.isascii(), separators=(",", ":")).encode() + b"\n")
        name = BY_TOOL if there is not request and asks_by_schema(fields["params"]) else name
        count += 1
        if count == body.requests:
            yield name


async def results_of(
    cloud: Cloud, batch: FiledBatch, outputs: Iterable[str], lines: Callable[[str], AsyncGenerator[bytes, None]]
) -> AsyncGenerator[BatchResult, None]:
    """Yield the results in the output files, and then what became of the requests without a result.

    A request without a line was not processed if the batch ended early, and if there is a line for every request that
    is counted as completed; the input file names such requests. Raises AttemptError.
    """
    seen, succeeded, by_tool = set[str](), 0, batch.input_uri.endswith(f"/{BY_TOOL}")
    for uri in outputs:
        try:
            async with aclosing(lines(uri)) as told:
                async for line in told:
                    result = result_from(cloud, line, by_tool=by_tool)
                    seen.add(result.request_id)
                    succeeded += result.type is ResultType.SUCCEEDED
                    yield result
        except AttemptError as error:
            if batch.left is None or not is_absence(error.failure):
                raise  # a batch that ended before its first result has no output file
    if batch.left and batch.completed is not None and succeeded >= batch.completed:
        why = batch.why if batch.left is ResultType.ERRORED else None
        async with aclosing(lines(batch.input_uri)) as asked:
            async for line in asked:
                nonce, request_id = member_name(word_in(_fields_of(line).get(cloud.name)) or "")
                if request_id not in seen:
                    yield BatchResult(nonce=nonce, request_id=request_id, type=batch.left, failure=why)


def result_from(cloud: Cloud, line: bytes, *, by_tool: bool) -> BatchResult:
    """Read a line of an output file; a line that is no result becomes a result without a type."""
    fields = _fields_of(line)
    nonce, request_id = member_name(word_in(fields.get(cloud.name)) or "")
    message, error = fields.get(cloud.message), fields.get("error") or fields.get("status")  # of Bedrock, and of Google
    result = BatchResult(type=None)
    if is_error(message):
        result = _errored(failure_in(message, {}))
    elif message and isinstance(message, dict):
        result = _answered(answered_in_text(message) if by_tool else message)
    elif error:
        result = _errored(failure_of(error))
    return replace(result, nonce=nonce, request_id=request_id)


def _answered(message: Any) -> BatchResult:
    try:
        return BatchResult(type=ResultType.SUCCEEDED, reply=without_secrets(reply_of(message)))
    except AttemptError as error:
        return BatchResult(type=ResultType.SUCCEEDED, failure=error.failure)


def _errored(failure: Failure) -> BatchResult:
    return BatchResult(type=ResultType.ERRORED, failure=without_secrets(failure))


def failure_of(told: Any) -> Failure:
    """Read an error of a request or of a whole batch. An error without a code may end by itself."""
    fields = _fields_of(told.encode()) if isinstance(told, str) else fields_in(told)
    fields = fields_in(fields.get("error")) or fields
    code = count_in(fields.get("errorCode", fields.get("code")))
    message = fields.get("errorMessage", fields.get("message"))
    words = next((one for one in (message, told) if isinstance(one, str) and one), "an error without a message")
    words = escape_control(words[:LONGEST_MESSAGE])[:LONGEST_MESSAGE]
    return Failure(cause=Cause.STATUS, status=STATUS_OF_RPC.get(code or 0, code), message=words)


def _fields_of(line: bytes) -> dict[str, Any]:
    try:
        return fields_in(decoded(line))
    except (ValueError, RecursionError):
        return {}
