"""A pilot: what the first documents of a job show of the other documents, and whether the others may follow."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from batchrun.catalog.money import dollars
from batchrun.errors import Refused, Stopped, UsageProblem
from batchrun.estimation.calibration import Z
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval
from batchrun.estimation.sampling import evenly
from batchrun.job.spec import PilotSection
from batchrun.outcome import Outcome
from batchrun.strategy.plan import Plan
from batchrun.strategy.rate import Rate
from batchrun.strategy.routes import Route

ALWAYS = (Outcome.SUCCEEDED, Outcome.TRUNCATED, Outcome.REFUSED)
"""Outcomes whose rates are shown even when no document ended so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotOptions:
    """The options of a command about a pilot."""

    documents: int | None = None
    """The least number of documents. None means what the job file says."""
    none: bool = False
    """Whether there is no pilot, whatever the job file says."""
    go_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotTerms:
    """How large a pilot is, and what comes after the pilot."""

    documents: int
    asked: bool
    """Whether the command asks for the pilot, and not the job file alone."""
    goes_on: bool
    """Whether the rest follows at once when no threshold is exceeded."""
    thresholds: PilotSection


def pilot_terms(section: PilotSection, options: PilotOptions) -> PilotTerms | None:
    """Decide on a pilot: what the command says counts before what the job file says.

    Returns None if there is no pilot. Raises UsageProblem.
    """
    if options.none and (options.documents or options.go_on):
        raise UsageProblem("--no-pilot stands beside --pilot or --go-on.", hint="leave one of them out")
    documents = options.documents or section.documents
    if options.go_on and documents is None:
        raise UsageProblem("--go-on without a pilot.", hint="say how many documents come first: --pilot 50 --go-on")
    if options.none or documents is None:
        return None
    goes_on = section.any_threshold if section.go_on is None else section.go_on
    return PilotTerms(
        documents=documents,
        asked=options.documents is not None,
        goes_on=goes_on or options.go_on,
        thresholds=section,
    )


def drawn(numbers: Sequence[int], documents: int) -> list[int]:
    """Draw documents with equal chances, evenly over their order, which is by class and size."""
    if len(numbers) <= documents:
        return list(numbers)
    return list(evenly(((number, 1) for number in numbers), len(numbers) / documents))


# --- what the pilot shows


