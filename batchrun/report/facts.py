"""What the report of a run shows, as plain values: no ledger, no plan and no job file is needed to show it.

Money is in nano-USD, times are in seconds since 1970, and durations are in seconds. All lists have a bound, whatever
the size of the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchrun.estimation.interval import Interval
from batchrun.job.decisive_keys import ChangedKey
from batchrun.quality.checks.result import CheckResult
from batchrun.quality.evaluate import GoldScores
from batchrun.quality.tune.frontier import Frontier
from batchrun.store.ledger.run_metrics import Percentiles
from batchrun.store.reports.costs import UsedPrice
from batchrun.store.reports.evidence import FieldEvidence, RunFindings
from batchrun.strategy.duration import Bound

PENDING = "pending"
"""The word for documents without an outcome, among the outcomes."""


@dataclass(frozen=True, slots=True)
class ClassCost:
    """The tokens of one class, and what these tokens cost."""

    name: str
    tokens: int
    nusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """The money of the run."""

    cost_nusd: int
    """The cost of all answers."""
    held_nusd: int
    """The worst cases of answers that were lost or stated no usage: they may have been billed."""
    open_nusd: int
    """What is reserved for requests in progress, and for open batches."""
    cap_nusd: int
    estimate: Interval | None
    """The estimate of the cost at the start of the run. None if the run began without one."""
    classes: Sequence[ClassCost]
    """The cost by class of token, thinking apart from other output; classes without tokens are left out."""
    unclassed_nusd: int
    """The part of the cost that no price row explains: earlier versions recorded none."""
    prices: Sequence[UsedPrice]
    """The price rows of the time, with the attempts that they priced."""


@dataclass(frozen=True, slots=True)
class SpentBy:
    """What was spent until a moment of the run."""

    seconds: float
    """The seconds since the start of the run."""
    nusd: int
    settled: int
    """How many requests had their outcome by then."""


@dataclass(frozen=True, slots=True)
class RateUse:
    """The use of the rate limits in one or more minutes of the run."""

    seconds: float
    """The beginning of the minutes, in seconds since the start of the run; it may be before that start."""
    shares: Mapping[Bound, float]
    """The share of each limit that was used, 1.0 being all of it. A limit that is not known has no share."""
    limited: int
    """How many requests the API refused with 429, a rate limit."""
    overloaded: int
    """How many requests the API refused with 529, overload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the run streamed, and what held it up."""

    uses: Sequence[RateUse]
    minutes: int
    """How many minutes each of `uses` stands for."""
    shares: Mapping[Bound, float]
    """The share of each limit over the whole run, by the model that used the largest share."""
    waits: Mapping[str, float]
    """The seconds that requests waited, all of them together, by cause: the longest wait first."""
    per_minute: float | None
    """How many requests were settled a minute; None if the run was over at once."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The number of values from `low` on and below `high`."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the answers to streamed requests took, in seconds from the send to the end of the answer."""

    bins: Sequence[Bin]
    percentiles: Percentiles
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpan:
    """The life of one batch; a moment that has not come is None."""

    name: str
    requests: int
    state: str
    prepared_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFit:
    """How the prompts that Claude counted compare with those that the run was estimated with."""

    documents: int
    """How many answers were compared."""
    bias: float
    """The tokens of all prompts as a share of the estimate, less 1: above 0 if there were more than estimated."""
    near: float
    """The share of the documents whose prompt is within `NEAR` of its estimate."""
    dots: Sequence[tuple[int, float]]
    """Some documents: the estimated tokens of a prompt, and the real tokens as a share of these."""


NEAR = 0.1
"""How far a prompt may be from its estimate to be called near, as a share of the estimate."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Documents that need a person, for one reason."""

    outcome: str
    reason: str
    documents: int
    command: str
    """What to type to mend the documents, or to see how they can be mended."""


@dataclass(frozen=True, slots=True)
class FieldRate:
    """What the answers of the run have in one field."""

    field: str
    filled: int
    null: int
    """Answers with null because the model gave null, or no value."""
    invalid: int
    """Answers whose value has a problem, whether it became null or was kept in doubt."""
    agreement: float | None
    """The average share of votes that agree with the value. None without votes."""
    evidence: FieldEvidence | None
    """None for a field that was asked for without a quote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The run of the same job that had finished before this run began."""

    run_id: str
    started_at: float
    model: str
    documents: int
    failed: int
    cost_nusd: int
    nusd_per_1000: int | None
    """What 1,000 documents cost that the run itself has asked about; None if it has asked about none."""
    seconds: float
    changed: Sequence[ChangedKey] | None
    """The decisive keys of the job file that have changed since. None if the keys of one of the runs are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The report of one run."""

    run_id: str
    job: str
    job_path: str
    """The job file, as a path from the project's folder."""
    simulated: bool
    state: str
    """One of running, waiting, interrupted, stopped and finished."""
    exit_code: int | None
    """None while the run goes on."""
    halted: str | None
    """Why the run stopped. None if nothing stopped the run."""
    hint: str | None
    """What the run's last words said to do next."""
    model: str
    answered_by: Mapping[str, int]
    """How many attempts each model answered, the busiest model first."""
    route: str
    fingerprint: str
    """The hash of everything in the job file that makes requests."""
    tags: Mapping[str, str]
    started_at: float
    ended_at: float | None
    """When the run ended, or was changed last if its process died. None while the run goes on."""
    seconds: float
    """The wall time from the start to the end, or to the last change of a run that goes on."""
    forecast_s: float | None
    """How long the run was forecast to take. None if no plan is remembered."""
    continued: bool
    """Whether the run was cut short and continued: the wall time includes the time between."""
    outcomes: Mapping[str, int]
    """Counts of all documents that the run was about, by outcome, in the order of `Outcome`; `PENDING` comes last."""
    in_source: int
    """The number of documents in the source, selected or not. 0 if it is not known."""
    attempts: int
    lost: int
    """How many attempts lost their answer."""
    retried: Mapping[str, int]
    """How many attempts failed and were followed by another one, by cause, the most frequent first."""
    input_tokens: int
    output_tokens: int
    thinking_tokens: int
    estimate_input_tokens: int | None
    estimate_output_tokens: int | None
    money: Money
    spending: Sequence[SpentBy]
    """Empty if nothing was answered."""
    pace: Pace | None
    """None if the run did not stream, or measured nothing."""
    latency: Latency | None
    """None if nothing was streamed."""
    batches: Sequence[BatchSpan]
    """The oldest first, at most so many as a chart can show."""
    all_batches: int
    """How many batches the run has had."""
    fit: TokenFit | None
    """None if the tokens of single requests were not estimated, or none was answered."""
    attention: Sequence[Attention]
    """The most frequent reasons first, the rest of them together."""
    answers: int
    """How many answers `fields` counts."""
    fields: Sequence[FieldRate]
    """In the order of the answers. Empty without answers."""
    findings: RunFindings
    escalated: Mapping[str, tuple[int, int]]
    """Of a cascade: how many answers a model gave, and how many of them were passed to the next model."""
    checks: Sequence[CheckResult]
    gold: GoldScores | None
    """None if no document of the run has labels."""
    frontier: Frontier | None
    """What the job's last tune before this run has found. None if the job was not tuned, or an earlier version did."""
    previous: Previous | None
    """None if no run of the job had finished before."""
    gaps: Sequence[str]
    """What the ledger does not know of the run, in sentences."""

    @property
    def documents(self) -> int:
        """The number of documents that the run was about."""
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        """The number of documents that failed."""
        return self.documents - sum(self.outcomes.get(one, 0) for one in ("succeeded", "skipped", PENDING))
