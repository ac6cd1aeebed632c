"""One Message Batch of the simulator: its requests, how each ended, its answers and its bill, as functions of time."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from batchrun.simulator.batch_answers import answer, errored, result_line
from batchrun.simulator.batch_bodies import SentRequest
from batchrun.simulator.batch_faults import BATCH_FAULTS
from batchrun.simulator.batch_life import EXPIRES_AFTER_S, Ending, Life
from batchrun.simulator.prompt_cache import PromptUsage
from batchrun.simulator.spool import Spool
from batchrun.simulator.wire_format import new_id

_NOT_PRODUCED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One request of a batch, and what was drawn for it."""

    sent: SentRequest
    seen: int
    """How often the same parameters were in a batch before."""
    fault: str
    moment: float
    """When it is processed, as a share of the time the batch takes."""
    thinking: float
    cache_luck: float
    """Below the batch's share of hits it reads from the prompt cache what others have written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One answer of a batch that has to be paid, at the price of batches."""

    batch_id: str
    custom_id: str
    sha256: str
    """Of the parameters as they were sent: the same as that of the same body sent to `/v1/messages`."""
    model: str | None
    input_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    billed: bool = True
    batch: bool = True


@dataclass(kw_only=True, eq=False)
class Batch:
    """A batch that was created. Times are seconds of a monotonic clock; `speed` makes virtual ones of them."""

    id: str
    created_at: float
    created_wall: float
    """Seconds since 1970, as told to the client."""
    members: Sequence[Member]
    body: Spool
    life: Life
    contents: bytes
    """Names what it was made of, whatever its id."""
    fault: str
    seed: int
    speed: float
    cache_hits: float
    """The share of its requests that read from the prompt cache, besides the first."""
    deleted: bool = False
    _produced: "array[int]" = field(init=False)

    def __post_init__(self) -> None:
        self._produced = array("q", [_NOT_PRODUCED]) * len(self.members)

    def __repr__(self) -> str:
        return f"Batch({self.id}, {len(self.members)} requests, {self.fault})"

    def age(self, now: float) -> float:
        """Return its age in virtual seconds."""
        return (now - self.created_at) * self.speed

    def status(self, now: float) -> str:
        """Return its processing status in the API's words."""
        return self.life.status(self.age(now))

    def ended(self, now: float) -> bool:
        """Tell whether nothing of it is in processing any more."""
        return self.age(now) >= self.life.ends_at

    def archived(self, now: float) -> bool:
        """Tell whether its results are gone."""
        return self.age(now) >= self.life.archived_at

    def cancel(self, now: float) -> None:
        """Process nothing more of it; asking again changes nothing."""
        if self.life.canceled_at is None:
            self.life = replace(self.life, canceled_at=self.age(now))

    def told(self, now: float, origin: str) -> dict[str, Any]:
        """Write it as the API does."""
        ended, archived = self.ended(now), self.archived(now)
        life = self.life
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status(now),
            "request_counts": self._counts(ended=ended),
            "ended_at": self._time(life.ends_at) if ended else None,
            "created_at": written(self.created_wall),
            "expires_at": written(self.created_wall + EXPIRES_AFTER_S),
            "archived_at": self._time(life.archived_at) if archived else None,
            "cancel_initiated_at": None if life.canceled_at is None else self._time(life.canceled_at),
            "results_url": f"{origin}/v1/messages/batches/{self.id}/results" if ended and not archived else None,
        }

    def results(self) -> Iterator[bytes]:
        """Write the lines of its results, once it has ended: in the order in which the requests had their moments."""
        for index in self._processed:
            yield result_line(self.members[index].sent.custom_id, self._result(index))

    def bills(self) -> Iterator[Bill]:
        """Bill what succeeded, once it has ended."""
        for index, member in enumerate(self.members):
            if self._ending(member) is Ending.SUCCEEDED:
                yield Bill(
                    batch_id=self.id,
                    custom_id=member.sent.custom_id,
                    sha256=member.sent.sha256.hex(),
                    model=member.sent.verdict.model,
                    **asdict(self._used(index)),
                    output_tokens=self._output_tokens(index),
                )

    def _counts(self, *, ended: bool) -> Mapping[str, int]:
        """Count everything as processing until the whole batch has ended, as the API does."""
        if not ended:
            return {"processing": len(self.members), **dict.fromkeys(Ending, 0)}
        return {"processing": 0, **self._endings}

    @cached_property
    def _endings(self) -> Mapping[str, int]:
        """Count the endings; not to be asked before it has ended."""
        counted = Counter(self._ending(member) for member in self.members)
        return {ending: counted[ending] for ending in Ending}

    def _ending(self, member: Member) -> Ending:
        fault = BATCH_FAULTS[member.fault]
        if unprocessed := self.life.unprocessed(member.moment):
            return unprocessed
        if member.sent.verdict.error or fault.error:
            return Ending.ERRORED
        return Ending.EXPIRED if fault.expires else Ending.SUCCEEDED

    def _result(self, index: int) -> dict[str, Any]:
        member = self.members[index]
        match self._ending(member):
            case Ending.SUCCEEDED:
                return {"type": "succeeded", "message": self._message(index)}
            case Ending.ERRORED:
                return self._errored(member)
            case ending:
                return {"type": ending}

    def _errored(self, member: Member) -> dict[str, Any]:
        if member.sent.verdict.error:
            return errored(member.sent.verdict.error, request_id=None)
        error = BATCH_FAULTS[member.fault].error
        assert error is not None
        return errored(error, request_id=new_id("workerreq_011C", self.id, member.sent.custom_id))

    def _message(self, index: int) -> dict[str, Any]:
        member = self.members[index]
        message = answer(
            self.body.read(member.sent.start, member.sent.length),
            self._used(index),
            seed=self.seed,
            seen=member.seen,
            chance=member.thinking,
            spoiling=BATCH_FAULTS[member.fault].spoiling,
        )
        self._produced[index] = message["usage"]["output_tokens"]
        return message

    def _used(self, index: int) -> PromptUsage:
        """Bill its prompt: caching is best effort in batches. Not to be asked before it has ended."""
        member = self.members[index]
        points = member.sent.verdict.prompt.breakpoints
        hits = points and index not in self._first_writers and member.cache_luck < self.cache_hits
        return member.sent.verdict.prompt.used(points[-1] if hits else None)

    @cached_property
    def _first_writers(self) -> frozenset[int]:
        """Find the requests that were the first with what they have to cache."""
        firsts: dict[bytes, int] = {}
        for index in self._processed:
            points = self.members[index].sent.verdict.prompt.breakpoints
            if points and self._ending(self.members[index]) is Ending.SUCCEEDED:
                firsts.setdefault(points[-1].key, index)
        return frozenset(firsts.values())

    @property
    def _processed(self) -> Sequence[int]:
        """The order in which the requests have their moments."""
        return sorted(range(len(self.members)), key=lambda index: self.members[index].moment)

    def _output_tokens(self, index: int) -> int:
        if self._produced[index] == _NOT_PRODUCED:
            self._message(index)
        return self._produced[index]

    def _time(self, age: float) -> str:
        return written(self.created_wall + age / self.speed)


def written(epoch_s: float) -> str:
    """Write a time as the API does."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="microseconds")
