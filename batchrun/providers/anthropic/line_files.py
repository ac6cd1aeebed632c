"""Batches in files: a file has a line of JSON for each request, and other files have a line for each result."""

import json
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import IO, Any

from batchrun.batch import BatchBody, BatchResult, RemoteBatch, ResultType
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.errors import is_absence


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledBatch(RemoteBatch):
    """A batch whose requests are in a file."""

    completed: int | None = None
    """How many requests succeeded, and are billed. None if the API does not say."""
    left: ResultType | None = None
    """How requests ended that have no line. None if every request should have a line."""
    input_file: str | None = None
    """What the file with the requests is called."""


async def uploaded(
    body: BatchBody, line_of: Callable[[Any], object], upload: Callable[[IO[bytes], int], Awaitable[str]]
) -> str:
    """Write the lines of a batch to a file, and have the file and its size uploaded. Returns what `upload` returns.

    The upload goes before the end of the members, for the batch may exist from the end on. Raises AttemptError, and
    OSError of the disk.
    """
    written, name = 0, ""
    with tempfile.TemporaryFile() as spool:
        async for member in body.members():
            # A request with half a character in it is ASCII as a whole.
            line = json.dumps(line_of(json.loads(member)), ensure_ascii=member.isascii(), separators=(",", ":"))
            spool.write(line.encode() + b"\n")
            written += 1
            if written == body.requests:
                size = spool.tell()
                spool.seek(0)
                try:
                    name = await upload(spool, size)
                except AttemptError as error:
                    raise AttemptError(error.failure, before_create=True) from error
    return name


async def results_in_lines(
    batch: FiledBatch,
    outputs: Iterable[str],
    lines: Callable[[str], AsyncGenerator[bytes, None]],
    read: Callable[[bytes], BatchResult],
    left_out: Callable[[bytes, int], BatchResult],
) -> AsyncGenerator[BatchResult, None]:
    """Yield the results in the output files, and then what became of the requests without a result.

    A request without a line was not processed if the batch ended early, and if every request that the API counts as
    completed has its line. `left_out` says how such a request ended, by its line in the input file and the number of
    the line from 1 on. Lines of other batches, and second lines of a request, count for nothing. Raises AttemptError.
    """
    seen, succeeded, number = set[str](), set[str](), 0
    for output in outputs:
        try:
            async with aclosing(lines(output)) as told:
                async for line in told:
                    result = read(line)
                    if batch.nonce in {None, result.nonce}:
                        seen.add(result.request_id)
                        if result.type is ResultType.SUCCEEDED:
                            succeeded.add(result.request_id)
                    yield result
        except AttemptError as error:
            if batch.left is None or batch.completed or not is_absence(error.failure):
                raise  # a batch that ended before its first result may have no output file
    if batch.left is None or batch.input_file is None or batch.completed is None or len(succeeded) < batch.completed:
        return
    async with aclosing(lines(batch.input_file)) as asked:
        async for line in asked:
            number += 1
            result = left_out(line, number)
            if result.request_id not in seen:
                yield result
