"""Which route a job takes: requests are streamed at once, or travel in batches for half the price within a day."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import NOTHING, Interval
from batchrun.strategy.duration import Duration
from batchrun.strategy.prompt_caching import Caching

SMALL_JOB = 100
"""The number of requests below which half the price is not worth an hour."""
TYPICAL_BATCH_S = 3600.0
"""Most batches end within this time (API documentation, batch processing), which is not a promise."""
LONGEST_BATCH_S = 24 * 3600.0
"""Requests that have not been processed after this time expire."""
SLOWER_THAN_FORECAST = 1.2
MARGIN_S = 900.0


class Route(StrEnum):
    """How requests travel."""

    STREAM = "stream"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a route would cost, and how long it would take."""

    route: Route
    estimate: Estimate
    seconds: float
    """How long the route takes as a rule."""
    at_most_s: float | None
    """The time that the API guarantees. None if nothing is guaranteed."""
    duration: Duration | None = None
    """The duration of streaming. None for batches, whose time no limit of the job decides."""
    caching: Caching | None = None
    """None without the prompt cache."""
    saving: Interval = NOTHING
    """What the cached prefix saves with each request, in tokens at the price of input."""

    @property
    def name(self) -> str:
        """The route as people read it: `stream+cache`."""
        return f"{self.route}+cache" if self.caching else str(self.route)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen route, with the reason."""

    route: Route
    reason: str


def forecasts(estimate: Estimate, duration: Duration, *, max_queued: int, turns: int = 1) -> tuple[Forecast, Forecast]:
    """Forecast both routes. `estimate` and `duration` are those of streaming.

    `turns` is the most requests about one document: each of them waits for the batch of the one before.
    """
    waves = max(math.ceil(estimate.requests / max_queued), turns if estimate.documents else 0)
    return (
        Forecast(route=Route.STREAM, estimate=estimate, seconds=duration.seconds, at_most_s=None, duration=duration),
        Forecast(
            route=Route.BATCH,
            estimate=replace(estimate, cost_nusd=estimate.cost_nusd.times(0.5)),
            seconds=waves * TYPICAL_BATCH_S,
            at_most_s=waves * LONGEST_BATCH_S,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOptions:
    """What the job file or the command says about the route."""

    route: str | None
    """stream, batch or auto. None if nothing is said."""
    deadline_s: float | None
    """The deadline, counted from the start of the run. None without a deadline."""
    fallback: bool
    """Whether requests that are unfinished near the deadline are streamed."""
    begun: Route | None
    """The route of the run that would be continued. None for a new run."""
    elapsed_s: float = 0.0
    """The time since that run began."""
    no_batches: str | None = None
    """Why requests cannot travel in batches. None if they can."""

    def is_over(self, stream: Forecast) -> bool:
        """Whether the rest would be taken back from a batch at once, to be streamed."""
        if self.deadline_s is None or not self.fallback:
            return False
        return self.deadline_s - self.elapsed_s <= switch_before_s(stream.seconds, deadline_s=self.deadline_s)


def choose(options: RouteOptions, stream: Forecast, batch: Forecast) -> Choice:
    """Choose the route that the options name, or else the cheaper route that the deadline allows."""
    choice = _choose(options, stream, batch)
    if choice.route is Route.BATCH and options.no_batches:
        return Choice(Route.STREAM, options.no_batches)
    if choice.route is Route.BATCH and options.is_over(stream):
        return Choice(Route.STREAM, "the deadline is too near for a batch")
    return choice


def _choose(options: RouteOptions, stream: Forecast, batch: Forecast) -> Choice:
    if options.route in {"stream", "batch"}:
        return Choice(Route(options.route), "as the job file or --route says")
    if options.begun is Route.BATCH:
        return Choice(Route.BATCH, "as the run began")
    if options.route is None:
        return Choice(Route.STREAM, "at once, unless the job file or --route says something else")
    if stream.estimate.documents < SMALL_JOB:
        return Choice(Route.STREAM, f"fewer than {SMALL_JOB} documents are not worth the wait for a batch")
    if stream.estimate.cost_nusd.mean <= batch.estimate.cost_nusd.mean:
        return Choice(Route.STREAM, "with the prompt cache it costs no more than a batch")
    return _by_deadline(options, stream, batch)


def _by_deadline(options: RouteOptions, stream: Forecast, batch: Forecast) -> Choice:
    share = f"{batch.estimate.cost_nusd.mean / stream.estimate.cost_nusd.mean:.0%}"
    price = "half the price" if share == "50%" else f"{share} of the price"  # not half if either route is cached
    if options.deadline_s is None:
        return Choice(Route.BATCH, f"{price}, and there is no deadline")
    left_s = options.deadline_s - options.elapsed_s
    if batch.at_most_s is not None and batch.at_most_s <= left_s:
        return Choice(Route.BATCH, f"{price}, and it is sure to end by the deadline")
    needed_s = batch.seconds + streaming_needs_s(stream.seconds, deadline_s=options.deadline_s)
    if options.fallback and needed_s <= left_s:
        return Choice(Route.BATCH, f"{price}; what is unfinished near the deadline is streamed")
    return Choice(Route.STREAM, "the deadline is too near for a batch")


def switch_before_s(seconds: float, *, deadline_s: float) -> float:
    """Return how long before the deadline the rest is taken back from batches, to be streamed.

    Batches have at least half of the time: who asks for batches and for a short deadline puts the price first.
    """
    return min(streaming_needs_s(seconds, deadline_s=deadline_s), deadline_s / 2)


def streaming_needs_s(seconds: float, *, deadline_s: float) -> float:
    """Return how long before the deadline streaming must begin if its forecast is `seconds`.

    The margin lets canceled batches come to their ends. The margin of a short deadline is a quarter of the deadline.
    """
    return SLOWER_THAN_FORECAST * seconds + min(MARGIN_S, deadline_s / 4)
