"""What a pilot shows of a job: rates and costs of its documents, the thresholds, and whether the rest follows."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from batchrun.catalog.money import dollars
from batchrun.errors import Refused, Stopped, UsageProblem
from batchrun.estimation.calibration import Z
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval
from batchrun.estimation.sampling import evenly
from batchrun.job.spec import PilotSection
from batchrun.outcome import Outcome
from batchrun.strategy.plan import Plan
from batchrun.strategy.routes import Route

ALWAYS = (Outcome.SUCCEEDED, Outcome.TRUNCATED, Outcome.REFUSED)
"""Outcomes whose rates are shown even when no document ended so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotOptions:
    """The options of a command about a pilot."""

    documents: int | None = None
    """The least number of documents. None leaves the number to the job file."""
    none: bool = False
    """Whether there is no pilot, whatever the job file says."""
    go_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotTerms:
    """How large a pilot is, and what follows the pilot."""

    documents: int
    asked: bool
    """Whether the command asks for the pilot, and not the job file alone."""
    goes_on: bool
    """Whether the rest follows at once when no threshold is exceeded."""
    thresholds: PilotSection


def pilot_terms(section: PilotSection, options: PilotOptions) -> PilotTerms | None:
    """Put the options of a command over the job file. Returns None if there is no pilot. Raises UsageProblem."""
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


# --- what a pilot shows


@dataclass(frozen=True, slots=True)
class Tried:
    """One document with its outcome, cost and tokens."""

    doc_id: str
    outcome: Outcome
    nulls: frozenset[str]
    """The fields that are null in the document's row."""
    cost_nusd: int
    """The cost of all attempts at the document, at the price of streaming."""
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Rate:
    """A count of documents in a sample, as an estimate of the share in all documents."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """The share in the sample; 0 for an empty sample."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> Interval:
        """The share with its 90% interval (Wilson 1927), which holds for few documents and for a count of 0 too."""
        if not self.of:
            return Interval(0.0, 0.0, 1.0)
        center = (self.count + Z**2 / 2) / (self.of + Z**2)
        half = Z / (self.of + Z**2) * math.sqrt(self.count * (self.of - self.count) / self.of + Z**2 / 4)
        return Interval(self.share, max(center - half, 0.0), min(center + half, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Rates and means over the documents of a pilot."""

    documents: int
    outcomes: Mapping[Outcome, Rate]
    failures: Rate
    nulls: Mapping[str, Rate]
    """The rate of null in the rows, for every field."""
    cost_nusd: Interval
    """The mean cost of a document at the price of streaming. This mean and the next two have 90% intervals."""
    input_tokens: Interval
    output_tokens: Interval


def findings(tried: Sequence[Tried], *, fields: Sequence[str]) -> Findings:
    """Count and average the documents of a pilot; `tried` is not empty."""
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
    """Estimate the mean of all documents from a sample, with a 90% interval (Student's, to the first order)."""
    mean, number = fmean(values), len(values)
    if number == 1:  # one value shows nothing of the spread
        return Interval(mean, 0.0, 2 * mean)
    variance = math.fsum((value - mean) ** 2 for value in values) / (number - 1)
    half = Z * (1 + (Z**2 + 1) / (4 * number)) * math.sqrt(variance / number)
    return Interval(mean, max(mean - half, 0.0), mean + half)


# --- what follows


@dataclass(frozen=True, slots=True)
class ThresholdCheck:
    """A threshold beside the measured value: a rate, or an amount in nano-USD."""

    key: str
    field: str | None
    measured: Interval
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the mean is within the threshold; the interval does not count."""
        return self.measured.mean <= self.allowed

    @property
    def words(self) -> str:
        """The check as a part of a sentence."""
        shown, name = (dollars if self.key.endswith("_usd") else percent), f" of {self.field}" if self.field else ""
        found = f"{shown(self.measured.mean)} (90%: {shown(self.measured.low)} to {shown(self.measured.high)})"
        return f"pilot.{self.key}{name}: {found}, allowed {shown(self.allowed)}"


def percent(share: float) -> str:
    """Write a share as a person reads it, such as `4.0%`."""
    return f"{100 * share:.1f}%"


def checks(found: Findings, thresholds: PilotSection, *, route: Route) -> Iterator[ThresholdCheck]:
    """Check every threshold; the cost of a document is that of the `route` of the rest."""
    if (allowed := thresholds.max_failure_rate) is not None:
        yield ThresholdCheck("max_failure_rate", None, found.failures.interval, allowed)
    if (allowed := thresholds.max_refusal_rate) is not None:
        yield ThresholdCheck("max_refusal_rate", None, found.outcomes[Outcome.REFUSED].interval, allowed)
    if (allowed := thresholds.max_null_rate) is not None:
        for name, rate in found.nulls.items():
            yield ThresholdCheck("max_null_rate", name, rate.interval, allowed)
    if (allowed := thresholds.max_cost_per_document_nusd) is not None:
        yield ThresholdCheck("max_cost_per_document_usd", None, by_route(found.cost_nusd, route), allowed)


def by_route(cost: Interval, route: Route) -> Interval:
    """Return a cost by a route from the cost when streamed: a batch costs half."""
    return cost.times(0.5) if route is Route.BATCH else cost


class Decision(StrEnum):
    """What follows a pilot."""

    GOES_ON = "goes_on"
    STOPS = "stops"
    """Nobody said that the rest should follow at once."""
    EXCEEDED = "threshold_exceeded"
    """A threshold does not hold."""
    REFUSED = "rest_refused"
    """The new estimate of the rest is refused."""
    COMPLETE = "complete"
    """There is no rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotReport:
    """What a pilot showed, and what follows."""

    run_id: str | None
    """None if nothing was sent for the pilot, because the job's past shows as much."""
    found: Findings
    checks: tuple[ThresholdCheck, ...]
    rest: Plan
    before: Estimate
    """The estimate of the rest from before the pilot."""
    decision: Decision
    refused: Refused | None
    """Why the rest is refused. None if the rest is not."""

    @property
    def exceeded(self) -> tuple[ThresholdCheck, ...]:
        """The thresholds that do not hold."""
        return tuple(one for one in self.checks if not one.holds)

    @property
    def stopped(self) -> Stopped | None:
        """Why the run stops before the rest, as an error. None if the run goes on, is complete, or was to stop here."""
        if self.decision is Decision.EXCEEDED:
            lines = "".join(f"\n  {one.words}" for one in self.exceeded)
            what = "a threshold" if len(self.exceeded) == 1 else f"{len(self.exceeded)} thresholds"
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
    """Decide what follows a pilot."""
    if not rest.unsettled:
        return Decision.COMPLETE
    if not all(one.holds for one in checked):
        return Decision.EXCEEDED
    if not goes_on:
        return Decision.STOPS
    return Decision.REFUSED if refused else Decision.GOES_ON