@dataclass(frozen=True, slots=True)
class Tried:
    """One document that has its outcome, with what its attempts took."""

    doc_id: str
    outcome: Outcome
    nulls: frozenset[str]
    """The fields that are null in the document's row."""
    cost_nusd: int
    """The cost of all attempts, at the price of streaming."""
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Rates and means over the documents of a pilot."""

    documents: int
    outcomes: Mapping[Outcome, Rate]
    failures: Rate
    nulls: Mapping[str, Rate]
    """The number of rows in which a field is null, for every field."""
    cost_nusd: Interval
    """The average cost of a document, at the price of streaming, with its 90% interval."""
    input_tokens: Interval
    """The average of a document, with its 90% interval; so are the output tokens."""
    output_tokens: Interval


def findings(tried: Sequence[Tried], *, fields: Sequence[str]) -> Findings:
    """Count and average the documents of a pilot. `tried` must not be empty."""
    counts = Counter(one.outcome for one in tried)
    nulls = Counter(name for one in tried for name in one.nulls)
    return Findings(
        documents=len(tried),
        outcomes={one: Rate(counts[one], len(tried)) for one in Outcome if counts[one] or one in ALWAYS},
        failures=Rate(sum(one.outcome.failed for one in tried), len(tried)),
        nulls={name: Rate(nulls[name], counts[Outcome.SUCCEEDED]) for name in fields},
        cost_nusd=average([one.cost_nusd for one in tried]),
        input_tokens=average([one.input_tokens for one in tried]),
        output_tokens=average([one.output_tokens for one in tried]),
    )


def average(values: Sequence[float]) -> Interval:
    """Estimate the mean of all from a sample, with its 90% interval (Student's, to the first order)."""
    mean, number = fmean(values), len(values)
    if number == 1:  # one value says nothing of how far others lie from it
        return Interval(mean, 0.0, 2 * mean)
    half = Z * (1 + (Z**2 + 1) / (4 * number)) * stdev(values) / math.sqrt(number)
    return Interval(mean, max(mean - half, 0.0), mean + half)


# --- what follows


@dataclass(frozen=True, slots=True)
class ThresholdCheck:
    """A threshold beside what was measured: rates, or amounts in nano-USD."""

    key: str
    field: str | None
    measured: Interval
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the threshold holds. The measured mean counts, not its interval."""
        return self.measured.mean <= self.allowed

    @property
    def words(self) -> str:
        """The threshold and what was measured, as a sentence shows them."""
        shown, name = (dollars if self.key.endswith("_usd") else percent), f" of {self.field}" if self.field else ""
        found = f"{shown(self.measured.mean)} (90%: {shown(self.measured.low)} to {shown(self.measured.high)})"
        return f"pilot.{self.key}{name}: {found}, allowed {shown(self.allowed)}"


def percent(share: float) -> str:
    """Return a share with one place: `4.0%`."""
    return f"{100 * share:.1f}%"


def checks(found: Findings, thresholds: PilotSection, *, route: Route) -> tuple[ThresholdCheck, ...]:
    """Check every threshold that is set. Documents of the rest cost half as much if `route` is a batch."""
    refused, cost = found.outcomes[Outcome.REFUSED], found.cost_nusd.times(0.5 if route is Route.BATCH else 1.0)
    measured = [
        ("max_failure_rate", None, found.failures.interval, thresholds.max_failure_rate),
        ("max_refusal_rate", None, refused.interval, thresholds.max_refusal_rate),
        *[("max_null_rate", name, rate.interval, thresholds.max_null_rate) for name, rate in found.nulls.items()],
        ("max_cost_per_document_usd", None, cost, thresholds.max_cost_per_document_nusd),
    ]
    return tuple(
        ThresholdCheck(key, field, interval, allowed)
        for key, field, interval, allowed in measured
        if allowed is not None
    )


class Decision(StrEnum):
    """What follows a pilot."""

    GOES_ON = "goes_on"
    STOPS = "stops"
    """Nobody said that the rest should follow at once."""
    EXCEEDED = "threshold_exceeded"
    """A threshold does not hold."""
    REFUSED = "rest_refused"
    """There is not enough money for the rest, by the new estimate."""
    COMPLETE = "complete"
    """There is no rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotReport:
    """What a pilot found, and what comes after the pilot."""

    run_id: str | None
    """None if nothing was sent for the pilot, because the job's own past shows as much."""
    found: Findings
    checks: tuple[ThresholdCheck, ...]
    rest: Plan
    before: Estimate
    """The estimate of the rest before the pilot."""
    decision: Decision
    refused: Refused | None
    """Why the rest is refused. None if the rest is not."""

    @property
    def stopped(self) -> Stopped | None:
        """Why the run stops short of the rest, as an error. None if the run does what the job file and command say."""
        if self.decision is Decision.EXCEEDED:
            exceeded = [one for one in self.checks if not one.holds]
            lines = "".join(f"\n  {one.words}" for one in exceeded)
            what = "a threshold" if len(exceeded) == 1 else f"{len(exceeded)} thresholds"
            return Stopped(
                f"the pilot exceeds {what}; {self.rest.to_send:,} documents are left.{lines}",
                hint="change the prompt, the model or the threshold and submit again;"
                " or go on anyway: the same command with --no-pilot instead of --pilot",
            )
        if self.decision is Decision.REFUSED and self.refused:
            why = str(self.refused).replace(" Nothing was sent.", "", 1)
            return Stopped(f"the rest is not sent: {why}", hint=self.refused.hint)
        return None


def decide(*, rest: Plan, checked: Sequence[ThresholdCheck], refused: Refused | None, goes_on: bool) -> Decision:
    """Decide what comes after a pilot."""
    if not rest.unsettled:
        return Decision.COMPLETE
    if not all(one.holds for one in checked):
        return Decision.EXCEEDED
    if not goes_on:
        return Decision.STOPS
    return Decision.REFUSED if refused else Decision.GOES_ON
