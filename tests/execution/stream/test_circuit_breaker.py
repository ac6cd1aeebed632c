"""The circuit: when it opens, how often an API that is out is asked, and what closes it. No loop but for who waits."""

import asyncio
import math
from collections.abc import Iterator

import pytest
from virtual_time import run

from batchrun.execution.retry_policy import Health
from batchrun.execution.stream.circuit_breaker import MOST_CREDIT, PROBE_SHARE, SOONEST_S, CircuitBreaker

FAILURES = int(MOST_CREDIT)
"""So many first failures in a row open it."""
EPSILON_S = 1e-6


def proven(*, max_outage_s: float = 900.0) -> CircuitBreaker:
    circuit_breaker = CircuitBreaker(max_outage_s=max_outage_s)
    circuit_breaker.answered(sent_at=0.0)
    return circuit_breaker


def opened(*, at: float = 100.0, max_outage_s: float = 900.0) -> CircuitBreaker:
    circuit_breaker = proven(max_outage_s=max_outage_s)
    circuit_breaker.trip(at)
    return circuit_breaker


def fail(circuit_breaker: CircuitBreaker, times: int, *, at: float = 10.0, first_time: bool = True) -> None:
    for _ in range(times):
        circuit_breaker.failed(at, sent_at=at - 1, request_no=1, first_time=first_time)


def probes(circuit_breaker: CircuitBreaker, *, since: float, until: float) -> Iterator[float]:
    """When it is asked again, if every probe is turned away at once; ends when the patience does."""
    now = since
    while circuit_breaker.health(now) is not Health.LOST:
        now += circuit_breaker.hold_s(now)
        if now >= until:
            return
        with circuit_breaker.passing() as is_probe:
            assert is_probe
            yield now
            circuit_breaker.failed(now, sent_at=now, request_no=1, first_time=True)


# --- opening


def test_it_opens_at_the_eighth_first_failure_in_a_row() -> None:
    circuit_breaker = proven()

    fail(circuit_breaker, FAILURES - 1)
    assert (circuit_breaker.is_open, circuit_breaker.hold_s(10.0)) == (False, 0.0)
    fail(circuit_breaker, 1)

    assert circuit_breaker.is_open
    assert circuit_breaker.health(10.0) is Health.DOWN
    assert circuit_breaker.hold_s(10.0) == pytest.approx(SOONEST_S)


def test_a_request_that_fails_again_and_again_may_itself_be_the_cause() -> None:
    circuit_breaker = proven()
    fail(circuit_breaker, 1)
    fail(circuit_breaker, 1_000, first_time=False)
    assert circuit_breaker.health(10.0) is Health.ANSWERING


def tries(
    circuit_breaker: CircuitBreaker, *request_nos: int, first_time: bool = False, last_time: bool = False
) -> None:
    for number in request_nos:
        circuit_breaker.failed(10.0, sent_at=9.0, request_no=number, first_time=first_time, last_time=last_time)


def test_several_requests_that_fail_while_nobody_is_answered_are_no_matter_of_theirs() -> None:
    """Four workers: none of their documents may use up its attempts before the circuit opens."""
    circuit_breaker = proven()
    tries(circuit_breaker, 1, 2, 3, 4, first_time=True)
    tries(circuit_breaker, 1, 2, 3)
    assert not circuit_breaker.is_open
    tries(circuit_breaker, 4)
    assert circuit_breaker.is_open


def test_it_opens_before_the_first_of_several_has_used_up_its_attempts() -> None:
    circuit_breaker = proven()
    tries(circuit_breaker, 1, 2, first_time=True)
    tries(circuit_breaker, 1, last_time=True)
    assert circuit_breaker.is_open


def test_answers_to_what_was_sent_before_they_began_to_fail_do_not_tell_otherwise() -> None:
    circuit_breaker = proven()
    tries(circuit_breaker, 1, 2, first_time=True)
    circuit_breaker.answered(sent_at=9.9)
    tries(circuit_breaker, 1, last_time=True)
    assert circuit_breaker.is_open


def test_documents_that_fail_while_others_are_answered_may_end_so_even_when_only_they_are_left() -> None:
    circuit_breaker = proven()
    tries(circuit_breaker, 1, 2, 3, first_time=True)
    circuit_breaker.answered(sent_at=10.0)
    for _ in range(100):
        tries(circuit_breaker, 1, 2, 3)
    tries(circuit_breaker, 1, 2, 3, last_time=True)
    assert circuit_breaker.health(10.0) is Health.ANSWERING


