"""The Message Batches API in memory, with its books, faults by script, and a clock that jumps with the event loop."""

import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripted_provider import ScriptedProvider, answer, lost, status
from virtual_time import VirtualTimeLoop

from batchrun.batch import BatchBody, BatchPage, BatchResult, RemoteBatch, ResultType
from batchrun.providers import AttemptError, Provider
from batchrun.providers.anthropic.wire import member_name
from batchrun.reply import Cause, Failure, Reply

BEGINNING = float(int(time.time()))
DAY_S = 24 * 3600.0

Fate = Reply | Failure | ResultType
"""How a request ends in a batch: an answer, an error of its own, or `EXPIRED` and the like."""
EXPIRED, CANCELED = ResultType.EXPIRED, ResultType.CANCELED
WRONG = status(400, "max_tokens: too large", error_type="invalid_request_error")
BROKE = status(500, "Internal server error", error_type="api_error")


class WallClock:
    """Seconds since 1970, moved by the timers of every event loop of the test, and by `skip`."""

    def __init__(self) -> None:
        self._skipped = BEGINNING
        self._loops: list[VirtualTimeLoop] = []

    def __call__(self) -> float:
        return self._skipped + sum(loop.now for loop in self._loops)

    def new_loop(self) -> VirtualTimeLoop:
        """A loop in virtual time; the time that it passes stays passed."""
        loop = VirtualTimeLoop()
        self._loops.append(loop)
        return loop

    def skip(self, seconds: float) -> None:
        """Nobody calls for a while, or the machine sleeps."""
        self._skipped += seconds


@dataclass(frozen=True)
class Lost:
    """A create call without an answer, whether or not there is a batch afterwards."""

    created: bool
    failure: Failure = field(default_factory=lost)


@dataclass
class Remote:
    """A batch at the API."""

    batch_id: str
    params: dict[str, Any]
    """The requests by custom_id, in the order of the body."""
    created_at: float
    ends_at: float
    fates: dict[str, Fate] = field(default_factory=dict)
    """The results by custom_id, once the batch has ended."""
    canceling: bool = False
    archived: bool = False

    @property
    def prompts(self) -> list[str]:
        return [prompt_of(params) for params in self.params.values()]


