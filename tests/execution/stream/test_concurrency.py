"""Slots: who gets a place, when there are more of them, and when fewer."""

import asyncio
from collections import deque
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from batchrun.execution.stream.concurrency import (
    AFTER_KILL,
    CHEAP,
    FIRST,
    KNOWN_GOOD,
    LEAST,
    OVERLOADED,
    PATIENCE,
    SATURATED,
    TURNED_AWAY,
    Slots,
)


async def hold(slots: Slots, seconds: float, order: list[int] | None = None, number: int = 0) -> None:
    async with slots.slot():
        if order is not None:
            order.append(number)
        await asyncio.sleep(seconds)


def answer(slots: Slots, times: int, *, under_way: int | None = None) -> None:
    """So many answers while all places, or so many of them, were under way."""
    for _ in range(times):
        slots.answered(slots.limit if under_way is None else under_way)


# --- who gets a place


def test_places_are_given_in_order_of_arrival() -> None:
    async def scenario() -> list[int]:
        slots, order = Slots(4), []
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(hold(slots, 1 + number % 3, order, number))
        return order

    assert run(scenario()) == list(range(20))


def test_who_goes_ahead_gets_the_next_place_in_order_of_arrival() -> None:
    async def scenario() -> list[int]:
        slots, order = Slots(1), []

        async def held(number: int, *, ahead: bool) -> None:
            async with slots.slot(ahead=ahead):
                order.append(number)
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(held(number, ahead=number in {3, 5}))
        return order

    assert run(scenario()) == [0, 3, 5, 1, 2, 4]


def test_who_comes_while_others_wait_waits_behind_them() -> None:
    """Also when a place has just become free."""

    async def scenario() -> list[int]:
        slots, order = Slots(4), []
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(hold(slots, 1, order, number))
            await asyncio.sleep(0.5)
            slots.cut(0.1, sent_at=0.0, now=0.5)
            slots._most, slots._limit = 6, 6.0  # as after answers, but nobody was woken
            group.create_task(hold(slots, 1, order, 6))
        return order

    assert run(scenario()) == list(range(7))


def test_no_more_places_than_the_limit() -> None:
    async def scenario() -> int:
        slots, busy, most = Slots(7), 0, 0

        async def one() -> None:
            nonlocal busy, most
            async with slots.slot():
                busy += 1
                most = max(most, busy)
                await asyncio.sleep(1)
                busy -= 1

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(one())
        return most

    assert run(scenario()) == 7


def test_a_place_is_free_again_after_an_error() -> None:
    async def scenario() -> None:
        slots = Slots(1)
        for _ in range(3):
            with pytest.raises(ValueError, match="inside"):
                async with slots.slot():
                    raise ValueError("inside")
        await asyncio.wait_for(hold(slots, 0), 1)

    run(scenario())


@pytest.mark.parametrize("when", ["while it waits", "just when it gets its place"])
def test_a_canceled_waiter_leaves_its_place_to_the_next(when: str) -> None:
    async def scenario() -> float:
        slots = Slots(1)

        async def first() -> None:
            await hold(slots, 10)
            canceled.cancel()  # it was given the place and has not run since

        async with asyncio.TaskGroup() as group:
            group.create_task(first())
            await asyncio.sleep(1)
            canceled = group.create_task(hold(slots, 100))
            group.create_task(hold(slots, 0))
            await asyncio.sleep(1)
            if when == "while it waits":
                canceled.cancel()
        assert canceled.cancelled()
        assert slots._taken == 0
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(10, abs=0.01)


def test_more_places_wake_who_waits() -> None:
    async def scenario() -> list[int]:
        slots, order = Slots(20), []
        tasks = [asyncio.create_task(hold(slots, 100, order, number)) for number in range(20)]
        await asyncio.sleep(0)
        assert len(order) == FIRST
        answer(slots, 3)
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        return order

    assert run(scenario()) == list(range(FIRST + 3))


# --- bounds


@pytest.mark.parametrize(
    ("most", "first", "limit"),
    [(100, 16, 16), (100, 40, 40), (8, 16, 8), (1, 16, 1), (100, 0, LEAST), (2, 0, 2)],
)
def test_how_many_there_are_to_begin_with(most: int, first: int, limit: int) -> None:
    assert Slots(most, first=first).limit == limit