def test_the_last_of_all_attempts_says_nothing_of_a_single_request() -> None:
    circuit_breaker = proven()
    tries(circuit_breaker, 1, first_time=True)
    tries(circuit_breaker, 1, last_time=True)
    assert not circuit_breaker.is_open


def test_while_nobody_was_ever_answered_it_stays_closed() -> None:
    circuit_breaker = CircuitBreaker(max_outage_s=900.0)
    fail(circuit_breaker, 1_000)
    assert circuit_breaker.health(10.0) is Health.UNPROVEN


def test_a_no_is_an_answer_and_proves_nothing() -> None:
    circuit_breaker = CircuitBreaker(max_outage_s=900.0)
    circuit_breaker.heard(sent_at=0.0)
    fail(circuit_breaker, 1_000)
    assert circuit_breaker.health(10.0) is Health.UNPROVEN


@pytest.mark.parametrize(
    ("case", "answers", "failures", "opens"),
    [
        ("a fifth fails", 4, 1, False),
        ("a little more than a fifth fails", 7, 2, True),
        ("half of them fail", 1, 1, True),
        ("one in a hundred fails", 99, 1, False),
    ],
)
def test_a_share_of_failures_opens_it(case: str, answers: int, failures: int, opens: bool) -> None:
    circuit_breaker = proven()
    for _ in range(300):
        for _ in range(answers):
            circuit_breaker.answered(sent_at=9.0)
        fail(circuit_breaker, failures)
    assert circuit_breaker.is_open is opens


@pytest.mark.slow
def test_credit_is_not_saved_up_over_a_good_day() -> None:
    circuit_breaker = proven()
    for _ in range(100_000):
        circuit_breaker.answered(sent_at=9.0)
    fail(circuit_breaker, FAILURES)
    assert circuit_breaker.is_open


# --- while it is open


def test_failures_of_what_was_under_way_do_not_put_the_probe_off() -> None:
    circuit_breaker = opened(at=100.0)
    circuit_breaker.failed(101.0, sent_at=99.9, request_no=1, first_time=True)
    assert circuit_breaker.hold_s(101.0) == pytest.approx(SOONEST_S - 1)


def test_one_probe_at_a_time() -> None:
    circuit_breaker = opened(at=100.0)
    now = 100.0 + SOONEST_S + EPSILON_S

    assert circuit_breaker.hold_s(now) == 0
    with circuit_breaker.passing() as is_probe:
        assert is_probe
        assert circuit_breaker.hold_s(now) == math.inf
        circuit_breaker.failed(now + 3, sent_at=now, request_no=1, first_time=True)
        assert circuit_breaker.hold_s(now + 3) == math.inf, "until it has ended"

    assert circuit_breaker.hold_s(now + 3) == pytest.approx(SOONEST_S)


def test_a_probe_that_was_not_sent_after_all_leaves_its_place_to_the_next() -> None:
    circuit_breaker = opened(at=100.0)
    now = 100.0 + SOONEST_S + EPSILON_S
    with circuit_breaker.passing():
        pass
    assert circuit_breaker.hold_s(now) == 0


def test_what_passes_a_closed_circuit_is_no_probe() -> None:
    with proven().passing() as is_probe:
        assert not is_probe


def test_who_waits_is_told_when_the_probe_has_landed_and_when_it_closes() -> None:
    async def scenario() -> list[float]:
        loop, circuit_breaker, told = asyncio.get_running_loop(), opened(at=0.0), []

        async def waiting() -> None:
            while circuit_breaker.is_open:
                await circuit_breaker.changed(math.inf)
                told.append(loop.time())

        loop.call_later(7, lambda: circuit_breaker.answered(sent_at=1.0))
        waits = asyncio.create_task(waiting())
        with circuit_breaker.passing():
            await asyncio.sleep(5)
        await waits
        return told

    assert run(scenario()) == pytest.approx([5, 7], abs=0.01)


def test_who_waits_for_the_probes_time_is_told_by_it() -> None:
    async def scenario() -> float:
        await opened().changed(SOONEST_S)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(SOONEST_S, abs=0.01)


