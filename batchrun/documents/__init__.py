"""Where documents come from: files, and the rows of a DuckDB query. A source finds and reads; it judges nothing."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from batchrun.document import Document, DocumentRef, Unreadable


class Source(Protocol):
    """Something that holds documents. Reading twice gives the same, unless somebody changed them."""

    @property
    def page(self) -> int:
        """How many references to `read` at once when sending."""

    @property
    def columns(self) -> frozenset[str] | None:
        """The names usable as `{{ doc.name }}` beside id and text; None when documents have no columns."""

    def scan(self) -> Iterator[Document | Unreadable]:
        """Read every document in a stable order, one text in memory at a time."""

    def read(self, refs: Sequence[DocumentRef]) -> list[Document | Unreadable]:
        """Read these documents as they are now, in the order of `refs`."""