@pytest.mark.parametrize(("most", "least"), [(100, LEAST), (3, 3), (1, 1)])
def test_some_are_always_left(most: int, least: int) -> None:
    slots = Slots(most)
    for now in range(100):
        slots.cut(OVERLOADED, sent_at=float(now), now=float(now))
    assert slots.limit == least


def test_there_are_never_more_than_the_job_allows() -> None:
    slots = Slots(30)
    answer(slots, 1_000)
    assert (slots.limit, slots.busiest) == (30, 30)


# --- growth


def test_it_grows_by_one_an_answer_until_the_first_trouble() -> None:
    slots = Slots(1_000)
    answer(slots, 100)
    assert slots.limit == FIRST + 100


@pytest.mark.parametrize(("under_way", "grows"), [(16, True), (13, True), (12, False), (1, False)])
def test_it_grows_only_while_its_places_are_really_used(under_way: int, grows: bool) -> None:
    assert (under_way >= SATURATED * FIRST) is grows
    slots = Slots(1_000)
    answer(slots, 1, under_way=under_way)
    assert (slots.limit > FIRST) is grows


def test_after_a_cut_it_is_soon_near_what_went_well_and_slow_beyond() -> None:
    slots = Slots(1_000)
    answer(slots, 184)  # 200 now, 199 of them were under way
    slots.cut(OVERLOADED, sent_at=1.0, now=1.0)
    assert slots.limit == 100

    answer(slots, 50)
    assert slots.limit == int(KNOWN_GOOD * 199) + 1, "by one an answer"
    answer(slots, 152)
    assert slots.limit == 151, "by one a round"


def test_recovery_never_freezes() -> None:
    """However deep it was cut and however often, answers bring all of it back."""
    slots, now = Slots(64), count(1)
    answer(slots, 100)
    for _ in range(20):
        moment = float(next(now))
        slots.cut(OVERLOADED, sent_at=moment, now=moment)
    assert slots.limit == LEAST
    answers = 0
    while slots.limit < 64:
        answer(slots, 1)
        answers += 1
        assert answers < 64 + 64 * 64
    assert answers > 64 * KNOWN_GOOD - LEAST


# --- cuts


@pytest.mark.parametrize(("left", "limit"), [(OVERLOADED, 50), (TURNED_AWAY, 80)])
def test_what_is_left_after_trouble(left: float, limit: int) -> None:
    slots = Slots(100, first=100)
    slots.cut(left, sent_at=1.0, now=1.0)
    assert slots.limit == limit


def test_it_is_cut_once_for_requests_that_were_under_way_together() -> None:
    slots = Slots(100, first=100)
    for sent_at in (1.0, 2.0, 4.9):
        slots.cut(OVERLOADED, sent_at=sent_at, now=5.0)
    assert slots.limit == 50
    slots.cut(OVERLOADED, sent_at=5.1, now=6.0)
    assert slots.limit == 25


def test_a_cut_takes_no_place_away_and_gives_none_either() -> None:
    async def scenario() -> tuple[int, int]:
        slots, order = Slots(16), []
        tasks = [asyncio.create_task(hold(slots, 1 + number / 10, order, number)) for number in range(30)]
        await asyncio.sleep(0.5)
        slots.cut(OVERLOADED, sent_at=0.5, now=0.5)
        assert len(order) == 16
        await asyncio.sleep(1.25)  # 8 of the 16 are answered
        at_8 = len(order)
        await asyncio.sleep(0.1)
        after = len(order)
        for task in tasks:
            task.cancel()
        return at_8, after

    assert run(scenario()) == (16, 17)


# --- what may be repeated after a kill


def test_there_are_no_more_places_than_the_rate_limit_needs_and_a_quarter() -> None:
    slots = Slots(500)
    answer(slots, 300)
    slots.need(100 / 6, 6.0)
    assert slots.limit == 125
    slots.need(100 / 6, 2.0)
    assert slots.limit == CHEAP, "a few are always allowed"
    slots.need(None, 6.0)
    assert slots.limit > 125


def test_after_a_kill_there_are_half() -> None:
    slots = Slots(500, share=AFTER_KILL)
    answer(slots, 300)
    slots.need(100 / 6, 6.0)
    assert slots.limit == 62
    slots.need(None, 6.0)
    answer(slots, 500)
    assert slots.limit <= 250