def test_a_cancellation_at_the_moment_of_a_change_is_not_lost() -> None:
    async def scenario() -> bool:
        circuit_breaker = opened(at=0.0)

        async def waiting() -> None:
            await circuit_breaker.changed(60.0)
            await asyncio.sleep(60)

        waits = asyncio.create_task(waiting())
        await asyncio.sleep(1)
        circuit_breaker.answered(sent_at=1.0)
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.wait([waits])
        return waits.cancelled()

    assert run(scenario())


@pytest.mark.parametrize(
    ("outage_s", "least", "most"),
    [(30.0, 15, 49 - FAILURES), (60.0, 20, 50), (600.0, 60, 110), (3_600.0, 120, 220)],
)
def test_what_an_outage_costs(outage_s: float, least: int, most: int) -> None:
    circuit_breaker = opened(at=100.0, max_outage_s=10_000.0)
    asked = list(probes(circuit_breaker, since=100.0, until=100.0 + outage_s))
    assert least <= len(asked) <= most


@pytest.mark.parametrize("outage_s", [1.0, 30.0, 600.0, 3_000.0])
def test_an_outage_that_is_over_is_noticed_soon(outage_s: float) -> None:
    """Within a twentieth of what it took, or a second and a half, and half a minute at most."""
    circuit_breaker = opened(at=100.0, max_outage_s=10_000.0)
    noticed = next(at for at in probes(circuit_breaker, since=100.0, until=math.inf) if at >= 100.0 + outage_s)
    assert noticed - 100.0 - outage_s <= min(30.0, max(SOONEST_S, PROBE_SHARE * outage_s)) + EPSILON_S


# --- closing


def test_the_first_answer_closes_it() -> None:
    circuit_breaker = opened(at=100.0)
    circuit_breaker.answered(sent_at=102.0)
    assert (circuit_breaker.health(103.0), circuit_breaker.hold_s(103.0)) == (Health.ANSWERING, 0.0)


def test_a_no_closes_it_too() -> None:
    circuit_breaker = opened(at=100.0)
    circuit_breaker.heard(sent_at=102.0)
    assert circuit_breaker.health(103.0) is Health.ANSWERING


def test_answers_to_what_was_sent_before_the_outage_do_not_close_it() -> None:
    circuit_breaker = opened(at=100.0)
    for _ in range(50):
        circuit_breaker.answered(sent_at=99.9)
        circuit_breaker.heard(sent_at=99.9)
    assert circuit_breaker.health(110.0) is Health.DOWN


def test_after_an_outage_half_of_the_patience_is_left() -> None:
    circuit_breaker = opened(at=100.0)
    circuit_breaker.answered(sent_at=102.0)
    fail(circuit_breaker, FAILURES // 2 - 1, at=103.0)
    assert not circuit_breaker.is_open
    fail(circuit_breaker, 1, at=103.0)
    assert circuit_breaker.is_open


def test_each_outage_is_counted_from_its_own_beginning() -> None:
    circuit_breaker = opened(at=100.0, max_outage_s=60.0)
    circuit_breaker.answered(sent_at=150.0)
    circuit_breaker.trip(155.0)
    assert circuit_breaker.health(214.0) is Health.DOWN
    assert circuit_breaker.hold_s(155.0) == pytest.approx(SOONEST_S), "and asked as often as at first"


def test_tripping_it_again_does_not_begin_it_anew() -> None:
    circuit_breaker = opened(at=100.0, max_outage_s=60.0)
    circuit_breaker.trip(159.0)
    assert circuit_breaker.health(160.0) is Health.LOST


# --- giving up


@pytest.mark.parametrize("max_outage_s", [0.5, 10.0, 60.0, 777.0])
def test_it_is_lost_after_the_longest_outage_and_asked_a_last_time_just_then(max_outage_s: float) -> None:
    circuit_breaker = opened(at=100.0, max_outage_s=max_outage_s)
    *_, last = probes(circuit_breaker, since=100.0, until=math.inf)
    assert last == pytest.approx(100.0 + max_outage_s, abs=EPSILON_S)
    assert circuit_breaker.health(100.0 + max_outage_s - 0.1) is Health.DOWN
    assert circuit_breaker.health(100.0 + max_outage_s) is Health.LOST


def test_an_answer_brings_back_even_a_lost_one() -> None:
    circuit_breaker = opened(at=100.0, max_outage_s=10.0)
    assert circuit_breaker.health(200.0) is Health.LOST
    circuit_breaker.answered(sent_at=200.0)
    assert circuit_breaker.health(201.0) is Health.ANSWERING
