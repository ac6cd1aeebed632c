"""A pilot: what the first documents of a job tell of the others, and whether those may follow."""

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
"""Outcomes whose rates are told even when nothing ended so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotOptions:
    """What a command says of a pilot."""

    documents: int | None = None
    """At least so many; None: as the job file says."""
    none: bool = False
    """Whatever the job file says, no pilot."""
    go_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotTerms:
    """How large a pilot is, and what comes after it."""

    documents: int
    asked: bool
    """Whether the command asks for it, not only the job file."""
    goes_on: bool
    """Whether the rest follows at once when no threshold is exceeded."""
    thresholds: PilotSection


def pilot_terms(section: PilotSection, options: PilotOptions) -> PilotTerms | None:
    """What the command says over what the job file says; None: no pilot. Raises UsageProblem."""
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
    """Draw so many of the documents, each with the same chance, evenly over their order (by class and size)."""
    if len(numbers) <= documents:
        return list(numbers)
    return list(evenly(((number, 1) for number in numbers), len(numbers) / documents))


# --- what it tells


@dataclass(frozen=True, slots=True)
class Tried:
    """One document that has its outcome, with what it took to get there."""

    doc_id: str
    outcome: Outcome
    nulls: frozenset[str]
    """The fields that are null in its row."""
    cost_nusd: int
    """Of all its attempts, at the price of streaming."""
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of a sample, and the share of all that it stands for."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """As measured; 0 of nothing."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> Interval:
        """The share with its 90% interval (Wilson 1927), which holds for few documents and for none of them too."""
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
    """For every field, of the rows."""
    cost_nusd: Interval
    """Of a document, on average, at the price of streaming; this and the next two with their 90% intervals."""
    input_tokens: Interval
    output_tokens: Interval


def findings(tried: Sequence[Tried], *, fields: Sequence[str]) -> Findings:
    """Count and average; `tried` is not empty."""
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
    """The mean of all from a sample's, with its 90% interval (Student's, to the first order)."""
    mean, number = fmean(values), len(values)
    if number == 1:  # nothing is known of how far others lie from it
        return Interval(mean, 0.0, 2 * mean)
    variance = math.fsum((value - mean) ** 2 for value in values) / (number - 1)
    half = Z * (1 + (Z**2 + 1) / (4 * number)) * math.sqrt(variance / number)
    return Interval(mean, max(mean - half, 0.0), mean + half)


# --- what follows


@dataclass(frozen=True, slots=True)
class ThresholdCheck:
    """A threshold beside what was measured; a rate, or an amount in nano-USD."""

    key: str
    field: str | None
    measured: Interval
    allowed: float

    @property
    def holds(self) -> bool:
        """Judged by what was measured itself."""
        return self.measured.mean <= self.allowed

    @property
    def words(self) -> str:
        """As a sentence has it."""
        shown, name = (dollars if self.key.endswith("_usd") else percent), f" of {self.field}" if self.field else ""
        found = f"{shown(self.measured.mean)} (90%: {shown(self.measured.low)} to {shown(self.measured.high)})"
        return f"pilot.{self.key}{name}: {found}, allowed {shown(self.allowed)}"


def percent(share: float) -> str:
    """`4.0%`."""
    return f"{100 * share:.1f}%"


def checks(found: Findings, thresholds: PilotSection, *, route: Route) -> tuple[ThresholdCheck, ...]:
    """Every threshold; the cost of a document is that by the `route` of the rest."""
    return tuple(_checks(found, thresholds, route))


def _checks(found: Findings, thresholds: PilotSection, route: Route) -> Iterator[ThresholdCheck]:
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
    """What is half in a batch, from its price when streamed."""
    return cost.times(0.5) if route is Route.BATCH else cost


class Decision(StrEnum):
    """What comes after a pilot."""

    GOES_ON = "goes_on"
    STOPS = "stops"
    """Nobody said that the rest should follow at once."""
    EXCEEDED = "threshold_exceeded"
    """A threshold does not hold."""
    REFUSED = "rest_refused"
    """By the new estimate there is not the money for the rest."""
    COMPLETE = "complete"
    """There is no rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotReport:
    """A pilot, and what comes after it."""

    run_id: str | None
    """None: nothing was sent for it, the job's own past tells as much."""
    found: Findings
    checks: tuple[ThresholdCheck, ...]
    rest: Plan
    before: Estimate
    """Of the rest, as it was estimated before the pilot."""
    decision: Decision
    refused: Refused | None
    """Why the rest is refused."""

    @property
    def exceeded(self) -> tuple[ThresholdCheck, ...]:
        """The thresholds that do not hold."""
        return tuple(one for one in self.checks if not one.holds)

    @property
    def stopped(self) -> Stopped | None:
        """Why the run stops short of the rest, as an error; None where it does as it was told."""
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
    """What comes after a pilot."""
    if not rest.unsettled:
        return Decision.COMPLETE
    if not all(one.holds for one in checked):
        return Decision.EXCEEDED
    if not goes_on:
        return Decision.STOPS
    return Decision.REFUSED if refused else Decision.GOES_ON
