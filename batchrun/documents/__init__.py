"""Where documents come from: files, and the rows of a DuckDB query. A source finds and reads, and judges nothing."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from batchrun.document import Document, DocumentRef, Unreadable


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
