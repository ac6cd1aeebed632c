"""The Message Batches of the simulated API: what creating, finding, listing, canceling and deleting comes to.

A call of a kind meets the next fault of that kind's script, or else what the profile has for it.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from batchrun.simulator.api_error import ApiError, ApiRefusal, invalid_request, not_found
from batchrun.simulator.batches.batch import BatchMember, Bill, SimulatedBatch
from batchrun.simulator.batches.body import ParamsFile, SentRequest
from batchrun.simulator.batches.life import Life, ServiceTerms
from batchrun.simulator.batches.uploaded_files import SimulatedFiles
from batchrun.simulator.dialect import MESSAGES, Dialect
from batchrun.simulator.faults.catalogue import BATCH_FAULTS, FAULTS, no_fault, spoiled
from batchrun.simulator.faults.kinds import BatchFault, Call, Fate, Listing, Spoiling, Wire
from batchrun.simulator.faults.profiles import FaultChoice, draw
from batchrun.simulator.replies.message_json import new_id

_POLL_AGAIN_S = 10.0
_QUEUE_WAIT_S = 60.0
_OF_CACHE = b"prompt cache of a batch"
_OF_REQUESTS = b"request of a batch"  # a request draws something else than the same body sent to /v1/messages


class SimulatedBatches:
    """All batches, in the order of creation. Methods raise what the API refuses."""

    def __init__(self, choice: FaultChoice, *, seed: int, speed: float, terms: ServiceTerms, epoch_s: float) -> None:
        self.uploaded = SimulatedFiles(choice, seed=seed, epoch_s=epoch_s)
        self.terms = terms
        self.faults: Counter[str] = Counter()  # faults that were met, except within batches
        self.poll_again_s = _POLL_AGAIN_S / speed  # after which the API wants to be asked again
        self.queue_wait_s = _QUEUE_WAIT_S / speed  # how long a client waits when too much is in processing
        self._choice, self._seed, self._speed, self._epoch_s = choice, seed, speed, epoch_s
        self._batches: dict[str, SimulatedBatch] = {}
        self._seen: Counter[bytes] = Counter()
        self._creating = threading.Lock()

    @cached_property
    def file(self) -> ParamsFile:
        """The file for the parameters of all batches: a file for each batch would use up the process's descriptors."""
        return ParamsFile()

    @property
    def all(self) -> Sequence[SimulatedBatch]:
        """Every batch that was ever created, the oldest first."""
        return list(self._batches.values())

    def create(
        self,
        requests: Sequence[SentRequest],
        *,
        now: float,
        dialect: Dialect = MESSAGES,
        order: dict[str, Any] | None = None,
    ) -> tuple[str, SimulatedBatch | None]:
        """Create a batch, or not; return the name of the fault too. May be called in any thread."""
        with self._creating:
            self._check_queue(len(requests), now)
            contents = hashlib.sha256(b"".join(request.sha256 for request in requests)).digest()
            seen = self._count(contents)
            chance, luck, hits, _ = draw(contents, seed=self._seed, seen=seen)
            name = self._next_name(Call.CREATE, chance)
            fault = BATCH_FAULTS[name]
            if not fault.created:
                return name, None
            terms, prefix = self.terms, "batch_" if order else "msgbatch_01"
            hit_share = terms.least_hits + (terms.most_hits - terms.least_hits) * hits
            batch = SimulatedBatch(
                id=new_id(prefix, self._seed, contents, self._epoch_s + now, len(self._batches)),
                created_at=now,
                epoch_s=self._epoch_s,
                members=[self._member(request, hit_share) for request in requests],
                file=self.file,
                uploaded=self.uploaded,
                contents=contents + seen.to_bytes(8, "big"),
                life=Life(
                    lasts_s=terms.duration(len(requests), luck),
                    never_ends=fault.effect is Fate.NEVER_ENDS,
                    archived_at_once=fault.effect is Fate.ARCHIVED,
                ),
                fault=name,
                seed=self._seed,
                speed=self._speed,
                dialect=dialect,
                order=order or {},
            )
            self._batches[batch.id] = batch
        return name, batch

    def poll(self, batch_id: str) -> SimulatedBatch:
        """Find a batch that the client asks for."""
        batch = self._find(batch_id)
        self._meet(Call.POLL, batch.contents)
        return batch

    def listing(self) -> Listing | None:
        """Return how a call of the list does not show what there is, or None."""
        effect = self._meet(Call.LIST, b"").effect
        return effect if isinstance(effect, Listing) else None

    def page(
        self, *, limit: int, after_id: str | None, before_id: str | None = None, ordered: bool = False
    ) -> tuple[Sequence[SimulatedBatch], bool]:
        """List the batches after one, or right before one, or the newest; return whether there are more.

        With `ordered`, those of the OpenAI dialect are listed, else those of the other.
        """
        listed = [batch for batch in reversed(self.all) if not batch.deleted and bool(batch.order) == ordered]
        if before_id and not after_id:
            end = listed.index(self._find(before_id))
            return listed[max(0, end - limit) : end], end > limit
        start = listed.index(self._find(after_id)) + 1 if after_id else 0
        return listed[start:][:limit], len(listed) > start + limit

    def cancel(self, batch_id: str, *, now: float) -> SimulatedBatch:
        """Cancel a batch that has not ended."""
        batch = self._find(batch_id)
        self._meet(Call.CANCEL, batch.contents)
        if batch.ended(now):
            raise invalid_request(f"Message Batch {batch_id} has already ended and cannot be canceled.")
        batch.cancel(now)
        return batch

    def delete(self, batch_id: str, *, now: float) -> SimulatedBatch:
        """Delete a batch that has ended; the batch stays in the books."""
        batch = self._find(batch_id)
        if not batch.ended(now):
            raise invalid_request("In progress batches cannot be deleted. Consider canceling the batch instead.")
        batch.deleted = True
        return batch

    def results(self, batch_id: str, *, now: float) -> tuple[Iterator[bytes], bool]:
        """Write the lines of an ended batch's results; return whether the connection breaks after them."""
        batch = self._find(batch_id)
        if not batch.has_results(now):
            raise not_found(f"Message Batch {batch_id} has no available results.")
        return self.sent_lines(batch.results(), len(batch.members), batch.contents)

    def sent_lines(self, lines: Iterator[bytes], count: int, contents: bytes) -> tuple[Iterator[bytes], bool]:
        """Return as many lines of a file as reach the client, and whether the connection breaks after them."""
        cut = isinstance(self._meet(Call.RESULTS, contents).effect, Wire)
        return _half(lines, count) if cut else lines, cut

    def bills(self, now: float) -> Iterator[Bill]:
        """Bill every batch that has ended, collected or not."""
        return (bill for batch in self.all if batch.ended(now) for bill in batch.bills())

    def _check_queue(self, requests: int, now: float) -> None:
        queued = sum(len(batch.members) for batch in self.all if not batch.ended(now))
        if queued + requests > self.terms.most_queued:
            message = (
                f"This request would exceed your organization's limit of {self.terms.most_queued:,} batch requests in "
                "the processing queue. For details, refer to: https://docs.claude.com/en/api/rate-limits. "
                "Please wait for batches to end before you create another, or try again later."
            )
            raise ApiRefusal(ApiError(429, "rate_limit_error", message))

    def _member(self, request: SentRequest, hit_share: float) -> BatchMember:
        seen = self._count(request.sha256)
        chance, other, moment, thinking = draw(request.sha256 + _OF_REQUESTS, seed=self._seed, seen=seen)
        fault = self._next_name(Call.REQUEST, chance)
        spoiling = FAULTS.get(self._choice.profile.fault_at(other) or "")
        if fault == no_fault(Call.REQUEST) and isinstance(spoiling, Spoiling):
            fault = spoiled(spoiling)
        luck = draw(request.sha256 + _OF_CACHE, seed=self._seed, seen=seen)[0]
        hit = luck < hit_share
        return BatchMember(sent=request, seen=seen, fault=fault, moment=moment, thinking=thinking, finds_cache=hit)

    def _count(self, facts: bytes) -> int:
        """Return how often the facts were seen before."""
        self._seen[facts] += 1
        return self._seen[facts] - 1

    def _meet(self, call: Call, contents: bytes) -> BatchFault:
        """Return the fault of a call; raise its error if the fault has one."""
        facts = call.value.encode() + contents
        chance = draw(facts, seed=self._seed, seen=self._count(facts) + 1)[0]
        fault = BATCH_FAULTS[self._next_name(call, chance)]
        if isinstance(fault.effect, ApiError):
            raise ApiRefusal(fault.effect)
        return fault

    def _next_name(self, call: Call, chance: float) -> str:
        name = self._choice.next_name(chance, call) or no_fault(call)
        if name != no_fault(call) and call is not Call.REQUEST:
            self.faults[name] += 1
        return name

    def _find(self, batch_id: str) -> SimulatedBatch:
        batch = self._batches.get(batch_id)
        if batch is None or batch.deleted:
            raise not_found(f"Message Batch {batch_id} not found.")
        return batch


def _half(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield half of the lines, the last of them cut."""
    yield from islice(lines, count // 2)
    for line in islice(lines, 1):
        yield line[: len(line) // 2]
