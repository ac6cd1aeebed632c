"""The climb of a ladder: what is measured, in which order, and where it ends."""

from collections.abc import Callable

import pytest

from batchrun.estimation.interval import Interval
from batchrun.statistics.ladder import Climb, Judgement, Look, Step, judge, looks

GOOD = Interval(0.99, 0.96, 0.999)
OPEN = Interval(0.96, 0.92, 0.98)
BAD = Interval(0.80, 0.70, 0.90)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        (200, [10, 15, 22, 33, 50, 75, 112, 168, 200]),
        (50, [10, 15, 22, 33, 50]),
        (11, [10, 11]),
        (10, [10]),
        (3, [3]),
    ],
)
def test_looks_grow_by_half_and_end_at_all_documents(documents: int, expected: list[int]) -> None:
    assert looks(documents) == expected


@pytest.mark.parametrize(
    ("interval", "before", "at_last"),
    [
        (GOOD, Judgement.GOES_ON, Judgement.TAKEN),
        (OPEN, Judgement.GOES_ON, Judgement.UNDECIDED),
        (BAD, Judgement.DROPPED, Judgement.DROPPED),
        (Interval(0.95, 0.95, 0.95), Judgement.GOES_ON, Judgement.TAKEN),
    ],
    ids=["good", "open", "bad", "exactly the target"],
)
def test_a_setting_is_dropped_at_any_look_and_taken_only_at_the_last(
    interval: Interval, before: Judgement, at_last: Judgement
) -> None:
    assert judge(interval, 0.95, is_last=False) is before
    assert judge(interval, 0.95, is_last=True) is at_last


def _climbed(climb: Climb, measure: Callable[[Step], Interval]) -> list[tuple[int, int]]:
    asked = []
    while (step := climb.step) is not None:
        asked.append((step.setting, step.documents))
        climb.tell(measure(step))
    return asked


def test_the_first_that_holds_is_taken_and_dearer_ones_are_never_asked() -> None:
    climb = Climb(5, 22, 0.95)

    asked = _climbed(climb, lambda step: GOOD if step.setting >= 1 else BAD)

    assert asked == [(0, 10), (1, 10), (1, 15), (1, 22)]
    assert climb.taken == 1
    assert climb.looks == {0: Look(10, BAD, Judgement.DROPPED), 1: Look(22, GOOD, Judgement.TAKEN)}


def test_a_setting_may_be_dropped_late() -> None:
    climb = Climb(2, 33, 0.95)

    asked = _climbed(climb, lambda step: BAD if step.documents >= 22 else OPEN)

    assert asked == [(0, 10), (0, 15), (0, 22), (1, 10), (1, 15), (1, 22)]
    assert climb.taken is None


def test_an_undecided_setting_is_passed_by() -> None:
    climb = Climb(3, 10, 0.95)

    asked = _climbed(climb, lambda step: [OPEN, GOOD, GOOD][step.setting])

    assert asked == [(0, 10), (1, 10)]
    assert climb.taken == 1
    assert climb.looks[0].judgement is Judgement.UNDECIDED


def test_a_climb_that_was_broken_off_is_repeated_by_telling_it_the_same() -> None:
    known = {Step(0, 10): OPEN, Step(0, 15): BAD, Step(1, 10): OPEN}
    climb = Climb(2, 15, 0.95)
    while climb.step in known:
        climb.tell(known[climb.step])

    assert climb.step == Step(1, 15)
    assert climb.taken is None


def test_no_setting_is_no_climb() -> None:
    climb = Climb(0, 200, 0.95)

    assert climb.step is climb.taken is None
    with pytest.raises(ValueError, match="ended"):
        climb.tell(GOOD)
