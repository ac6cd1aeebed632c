"""Which route a job takes: as told, or the cheaper one that the deadline allows."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval
from batchrun.strategy.duration import Bound, Duration
from batchrun.strategy.prompt_caching import Caching
from batchrun.strategy.routes import (
    Forecast,
    Route,
    RouteOptions,
    choose,
    forecasts,
    streaming_needs_s,
    switch_before_s,
)

MINUTE, HOUR = 60.0, 3600.0
DAY = 24 * HOUR
STREAM, BATCH = Route.STREAM, Route.BATCH
ONE_WAVE = 200_000


def estimate(documents: int) -> Estimate:
    return Estimate(
        documents=documents,
        input=Interval(documents * 1_000, documents * 900, documents * 1_100),
        output=Interval(documents * 100, documents * 50, documents * 200),
        cost_nusd=Interval(documents * 1_001, documents * 701, documents * 1_501),
        fixed_tokens=10,
    )


def both(
    documents: int = 1_000, *, seconds: float = 10 * MINUTE, max_queued: int = ONE_WAVE
) -> tuple[Forecast, Forecast]:
    return forecasts(estimate(documents), Duration(seconds, Bound.LATENCY, {}), max_queued=max_queued)


def wish(route: str | None = "auto", **changes: Any) -> RouteOptions:
    return RouteOptions(**({"route": route, "deadline_s": None, "fallback": True, "begun": None} | changes))


# --- what each would take


def test_a_batch_costs_half_and_uses_the_same_tokens() -> None:
    stream, batch = both(1_000)

    assert (stream.route, batch.route) == (STREAM, BATCH)
    assert stream.estimate == estimate(1_000)
    assert batch.estimate.cost_nusd == Interval(500_500, 350_500, 750_500)
    assert replace(batch.estimate, cost_nusd=stream.estimate.cost_nusd) == stream.estimate


def test_streaming_promises_nothing_and_a_batch_a_day() -> None:
    stream, batch = both(1_000, seconds=123.0)

    assert (stream.seconds, stream.at_most_s) == (123.0, None)
    assert (batch.seconds, batch.at_most_s) == (HOUR, DAY)


@pytest.mark.parametrize(
    ("documents", "max_queued", "waves"),
    [(1, 200_000, 1), (200_000, 200_000, 1), (200_001, 200_000, 2), (1_000_000, 200_000, 5), (3, 1, 3)],
)
def test_more_than_the_queue_takes_goes_in_waves(documents: int, max_queued: int, waves: int) -> None:
    _, batch = both(documents, max_queued=max_queued)

    assert (batch.seconds, batch.at_most_s) == (waves * HOUR, waves * DAY)


def test_nothing_to_send_takes_no_time_and_no_money() -> None:
    stream, batch = both(0, seconds=0.0)

    assert (stream.seconds, batch.seconds, batch.at_most_s) == (0.0, 0.0, 0.0)
    assert batch.estimate.cost_nusd == Interval(0, 0, 0)


# --- which one

CHOICES: dict[str, tuple[dict[str, Any], dict[str, Any], Route]] = {
    "as told: stream": ({"route": "stream"}, {}, STREAM),
    "as told: batch": ({"route": "batch"}, {}, BATCH),
    "as told: batch, for one document": ({"route": "batch"}, {"documents": 1}, BATCH),
    "as told: batch, in a minute": ({"route": "batch", "deadline_s": MINUTE}, {}, BATCH),
    "as told: batch, and its half of the minute is over": (
        {"route": "batch", "deadline_s": MINUTE, "elapsed_s": 30.0},
        {},
        STREAM,
    ),
    "as told: batch, and a moment is left of it": (
        {"route": "batch", "deadline_s": MINUTE, "elapsed_s": 29.9},
        {},
        BATCH,
    ),
    "as told: batch, and the deadline is long over": (
        {"route": "batch", "deadline_s": HOUR, "elapsed_s": DAY},
        {},
        STREAM,
    ),
    "as told: batch, and the deadline is long over, without a fallback": (
        {"route": "batch", "deadline_s": HOUR, "elapsed_s": DAY, "fallback": False},
        {},
        BATCH,
    ),
    "as told: batch, long ago, without a deadline": ({"route": "batch", "elapsed_s": 9 * DAY}, {}, BATCH),
    "nothing is said": ({"route": None}, {}, STREAM),
    "nothing is said, of a job of a million": ({"route": None}, {"documents": 10**6}, STREAM),
    "nothing is said, and it began in batches": ({"route": None, "begun": BATCH}, {}, BATCH),
    "nothing is said, and a small job began in batches": ({"route": None, "begun": BATCH}, {"documents": 3}, BATCH),
    "nothing is said, and it began streaming": ({"route": None, "begun": STREAM}, {}, STREAM),
    "nothing is said, it began in batches, and the deadline is over": (
        {"route": None, "begun": BATCH, "deadline_s": HOUR, "elapsed_s": 2 * HOUR},
        {},
        STREAM,
    ),
    "as told: stream, though it began in batches": ({"route": "stream", "begun": BATCH}, {}, STREAM),
    "as told: batch, though it began streaming": ({"route": "batch", "begun": STREAM}, {}, BATCH),
    "no hurry": ({}, {}, BATCH),
    "no hurry, a small job": ({}, {"documents": 99}, STREAM),
    "no hurry, a hundred": ({}, {"documents": 100}, BATCH),
    "nothing to send": ({}, {"documents": 0, "seconds": 0.0}, STREAM),
    "a small job that began in batches": ({"begun": BATCH}, {"documents": 3}, BATCH),
    # The executor would take back at once what is put into a batch now, so the plan is about streaming.
    "began in batches, and the deadline is over": (
        {"begun": BATCH, "deadline_s": HOUR, "elapsed_s": 2 * HOUR},
        {},
        STREAM,
    ),
    "began in batches, and the deadline is over, without a fallback": (
        {"begun": BATCH, "deadline_s": HOUR, "elapsed_s": 2 * HOUR, "fallback": False},
        {},
        BATCH,
    ),
    "began in batches, and there is time": ({"begun": BATCH, "deadline_s": DAY, "elapsed_s": 22 * HOUR}, {}, BATCH),
    "began streaming, no hurry": ({"begun": STREAM}, {}, BATCH),
    "a day": ({"deadline_s": DAY}, {}, BATCH),
    "a day, without a fallback": ({"deadline_s": DAY, "fallback": False}, {}, BATCH),
    "a little less than a day": ({"deadline_s": DAY - 1}, {}, BATCH),
    "a little less than a day, without a fallback": ({"deadline_s": DAY - 1, "fallback": False}, {}, STREAM),
    "three hours": ({"deadline_s": 3 * HOUR}, {}, BATCH),
    "three hours, without a fallback": ({"deadline_s": 3 * HOUR, "fallback": False}, {}, STREAM),
    "an hour": ({"deadline_s": HOUR}, {}, STREAM),
    "ten minutes": ({"deadline_s": 10 * MINUTE}, {}, STREAM),
    "over": ({"deadline_s": -1.0}, {}, STREAM),
    "over, since it began": ({"deadline_s": DAY, "elapsed_s": DAY}, {}, STREAM),
    "a day, of which three hours are left": ({"deadline_s": DAY, "elapsed_s": 21 * HOUR}, {}, BATCH),
    "a day, of which one hour is left": ({"deadline_s": DAY, "elapsed_s": 23 * HOUR}, {}, STREAM),
    "two days, of which less than one is left, without a fallback": (
        {"deadline_s": 2 * DAY, "elapsed_s": DAY + 1, "fallback": False},
        {},
        STREAM,
    ),
    "no time at all": ({"deadline_s": 0.0}, {}, STREAM),
    "three hours, and streaming takes two": ({"deadline_s": 3 * HOUR}, {"seconds": 2 * HOUR}, STREAM),
    "three hours, and streaming takes one": ({"deadline_s": 3 * HOUR}, {"seconds": HOUR}, BATCH),
    "a day, and streaming takes two": ({"deadline_s": DAY}, {"seconds": 2 * DAY}, BATCH),
    "a day, and two waves, with a fallback": ({"deadline_s": DAY}, {"max_queued": 500}, BATCH),
    "a day, and two waves, without": ({"deadline_s": DAY, "fallback": False}, {"max_queued": 500}, STREAM),
    "two days, and two waves, without": ({"deadline_s": 2 * DAY, "fallback": False}, {"max_queued": 500}, BATCH),
    "three hours, and three waves": ({"deadline_s": 3 * HOUR}, {"max_queued": 400}, STREAM),
}


@pytest.mark.parametrize(("wanted", "job", "route"), CHOICES.values(), ids=CHOICES)
def test_the_choice(wanted: dict[str, Any], job: dict[str, Any], route: Route) -> None:
    choice = choose(wish(**wanted), *both(**job))

    assert choice.route is route
    assert choice.reason


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"route": "batch"}, "says"),
        ({"route": None, "begun": BATCH}, "began"),
        ({"begun": BATCH}, "began"),
        ({"route": None}, "unless"),
        ({"route": "batch", "deadline_s": HOUR, "elapsed_s": HOUR}, "too near"),
        ({"begun": BATCH, "deadline_s": HOUR, "elapsed_s": HOUR}, "too near"),
        ({}, "half the price"),
        ({"deadline_s": 2 * DAY}, "sure to end"),
        ({"deadline_s": 3 * HOUR}, "streamed"),
        ({"deadline_s": HOUR}, "too near"),
    ],
)
def test_the_reason_is_told(wanted: dict[str, Any], words: str) -> None:
    assert words in choose(wish(**wanted), *both()).reason


@pytest.mark.slow
@given(
    seconds=st.floats(0.1, 3 * DAY), deadline_s=st.floats(-DAY, 3 * DAY), elapsed_s=st.floats(0, 2 * DAY),
    more_s=st.floats(0, DAY), documents=st.integers(100, 10**6), fallback=st.booleans(),
    route=st.sampled_from(["auto", "batch"]),
)  # fmt: skip
def test_more_time_never_turns_a_batch_into_a_stream(
    seconds: float, deadline_s: float, elapsed_s: float, more_s: float, documents: int, fallback: bool, route: str
) -> None:
    job = both(documents, seconds=seconds)
    told: dict[str, Any] = {"route": route, "deadline_s": deadline_s, "elapsed_s": elapsed_s, "fallback": fallback}
    assume(choose(wish(**told), *job).route is BATCH)

    assert choose(wish(**told | {"deadline_s": deadline_s + more_s}), *job).route is BATCH
    assert choose(wish(**told | {"elapsed_s": max(0.0, elapsed_s - more_s)}), *job).route is BATCH


@pytest.mark.slow
@given(
    seconds=st.floats(0.1, 3 * DAY), deadline_s=st.floats(1, 3 * DAY), elapsed_s=st.floats(0, 2 * DAY),
    documents=st.integers(100, 10**6),
)  # fmt: skip
def test_a_batch_that_is_chosen_has_its_hour_before_the_rest_is_streamed(
    seconds: float, deadline_s: float, elapsed_s: float, documents: int
) -> None:
    stream, batch = both(documents, seconds=seconds)
    assume(choose(wish(deadline_s=deadline_s, elapsed_s=elapsed_s), stream, batch).route is BATCH)
    left_s = deadline_s - elapsed_s
    sure = batch.at_most_s is not None and batch.at_most_s <= left_s

    assert sure or left_s - switch_before_s(seconds, deadline_s=deadline_s) >= batch.seconds - 1


@pytest.mark.slow
@given(
    route=st.sampled_from(["auto", "batch", None]), begun=st.sampled_from([None, STREAM, BATCH]),
    seconds=st.floats(0, 3 * DAY), deadline_s=st.floats(1, 3 * DAY), elapsed_s=st.floats(0, 4 * DAY),
)  # fmt: skip
def test_no_batch_is_chosen_that_would_be_taken_back_at_once(
    route: str | None, begun: Route | None, seconds: float, deadline_s: float, elapsed_s: float
) -> None:
    stream, batch = both(seconds=seconds)
    told = wish(route, begun=begun, deadline_s=deadline_s, elapsed_s=elapsed_s)
    assume(choose(told, stream, batch).route is BATCH)

    assert elapsed_s < deadline_s - switch_before_s(seconds, deadline_s=deadline_s)


# --- with the prompt cache

MARKED = Caching(ttl="5m", reason="it pays", hit_rate=Interval(0.99, 0.9, 0.99), tokens=Interval(900, 900, 900))


def cached(plain: Forecast, share: float) -> Forecast:
    """The same route, at a share of what it costs without the cache."""
    cheaper = replace(plain.estimate, cost_nusd=plain.estimate.cost_nusd.times(share))
    return replace(plain, estimate=cheaper, caching=MARKED)


def test_the_names_of_routes() -> None:
    stream, batch = both()

    names = [one.name for one in (stream, cached(stream, 0.5), batch, cached(batch, 0.5))]

    assert names == ["stream", "stream+cache", "batch", "batch+cache"]


# Without the cache a batch costs half of a stream; the shares are of what each costs without.
CACHED: dict[str, tuple[dict[str, Any], int, tuple[float, float], Route, str]] = {
    "a stream that costs a little less": ({}, 1_000, (0.4999, 1.0), STREAM, "with the prompt cache it costs no more"),
    "a stream that costs the same": ({}, 1_000, (0.5, 1.0), STREAM, "with the prompt cache it costs no more"),
    "a stream that costs a little more": ({}, 1_000, (0.52, 1.0), BATCH, "96% of the price, and there is no deadline"),
    "both, and the stream costs less": ({}, 1_000, (0.3, 0.7), STREAM, "with the prompt cache it costs no more"),
    "both, and the batch costs less": ({}, 1_000, (0.8, 0.8), BATCH, "half the price, and there is no deadline"),
    "only the batch": ({}, 1_000, (1.0, 0.4), BATCH, "20% of the price, and there is no deadline"),
    "a cheap stream, with time for a batch": ({"deadline_s": 2 * DAY}, 1_000, (0.4, 1.0), STREAM, "costs no more"),
    "a cheap batch, with time for it": ({"deadline_s": 2 * DAY}, 1_000, (0.8, 0.5), BATCH, "31% of the price, and it"),
    "a cheap batch, with a fallback": ({"deadline_s": 3 * HOUR}, 1_000, (0.8, 0.5), BATCH, "31% of the price; what"),
    "a cheap batch, and no time": ({"deadline_s": HOUR}, 1_000, (0.8, 0.1), STREAM, "the deadline is too near"),
    "a cheap batch of few documents": ({}, 99, (1.0, 0.1), STREAM, "fewer than 100 documents"),
    "a cheap stream, and told: batch": ({"route": "batch"}, 1_000, (0.1, 1.0), BATCH, "says"),
    "a cheap stream, and begun in batches": ({"begun": BATCH}, 1_000, (0.1, 1.0), BATCH, "as the run began"),
    "a cheap batch, and nothing is said": ({"route": None}, 1_000, (1.0, 0.1), STREAM, "unless"),
}


@pytest.mark.parametrize(("wanted", "documents", "shares", "route", "words"), CACHED.values(), ids=CACHED)
def test_the_choice_where_the_cache_changes_what_it_costs(
    wanted: dict[str, Any], documents: int, shares: tuple[float, float], route: Route, words: str
) -> None:
    stream, batch = (
        cached(one, share) if share < 1 else one for one, share in zip(both(documents), shares, strict=True)
    )

    choice = choose(wish(**wanted), stream, batch)

    assert choice.route is route
    assert words in choice.reason


@pytest.mark.slow
@given(
    shares=st.tuples(st.floats(0.01, 2), st.floats(0.01, 2)), documents=st.integers(100, 10**6),
    begun=st.sampled_from([None, STREAM]),
)  # fmt: skip
def test_without_a_deadline_the_cheaper_route_is_taken(
    shares: tuple[float, float], documents: int, begun: Route | None
) -> None:
    stream, batch = (cached(one, share) for one, share in zip(both(documents), shares, strict=True))
    costs = {one.route: one.estimate.cost_nusd.mean for one in (stream, batch)}

    choice = choose(wish(begun=begun), stream, batch)

    assert costs[choice.route] == min(costs.values())


# --- when the deadline is over

# Streaming takes ten minutes: it begins 27 minutes before the deadline, and at the earliest when half of it is over.
ENDS: dict[str, tuple[dict[str, Any], bool]] = {
    "no deadline": ({"elapsed_s": 99 * DAY}, False),
    "no fallback": ({"deadline_s": HOUR, "elapsed_s": 99 * DAY, "fallback": False}, False),
    "at the beginning": ({"deadline_s": DAY}, False),
    "a moment before": ({"deadline_s": DAY, "elapsed_s": DAY - 27 * MINUTE - 1}, False),
    "in time": ({"deadline_s": DAY, "elapsed_s": DAY - 27 * MINUTE}, True),
    "later": ({"deadline_s": DAY, "elapsed_s": DAY - 1}, True),
    "at the deadline": ({"deadline_s": DAY, "elapsed_s": DAY}, True),
    "long after": ({"deadline_s": DAY, "elapsed_s": 99 * DAY}, True),
    "at the beginning of a short one": ({"deadline_s": 10 * MINUTE}, False),
    "a moment before half of a short one": ({"deadline_s": 10 * MINUTE, "elapsed_s": 5 * MINUTE - 1}, False),
    "at half of a short one": ({"deadline_s": 10 * MINUTE, "elapsed_s": 5 * MINUTE}, True),
}


@pytest.mark.parametrize(("told", "over"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("route", ["stream", "batch", "auto", None])
def test_when_the_deadline_is_over_for_batches(route: str | None, told: dict[str, Any], over: bool) -> None:
    stream, _ = both(seconds=10 * MINUTE)

    assert wish(route, **told).is_over(stream) is over


# --- when the rest is streamed


@pytest.mark.parametrize(
    ("seconds", "deadline_s", "needed_s"),
    [
        (0.0, DAY, 15 * MINUTE),
        (HOUR, DAY, 1.2 * HOUR + 15 * MINUTE),
        (10.0, 20 * MINUTE, 12.0 + 5 * MINUTE),
        (0.0, HOUR, 15 * MINUTE),
    ],
)
def test_streaming_begins_early_enough_for_canceled_batches_to_end(
    seconds: float, deadline_s: float, needed_s: float
) -> None:
    assert streaming_needs_s(seconds, deadline_s=deadline_s) == pytest.approx(needed_s)


@pytest.mark.slow
@given(seconds=st.floats(0, 10 * DAY), deadline_s=st.floats(1, 30 * DAY))
def test_the_rest_is_taken_back_in_time_and_not_before_half_of_it_is_over(seconds: float, deadline_s: float) -> None:
    before_s = switch_before_s(seconds, deadline_s=deadline_s)

    assert 0 < before_s <= deadline_s / 2
    assert before_s >= min(1.2 * seconds, deadline_s / 2)
