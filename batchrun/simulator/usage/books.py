"""The simulator's own bookkeeping: what was asked, answered and billed, to hold against the client's."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from batchrun.simulator.batches.batch import Bill
from batchrun.simulator.batches.collection import SimulatedBatches
from batchrun.simulator.usage.prompt_cache import PromptUsage

_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens")


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request to `/v1/messages`; filled in while the request is answered."""

    sha256: str
    arrived_s: float  # since the simulator started
    in_flight: int  # requests being answered when this one came, itself included
    model: str | None = None
    status: int | None = None  # None if the connection was cut before a status was sent
    fault: str | None = None
    billed: bool = False
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0

    def bill(self, used: PromptUsage, *, output_tokens: int) -> None:
        """Record that the reply was produced and is billed, whether or not the reply arrives."""
        self.billed, self.output_tokens = True, output_tokens
        for name, tokens in asdict(used).items():
            setattr(self, name, tokens)


@dataclass(slots=True, kw_only=True)
class CreateEntry:
    """One call that would create a batch; filled in while the call is answered."""

    arrived_s: float
    requests: int = 0
    batch_id: str | None = None  # None if no batch was created
    status: int | None = None
    fault: str | None = None


class Books:
    """All entries, in the order of arrival; and the bills of batches, which are a matter of the time."""

    def __init__(self, batches: SimulatedBatches, *, clock: Callable[[], float]) -> None:
        self.entries: list[Entry] = []
        self.creates: list[CreateEntry] = []
        self._batches, self._clock = batches, clock
        self._in_flight = 0

    @contextmanager
    def visit(self, sha256: str, *, arrived_s: float) -> Iterator[Entry]:
        """Keep an entry for the time a request is being answered."""
        self._in_flight += 1
        entry = Entry(sha256=sha256, arrived_s=arrived_s, in_flight=self._in_flight)
        self.entries.append(entry)
        try:
            yield entry
        finally:
            self._in_flight -= 1

    def summary(self) -> dict[str, Any]:
        """Add everything up: `/v1/messages`, then batches. `billed_twice` is over both."""
        billed, bills, now = [entry for entry in self.entries if entry.billed], self.bills(), self._clock()
        bodies = Counter([entry.sha256 for entry in billed] + [bill.sha256 for bill in bills])
        return {
            "requests": len(self.entries),
            "billed": len(billed),
            "billed_twice": sum(times > 1 for times in bodies.values()),
            "by_status": Counter(str(entry.status) for entry in self.entries if entry.status is not None),
            "by_fault": Counter(entry.fault for entry in self.entries if entry.fault is not None),
            "max_in_flight": max((entry.in_flight for entry in self.entries), default=0),
            "in_flight_now": self._in_flight,
            "model_usage": _usage_by_model(billed),
            **_added_up(billed),
            "batch_creates": len(self.creates),
            "batch_billed": len(bills),
            "batch_model_usage": _usage_by_model(bills),
            **{f"batch_{name}": tokens for name, tokens in _added_up(bills).items()},
            "batch_faults": dict(self._batches.faults),
            "batches": [
                {
                    "id": batch.id,
                    "status": batch.status(now),
                    "requests": len(batch.members),
                    "created_at": batch.written_at(0.0),
                    "fault": batch.fault,
                }
                for batch in self._batches.all
            ],
        }

    def bills(self) -> list[Bill]:
        """Return what batches that have ended are billed for; takes long when their results were not asked for yet."""
        return list(self._batches.bills(self._clock()))

    def listed(self) -> dict[str, list[dict[str, Any]]]:
        """Return everything one by one, as JSON objects."""
        listed: dict[str, Sequence[Any]]
        listed = {"entries": self.entries, "creates": self.creates, "batch_entries": self.bills()}
        return {name: [asdict(one) for one in several] for name, several in listed.items()}


def _usage_by_model(billed: Sequence[Entry | Bill]) -> dict[str, dict[str, int]]:
    by_model: dict[str, list[Entry | Bill]] = {}
    for entry in billed:
        by_model.setdefault(str(entry.model), []).append(entry)
    return {model: {"requests": len(entries), **_added_up(entries)} for model, entries in by_model.items()}


def _added_up(billed: Sequence[Entry | Bill]) -> dict[str, int]:
    return {name: sum(getattr(entry, name) for entry in billed) for name in _TOKENS}
