"""What goes into the ledger and comes out of it."""

from dataclasses import dataclass

from batchrun.budget.caps import Cap
from batchrun.catalog.price import PriceRow
from batchrun.document import DocumentRef
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Failure, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What is known of a run before its first request; money in nano-USD."""

    job: str
    job_path: str
    fingerprint: str
    model: str
    simulated: bool
    documents: int
    to_send: int
    cap_nusd: int
    estimate_nusd: int
    estimate_low_nusd: int
    estimate_high_nusd: int
    estimate_input_tokens: int | None = None
    estimate_output_tokens: int | None = None
    route: str = "stream"
    deadline_s: float | None = None
    """From the start of the run."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the ledger has it."""

    run_no: int
    run_id: str
    job_path: str
    state: str
    fingerprint: str
    route: str
    started_at: float
    """In seconds since 1970."""
    to_send: int
    """How many documents had no answer when the run began."""
    cap_nusd: int
    committed_nusd: int
    """What is spent and reserved, and lost answers at their worst case."""
    held_nusd: int
    """Part of `committed_nusd`: the worst case of attempts whose answer was lost."""
    open_nusd: int
    """Part of `committed_nusd`: what is reserved for requests in progress, in open batches if no process runs."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A document of a run that has no outcome yet, with what pacing and money need to know of its request."""

    document_no: int
    ref: DocumentRef
    request_no: int
    request_id: str
    counted_tokens: int
    text_class: TextClass
    max_tokens: int | None
    """Overrides the job's, for a document that was truncated before."""
    guessed: bool = False
    """Whether `counted_tokens` is a guess from the document's size."""


@dataclass(frozen=True, slots=True)
class Move:
    """Documents pass from one request to the same request to another model."""

    pending: Pending
    """One of them, as it stands now."""
    request_id: str
    model: str
    escalated: str | None = None
    """Why the answer that it has is not taken; None: it has none."""
    has_row: bool = False
    """Whether that answer, or the one that is just being settled, is a valid row."""


@dataclass(frozen=True, slots=True)
class CapExceeded:
    """No money was reserved, because a cap would be exceeded. The settlement of open attempts may still make room."""

    used: int
    """What is spent or reserved, in nano-USD, or in tokens if the cap counts tokens."""
    cap: Cap
    open_attempts: int
    """How many requests of the run are in progress, those in batches left out."""
    in_batches: bool = False
    """Whether the run has open batches, which give back what they do not need."""
    others: bool = False
    """Whether requests of other runs are in progress that count against the cap too."""


@dataclass(frozen=True, slots=True)
class Taken:
    """No reservation: the request is settled, or another run is just sending it."""

    settled: bool


APART = 64
"""Tokens by which the same prompt may differ from itself, when it is marked for the cache and when it is not."""


@dataclass(frozen=True, slots=True)
class KnownPrompt:
    """How long a request's prompt is, now that an answer has told it."""

    tokens: int
    max_tokens: int
    input_nusd: int
    """The price of a token that is not cached, streamed."""

    @property
    def most_tokens(self) -> int:
        """What an attempt can have used, prompt and answer together."""
        return self.tokens + APART + self.max_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt ended; with an `outcome`, how its request did."""

    attempt_no: int
    state: str
    """answered, failed (not billed) or unknown (lost: counts at its worst case)."""
    cost_nusd: int | None
    outcome: Outcome | None = None
    reason: str | None = None
    output: str | None = None
    reply: Reply | None = None
    failure: Failure | None = None
    price: PriceRow | None = None
    """What `cost_nusd` was priced by; None where there was nothing to price."""
    prompt: KnownPrompt | None = None
    """Of the request: what was lost of it before is held at less."""
    latency_s: float | None = None
    """From the send to the end of the answer, or to where it failed."""
    escalated: str | None = None
    """Why the answer is not taken, and the next model is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteUse:
    """What one model was sent and produced within one minute, beside the limits in force then."""

    model: str
    minute: int
    """Minutes since 1970."""
    requests: int
    input_tokens: int
    """Of those that count to the limit: cache reads do not."""
    output_tokens: int
    requests_limit: int | None
    """A minute; None: none is known."""
    input_tokens_limit: int | None
    output_tokens_limit: int | None


@dataclass(frozen=True, slots=True)
class Waited:
    """How long requests were kept from being sent, by cause: at the gate only the one whose turn it was counts."""

    cause: str
    """requests, input tokens, output tokens, concurrency, http_429, outage, retry or budget."""
    seconds: float
    times: int
