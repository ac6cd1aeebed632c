"""Reading in this process while that is safe and quick, else in child processes: the result is the same."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from batchrun.documents import GivenUp, Guard, NeedsChild, Shard
from batchrun.errors import EnvironmentProblem
from batchrun.workers.children import ChildDied, Children

Page_co = TypeVar("Page_co", covariant=True)
Wanted_contra = TypeVar("Wanted_contra", contravariant=True)
Prepared_co = TypeVar("Prepared_co", covariant=True)
WORTH_CHILDREN = 20_000_000
"""From how many bytes of documents on it pays to start child processes for documents that need none."""
AHEAD = 4
"""How many shards are under way for each child process."""
LISTED = 32
"""How many shards are listed before one is read: a process that will start others begins no large reading itself."""
TRIES = 2
"""How often a document is read that ended a child process: perhaps the documents before it were at fault."""


class Weighs(Protocol[Page_co, Wanted_contra, Prepared_co]):
    """Reads documents, in whichever process. The weigher itself is sent to other processes."""

    def weigh(self, shard: Shard, counts: bool, guard: Guard) -> Page_co:  # noqa: FBT001 (all arguments are sent)
        """Read a shard."""

    def prepare(self, wanted: Sequence[Wanted_contra], guard: Guard) -> Sequence[Prepared_co]:
        """Read some documents again."""


def refuse(_: str) -> Any:
    """Refuse, as a guard, to read in this process what may end the process."""
    raise NeedsChild


@dataclass(eq=False)
class Workers(Generic[Page_co, Wanted_contra, Prepared_co]):
    """Reads the documents of one source."""

    weigher: Weighs[Page_co, Wanted_contra, Prepared_co]
    children: Children
    parallel: bool
    """Whether other processes can read the source."""
    _given_up: dict[str, GivenUp] = field(default_factory=dict)
    _deaths: Counter[str] = field(default_factory=Counter)

    def weigh(self, shards: Iterable[tuple[Shard, bool]]) -> Iterator[tuple[Shard, Page_co]]:
        """Read shards, each given with whether its documents are counted. Pages come in any order."""
        under_way: dict[Future[Page_co], tuple[Shard, bool]] = {}
        listed = iter(shards)
        ahead = list(itertools.islice(listed, LISTED if self.parallel else 0))
        seen_bytes, listed_bytes = 0, sum(shard.size for shard, _ in ahead)
        for shard, counts in itertools.chain(ahead, listed):
            seen_bytes += shard.size
            inline = None if self._pays(max(seen_bytes, listed_bytes)) else self._inline(shard, counts=counts)
            if inline is not None:
                yield shard, inline
                continue
            under_way[self._send(shard, counts=counts)] = shard, counts
            while len(under_way) >= AHEAD * self.children.number:
                yield from self._landed(under_way)
        while under_way:
            yield from self._landed(under_way)

    def prepare(self, wanted: Sequence[Wanted_contra]) -> Sequence[Prepared_co]:
        """Read some documents again. The call blocks."""
        if not (self.parallel and self.children.started):
            with contextlib.suppress(NeedsChild):
                return self.weigher.prepare(wanted, refuse)
        while True:
            try:
                sent = self.children.submit(self.weigher.prepare, wanted, given_up=self._given_up)
                prepared: Sequence[Prepared_co] = sent.result()
            except ChildDied as died:
                self._learn(died)
            else:
                self._deaths[""] = 0
                return prepared

    def _pays(self, seen_bytes: int) -> bool:
        worth_while = self.children.number > 1 and seen_bytes >= WORTH_CHILDREN
        return self.parallel and (self.children.started or worth_while)

    def _inline(self, shard: Shard, *, counts: bool) -> Page_co | None:
        try:
            return self.weigher.weigh(shard, counts, refuse)
        except NeedsChild:
            return None

    def _send(self, shard: Shard, *, counts: bool) -> "Future[Page_co]":
        return self.children.submit(self.weigher.weigh, shard, counts, given_up=self._given_up)

    def _landed(self, under_way: "dict[Future[Page_co], tuple[Shard, bool]]") -> Iterator[tuple[Shard, Page_co]]:
        """Yield what is done. A shard during which a child died is read again."""
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            shard, counts = under_way.pop(future)
            try:
                page = future.result()
            except ChildDied as died:
                self._learn(died)
                under_way[self._send(shard, counts=counts)] = shard, counts
            else:
                self._deaths[""] = 0
                yield shard, page

    def _learn(self, died: ChildDied) -> None:
        """Give up the document that a child was reading, if there is no hope for the document."""
        source = died.source or ""
        self._deaths[source] += 1
        if not source and self._deaths[source] > TRIES:
            raise EnvironmentProblem(
                "the processes that read documents end at once.", hint="see whether memory is short, and run it again"
            )
        if source and (died.out_of_time or self._deaths[source] >= TRIES):
            self._given_up[source] = died.reason
