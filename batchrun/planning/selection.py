"""The documents of a source that a command is about."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The documents that a command is about; all documents by default."""

    limit: int | None = None
    """How many documents count, from the first one of all those that the other conditions select."""
    next: int | None = None
    """How many documents are sent at most, from the first one on that has to be sent."""
    ids: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()
    """Glob patterns over the documents' sources, or over the files that the documents are parts of."""
    where: str | None = None
    """A condition in SQL over the plan's documents."""
    again: frozenset[Outcome] = frozenset()
    """The outcomes whose documents `retry` sends again; other documents are left out."""
    max_tokens: int | None = None
    """The `max_tokens` that `retry` gives truncated documents; None doubles what they had."""

    @property
    def everything(self) -> bool:
        """Whether no document is left out."""
        return self == Selection()

    @property
    def covers_files(self) -> bool:
        """Whether no document is left out by its own properties: whole files count then."""
        return not (self.ids or self.sources or self.again)

    def takes(self, found: Document | DocumentRef | Unreadable) -> bool:
        """Whether the document is selected by id and source."""
        if self.ids and found.doc_id not in self.ids:
            return False
        named = (found.source, found.source.partition("#")[0])
        return not self.sources or any(fnmatchcase(name, pattern) for name in named for pattern in self.sources)
