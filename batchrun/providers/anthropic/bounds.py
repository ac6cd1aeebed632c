"""The bounds on everything that is read from the API, and the reading of a body within its bound.

Sizes are counted while the bytes come, before and after decompression. Nothing is kept, and no more is read, once a
bound is passed. The headers have the bounds of aiohttp: 8,190 bytes for a line, and 128 lines.
"""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from math import inf

import anthropic
import httpx2

BODY = 32_000_000
"""The most bytes of an answer that is read as a whole, and of the text of a streamed message."""
ERROR_BODY = 1_000_000
"""The most bytes of the body of an error; the rest is not read, since the status alone decides."""
STREAM = 64_000_000
"""The most bytes of the events of a streamed message: about 150 for each of 128,000 tokens are 20 MB."""
LINE = 32_000_000
"""The most bytes of a line of a batch's results."""
LINES = 1_000_000
"""The most lines of a batch's results: a batch has 100,000 requests at most."""
ENTRIES = 1_000
"""The most batches on one page of the list: nobody asks for more."""
STEP = 1_000_000
"""The most bytes that are decompressed at once."""
ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
"""Lets zlib find out from the first bytes which of the two formats the data have."""


class UnreadableBodyError(anthropic.AnthropicError):
    """A body that is too large, or is compressed in a way that nobody asked for. The SDK passes such an error on."""


class BoundedBody(httpx2.AsyncByteStream):
    """The body of a response, decompressed and counted piece by piece. The connection is closed beyond the bound.

    The body of an error ends there, and so the status of the error still counts.
    """

    def __init__(self, source: httpx2.AsyncByteStream, *, encoding: str, is_error: bool) -> None:
        self._source = source
        self._encoding = encoding
        self._is_error = is_error
        self._inflate = zlib.decompressobj(GZIP_OR_ZLIB)
        self._received = self._read = 0
        self.bound: float = ERROR_BODY if is_error else BODY

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the decompressed bytes. Raises UnreadableBodyError."""
        try:
            async for piece in self._source:
                self._received = self._counted(self._received, piece)
                for part in self._decompressed(piece):
                    self._read = self._counted(self._read, part)
                    yield part
        except UnreadableBodyError:
            await self.aclose()
            if not self._is_error:
                raise

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end."""
        await self._source.aclose()

    def _counted(self, so_far: int, piece: bytes) -> int:
        size = so_far + len(piece)
        if size > self.bound:
            raise UnreadableBodyError(f"the answer is larger than {self.bound:,} bytes")
        return size

    def _decompressed(self, piece: bytes) -> Iterator[bytes]:
        if not self._encoding:
            yield piece
            return
        if self._encoding not in ENCODINGS:
            raise UnreadableBodyError("the answer is compressed in a way that was not asked for")
        part = b""
        try:
            while piece or len(part) == STEP:  # a full step may have left something inside zlib
                part = self._inflate.decompress(piece, STEP)
                piece = self._inflate.unconsumed_tail
                if self._inflate.eof:  # a body may be several compressed texts, one after another
                    piece, self._inflate = self._inflate.unused_data, zlib.decompressobj(GZIP_OR_ZLIB)
                yield part
        except zlib.error as error:
            raise UnreadableBodyError("the answer is compressed, and cannot be decompressed") from error


async def bound_body(response: httpx2.Response) -> None:
    """Put a bound to the body of a response, whoever reads the body: the SDK reads the bodies of errors itself."""
    encodings = [word.lower() for word in response.headers.get_list("content-encoding", split_commas=True)]
    encoding = ",".join(word for word in encodings if word not in {"", "identity"})
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = BoundedBody(response.stream, encoding=encoding, is_error=not response.is_success)
    response.headers.pop("content-encoding", None)
    response.encoding = "utf-8"  # a `charset` may name a codec of Python's that decompresses


async def pieces_of(response: httpx2.Response, *, bound: float = inf) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a body that is read piece by piece, and so has another bound as a whole."""
    if isinstance(response.stream, BoundedBody):
        response.stream.bound = bound
    async for piece in response.aiter_bytes():
        yield piece


class Lines:
    """Makes lines of bytes that come in pieces; only the line that has begun is kept."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._ended = 0

    def whole(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that end in this piece; only a line feed ends a line, since JSON may contain U+2028.

        Raises UnreadableBodyError for a line that is too long, and for too many lines.
        """
        end, *begins = piece.split(b"\n")
        self._add(end)
        for begin in begins:
            yield from self.rest()
            self._begun.clear()
            self._ended += 1
            self._add(begin)

    def rest(self) -> Iterator[bytes]:
        """Yield the line that has begun, unless the line is blank."""
        if self._begun.strip():
            yield bytes(self._begun)

    def _add(self, part: bytes) -> None:
        self._begun += part
        if len(self._begun) > LINE or self._ended > LINES:
            raise UnreadableBodyError(f"the answer has a line of more than {LINE:,} bytes, or over {LINES:,} lines")
