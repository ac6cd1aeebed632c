"""Where documents come from: files, and the rows of a DuckDB query. A source finds and reads, and judges nothing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from batchrun.document import Document, DocumentRef, Unreadable

T = TypeVar("T")
MAX_SHARD_DOCUMENTS, MAX_SHARD_BYTES = 500, 4_000_000
"""How many documents a shard has at most, and from how many bytes on a shard takes no further document."""


class FoundFile(NamedTuple):
    """A file as it was when the source listed the file."""

    number: int
    """The position of the file in its source, from 0 on."""
    source: str
    """The path as shown to people; see `DocumentRef.source`."""
    size: int
    mtime_ns: int
    ctime_ns: int
    """When content or status of the file changed last, by the system's clock; nobody can set this time back. 0 for a
    file in a bucket, which keeps no such time."""
    inode: int
    """The inode; for a file in a bucket, the number of its version."""
    problem: str | None = None
    """Why nobody can look at the path; None for a path that may be a readable file."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Some neighbouring documents of a source, which are read together, perhaps by another process."""

    number: int
    """The position of the shard in its source, from 0 on."""
    place: object
    """Where the documents are; picklable, and opaque to all but the source."""
    size: int
    """The bytes to be read, as far as the source knows before reading."""
    files: tuple[FoundFile, ...] = ()
    """The files of the shard, of which some may be left out; empty for sources whose documents are no files."""


Guard = Callable[[str], AbstractContextManager[object]]
"""Surrounds the reading of one document, given by its source, that may end or occupy the process.

A guard raises NeedsChild where such documents are not read, and GivenUp for a document that was tried in vain.
"""


class Unfit(Exception):
    """There is nothing to read at a path; the message is the reason."""


class NeedsChild(Exception):
    """The document may be read in a child process only."""


class GivenUp(Exception):
    """The document ended or occupied the processes that read it. The message is the reason."""

    def __init__(self, reason: str, lasts: bool = True) -> None:  # noqa: FBT001, FBT002 (pickled by position)
        super().__init__(reason, lasts)
        self.reason = reason
        self.lasts = lasts
        """Whether the reason lies in the document alone, so that reading it another day ends in the same way."""

    def __str__(self) -> str:
        return self.reason


def unguarded(_: str) -> AbstractContextManager[object]:
    """Let every document be read."""
    return nullcontext()


class Source(Protocol):
    """Something that has documents. Reading a document twice gives the same, unless somebody changed the document."""

    @property
    def page(self) -> int:
        """How many references to `read` at once when sending."""

    @property
    def parallel(self) -> bool:
        """Whether other processes may read shards. The source can be pickled then."""

    @property
    def columns(self) -> frozenset[str] | None:
        """The names for `{{ doc.name }}` in a prompt, beside id and text; None when documents have no columns."""

    def canary(self) -> str | None:
        """Return the path of a file that every process which reads the source must see, or None if there is none."""

    def shards(self) -> Iterator[Shard]:
        """List all documents in a stable order, without reading more than that needs."""

    def read_shard(self, shard: Shard, guard: Guard = unguarded) -> Iterator[Document | Unreadable]:
        """Read the documents of a shard in order, one text in memory at a time."""

    def read(self, refs: Sequence[DocumentRef], guard: Guard = unguarded) -> list[Document | Unreadable]:
        """Read these documents as they are now, in the order of `refs`."""


def scan(source: Source) -> Iterator[Document | Unreadable]:
    """Read every document of a source, in order."""
    return (found for shard in source.shards() for found in source.read_shard(shard))


def grouped(found: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield neighbours in lists that are large enough for a shard and not much larger."""
    group: list[T] = []
    size = 0
    for one in found:
        group.append(one)
        size += size_of(one)
        if len(group) == MAX_SHARD_DOCUMENTS or size >= MAX_SHARD_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def text_size(found: Document | Unreadable) -> int:
    """Return how much a document holds in memory, in characters and bytes."""
    if not isinstance(found, Document):
        return 0
    return len(found.text) + (len(found.native.data) if found.native else 0)
