"""The Message Batches of the simulated API: what creating, finding, listing, canceling and deleting comes to.

A call of a kind meets the next fault of that kind's script, or else what the profile has for it.
"""

import hashlib
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from batchrun.simulator.api_error import ApiError, invalid_request, not_found
from batchrun.simulator.batch import Batch, Bill, Member
from batchrun.simulator.batch_bodies import SentRequest
from batchrun.simulator.batch_faults import BATCH_FAULTS, no_fault, spoiled
from batchrun.simulator.batch_life import BatchTerms, Life
from batchrun.simulator.fault_kinds import BatchFault, Call, Spoiling
from batchrun.simulator.faults import FAULTS, Profile, four_chances
from batchrun.simulator.spool import Spool
from batchrun.simulator.wire_format import new_id

_POLL_AGAIN_S = 10.0
_QUEUE_WAIT_S = 60.0
_OF_CACHE = b"prompt cache of a batch"
_OF_REQUESTS = b"request of a batch"  # so that it draws something else than the same body sent to /v1/messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """What becomes of a create call."""

    fault: BatchFault
    fault_name: str | None = None
    batch: Batch | None = None
    """None: there is no batch."""
    error: ApiError | None = None
    """The answer, whether or not there is a batch."""


@dataclass(frozen=True, slots=True)
class Download:
    """Lines of results; `cut` when the connection breaks after them."""

    lines: Iterator[bytes]
    cut: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the batches, the newest first."""

    batches: Sequence[Batch]
    has_more: bool


class Batches:
    """All batches, in the order of creation, and the scripts of their faults."""

    def __init__(self, profile: Profile, *, seed: int, speed: float, terms: BatchTerms) -> None:
        self.terms = terms
        self.faults: Counter[str] = Counter()
        """Those that were met, except within batches."""
        self._profile, self._seed, self._speed = profile, seed, speed
        self._batches: dict[str, Batch] = {}
        self._scripts: Mapping[Call, deque[str]] = {call: deque() for call in Call}
        self._seen: Counter[bytes] = Counter()
        self._calls: Counter[bytes] = Counter()
        self._creating = threading.Lock()

    def __repr__(self) -> str:
        return f"Batches({list(self._batches.values())})"

    @property
    def all(self) -> Sequence[Batch]:
        """Every batch that was ever created, the oldest first."""
        return list(self._batches.values())

    @property
    def waiting_faults(self) -> int:
        """How many faults of the scripts wait."""
        return sum(map(len, self._scripts.values()))

    def extend_script(self, name: str) -> None:
        """Let the next call of its kind, or the next request, meet a fault."""
        self._scripts[BATCH_FAULTS[name].call].append(name)

    def create(self, requests: Sequence[SentRequest], body: Spool, *, now: float, wall: float) -> Creation:
        """Create a batch, or not; may be called in any thread."""
        with self._creating:
            return self._create(requests, body, now=now, wall=wall)

    def poll(self, batch_id: str) -> Batch | ApiError:
        """Find a batch that the client asks for."""
        batch = self._find(batch_id)
        if isinstance(batch, ApiError):
            return batch
        return self._fault(Call.POLL, batch.contents).error or batch

    def page(self, *, limit: int, after_id: str | None, before_id: str | None) -> Page | ApiError:
        """List the batches after one, or those right before one, or the newest."""
        if error := self._fault(Call.LIST, b"").error:
            return error
        listed = [batch for batch in reversed(self.all) if not batch.deleted]
        cursor = self._find(after_id or before_id or "") if after_id or before_id else None
        if isinstance(cursor, ApiError):
            return cursor
        if cursor is None:
            return Page(listed[:limit], has_more=len(listed) > limit)
        index = listed.index(cursor)
        if after_id:
            return Page(listed[index + 1 :][:limit], has_more=len(listed) > index + 1 + limit)
        return Page(listed[max(0, index - limit) : index], has_more=index > limit)

    def cancel(self, batch_id: str, *, now: float) -> Batch | ApiError:
        """Cancel a batch that has not ended."""
        batch = self._find(batch_id)
        if isinstance(batch, ApiError):
            return batch
        if error := self._fault(Call.CANCEL, batch.contents).error:
            return error
        if batch.ended(now):
            return invalid_request(f"Message Batch {batch_id} has already ended and cannot be canceled.")
        batch.cancel(now)
        return batch

    def delete(self, batch_id: str, *, now: float) -> Batch | ApiError:
        """Delete a batch that has ended; it stays in the books."""
        batch = self._find(batch_id)
        if isinstance(batch, ApiError):
            return batch
        if not batch.ended(now):
            return invalid_request("In progress batches cannot be deleted. Consider canceling the batch instead.")
        batch.deleted = True
        return batch

    def results(self, batch_id: str, *, now: float) -> Download | ApiError:
        """Write the results of a batch, line by line, once it has ended."""
        batch = self._find(batch_id)
        if isinstance(batch, ApiError):
            return batch
        if not batch.ended(now) or batch.archived(now):
            return not_found(f"Message Batch {batch_id} has no available results.")
        fault = self._fault(Call.RESULTS, batch.contents)
        if fault.error:
            return fault.error
        lines = batch.results()
        return Download(_half(lines, len(batch.members)), cut=True) if fault.cut else Download(lines, cut=False)

    def bills(self, now: float) -> Iterator[Bill]:
        """Bill every batch that has ended, collected or not."""
        for batch in self.all:
            if batch.ended(now):
                yield from batch.bills()

    def poll_again_s(self, batch: Batch, *, now: float) -> float | None:
        """Return the seconds after which the API wants to be asked again."""
        return None if batch.ended(now) else _POLL_AGAIN_S / self._speed

    @property
    def queue_wait_s(self) -> float:
        """What a client is told to wait when too much is in processing."""
        return _QUEUE_WAIT_S / self._speed

    def _create(self, requests: Sequence[SentRequest], body: Spool, *, now: float, wall: float) -> Creation:
        if error := self._queue_full(len(requests), now):
            return Creation(fault=BATCH_FAULTS[no_fault(Call.CREATE)], error=error)
        contents = hashlib.sha256(b"".join(request.sha256 for request in requests)).digest()
        seen = self._seen[contents]
        self._seen[contents] += 1
        chances = four_chances(contents, seed=self._seed, seen=seen)
        name = self._next_name(Call.CREATE, chances[0])
        fault = BATCH_FAULTS[name]
        told = None if name == no_fault(Call.CREATE) else name
        if not fault.created:
            return Creation(fault=fault, fault_name=told, error=fault.error)
        lasts_s = self.terms.duration(len(requests), chances[1])
        batch = Batch(
            id=new_id("msgbatch_01", self._seed, contents, wall, len(self._batches)),
            created_at=now,
            created_wall=wall,
            members=[self._member(request) for request in requests],
            body=body,
            contents=contents + seen.to_bytes(8, "big"),
            life=Life(lasts_s=lasts_s, never_ends=fault.never_ends, archived_at_once=fault.archived),
            fault=name,
            seed=self._seed,
            speed=self._speed,
            cache_hits=self.terms.cache_hits(chances[2]),
        )
        self._batches[batch.id] = batch
        return Creation(fault=fault, fault_name=told, batch=batch, error=fault.error)

    def _queue_full(self, requests: int, now: float) -> ApiError | None:
        queued = sum(len(batch.members) for batch in self.all if not batch.ended(now))
        if queued + requests <= self.terms.most_queued:
            return None
        message = (
            f"This request would exceed your organization's limit of {self.terms.most_queued:,} batch requests in the "
            "processing queue. For details, refer to: https://docs.claude.com/en/api/rate-limits. "
            "Please wait for batches to end before you create another, or try again later."
        )
        return ApiError(429, "rate_limit_error", message)

    def _member(self, request: SentRequest) -> Member:
        seen = self._seen[request.sha256]
        self._seen[request.sha256] += 1
        chances = four_chances(request.sha256 + _OF_REQUESTS, seed=self._seed, seen=seen)
        fault = self._next_name(Call.REQUEST, chances[0])
        if fault == no_fault(Call.REQUEST):
            spoiling = FAULTS.get(self._profile.fault_at(chances[1]) or "")
            fault = spoiled(spoiling) if isinstance(spoiling, Spoiling) else fault
        luck = 1.0
        if request.verdict.prompt.breakpoints:
            luck = four_chances(request.sha256 + _OF_CACHE, seed=self._seed, seen=seen)[0]
        return Member(sent=request, seen=seen, fault=fault, moment=chances[2], thinking=chances[3], cache_luck=luck)

    def _fault(self, call: Call, contents: bytes) -> BatchFault:
        facts = call.value.encode() + contents
        self._calls[facts] += 1
        chance = four_chances(facts, seed=self._seed, seen=self._calls[facts])[0]
        return BATCH_FAULTS[self._next_name(call, chance)]

    def _next_name(self, call: Call, chance: float) -> str:
        script = self._scripts[call]
        name = script.popleft() if script else self._profile.batch_fault_at(call, chance) or no_fault(call)
        if name != no_fault(call) and call is not Call.REQUEST:
            self.faults[name] += 1
        return name

    def _find(self, batch_id: str) -> Batch | ApiError:
        batch = self._batches.get(batch_id)
        if batch is None or batch.deleted:
            return not_found(f"Message Batch {batch_id} not found.")
        return batch


def _half(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Half of the lines, the last of them not whole."""
    yield from islice(lines, count // 2)
    for line in islice(lines, 1):
        yield line[: len(line) // 2]
