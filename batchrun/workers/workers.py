"""Reading in this process while that is safe and quick, else by the workers of a pool: the result is the same.

A worker that dies costs nothing but time. Whoever tells which document ends workers has that document given up; what
nobody knows of is found by halving.
"""

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from typing import Any, Generic, Protocol, TypeVar

from batchrun.documents import GivenUp, Guard, NeedsChild, Shard
from batchrun.errors import EnvironmentProblem
from batchrun.workers.pool import Pool, WorkerDied

Page_co = TypeVar("Page_co", covariant=True)
Wanted_contra = TypeVar("Wanted_contra", contravariant=True)
Prepared_co = TypeVar("Prepared_co", covariant=True)
Some = TypeVar("Some")
Found = TypeVar("Found")
WORTH_CHILDREN = 20_000_000
"""From how many bytes of documents on it pays to start child processes for documents that need none."""
AHEAD = 4
"""How many shards are under way for each worker."""
MOST_WAITING = 64
"""How many shards are read again at once."""
LISTED = 32
"""How many shards are listed ahead of the reading: this process reads nothing if it will start others anyway."""
TRIES = 2
"""How often that is read by itself which ended a worker: perhaps what was read before or beside it was at fault."""


class Weighs(Protocol[Page_co, Wanted_contra, Prepared_co]):
    """Reads documents, in whichever process. The weigher itself is sent to other processes."""

    def weigh(self, shard: Shard, counts: bool, guard: Guard) -> Page_co:  # noqa: FBT001 (all arguments are sent)
        """Read a shard."""

    def prepare(self, wanted: Sequence[Wanted_contra], guard: Guard) -> Sequence[Prepared_co]:
        """Read some documents again."""

    def file_of(self, wanted: Wanted_contra) -> object:
        """Return what is the same for all documents of one file."""

    def halved(self, some: Some, reason: str) -> Sequence[Some]:
        """Cut a shard, or documents to be read again, in two. One document is given up instead, for this reason."""

    def joined(self, found: Sequence[Found]) -> Found:
        """Join what was found in the parts of what was cut."""


def refuse(_: str) -> Any:
    """Refuse, as a guard, to read in this process what may end the process."""
    raise NeedsChild


def do_nothing(_: Guard) -> None:
    """Show that a worker lives."""


