"""The records that the ledger takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from batchrun.answers.progress import BEGINNING, Progress
from batchrun.budget.caps import Cap
from batchrun.catalog.price import PriceRow
from batchrun.document import DocumentRef
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Failure, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run before its first request, by default one that sends nothing; money in nano-USD."""

    job: str
    job_path: str
    fingerprint: str
    model: str
    simulated: bool
    documents: int = 0
    to_send: int = 0
    cap_nusd: int = 0
    cap_tokens: int | None = None
    estimate_nusd: int = 0
    estimate_low_nusd: int = 0
    estimate_high_nusd: int = 0
    estimate_input_tokens: int | None = None
    estimate_output_tokens: int | None = None
    route: str = "stream"
    deadline_s: float | None = None
    """The deadline, in seconds from the start of the run."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The tags that the run begins with, and keeps."""


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
    """The start of the run, in seconds since 1970."""
    to_send: int
    """How many documents had no answer when the run began."""
    cap_nusd: int
    committed_nusd: int
    """What is spent and reserved, and lost answers at their worst case."""
    held_nusd: int
    """Part of `committed_nusd`: the worst case of attempts whose answer was lost."""
    open_nusd: int
    """Part of `committed_nusd`: what is reserved for requests in progress, in open batches if no process runs."""
    cap_tokens: int | None
    """The most tokens that the run may use; None for any number."""
    tokens: int
    """The tokens that are used and reserved, and those of lost answers at their worst case."""
    held_tokens: int
    """Part of `tokens`, like `held_nusd`."""
    open_tokens: int
    """Part of `tokens`, like `open_nusd`."""
    streamed_nusd: int = 0
    """Part of `open_nusd`: what is reserved for streamed requests, which are lost answers if no process runs."""

    @property
    def spent_nusd(self) -> int:
        """The cost of all answers."""
        return self.committed_nusd - self.held_nusd - self.open_nusd

    @property
    def spent_tokens(self) -> int:
        """The tokens of all answers."""
        return self.tokens - self.held_tokens - self.open_tokens


@dataclass(frozen=True, slots=True)
class Pending:
    """A document of a run that has no outcome yet, with the facts of its request that pacing and caps need."""

    document_no: int
    ref: DocumentRef
    request_no: int
    request_id: str
    counted_tokens: int
    text_class: TextClass
    max_tokens: int | None
    """Replaces the job's `max_tokens`, for a document that was truncated before."""
    guessed: bool = False
    """Whether `counted_tokens` is a guess from the document's size."""
    progress: Progress = BEGINNING
    """How far the answer to the request has come."""


@dataclass(frozen=True, slots=True)
class Move:
    """The passing of documents from a request to the same request to another model."""

    pending: Pending
    """One of the documents, as the ledger has it now."""
    request_id: str
    model: str
    escalated: str | None = None
    """Why the document's answer is not taken; None if the document has no answer."""
    has_row: bool = False
    """Whether the document's answer, or the answer that is just being settled, is a valid row."""
    first_turn: str | None = None
    """What the first attempt at the other model asks, as JSON; None for the request as it is."""
    max_tokens: int | None = None
    """The `max_tokens` of the request to the other model."""


@dataclass(frozen=True, slots=True)
class CapExceeded:
    """No money was reserved, because a cap would be exceeded. The settlement of open attempts may still make room."""

    used: int
    """What is spent or reserved, in nano-USD, or in tokens if the cap counts tokens."""
    cap: Cap
    open_attempts: int
    """How many requests of the run are in progress that count against the cap, those in batches left out."""
    in_batches: bool = False
    """Whether the run has open batches that count against the cap, and that give back what they do not need."""
    others: bool = False
    """Whether requests of other runs are in progress that count against the cap too."""


@dataclass(frozen=True, slots=True)
class Taken:
    """No money was reserved, because the request is settled or another run is just sending it."""

    settled: bool


APART = 64
"""How many tokens a prompt that is marked for the cache may differ by from the same prompt without the mark."""


@dataclass(frozen=True, slots=True)
class KnownPrompt:
    """The length of a request's prompt, as an answer has stated it."""

    tokens: int
    max_tokens: int
    input_nusd: int
    """The price of a streamed token that is not cached."""

    @property
    def most_tokens(self) -> int:
        """The most tokens that an attempt can have used, prompt and answer together."""
        return self.tokens + APART + self.max_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt ended, and with an `outcome` how its request ended."""

    attempt_no: int
    state: str
    """One of answered, failed (not billed) and unknown (lost: the attempt counts at its worst case)."""
    cost_nusd: int | None
    outcome: Outcome | None = None
    reason: str | None = None
    output: str | None = None
    reply: Reply | None = None
    failure: Failure | None = None
    price: PriceRow | None = None
    """The price row that gave `cost_nusd`; None if there was nothing to price."""
    prompt: KnownPrompt | None = None
    """The request's prompt: earlier attempts at the request whose answer was lost are held at less by it."""
    latency_s: float | None = None
    """The time from the send to the end of the answer, or to the failure."""
    escalated: str | None = None
    """Why the answer is not taken and the next model is asked."""
    progress: Progress | None = None
    """How far the answer to the request has come; None if the attempt has changed nothing in that."""
    judged: Outcome | None = None
    """What the reply is by itself: None if it is the `outcome`, and without a reply."""
    findings: str | None = None
    """What was found out about the answer, as JSON."""


@dataclass(frozen=True, slots=True)
class MinuteUse:
    """What one model was sent and produced within one minute, with the limits that were in force then."""

    model: str
    minute: int
    """Minutes since 1970."""
    requests: int
    input_tokens: int
    """The tokens that count to the limit; tokens read from the cache do not."""
    output_tokens: int
    requests_limit: int | None
    """The requests that are allowed a minute; None, like the next two, if no limit is known."""
    input_tokens_limit: int | None
    output_tokens_limit: int | None


@dataclass(frozen=True, slots=True)
class Waited:
    """How long requests were kept from being sent by one cause.

    At the rate limiter only the wait of the request whose turn it was counts.
    """

    cause: str
    """One of requests, input tokens, output tokens, concurrency, http_429, outage, retry and budget."""
    seconds: float
    times: int
