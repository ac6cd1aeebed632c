"""Shards that ended their workers, cut ever smaller until the document is found that does so."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

from batchrun.document import Document, Unreadable
from batchrun.documents import Guard, Shard, Source
from batchrun.errors import EnvironmentProblem

MOST_ROWS = 1 << 20
"""A shard has less documents than this."""


class Stretch(NamedTuple):
    """Some neighbouring rows of a shard that has no files, in the place of the shard."""

    place: object
    """The place of the whole shard."""
    start: int
    stop: int
    lost: str = ""
    """Why the rows are not weighed; empty if the rows are."""


def halved(shard: Shard, reason: str) -> Sequence[Shard]:
    """Cut a shard in two. A shard with one document comes back with the reason in the document's place.

    Raises EnvironmentProblem for a shard that ends workers although no document of the shard is looked at.
    """
    if shard.files:
        middle = len(shard.files) // 2
        first, rest = shard.files[:middle], shard.files[middle:]
        if not first:
            _require_new(shard.files[0].problem is None, shard.files[0].source, reason)
            return [replace(shard, files=(rest[0]._replace(problem=reason),))]
        return [replace(shard, files=first), replace(shard, files=rest)]
    whole = shard.place if isinstance(shard.place, Stretch) else Stretch(shard.place, 0, MOST_ROWS)
    if whole.stop - whole.start == 1:
        _require_new(not whole.lost, f"a row of part {shard.number + 1:,} of the table", reason)
        return [replace(shard, place=whole._replace(lost=reason))]
    middle = (whole.start + whole.stop) // 2
    return [replace(shard, place=half) for half in (whole._replace(stop=middle), whole._replace(start=middle))]


def read_stretch(source: Source, shard: Shard, guard: Guard) -> Iterator[Document | Unreadable]:
    """Read the documents of a shard that may be a stretch of another one."""
    if not isinstance(shard.place, Stretch):
        return source.read_shard(shard, guard)
    place, start, stop, lost = shard.place
    found = islice(source.read_shard(replace(shard, place=place), guard), start, stop)
    return (Unreadable(one.doc_id, one.source, lost, one.place) for one in found) if lost else found


def joined(columns: Sequence[tuple[tuple[object, ...], ...]]) -> tuple[tuple[object, ...], ...]:
    """Join columns of the stretches of one shard. A stretch without documents has no columns."""
    return tuple(tuple(chain(*parts)) for parts in zip(*filter(None, columns), strict=True))


def _require_new(is_new: bool, what: str, reason: str) -> None:  # noqa: FBT001
    if not is_new:
        raise EnvironmentProblem(f"{what} cannot even be passed over: {reason}.", hint="take it out of [source]")
