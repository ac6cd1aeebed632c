"""Which route a job takes: streamed at once, or in Message Batches for half the price within a day."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from batchrun.planning.duration import Duration
from batchrun.planning.estimate import Estimate

SMALL_JOB = 100
"""Below so many requests half the price is not worth an hour."""
TYPICAL_BATCH_S = 3600.0
"""Most batches end within it (API documentation, batch processing); not a promise."""
LONGEST_BATCH_S = 24 * 3600.0
"""What has not been processed by then expires."""
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
    """As a rule."""
    at_most_s: float | None
    """Guaranteed by the API; None: nothing is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A route, and why."""

    route: Route
    reason: str


def forecasts(estimate: Estimate, duration: Duration, *, max_queued: int) -> tuple[Forecast, Forecast]:
    """Both routes side by side; `estimate` and `duration` are those of streaming."""
    waves = math.ceil(estimate.documents / max_queued)
    return (
        Forecast(route=Route.STREAM, estimate=estimate, seconds=duration.seconds, at_most_s=None),
        Forecast(
            route=Route.BATCH,
            estimate=replace(estimate, cost_nusd=estimate.cost_nusd.times(0.5)),
            seconds=waves * TYPICAL_BATCH_S,
            at_most_s=waves * LONGEST_BATCH_S,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the job file or the command says about the route."""

    route: str
    """stream, batch or auto."""
    deadline_s: float | None
    """Left of the run's time; None: no hurry."""
    fallback: bool
    """Whether what is unfinished near the deadline is streamed."""
    begun: Route | None
    """The route of the run that would be continued."""


def choose(wish: Wish, stream: Forecast, batch: Forecast) -> Choice:
    """Choose the route: as told, or the cheaper one that the deadline allows."""
    if wish.route != "auto":
        return Choice(Route(wish.route), "as the job file or --route says")
    if wish.begun is Route.BATCH:
        return Choice(Route.BATCH, "as the run began")
    if stream.estimate.documents < SMALL_JOB:
        return Choice(Route.STREAM, f"fewer than {SMALL_JOB} documents are not worth the wait for a batch")
    return _by_deadline(wish, stream, batch)


def _by_deadline(wish: Wish, stream: Forecast, batch: Forecast) -> Choice:
    deadline_s = wish.deadline_s
    if deadline_s is None:
        return Choice(Route.BATCH, "half the price, and there is no deadline")
    if batch.at_most_s is not None and batch.at_most_s <= deadline_s:
        return Choice(Route.BATCH, "half the price, and it is sure to end by the deadline")
    needed_s = batch.seconds + streaming_needs_s(stream.seconds, deadline_s=deadline_s)
    if wish.fallback and needed_s <= deadline_s:
        return Choice(Route.BATCH, "half the price; what is unfinished near the deadline is streamed")
    return Choice(Route.STREAM, "the deadline is too near for a batch")


def switch_before_s(seconds: float, *, deadline_s: float) -> float:
    """How long before the deadline what is left in batches is taken back to be streamed.

    Batches have at least half of the time: who asks for them and for a deadline that leaves less wants the price first.
    """
    return min(streaming_needs_s(seconds, deadline_s=deadline_s), deadline_s / 2)


def streaming_needs_s(seconds: float, *, deadline_s: float) -> float:
    """How long before the deadline streaming has to begin, if it is forecast to take so long.

    The margin lets batches that are canceled come to their ends; of a short deadline it is a quarter.
    """
    return SLOWER_THAN_FORECAST * seconds + min(MARGIN_S, deadline_s / 4)
