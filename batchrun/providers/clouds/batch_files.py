"""The files of batches in the clouds: requests go up as lines of JSON, and results come down as such lines.

All files of a batch stay in the bucket, in the folder `batchrun/NONCE` behind `[provider] bucket`: the requests in
`requests.jsonl`, or in `by-tool.jsonl` if a tool stands in the place of their schema, and the results behind them.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

from batchrun.batch import BatchBody, BatchResult, RemoteBatch, ResultType
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection
from batchrun.masking import without_secrets
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.client import LONGEST_MESSAGE
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


@dataclass(frozen=True, slots=True)
class FileForm:
    """How a cloud writes the lines of its files."""

    version: str
    """The version of the Messages API there, which stands in the place of the model."""
    name: str
    """The key of a request's name; the next ones are the keys of the request and of the message that answers."""
    request: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledBatch(RemoteBatch):
    """A batch with its files."""

    input_uri: str
    output_uri: str
    """The folder with the results."""
    completed: int | None
    """How many requests have succeeded, and are billed. None if the cloud does not say."""
    left: ResultType | None
    """What the requests are that have no line. None if there is to be a line for every request."""
    why: Failure | None = None
    """Why requests have no line, where the cloud failed."""


def folder_of(section: ProviderSection, nonce: str) -> str:
    """Return the folder for the files of a batch."""
    return f"{(section.bucket or '').rstrip('/')}/batchrun/{nonce}"


def place_of(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of a file or a folder."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def nonce_in(name: Any) -> str | None:
    """Return the nonce in the name of a batch. Returns None for a name that is not as ours are."""
    word = word_in(name) or ""
    return word.removeprefix(NAMED) if word.startswith(NAMED) else None


@contextmanager
def before_create() -> Iterator[None]:
    """Say of failures that the call that creates was not made yet."""
    try:
        yield
    except AttemptError as error:
        raise AttemptError(error.failure, before_create=True) from error


async def written(
    body: BatchBody, spool: IO[bytes], form: FileForm, translated: Callable[[Request], Request]
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
        line = {form.name: fields["custom_id"], form.request: {"anthropic_version": form.version, **params}}
        # A request with half a character in it is ASCII as a whole.
        spool.write(json.dumps(line, ensure_ascii=member.isascii(), separators=(",", ":")).encode() + b"\n")
        name = BY_TOOL if there is not request and asks_by_schema(fields["params"]) else name
        count += 1
        if count == body.requests:
            yield name


async def results_of(
    batch: FiledBatch, form: FileForm, outputs: Iterable[str], lines: Callable[[str], AsyncGenerator[bytes, None]]
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
                    result = result_from(line, form, by_tool=by_tool)
                    seen.add(result.request_id)
                    succeeded += result.type is ResultType.SUCCEEDED
                    yield result
        except AttemptError as error:
            if batch.left is None or not is_absence(error.failure):
                raise  # a batch that ended before its first result has no output file
    if batch.left and batch.completed is not None and succeeded >= batch.completed:
        async with aclosing(lines(batch.input_uri)) as asked:
            async for line in asked:
                nonce, request_id = _named(_fields_of(line), form)
                if request_id not in seen:
                    yield BatchResult(nonce=nonce, request_id=request_id, type=batch.left, failure=batch.why)


def result_from(line: bytes, form: FileForm, *, by_tool: bool) -> BatchResult:
    """Read a line of an output file; a line that is no result becomes a result without a type."""
    fields = _fields_of(line)
    nonce, request_id = _named(fields, form)
    return replace(_result_of(fields, fields.get(form.message), by_tool=by_tool), nonce=nonce, request_id=request_id)


def _result_of(fields: dict[str, Any], message: Any, *, by_tool: bool) -> BatchResult:
    told = fields.get("error") or fields.get("status")  # Bedrock's word, and Google's
    if is_error(message):
        failure = failure_in(message, {})
    elif message and isinstance(message, dict):
        try:
            reply = reply_of(answered_in_text(message) if by_tool else message)
        except AttemptError as error:
            return BatchResult(type=ResultType.SUCCEEDED, failure=error.failure)
        return BatchResult(type=ResultType.SUCCEEDED, reply=without_secrets(reply))
    elif told:
        failure = failure_of(told)
    else:
        return BatchResult(type=None)
    return BatchResult(type=ResultType.ERRORED, failure=without_secrets(failure))


def failure_of(told: Any) -> Failure:
    """Read an error of a request or of a whole batch. An error without a code may end by itself."""
    fields = _fields_of(told.encode()) if isinstance(told, str) else fields_in(told)
    fields = fields_in(fields.get("error")) or fields
    code = count_in(fields.get("errorCode", fields.get("code")))
    message = fields.get("errorMessage", fields.get("message"))
    words = next((one for one in (message, told) if isinstance(one, str) and one), "an error without a message")
    return Failure(
        cause=Cause.STATUS,
        status=STATUS_OF_RPC.get(code or 0, code),
        message=escape_control(words[:LONGEST_MESSAGE])[:LONGEST_MESSAGE],
    )


def counts_of(
    total: int | None, succeeded: int | None, errored: int | None, *, ended: bool, left: ResultType | None
) -> dict[str, int]:
    """Count the requests of a batch by how they ended; until the end all are `processing`."""
    if not ended:
        return {"processing": total or 0}
    counts = {"succeeded": succeeded or 0, "errored": errored or 0}
    rest = (left or ResultType.ERRORED).value
    return counts | {rest: counts.get(rest, 0) + max(0, (total or 0) - sum(counts.values()))}


def _named(fields: dict[str, Any], form: FileForm) -> tuple[str, str]:
    return member_name(word_in(fields.get(form.name)) or "")


def _fields_of(line: bytes) -> dict[str, Any]:
    try:
        return fields_in(decoded(line))
    except (ValueError, RecursionError):
        return {}