def test_without_a_limit_there_are_more_only_while_more_answers_come() -> None:
    """The server answers 50 a second, however many are in flight."""
    slots, now = Slots(500), 0.0
    for _ in range(3_000):
        now += max(1 / 50, 1.0 / slots.limit)
        slots.answered(slots.limit, now=now)
    assert slots.limit <= 256
    slots, now = Slots(500), 0.0
    for _ in range(3_000):  # each takes a second, however many are in flight
        now += 1.0 / slots.limit
        slots.answered(slots.limit, now=now)
    assert slots.limit == 500


# --- a limit of parallel requests


def test_two_episodes_that_leave_the_same_number_in_flight_are_a_limit() -> None:
    slots = Slots(100)
    answer(slots, 1, under_way=4)
    slots.turned_away(4, sent_at=1.0, now=1.0)
    assert slots.limit > 4
    slots.turned_away(4, sent_at=2.0, now=2.0)
    assert slots.limit == 4
    answer(slots, 4 * PATIENCE)
    assert slots.limit == 5, "it is tried again"
    slots.turned_away(4, sent_at=3.0, now=3.0)
    assert slots.limit == 4
    answer(slots, 4 * PATIENCE)
    assert slots.limit == 4, "later than the first time"


@pytest.mark.parametrize("left", [(4, 7), (4, 0), (0, 0)])
def test_episodes_that_differ_are_no_limit_of_parallel_requests(left: tuple[int, int]) -> None:
    slots = Slots(100)
    for moment, others in enumerate(left, start=1):
        slots.turned_away(others, sent_at=float(moment), now=float(moment))
    assert slots._parallel.most == float("inf")


def test_a_number_that_was_answered_at_once_is_no_limit() -> None:
    slots = Slots(100)
    answer(slots, 1, under_way=16)
    for moment in (1.0, 2.0):
        slots.turned_away(4, sent_at=moment, now=moment)
    assert slots._parallel.most == float("inf")


# --- whatever happens

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.just(0)),
        st.tuples(st.just("go"), st.integers(0, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("answered"), st.integers(1, 40)),
        st.tuples(st.just("cut"), st.sampled_from([OVERLOADED, TURNED_AWAY])),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=60,
)


class Crowd:
    """Guests that come, go and are canceled, and what must hold whenever one gets its place."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.tasks: list[asyncio.Task[None]] = []
        self.leaving: list[asyncio.Event] = []
        """The requests inside, in order of their coming."""
        self.waiting: deque[object] = deque()
        self.moments = count(1)

    async def guest(self) -> None:
        me, left = object(), asyncio.Event()
        self.waiting.append(me)
        try:
            async with self.slots.slot():
                assert self.slots._taken <= self.slots.limit, "never given above the limit"
                assert self.waiting.popleft() is me, "first come, first served"
                self.leaving.append(left)
                await left.wait()
        finally:
            if me in self.waiting:
                self.waiting.remove(me)
            if left in self.leaving:
                self.leaving.remove(left)

    async def take(self, what: str, which: float) -> None:
        match what:
            case "come":
                self.tasks.append(asyncio.create_task(self.guest()))
            case "go" if self.leaving:
                self.leaving[int(which) % len(self.leaving)].set()
            case "cancel" if self.tasks:
                self.tasks[int(which) % len(self.tasks)].cancel()
            case "cut":
                await asyncio.sleep(0.001)  # who was given a place before it has it now
                self.slots.cut(which, sent_at=float(next(self.moments)), now=float(next(self.moments)))
            case "answered":
                self.slots.answered(int(which))
            case "turn":
                await asyncio.sleep(0.001)

    async def leave(self) -> None:
        """Everyone who is inside, until nobody is left."""
        while not all(task.done() for task in self.tasks):
            for left in self.leaving:
                left.set()
            await asyncio.sleep(0.001)
            assert asyncio.get_running_loop().time() < 60, "somebody waits for ever"


@pytest.mark.slow
@given(most=st.integers(1, 24), steps=STEPS)
def test_a_place_is_given_only_below_the_limit_in_order_and_none_is_lost(
    most: int, steps: list[tuple[str, float]]
) -> None:
    async def scenario() -> None:
        crowd = Crowd(Slots(most, first=4))
        for what, which in steps:
            await crowd.take(what, which)
        await crowd.leave()
        ended = await asyncio.gather(*crowd.tasks, return_exceptions=True)
        assert [one for one in ended if one and not isinstance(one, asyncio.CancelledError)] == []
        assert crowd.slots._taken == 0

    run(scenario())