@dataclass
class BatchApi:
    """The API, and the factory of its clients: what `submit` takes. Streaming goes to `streaming`."""

    clock: Callable[[], float] = time.time
    script: dict[str, list[Fate]] = field(default_factory=dict)
    """What becomes of a prompt, batch after batch; the last step repeats. Others get `default`."""
    default: Fate = field(default_factory=answer)
    takes_s: float = 60.0
    creating: list[Failure | Lost | Callable[[], None] | None] = field(default_factory=list)
    """What becomes of the next create calls; None: they succeed."""
    cuts: list[int | None] = field(default_factory=list)
    """After how many results the next downloads break; None: they do not."""
    arranged: Callable[[list[BatchResult]], Iterable[BatchResult]] = reversed
    """What is made of the results on their way; their order is arbitrary."""
    refused: dict[str, Failure] = field(default_factory=dict)
    """What a call answers with, by its name, until it is taken out."""
    hidden: bool = False
    """Whether the list does not show what has been created."""
    most_requests: int = 100_000
    counts_told: bool = True
    streaming: ScriptedProvider = field(default_factory=ScriptedProvider)

    batches: list[Remote] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    billed: Counter[str] = field(default_factory=Counter)
    """How often each prompt was processed and is paid for."""
    canceled: list[str] = field(default_factory=list)
    closed: int = 0
    checked: int = 0

    # --- the factory

    def check(self) -> None:
        self.checked += 1

    def make(self, *, concurrency: int, timeout_s: float) -> Provider:
        return self.streaming

    def make_batches(self, *, timeout_s: float) -> "BatchApi":
        return self

    # --- the calls

    async def create(self, body: BatchBody) -> RemoteBatch:
        self.calls["create"] += 1
        received = b"".join([bytes(part) async for part in body.parts()])
        assert len(received) == body.size, "the length that was announced"
        step = self.creating.pop(0) if self.creating else None
        if callable(step):
            step()
            step = None
        if isinstance(step, Failure):
            raise AttemptError(step)
        if step is None or step.created:
            remote = self._created(received)
        if isinstance(step, Lost):
            raise AttemptError(step.failure)
        return self.told(remote)

    def _created(self, received: bytes) -> Remote:
        requests = json.loads(received)["requests"]
        params = {one["custom_id"]: one["params"] for one in requests}
        assert len(params) == len(requests) > 0
        if len(params) > self.most_requests:
            raise AttemptError(status(413, "Request exceeds the maximum size", error_type="request_too_large"))
        self.bodies.append(received)
        return self._added(params)

    def _added(self, params: dict[str, Any]) -> Remote:
        self.calls["added"] += 1
        now = self.clock()
        remote = Remote(f"msgbatch_{self.calls['added']}", params, now, now + self.takes_s)
        self.batches.append(remote)
        return remote

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        self._answer("retrieve")
        return self.told(self._known(batch_id))

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        self._answer("page")
        newest_first = [] if self.hidden else [self.told(remote) for remote in reversed(self.batches)]
        ids = [remote.batch_id for remote in newest_first]
        start = ids.index(after_id) + 1 if after_id else 0
        rest = newest_first[start : start + limit]
        return BatchPage(tuple(rest), has_more=start + limit < len(newest_first), server_time=self.clock())

    async def cancel(self, batch_id: str) -> RemoteBatch:
        self._answer("cancel")
        remote = self._known(batch_id)
        self.canceled.append(batch_id)
        self._settle(remote)
        if not remote.fates:
            remote.canceling = True
            remote.ends_at = min(remote.ends_at, self.clock() + 5)
        return self.told(remote)

    async def results(self, batch: RemoteBatch) -> AsyncGenerator[BatchResult, None]:
        self._answer("results")
        remote = self._known(batch.batch_id)
        cut = self.cuts.pop(0) if self.cuts else None
        found = [result(custom_id, fate) for custom_id, fate in remote.fates.items()]
        for number, one in enumerate(self.arranged(found)):
            if number == cut:
                raise AttemptError(lost())
            yield one

    async def close(self) -> None:
        self.closed += 1

    # --- the life of a batch

    def told(self, remote: Remote) -> RemoteBatch:
        self._settle(remote)
        ended = bool(remote.fates)
        counts = Counter(kind_of(fate).value for fate in remote.fates.values()) if ended else {}
        processing = 0 if ended else len(remote.params)
        return RemoteBatch(
            batch_id=remote.batch_id,
            status="ended" if ended else "canceling" if remote.canceling else "in_progress",
            counts={"processing": processing, **counts} if self.counts_told else {},
            created_at=remote.created_at,
            expires_at=remote.created_at + DAY_S,
            ended_at=remote.ends_at if ended else None,
            archived=remote.archived,
        )

    def somebody_elses(self, requests: int, *, nonce: str = "ffffffffffff") -> Remote:
        """A batch of the same workspace that another program made."""
        params = {
            f"{nonce}-{number:032x}": {"messages": [{"content": f"theirs {number}"}]} for number in range(requests)
        }
        return self._added(params)

    def _settle(self, remote: Remote) -> None:
        if remote.fates or self.clock() < remote.ends_at:
            return
        for custom_id, params in remote.params.items():
            fate = CANCELED if remote.canceling else self._next(prompt_of(params))
            remote.fates[custom_id] = fate
            self.billed[prompt_of(params)] += isinstance(fate, Reply)
        self.billed += Counter()  # without zeros

    def _next(self, prompt: str) -> Fate:
        steps = self.script.get(prompt)
        if not steps:
            return self.default
        return steps.pop(0) if len(steps) > 1 else steps[0]

    def _answer(self, call: str) -> None:
        self.calls[call] += 1
        if call in self.refused:
            raise AttemptError(self.refused[call])

    def _known(self, batch_id: str) -> Remote:
        for remote in self.batches:
            if remote.batch_id == batch_id:
                return remote
        raise AttemptError(status(404, "no such batch", error_type="not_found_error"))

    # --- the books

    @property
    def paid(self) -> Mapping[str, int]:
        """How often each prompt is paid for, on either route."""
        return self.billed + Counter(self.streaming.sent)

    @property
    def sizes(self) -> list[int]:
        return [len(remote.params) for remote in self.batches]


def prompt_of(params: Mapping[str, Any]) -> str:
    return str(params["messages"][0]["content"])


def kind_of(fate: Fate) -> ResultType:
    match fate:
        case Reply():
            return ResultType.SUCCEEDED
        case Failure():
            return ResultType.SUCCEEDED if fate.cause is Cause.MALFORMED else ResultType.ERRORED
        case _:
            return fate


def result(custom_id: str, fate: Fate) -> BatchResult:
    """A line of results."""
    nonce, request_id = member_name(custom_id)
    return BatchResult(
        nonce=nonce,
        request_id=request_id,
        type=kind_of(fate),
        reply=fate if isinstance(fate, Reply) else None,
        failure=fate if isinstance(fate, Failure) else None,
    )
