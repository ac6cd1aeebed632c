"""Some documents of a source as a source: to plan them again reads no other document."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import Guard, Shard, Source, unguarded


@dataclass(frozen=True, slots=True)
class ChosenDocuments:
    """Documents of a source, found by their references."""

    source: Source
    refs: tuple[DocumentRef, ...]

    @property
    def page(self) -> int:
        """How many references to `read` at once."""
        return self.source.page

    @property
    def parallel(self) -> bool:
        """Whether other processes may read shards."""
        return self.source.parallel

    @property
    def columns(self) -> frozenset[str] | None:
        """The names of the columns of the documents."""
        return self.source.columns

    def canary(self) -> str | None:
        """Return the path of a file that other processes must see."""
        return self.source.canary()

    def shards(self) -> Iterator[Shard]:
        """List the documents in the order of the references."""
        for number, first in enumerate(range(0, len(self.refs), self.page)):
            yield Shard(number, self.refs[first : first + self.page], size=0)

    def read_shard(self, shard: Shard, guard: Guard = unguarded) -> Iterator[Document | Unreadable]:
        """Read the documents of a shard."""
        assert isinstance(shard.place, tuple)
        yield from self.source.read(shard.place, guard)

    def read(self, refs: Sequence[DocumentRef], guard: Guard = unguarded) -> list[Document | Unreadable]:
        """Read documents, chosen or not."""
        return self.source.read(refs, guard)
