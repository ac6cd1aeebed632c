"""Which route a job takes: streamed at once, or in Message Batches for half the price within a day."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import NOTHING, Interval
from batchrun.strategy.duration import Duration
from batchrun.strategy.prompt_caching import Caching

SMALL_JOB = 100
"""With fewer requests, half the price is not worth an hour of waiting."""
TYPICAL_BATCH_S = 3600.0
"""Most batches end within this time (API documentation, batch processing). The API does not promise it."""
LONGEST_BATCH_S = 24 * 3600.0
"""Requests that have not been processed within this time expire (API documentation, batch processing)."""
SLOWER_THAN_FORECAST = 1.2
MARGIN_S = 900.0


class Route(StrEnum):
    """How requests travel."""

    STREAM = "stream"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a route would cost and take."""

    route: Route
    estimate: Estimate
    seconds: float
    """How long the route usually takes."""
    at_most_s: float | None
    """How long the route takes at most. None if the API guarantees nothing."""
    duration: Duration | None = None
    """How rate limits decide the time of streaming. None for batches."""
    caching: Caching | None = None
    """None without the prompt cache."""
    saving: Interval = NOTHING
    """What the cache saves with each request, in tokens at the price of input."""

    @property
    def name(self) -> str:
        """The name that people read, such as `stream+cache`."""
        return f"{self.route}+cache" if self.caching else str(self.route)


@dataclass(frozen=True, slots=True)
class Choice:
    """A route, and the reason for choosing the route."""

    route: Route
    reason: str


def forecasts(estimate: Estimate, duration: Duration, *, max_queued: int) -> tuple[Forecast, Forecast]:
    """Forecast both routes; `estimate` and `duration` are those of streaming."""
    waves = math.ceil(estimate.documents / max_queued)
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
    """stream, batch or auto; None if neither says anything."""
    deadline_s: float | None
    """Seconds from the start of the run; None without a deadline."""
    fallback: bool
    """Whether unfinished documents are streamed near the deadline."""
    begun: Route | None
    """The route of the run that would be continued. None for a new run."""
    elapsed_s: float = 0.0
    """Seconds since that run began."""

    def is_over(self, stream: Forecast) -> bool:
        """Return whether a batch would be canceled at once, and its documents streamed."""
        if self.deadline_s is None or not self.fallback:
            return False
        return self.deadline_s - self.elapsed_s <= switch_before_s(stream.seconds, deadline_s=self.deadline_s)


def choose(options: RouteOptions, stream: Forecast, batch: Forecast) -> Choice:
    """Choose the route that was asked for, or the cheaper one that the deadline allows."""
    choice = _choose(options, stream, batch)
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
    price = _share_of_price(stream, batch)
    if options.deadline_s is None:
        return Choice(Route.BATCH, f"{price}, and there is no deadline")
    left_s = options.deadline_s - options.elapsed_s
    if batch.at_most_s is not None and batch.at_most_s <= left_s:
        return Choice(Route.BATCH, f"{price}, and it is sure to end by the deadline")
    needed_s = batch.seconds + streaming_needs_s(stream.seconds, deadline_s=options.deadline_s)
    if options.fallback and needed_s <= left_s:
        return Choice(Route.BATCH, f"{price}; what is unfinished near the deadline is streamed")
    return Choice(Route.STREAM, "the deadline is too near for a batch")


def _share_of_price(stream: Forecast, batch: Forecast) -> str:
    """Say what share of a stream's cost a batch costs, which is not half when one of the two is cached."""
    share = batch.estimate.cost_nusd.mean / stream.estimate.cost_nusd.mean
    return "half the price" if f"{share:.0%}" == "50%" else f"{share:.0%} of the price"


def switch_before_s(seconds: float, *, deadline_s: float) -> float:
    """Return how many seconds before the deadline open batches are canceled and their documents streamed.

    Batches have at least half of the time, because a person who asks for batches cares for the price first.
    """
    return min(streaming_needs_s(seconds, deadline_s=deadline_s), deadline_s / 2)


def streaming_needs_s(seconds: float, *, deadline_s: float) -> float:
    """Return how many seconds before the deadline streaming has to begin, if it is forecast to take `seconds`.

    The margin is the time in which canceled batches end; the margin of a short deadline is a quarter of the deadline.
    """
    return SLOWER_THAN_FORECAST * seconds + min(MARGIN_S, deadline_s / 4)
