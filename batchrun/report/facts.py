"""What the report of a run shows, as plain values: no ledger, no plan and no job file is needed to show the report.

Money is in nano-USD, times are in seconds since 1970, and durations are in seconds. All lists have a bound, whatever
the size of the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchrun.job.decisive_keys import ChangedKey
from batchrun.outcome import Outcome
from batchrun.quality.checks.result import CheckResult
from batchrun.quality.evaluate import GoldScores
from batchrun.quality.tune.frontier import Frontier
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.reports.cache_use import CacheUse
from batchrun.store.reports.costs import Spending, UsedPrice
from batchrun.store.reports.curves import Bin, Moment, TokenFit
from batchrun.store.reports.evidence import RunFindings
from batchrun.store.reports.performance import Performance
from batchrun.store.reports.run_problems import FieldRate
from batchrun.store.reports.runs import RunStory
from batchrun.store.reports.totals import Totals

PENDING = "pending"
"""The word for documents without an outcome, among the outcomes."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Documents that need a person, for one reason."""

    outcome: str
    """The outcome of the documents, or `PENDING`."""
    reason: str
    """Why, in the words of the model, the API or the program; empty if nothing is said."""
    documents: int
    command: str
    """What to type, in the project's folder, to mend the documents or to see how they can be mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The run of the same job that had finished before this run began."""

    story: RunStory
    model: str
    documents: int
    failed: int
    totals: Totals
    seconds: float
    """The wall time of the run."""
    changed: Sequence[ChangedKey] | None
    """The decisive keys of the job file that have changed since. None if the keys of one of the runs are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The report of one run."""

    story: RunStory
    """The run, in the state that it is really in: a run whose process died is interrupted. What the story counts of
    documents is about those that no later run has taken over; `outcomes` counts all of them."""
    halted: str | None
    """Why the run stopped. None if nothing stopped the run."""
    hint: str | None
    """What the run's last words said to do next."""
    model: str
    fingerprint: str
    ended_at: float | None
    """When the run ended, or was changed last if its process died. None while the run goes on."""
    seconds: float
    """The wall time from the start to the end, or to the last answer of a run that goes on."""
    forecast_s: float | None
    """How long the run was forecast to take. None if no plan is remembered, and if the run was cut short before."""
    outcomes: Mapping[str, int]
    """Counts of all documents that the run was about, by outcome, in the order of `Outcome`; `PENDING` comes last."""
    in_source: int
    """The number of documents in the source, selected or not. 0 if it is not known."""
    totals: Totals
    spending: Spending
    prices: Sequence[UsedPrice]
    cache_use: CacheUse | None
    moments: Sequence[Moment]
    """The spending over time. Empty if nothing was answered."""
    performance: Performance
    latency_bins: Sequence[Bin]
    """Empty if nothing was streamed."""
    batches: Sequence[Batch]
    """The first batches of the run, of `all_batches`."""
    all_batches: int
    fit: TokenFit | None
    """The fit is None if the tokens of single requests were not estimated, or none was answered."""
    attention: Sequence[Attention]
    """The most frequent reasons first; other reasons are put together at the end."""
    answers: int
    """How many answers `fields` counts."""
    fields: Sequence[FieldRate]
    """In the order of the answers. Empty without answers."""
    findings: RunFindings
    checks: Sequence[CheckResult]
    gold: GoldScores | None
    """The scores are None if no document of the run has labels."""
    frontier: Frontier | None
    """What the job's last tune before this run has found. None if no tune, or none of this version, has found any."""
    previous: Previous | None
    """The run before is None if no run of the job had finished before."""
    gaps: Sequence[str]
    """What the ledger does not know of the run, in sentences."""

    @property
    def documents(self) -> int:
        """The number of documents that the run was about."""
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        """The number of documents that failed."""
        return sum(count for name, count in self.outcomes.items() if name != PENDING and Outcome(name).failed)
