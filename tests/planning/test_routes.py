"""Which route a job takes: as told, or the cheaper one that the deadline allows."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batchrun.planning.duration import Bound, Duration
from batchrun.planning.estimate import Estimate
from batchrun.planning.interval import Interval
from batchrun.planning.routes import Forecast, Route, Wish, choose, forecasts, streaming_needs_s, switch_before_s

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


def wish(route: str = "auto", **changes: Any) -> Wish:
    return Wish(**({"route": route, "deadline_s": None, "fallback": True, "begun": None} | changes))


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
    "as told: stream, though it began in batches": ({"route": "stream", "begun": BATCH}, {}, STREAM),
    "as told: batch, though it began streaming": ({"route": "batch", "begun": STREAM}, {}, BATCH),
    "no hurry": ({}, {}, BATCH),
    "no hurry, a small job": ({}, {"documents": 99}, STREAM),
    "no hurry, a hundred": ({}, {"documents": 100}, BATCH),
    "nothing to send": ({}, {"documents": 0, "seconds": 0.0}, STREAM),
    "a small job that began in batches": ({"begun": BATCH}, {"documents": 3}, BATCH),
    "began in batches, and the deadline is over": ({"begun": BATCH, "deadline_s": -HOUR}, {}, BATCH),
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
        ({"begun": BATCH}, "began"),
        ({}, "half the price"),
        ({"deadline_s": 2 * DAY}, "sure to end"),
        ({"deadline_s": 3 * HOUR}, "streamed"),
        ({"deadline_s": HOUR}, "too near"),
    ],
)
def test_the_reason_is_told(wanted: dict[str, Any], words: str) -> None:
    assert words in choose(wish(**wanted), *both()).reason


@given(
    seconds=st.floats(0.1, 3 * DAY), deadline_s=st.floats(-DAY, 3 * DAY), more_s=st.floats(0, DAY),
    documents=st.integers(100, 10**6), fallback=st.booleans(),
)  # fmt: skip
def test_more_time_never_turns_a_batch_into_a_stream(
    seconds: float, deadline_s: float, more_s: float, documents: int, fallback: bool
) -> None:
    job = both(documents, seconds=seconds)
    assume(choose(wish(deadline_s=deadline_s, fallback=fallback), *job).route is BATCH)

    assert choose(wish(deadline_s=deadline_s + more_s, fallback=fallback), *job).route is BATCH


@given(seconds=st.floats(0.1, 3 * DAY), deadline_s=st.floats(1, 3 * DAY), documents=st.integers(100, 10**6))
def test_a_batch_that_is_chosen_has_its_hour_before_the_rest_is_streamed(
    seconds: float, deadline_s: float, documents: int
) -> None:
    stream, batch = both(documents, seconds=seconds)
    assume(choose(wish(deadline_s=deadline_s), stream, batch).route is BATCH)
    sure = batch.at_most_s is not None and batch.at_most_s <= deadline_s

    assert sure or deadline_s - switch_before_s(seconds, deadline_s=deadline_s) >= batch.seconds - 1


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


@given(seconds=st.floats(0, 10 * DAY), deadline_s=st.floats(1, 30 * DAY))
def test_the_rest_is_taken_back_in_time_and_not_before_half_of_it_is_over(seconds: float, deadline_s: float) -> None:
    before_s = switch_before_s(seconds, deadline_s=deadline_s)

    assert 0 < before_s <= deadline_s / 2
    assert before_s >= min(1.2 * seconds, deadline_s / 2)
