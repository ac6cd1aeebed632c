"""One Message Batch of the simulator: its requests, how each ended, its replies and its bill, as functions of time."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from batchrun.simulator.api_error import ApiError
from batchrun.simulator.batches.body import ParamsFile, SentRequest
from batchrun.simulator.batches.life import EXPIRES_AFTER_S, Life, RequestEnding
from batchrun.simulator.batches.uploaded_files import SimulatedFiles
from batchrun.simulator.dialect import MESSAGES, Body, Dialect
from batchrun.simulator.faults.catalogue import BATCH_FAULTS
from batchrun.simulator.faults.kinds import Fate, Spoiling
from batchrun.simulator.replies.message_json import message_body, new_id, to_json
from batchrun.simulator.replies.production import produce
from batchrun.simulator.usage.prompt_cache import PromptUsage


class BatchMember(NamedTuple):
    """One request of a batch, and what was drawn for it."""

    sent: SentRequest
    seen: int  # how often the same parameters were in a batch before
    fault: str
    moment: float  # when the request is processed, as a share of the time the batch takes
    thinking: float
    finds_cache: bool  # whether the request reads from the prompt cache what an earlier one wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill(PromptUsage):
    """One reply of a batch that has to be paid, at the price of batches."""

    batch_id: str
    custom_id: str
    sha256: str  # that of the same body sent to `/v1/messages`
    model: str | None
    output_tokens: int

    @property
    def name(self) -> str:
        """What the request is called in its batch."""
        return self.custom_id


@dataclass(kw_only=True, eq=False)
class SimulatedBatch:
    """A batch that was created. Times are seconds of a monotonic clock; `speed` makes virtual ones of them.

    The endings, results and bills of a batch are not to be asked for before the batch has ended.
    """

    id: str
    created_at: float
    epoch_s: float  # when the clock was 0, in seconds since 1970
    members: Sequence[BatchMember]
    file: ParamsFile
    uploaded: SimulatedFiles
    life: Life
    contents: bytes  # names what the batch was made of, whatever its id
    fault: str
    seed: int
    speed: float
    dialect: Dialect = MESSAGES
    order: dict[str, Any] = field(default_factory=dict)  # in the OpenAI dialect, what was said of the batch besides
    deleted: bool = False
    _output_tokens: dict[str, int] = field(default_factory=dict)  # by custom_id, of the replies that were produced

    def status(self, now: float) -> str:
        """Return the processing status in the API's words."""
        return self.life.status(self.age(now))

    def ended(self, now: float) -> bool:
        """Return whether no request of the batch is in processing any more."""
        return self.age(now) >= self.life.ends_at

    def has_results(self, now: float) -> bool:
        """Return whether the batch has ended and its results can still be read."""
        return self.life.ends_at <= self.age(now) < self.life.archived_at

    def cancel(self, now: float) -> None:
        """Process nothing more of the batch; asking again changes nothing."""
        if self.life.canceled_at is None:
            self.life = replace(self.life, canceled_at=self.age(now))

    def as_json(self, now: float, origin: str) -> dict[str, Any]:
        """Write the batch as the API does: everything counts as processing until the whole batch has ended."""
        ended, has_results, life = self.ended(now), self.has_results(now), self.life
        endings = self._endings if ended else dict.fromkeys(RequestEnding, 0)
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status(now),
            "request_counts": {"processing": 0 if ended else len(self.members), **endings},
            "ended_at": self.written_at(life.ends_at) if ended else None,
            "created_at": self.written_at(0.0),
            "expires_at": self.written_at(EXPIRES_AFTER_S * self.speed),
            "archived_at": self.written_at(life.archived_at) if ended and not has_results else None,
            "cancel_initiated_at": None if life.canceled_at is None else self.written_at(life.canceled_at),
            "results_url": f"{origin}/v1/messages/batches/{self.id}/results" if has_results else None,
        }

    def results(self) -> Iterator[bytes]:
        """Write the lines of the results, in the order of the requests' moments."""
        for member in self._by_moment:
            yield to_json({"custom_id": member.sent.custom_id, "result": self._result(member)}) + b"\n"

    def outcomes(self) -> Iterator[tuple[str, RequestEnding, Body | ApiError | None]]:
        """Tell how each request ended, by its custom_id: with a reply, with an error, or with neither."""
        return ((member.sent.custom_id, self._ending(member), self._outcome(member)) for member in self._by_moment)

    def processed(self, now: float) -> Counter[RequestEnding]:
        """Count how the requests ended that were processed so far."""
        return Counter(
            self._ending(member)
            for member in self.members
            if self.life.reached_at(member.moment) <= self.age(now) and not self.life.unprocessed(member.moment)
        )

    def bills(self) -> Iterator[Bill]:
        """Bill what succeeded."""
        for member in self.members:
            sent = member.sent
            if self._ending(member) is RequestEnding.SUCCEEDED:
                if sent.custom_id not in self._output_tokens:
                    self._message(member)
                yield Bill(
                    batch_id=self.id,
                    custom_id=sent.custom_id,
                    sha256=sent.sha256.hex(),
                    model=sent.model,
                    output_tokens=self._output_tokens[sent.custom_id],
                    **asdict(self._used(member)),
                )

    def written_at(self, age: float) -> str:
        """Write the time at which the batch has an age, as the API does."""
        return datetime.fromtimestamp(self.epoch_at(age), UTC).isoformat(timespec="microseconds")

    def epoch_at(self, age: float) -> float:
        """Return the time at which the batch has an age, in seconds since 1970."""
        return self.epoch_s + self.created_at + age / self.speed

    def age(self, now: float) -> float:
        """Return the virtual seconds since the creation."""
        return (now - self.created_at) * self.speed

    @cached_property
    def _endings(self) -> Mapping[str, int]:
        counted = Counter(self._ending(member) for member in self.members)
        return {ending: counted[ending] for ending in RequestEnding}

    def _ending(self, member: BatchMember) -> RequestEnding:
        effect = BATCH_FAULTS[member.fault].effect
        if unprocessed := self.life.unprocessed(member.moment):
            return unprocessed
        if member.sent.error or isinstance(effect, ApiError):
            return RequestEnding.ERRORED
        return RequestEnding.EXPIRED if effect is Fate.EXPIRED else RequestEnding.SUCCEEDED

    def _outcome(self, member: BatchMember) -> Body | ApiError | None:
        ending, effect = self._ending(member), BATCH_FAULTS[member.fault].effect
        if ending is RequestEnding.ERRORED:
            return member.sent.error or (effect if isinstance(effect, ApiError) else None)
        return self._message(member) if ending is RequestEnding.SUCCEEDED else None

    def _result(self, member: BatchMember) -> dict[str, Any]:
        ending, outcome = self._ending(member), self._outcome(member)
        if isinstance(outcome, ApiError):
            processed = not member.sent.error
            request_id = new_id("workerreq_011C", self.id, member.sent.custom_id) if processed else None
            return _errored(outcome, request_id=request_id)
        return {"type": ending, **({"message": outcome} if outcome else {})}

    def _message(self, member: BatchMember) -> Body:
        """Produce a reply; the same whenever it is asked for."""
        raw, card = self.file.read(member.sent.place), self.dialect.find(str(member.sent.model))
        assert card
        effect = BATCH_FAULTS[member.fault].effect
        spoiling = effect if isinstance(effect, Spoiling) else None
        params = self.uploaded.resolved(self.dialect.read(raw), now=None)
        production = produce(params, card, seed=self.seed, chance=member.thinking, spoiling=spoiling)
        self._output_tokens[member.sent.custom_id] = production.output_tokens
        message_id = new_id("msg_01", self.seed, raw, "batch", member.seen)
        message = message_body(production, card, message_id=message_id, used=self._used(member), tier="batch")
        return self.dialect.write(message, params, int(self.epoch_s + self.created_at))

    def _used(self, member: BatchMember) -> PromptUsage:
        """Bill a prompt: caching is best effort in batches."""
        points = member.sent.prompt.breakpoints
        reads = points and member.finds_cache and member.sent.custom_id not in self._first_writers
        return member.sent.prompt.used(points[-1] if reads else None)

    @cached_property
    def _first_writers(self) -> frozenset[str]:
        """Find the requests that were the first with what they have to cache."""
        firsts: dict[bytes, str] = {}
        for member in self._by_moment:
            points = member.sent.prompt.breakpoints
            if points and self._ending(member) is RequestEnding.SUCCEEDED:
                firsts.setdefault(points[-1].key, member.sent.custom_id)
        return frozenset(firsts.values())

    @property
    def _by_moment(self) -> Sequence[BatchMember]:
        return sorted(self.members, key=attrgetter("moment"))


def _errored(error: ApiError, *, request_id: str | None) -> dict[str, Any]:
    inner = {"details": {"error_visibility": "user_facing"}, "type": error.type, "message": error.message}
    return {"type": "errored", "error": {"type": "error", "error": inner, "request_id": request_id}}
