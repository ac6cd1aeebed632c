"""Downloads that are read line by line, by whichever SDK they are asked for."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from batchrun.providers.anthropic.bounds import Lines, pieces_of
from batchrun.providers.anthropic.client import failures_mapped
from batchrun.providers.anthropic.sending import awake_within


async def lines_of(begin: Callable[[], Awaitable[Any]], timeout_s: float) -> AsyncGenerator[bytes, None]:
    """Yield the lines of the stream that `begin` asks the SDK for.

    A download may take as long as it likes while it does not stop. Raises AttemptError.
    """
    lines = Lines()
    with failures_mapped(timeout_s):
        async with awake_within(timeout_s):
            stream = await begin()
        try:
            pieces = pieces_of(stream.response)
            while (piece := await _next_of(pieces, timeout_s)) is not None:
                for line in lines.whole(piece):
                    yield line
        finally:
            await stream.close()
    for line in lines.rest():
        yield line


async def _next_of(pieces: AsyncGenerator[bytes, None], timeout_s: float) -> bytes | None:
    async with awake_within(timeout_s):
        return await anext(pieces, None)
