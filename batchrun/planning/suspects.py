"""What ended its worker is cut ever smaller, until the document is found that does so."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from batchrun.document import Document, Unreadable
from batchrun.documents import Guard, Shard, Source
from batchrun.errors import EnvironmentProblem

MOST_ROWS = 1 << 20
"""A shard has fewer documents than this."""


class Stretch(NamedTuple):
    """Some neighbouring documents of a shard without files, in the place of the shard."""

    place: object
    """The place of the whole shard."""
    start: int
    stop: int
    lost: str = ""
    """Why the documents are passed over; empty if they are weighed."""


def halved(shard: Shard, reason: str) -> Sequence[Shard]:
    """Cut a shard in two. A shard with one document comes back with the reason in the document's place.

    Raises EnvironmentProblem for a document that ends workers although it is passed over.
    """
    if middle := len(shard.files) // 2:
        return [replace(shard, files=half) for half in (shard.files[:middle], shard.files[middle:])]
    if shard.files:
        return [replace(shard, files=(shard.files[0]._replace(problem=reason),))]
    whole = shard.place if isinstance(shard.place, Stretch) else Stretch(shard.place, 0, MOST_ROWS)
    if whole.lost:
        raise EnvironmentProblem(f"a row cannot even be passed over: {reason}.", hint="take its table out of [source]")
    middle = (whole.start + whole.stop) // 2
    halves = [whole._replace(stop=middle), whole._replace(start=middle)]
    parts = halves if middle > whole.start else [whole._replace(lost=reason)]
    return [replace(shard, place=part) for part in parts]


def read_stretch(source: Source, shard: Shard, guard: Guard) -> Iterator[Document | Unreadable]:
    """Read the documents of a shard, which may be a stretch of another one."""
    if not isinstance(shard.place, Stretch):
        return source.read_shard(shard, guard)
    place, start, stop, lost = shard.place
    found = islice(source.read_shard(replace(shard, place=place), guard), start, stop)
    return (Unreadable(one.doc_id, one.source, lost, one.place) for one in found) if lost else found
