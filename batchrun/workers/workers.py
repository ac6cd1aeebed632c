"""Reading in this process while that is safe and quick, else by the workers of a pool: the result is the same.

A worker that dies costs nothing but time. Whoever tells which document ends workers has that document given up; what
nobody knows of is found by halving.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from typing import Any, Generic, Protocol, TypeVar

from batchrun.documents import GivenUp, Guard, NeedsChild, Shard
from batchrun.errors import EnvironmentProblem
from batchrun.workers.pool import Pool, WorkerDied

Page = TypeVar("Page")
Wanted = TypeVar("Wanted")
Prepared_co = TypeVar("Prepared_co", covariant=True)
Some = TypeVar("Some")
Found = TypeVar("Found")
WORTH_CHILDREN = 20_000_000
"""From how many bytes of documents on it pays to start child processes for documents that need none."""
AHEAD = 4
"""How many shards are under way for each worker."""
TRIES = 2
"""How often that is read by itself which ended a worker: perhaps what was read before or beside it was at fault."""


class Weighs(Protocol[Page, Wanted, Prepared_co]):
    """Reads documents, in whichever process. The weigher itself is sent to other processes."""

    def weigh(self, shard: Shard, counts: bool, guard: Guard) -> Page:  # noqa: FBT001 (all arguments are sent)
        """Read a shard."""

    def prepare(self, wanted: Sequence[Wanted], guard: Guard) -> Sequence[Prepared_co]:
        """Read some documents again."""

    def file_of(self, wanted: Wanted) -> object:
        """Return what is the same for all documents of one file."""

    def halved(self, shard: Shard, reason: str) -> Sequence[Shard]:
        """Cut a shard in two. One document is given up instead, for this reason: its shard is read without it."""

    def joined(self, pages: Sequence[Page]) -> Page:
        """Join the pages of a shard that was cut."""

    def given_up(self, wanted: Wanted, reason: str) -> Wanted:
        """Want a document that was given up for this reason: `prepare` tells the reason, and reads nothing."""


def refuse(_: str) -> Any:
    """Refuse, as a guard, to read in this process what may end the process."""
    raise NeedsChild


def do_nothing(_: Guard) -> None:
    """Show that a worker lives."""


@dataclass(eq=False)
class Workers(Generic[Page, Wanted, Prepared_co]):
    """Reads the documents of one source."""

    weigher: Weighs[Page, Wanted, Prepared_co]
    pool: Pool
    parallel: bool
    """Whether other processes can read the source."""
    _given_up: dict[str, GivenUp] = field(default_factory=dict)
    """Replaced and never changed, because other threads send it."""
    _deaths: Counter[str] = field(default_factory=Counter)
    _seen_bytes: int = 0
    _alone: Any = field(default_factory=threading.Lock)

    def weigh(self, shards: Iterable[tuple[Shard, bool]]) -> Iterator[tuple[Shard, Page]]:
        """Read shards, each given with whether its documents are counted. Pages come in any order."""
        under_way: dict[Future[Page], tuple[Shard, bool]] = {}
        for shard, counts in shards:
            self._seen_bytes += shard.size
            inline = None if self._pays else self._inline(shard, counts=counts)
            if inline is not None:
                yield shard, inline
                continue
            under_way[self._send(shard, counts=counts)] = shard, counts
            while len(under_way) >= AHEAD * self.pool.number:
                yield from self._landed(under_way)
        while under_way:
            yield from self._landed(under_way)

    def prepare(self, wanted: Sequence[Wanted]) -> Sequence[Prepared_co]:
        """Read some documents again, each file by one worker. The call blocks."""
        if not (self.parallel and self.pool.takes_all):
            try:
                return self.weigher.prepare(wanted, refuse)
            except NeedsChild:
                pass
        sent = [(part, self._send_wanted(part)) for part in self._parts(wanted)]
        return [prepared for part, future in sent for prepared in self._prepared(part, future)]

    @property
    def _spreads(self) -> bool:
        """Whether documents that need no child are read by the pool."""
        worth_while = self.pool.number > 1 and self._seen_bytes >= WORTH_CHILDREN
        return self.parallel and (self.pool.takes_all or worth_while)

    @property
    def _pays(self) -> bool:
        return self._spreads or (self.parallel and self.pool.started)

    def _inline(self, shard: Shard, *, counts: bool) -> Page | None:
        try:
            return self.weigher.weigh(shard, counts, refuse)
        except NeedsChild:
            return None

    def _send(self, shard: Shard, *, counts: bool) -> "Future[Page]":
        return self.pool.submit(self.weigher.weigh, shard, counts, given_up=self._given_up)

    def _send_wanted(self, wanted: Sequence[Wanted]) -> "Future[Sequence[Prepared_co]]":
        return self.pool.submit(self.weigher.prepare, wanted, given_up=self._given_up)

    def _parts(self, wanted: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
        """Cut documents into a part for each worker. Neighbours that are of one file stay together."""
        files = [list(of_file) for _, of_file in groupby(wanted, self.weigher.file_of)]
        each = -(-len(files) // self.pool.number) if self._spreads else len(files)
        return (list(chain(*files[start : start + each])) for start in range(0, len(files), max(1, each)))

    def _landed(self, under_way: "dict[Future[Page], tuple[Shard, bool]]") -> Iterator[tuple[Shard, Page]]:
        """Yield what is done. A shard during which a worker died is read again."""
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            shard, counts = under_way.pop(future)
            try:
                page = future.result()
            except WorkerDied as died:
                under_way[self._again(died, shard, counts=counts)] = shard, counts
            else:
                yield shard, page

    def _again(self, died: WorkerDied, shard: Shard, *, counts: bool) -> "Future[Page]":
        """Read a shard again: beside others if it is known which document is at fault, else as the only suspect."""
        if self._learn(died):
            return self._send(shard, counts=counts)
        found = Future[Page]()

        def search() -> None:
            try:
                with self._alone:
                    page = self._searched(
                        shard, partial(self._send, counts=counts), self.weigher.halved, self.weigher.joined
                    )
            except BaseException as error:  # noqa: BLE001 (it belongs to whoever waits for the page)
                found.set_exception(error)
            else:
                found.set_result(page)

        threading.Thread(target=search, daemon=True).start()
        return found

    def _prepared(self, part: Sequence[Wanted], sent: "Future[Sequence[Prepared_co]]") -> Sequence[Prepared_co]:
        try:
            return sent.result()
        except WorkerDied as died:
            self._learn(died)
        with self._alone:
            return self._searched(part, self._send_wanted, self._halved, lambda parts: list(chain(*parts)))

    def _halved(self, wanted: Sequence[Wanted], reason: str) -> Sequence[Sequence[Wanted]]:
        middle = len(wanted) // 2
        return [wanted[:middle], wanted[middle:]] if middle else [[self.weigher.given_up(wanted[0], reason)]]

    def _searched(
        self,
        some: Some,
        send: Callable[[Some], "Future[Found]"],
        halved: Callable[[Some, str], Sequence[Some]],
        joined: Callable[[Sequence[Found]], Found],
    ) -> Found:
        """Read by itself what ended a worker, and halve what does so again, until one document is given up."""
        reason, tries = "", 0
        while tries < TRIES:
            try:
                return send(some).result()
            except WorkerDied as died:
                if not self._learn(died):
                    reason, tries = died.reason.reason, tries + 1
                    self._require_life()
        return joined([self._searched(half, send, halved, joined) for half in halved(some, reason)])

    def _learn(self, died: WorkerDied) -> bool:
        """Give up the document that a worker was reading, if there is no hope for it. Returns whether one is known."""
        source = died.source
        if source is None:
            return False
        self._deaths[source] += 1
        if died.out_of_time or self._deaths[source] >= TRIES:
            self._given_up = {**self._given_up, source: died.reason}
        return True

    def _require_life(self) -> None:
        """Raise EnvironmentProblem if workers die that do nothing: then no document is at fault."""
        for _ in range(TRIES + 1):
            try:
                self.pool.submit(do_nothing).result()
            except WorkerDied:
                continue
            return
        raise EnvironmentProblem(
            "the processes that read documents end at once.", hint="see whether memory is short, and run it again"
        )
