"""Where documents come from: files, and the rows of a DuckDB query. A source finds and reads, and judges nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from batchrun.document import Document, DocumentRef, Unreadable


@dataclass(frozen=True, slots=True)
class Shard:
    """Some neighbouring documents of a source, which are read together, perhaps by another process."""

    number: int
    """The position of the shard in its source, from 0 on."""
    place: object
    """Where the documents are; picklable, and opaque to all but the source."""
    size: int
    """The bytes to be read, as far as the source knows before reading."""


class Source(Protocol):
    """Something that has documents. Reading a document twice gives the same, unless somebody changed the document."""

    @property
    def page(self) -> int:
        """How many references to `read` at once when sending."""

    @property
    def columns(self) -> frozenset[str] | None:
        """The names for `{{ doc.name }}` in a prompt, beside id and text; None when documents have no columns."""

    def scan(self) -> Iterator[Document | Unreadable]:
        """Read every document in a stable order, one text in memory at a time."""

    def read(self, refs: Sequence[DocumentRef]) -> list[Document | Unreadable]:
        """Read these documents as they are now, in the order of `refs`."""
