"""The events of a run for whoever watches the run: facts with stable names. `cli` makes words for people of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from batchrun.outcome import Outcome
from batchrun.reply import Failure, Usage


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run is in the ledger and the first request is about to be sent."""

    run_id: str
    job: str
    model: str
    to_send: int
    """Documents to be brought to their outcomes, documents in open batches included."""
    route: str
    resumed: bool
    spent_nusd: int
    """The money that earlier parts of this run have spent."""
    cap_nusd: int
    tags: Mapping[str, str] = field(default_factory=dict)
    """The tags of the run."""
    started_at: float = 0.0
    """When the run began, in seconds since 1970; a resumed run began before this part of the run."""
    deadline_at: float | None = None
    """When all should be done. None without a deadline."""


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One attempt brought no reply; the request is tried again, or the run stops."""

    doc_id: str
    cause: str
    """A stable short name: `http_429`, `http_529`, `timeout`, `dropped`, `connect`, `malformed`."""
    attempt: int
    retry_in_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """One attempt came to its end, and is in the ledger. For logs: no text of document or reply is in the event."""

    attempt_no: int
    doc_id: str
    request_id: str
    model: str
    """The model that was asked."""
    state: str
    """`answered`, `failed` (not billed) or `unknown` (lost, and maybe billed)."""
    outcome: Outcome | None
    """The outcome of the request, when this attempt settled the request."""
    latency_s: float
    first_byte_s: float | None
    usage: Usage | None
    cost_nusd: int | None
    """The cost of the attempt. It is None when the answer was lost, and the worst case is held."""
    stop_reason: str | None
    failure: Failure | None
    api_request_id: str | None


@dataclass(frozen=True, slots=True)
class Paused:
    """Nobody sends for a while, because the API asked for a pause."""

    seconds: float
    cause: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run has waited for half a minute, or knows that it will; this is told once of each wait."""

    why: str
    """What is waited for, in the API's own words where there are any."""


@dataclass(frozen=True, slots=True)
class UsageDoubted:
    """An answer reports more tokens than its request allows. Told once in a run; such usage counts as not told."""

    model: str
    """The model as the answer names the model."""
    usage: Usage


@dataclass(frozen=True, slots=True)
class OutageBegan:
    """Nobody is answered any more: nothing is sent to the model but a probe now and then."""

    model: str
    cause: str


@dataclass(frozen=True, slots=True)
class OutageEnded:
    """The model answers again."""

    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DocumentSettled:
    """A document reached its outcome, which is in the ledger."""

    doc_id: str
    outcome: Outcome
    reason: str | None
    cost_nusd: int
    """The cost of the document's last attempt; 0 if another document with the same request has told the cost."""
    batch_id: str | None = None
    """The batch whose result settled the document, if a batch did."""


@dataclass(frozen=True, slots=True)
class Draining:
    """No new requests are sent; requests in flight are being finished."""

    in_flight: int
    within_s: float
    cause: str


@dataclass(frozen=True, slots=True)
class PublishDelayed:
    """Rows cannot be brought to the output just now; the rows are safe and follow later."""

    why: str


@dataclass(frozen=True, slots=True)
class BatchSubmitted:
    """A batch is at the API, and the ledger has its id."""

    batch_id: str
    requests: int
    bytes: int
    adopted: bool
    """Whether the batch was found again after the answer to its creation had been lost."""


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """The API is done with a batch."""

    batch_id: str
    age_s: float
    counts: Mapping[str, int]
    """The number of requests for each way of ending."""


@dataclass(frozen=True, slots=True)
class BatchCollected:
    """Every result of a batch is in the ledger."""

    batch_id: str
    again: int
    """Requests that are pending again: expired, canceled, or errored in a way that may pass."""
    odd: int
    """Results that nobody waits for: the name is unknown, or an earlier result had the name."""


@dataclass(frozen=True, slots=True)
class BatchTrouble:
    """Something about a batch did not work, has cost nothing, and is tried again."""

    batch: str
    """The API's id, or the ledger's while there is none."""
    what: str
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class BatchesOpen:
    """Nothing is due: batches are being processed."""

    batches: int
    requests: int
    next_s: float
    """The seconds until something is due again."""
    expires_at: float | None
    """When the first of the batches expires."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened; some seconds have gone by."""


Event = (
    RunStarted
    | AttemptFailed
    | AttemptEnded
    | Paused
    | Waiting
    | UsageDoubted
    | OutageBegan
    | OutageEnded
    | DocumentSettled
    | Draining
    | PublishDelayed
    | BatchSubmitted
    | BatchEnded
    | BatchCollected
    | BatchTrouble
    | BatchesOpen
    | Tick
)
Listener = Callable[[Event], None]