@dataclass(eq=False)
class Workers(Generic[Page_co, Wanted_contra, Prepared_co]):
    """Reads the documents of one source."""

    weigher: Weighs[Page_co, Wanted_contra, Prepared_co]
    pool: Pool
    parallel: bool
    """Whether other processes can read the source."""
    _given_up: dict[str, GivenUp] = field(default_factory=dict)
    """Replaced and never changed, because other threads send it."""
    _deaths: Counter[str] = field(default_factory=Counter)
    _learning: Any = field(default_factory=threading.Lock)
    _seen_bytes: int = 0
    _suspects: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1))
    _again_waiting: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, MOST_WAITING))

    def weigh(self, shards: Iterable[tuple[Shard, bool]]) -> Iterator[tuple[Shard, Page_co]]:
        """Read shards, each given with whether its documents are counted. Pages come in any order."""
        under_way: dict[Future[Page_co], tuple[Shard, bool]] = {}
        for shard, counts in self._listed(shards):
            pays = self._spreads or (self.parallel and self.pool.started)
            inline = None if pays else self._inline(shard, counts=counts)
            if inline is not None:
                yield shard, inline
                continue
            under_way[self._send(shard, counts=counts)] = shard, counts
            while len(under_way) >= AHEAD * self.pool.number:
                yield from self._landed(under_way)
        while under_way:
            yield from self._landed(under_way)

    def prepare(self, wanted: Sequence[Wanted_contra]) -> Sequence[Prepared_co]:
        """Read some documents again, each file by one worker. The call blocks."""
        if not self._spreads:
            try:
                return self.weigher.prepare(wanted, refuse)
            except NeedsChild:
                pass
        sent = [(part, self._send_wanted(part)) for part in self._parts(wanted)]
        return [one for part, future in sent for one in self._result(part, future, self._send_wanted)]

    @property
    def _spreads(self) -> bool:
        """Whether documents that need no child are read by the pool."""
        worth_while = self.pool.number > 1 and self._seen_bytes >= WORTH_CHILDREN
        return self.parallel and (self.pool.takes_all or worth_while)

    def _listed(self, shards: Iterable[tuple[Shard, bool]]) -> Iterator[tuple[Shard, bool]]:
        """Hold shards back as long as there may be too few bytes for the pool."""
        held = deque[tuple[Shard, bool]]()
        most = LISTED if self.parallel and self.pool.number > 1 else 0
        for shard, counts in shards:
            self._seen_bytes += shard.size
            held.append((shard, counts))
            while held and (self._spreads or len(held) > most):
                yield held.popleft()
        yield from held

    def _inline(self, shard: Shard, *, counts: bool) -> Page_co | None:
        try:
            return self.weigher.weigh(shard, counts, refuse)
        except NeedsChild:
            return None

    def _send(self, shard: Shard, *, counts: bool) -> "Future[Page_co]":
        return self.pool.submit(self.weigher.weigh, shard, counts, given_up=self._given_up)

    def _send_wanted(self, wanted: Sequence[Wanted_contra]) -> "Future[Sequence[Prepared_co]]":
        return self.pool.submit(self.weigher.prepare, wanted, given_up=self._given_up)

    def _parts(self, wanted: Sequence[Wanted_contra]) -> Iterator[Sequence[Wanted_contra]]:
        """Cut documents into a part for each worker. Neighbours that are of one file stay together."""
        files = [list(of_file) for _, of_file in groupby(wanted, self.weigher.file_of)]
        each = -(-len(files) // self.pool.number) if self._spreads else len(files)
        return (list(chain(*files[start : start + each])) for start in range(0, len(files), max(1, each)))

    def _landed(self, under_way: "dict[Future[Page_co], tuple[Shard, bool]]") -> Iterator[tuple[Shard, Page_co]]:
        """Yield what is done. A shard during which a worker died is read again."""
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            shard, counts = under_way.pop(future)
            try:
                page = future.result()
            except WorkerDied as died:
                again = partial(self._again, died, shard, partial(self._send, counts=counts))
                under_way[self._again_waiting.submit(again)] = shard, counts
            else:
                yield shard, page

    def _result(self, some: Some, sent: "Future[Found]", send: "Callable[[Some], Future[Found]]") -> Found:
        try:
            return sent.result()
        except WorkerDied as died:
            return self._again(died, some, send)

    def _again(self, died: WorkerDied, some: Some, send: "Callable[[Some], Future[Found]]") -> Found:
        """Read again what ended a worker: as the only suspect under way, unless the document at fault is known.

        Then files are read in two parts, beside others: each is sooner done, if workers are killed again and again.
        """
        if not self._learn(died):
            return self._suspects.submit(self._searched, some, send).result()
        parts = self.weigher.halved(some, "") if _has_several(some) else [some]
        sent = [(part, send(part)) for part in parts]
        return self.weigher.joined([self._result(part, future, send) for part, future in sent])

    def _searched(self, some: Some, send: "Callable[[Some], Future[Found]]") -> Found:
        """Read by itself what ended a worker, and halve what does so again, until one document is given up."""
        reason, tries = "", 0
        while tries < TRIES:
            try:
                return send(some).result()
            except WorkerDied as died:
                if not self._learn(died):
                    reason, tries = died.reason.reason, tries + 1
                    self._require_life()
        return self.weigher.joined([self._searched(half, send) for half in self.weigher.halved(some, reason)])

    def _learn(self, died: WorkerDied) -> bool:
        """Give up the document that a worker was reading, if there is no hope for it. Returns whether one is known."""
        source = died.source
        if source is None:
            return False
        tries = TRIES if died.reason.lasts else TRIES + 1  # what kills for want of memory may be at fault twice
        with self._learning:
            self._deaths[source] += 1
            if died.out_of_time or self._deaths[source] >= tries:
                self._given_up = {**self._given_up, source: died.reason}
        return True

    def _require_life(self) -> None:
        """Raise EnvironmentProblem if workers die that do nothing: then no document is at fault."""
        for _ in range(TRIES + 1):
            with contextlib.suppress(WorkerDied):
                return self.pool.submit(do_nothing).result()  # type: ignore[no-any-return]
        raise EnvironmentProblem(
            "the processes that read documents end at once.", hint="see whether memory is short, and run it again"
        )


def _has_several(some: object) -> bool:
    """Whether a shard has several files, or several documents are to be read again."""
    files = some.files if isinstance(some, Shard) else some
    return isinstance(files, Sequence) and len(files) > 1
