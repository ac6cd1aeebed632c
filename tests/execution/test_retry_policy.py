"""The table of `algorithms.md` 3: what went wrong, and what is done about it."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.execution.retry_policy import (
    UNHURRIED_ATTEMPTS,
    Action,
    Health,
    Tries,
    decide,
    delay_s,
    is_no_answer,
    same_failure,
)
from batchrun.reply import Cause, Failure

FIRST = Tries(attempts=1)
LAST = Tries(attempts=6)
BALANCE = "Your credit balance is too low to access the Anthropic API."
REACHED = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
REACHED_WORKSPACE = "You have reached your specified workspace API usage limits."


def status(code: int, message: str = "words", **more: Any) -> Failure:
    return Failure(cause=Cause.STATUS, status=code, message=message, **more)


def wire(cause: Cause) -> Failure:
    return Failure(cause=cause, message="words")


RETRY, WAIT, FAIL, STOP, STOP_OUTAGE, STOP_MONEY = Action
TABLE: dict[str, tuple[Failure, Action, Action]] = {
    # what went wrong: (failure, when attempts are left, when none is left)
    "408": (status(408), RETRY, FAIL),
    "409": (status(409), RETRY, FAIL),
    "500": (status(500), RETRY, FAIL),
    "502, a page of HTML": (status(502), RETRY, FAIL),
    "503": (status(503), RETRY, FAIL),
    "504": (status(504), RETRY, FAIL),
    "520 of a proxy": (status(520), RETRY, FAIL),
    "529": (status(529, error_type="overloaded_error"), RETRY, FAIL),
    "overloaded in a stream of status 200": (status(200, error_type="overloaded_error"), RETRY, FAIL),
    "timeout": (wire(Cause.TIMEOUT), RETRY, FAIL),
    "dropped": (wire(Cause.DROPPED), RETRY, FAIL),
    "misconfigured": (wire(Cause.MISCONFIGURED), STOP, STOP),
    "malformed": (wire(Cause.MALFORMED), RETRY, FAIL),
    "429": (status(429), WAIT, WAIT),
    "429 with retry-after": (status(429, retry_after_s=3), WAIT, WAIT),
    "429 ramp limit": (status(429, error_code="ramp_limit_exceeded"), WAIT, WAIT),
    "400": (status(400), FAIL, FAIL),
    "400 that speaks of limits": (status(400, "max_tokens: you have reached the limit"), FAIL, FAIL),
    "413": (status(413), FAIL, FAIL),
    "404 of an uploaded file": (status(404, "File not found: file_011CNha8iCJcU1wXNR6q4V8w"), RETRY, FAIL),
    "404 of a file that has expired": (status(404, error_code="file_expired"), RETRY, FAIL),
    "400 of an uploaded file": (status(400, "messages.0.content.1: file_011CNha8iCJcU1wXNR6q4V8w"), RETRY, FAIL),
    "422": (status(422), FAIL, FAIL),
    "418": (status(418), FAIL, FAIL),
    "401": (status(401), STOP, STOP),
    "403": (status(403), STOP, STOP),
    "no key": (wire(Cause.CREDENTIALS), STOP, STOP),
    "429 spend limit": (status(429, error_code="enforced_spend_limit_reached"), STOP_MONEY, STOP_MONEY),
    "429 contract": (status(429, error_code="contract_spend_limit_reached"), STOP_MONEY, STOP_MONEY),
    "402": (status(402), STOP_MONEY, STOP_MONEY),
    "402 with some code": (status(402, error_code="billing"), STOP_MONEY, STOP_MONEY),
    "400 usage limit": (status(400, REACHED), STOP_MONEY, STOP_MONEY),
    "400 usage limit in other letters": (status(400, REACHED.upper()), STOP_MONEY, STOP_MONEY),
    "400 workspace's usage limit": (status(400, REACHED_WORKSPACE), STOP_MONEY, STOP_MONEY),
    "400 no credit": (status(400, BALANCE), STOP_MONEY, STOP_MONEY),
    "403 no credit": (status(403, BALANCE), STOP_MONEY, STOP_MONEY),
    "organisation on hold": (status(400, error_code="organization_on_hold"), STOP_MONEY, STOP_MONEY),
    "budget of a gateway": (status(400, error_type="budget_exceeded"), STOP_MONEY, STOP_MONEY),
    "budget of a gateway by 429": (status(429, error_type="budget_exceeded"), STOP_MONEY, STOP_MONEY),
    "budget of a gateway by its code": (status(403, error_code="spend_limit_exceeded"), STOP_MONEY, STOP_MONEY),
    "412 of a gateway": (status(412), STOP_MONEY, STOP_MONEY),
    "500 that quotes a spend limit": (status(500, REACHED), RETRY, FAIL),
}


def no_answer(case: str) -> bool:
    """Whether it is silence, and not an answer that says no."""
    failure, first, _ = TABLE[case]
    return first is RETRY and is_no_answer(failure)


@pytest.mark.parametrize("case", TABLE)
def test_a_failure_decides(case: str) -> None:
    failure, first, last = TABLE[case]

    assert decide(failure, FIRST, Health.ANSWERING, max_attempts=6) is first
    assert decide(failure, LAST, Health.ANSWERING, max_attempts=6) is last


@pytest.mark.parametrize(
    ("health", "action"),
    [
        (Health.UNPROVEN, STOP),
        (Health.ANSWERING, WAIT),
        (Health.DOWN, WAIT),
        (Health.LOST, STOP_OUTAGE),
    ],
)
@pytest.mark.parametrize("tries", [FIRST, LAST])
def test_a_model_that_has_answered_exists(health: Health, action: Action, tries: Tries) -> None:
    assert decide(status(404, "model: claude-nope"), tries, health, max_attempts=6) is action
    assert decide(status(404, "model: claude-nope"), tries, health, max_attempts=6, in_batch=True) is STOP


@pytest.mark.parametrize("attempts", range(1, 7))
def test_attempts_are_exhausted_at_their_number(attempts: int) -> None:
    action = decide(status(500), Tries(attempts=attempts), Health.ANSWERING, max_attempts=6)

    assert action is (FAIL if attempts == 6 else RETRY)


@pytest.mark.parametrize("case", TABLE)
def test_when_nobody_is_answered_a_last_failure_is_not_the_documents(case: str) -> None:
    failure, first, last = TABLE[case]

    assert decide(failure, FIRST, Health.UNPROVEN, max_attempts=6) is first
    assert decide(failure, LAST, Health.UNPROVEN, max_attempts=6) is (STOP_OUTAGE if no_answer(case) else last)


@pytest.mark.parametrize("case", TABLE)
def test_in_an_outage_who_gets_no_answer_waits_and_spends_no_attempt(case: str) -> None:
    failure, first, last = TABLE[case]

    for tries, action in ((FIRST, first), (LAST, last)):
        assert decide(failure, tries, Health.DOWN, max_attempts=6) is (WAIT if no_answer(case) else action)
        lost = STOP_OUTAGE if no_answer(case) or action is WAIT else action
        assert decide(failure, tries, Health.LOST, max_attempts=6) is lost
    spends = not is_no_answer(failure) and first in {RETRY, FAIL}
    assert FIRST.after(failure, outage=True).attempts == 1 + spends


def test_no_connection_is_never_the_documents_fault_and_spends_no_attempt() -> None:
    failure, tries = wire(Cause.UNREACHABLE), Tries()
    for _ in range(1_000):
        tries = tries.after(failure)
        assert decide(failure, tries, Health.ANSWERING, max_attempts=1) is RETRY
    assert tries.attempts == 0
    assert decide(failure, tries, Health.DOWN, max_attempts=1) is WAIT
    assert decide(failure, tries, Health.LOST, max_attempts=1) is STOP_OUTAGE


def test_no_connection_where_nobody_was_answered_stops_at_once() -> None:
    failure = wire(Cause.UNREACHABLE)

    assert decide(failure, Tries().after(failure), Health.UNPROVEN, max_attempts=6) is STOP_OUTAGE


def test_one_allowed_attempt_is_one() -> None:
    assert decide(status(500), FIRST, Health.ANSWERING, max_attempts=1) is FAIL


def test_answers_429_are_not_counted_and_never_fail_a_document() -> None:
    endless = Tries(waits=10 * UNHURRIED_ATTEMPTS * 6)

    assert decide(status(429), endless, Health.ANSWERING, max_attempts=6) is WAIT
    assert decide(status(429), endless, Health.UNPROVEN, max_attempts=6) is WAIT
    assert decide(status(429), endless, Health.DOWN, max_attempts=6) is WAIT
    assert decide(status(429), FIRST, Health.LOST, max_attempts=6) is STOP_OUTAGE
    assert decide(status(500), replace(endless, attempts=5), Health.ANSWERING, max_attempts=6) is RETRY


def test_a_429_in_batches_waits_for_the_next_batch_and_at_last_stops_the_job() -> None:
    most = UNHURRIED_ATTEMPTS * 6

    assert decide(status(429), Tries(waits=most - 1), Health.ANSWERING, max_attempts=6, in_batch=True) is WAIT
    assert decide(status(429), Tries(waits=most), Health.ANSWERING, max_attempts=6, in_batch=True) is STOP_OUTAGE


def test_tries_are_counted_apart() -> None:
    tries = Tries()
    for failure in (status(500), status(429), wire(Cause.TIMEOUT), status(429), status(429)):
        tries = tries.after(failure)

    assert tries == Tries(attempts=2, waits=3)


# --- how long

SEEDS = st.integers(0, 2**32).map(random.Random)


@pytest.mark.slow
@given(asked=st.floats(0, 600), rng=SEEDS)
def test_what_the_api_asked_for_is_waited_and_a_little_more(asked: float, rng: random.Random) -> None:
    wait = delay_s(status(429, retry_after_s=asked), FIRST, initial_s=1, max_s=60, rng=rng)

    assert asked <= wait <= asked + max(0.2, 0.1 * asked)


@pytest.mark.slow
@given(attempts=st.integers(1, 3_000), waits=st.integers(0, 3_000), max_s=st.floats(1, 3600), rng=SEEDS)
def test_otherwise_it_grows_to_its_bound_and_never_past_it(
    attempts: int, waits: int, max_s: float, rng: random.Random
) -> None:
    wait = delay_s(status(500), Tries(attempts, waits), initial_s=1, max_s=max_s, rng=rng)

    assert 0 < wait <= max_s
    assert wait <= 2 ** min(attempts + waits - 1, 60)


def test_jitter_spreads_over_the_whole_delay() -> None:
    rng = random.Random(1)
    waits = [delay_s(status(500), Tries(attempts=4), initial_s=1, max_s=60, rng=rng) for _ in range(500)]

    assert min(waits) < 1.2
    assert max(waits) > 7.8
    assert 3.5 < sum(waits) / len(waits) < 5.5


class Shortest(random.Random):
    """Draws the least that there is."""

    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize(("attempts", "ceiling_s"), [(1, 1), (4, 8), (30, 60)])
def test_not_even_the_shortest_wait_returns_at_once(attempts: int, ceiling_s: float) -> None:
    """An API that fails because it is overloaded gets a moment before anyone asks again."""
    wait = delay_s(status(500), Tries(attempts), initial_s=1, max_s=60, rng=Shortest())

    assert wait == pytest.approx(ceiling_s / 10)


def test_a_429_without_retry_after_waits_longer_each_time() -> None:
    rng = random.Random(1)
    longest = [
        max(delay_s(status(429), Tries(waits=waits), initial_s=1, max_s=60, rng=rng) for _ in range(100))
        for waits in range(1, 6)
    ]

    assert longest == sorted(longest)


# --- the same failure

REJECTION = status(400, "messages.3: bad", error_type="invalid_request_error")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (status(400, "messages.17: bad", error_type="invalid_request_error"), True),
        (status(400, "messages.3: bad", error_type="other_error"), False),
        (status(413, "messages.3: bad", error_type="invalid_request_error"), False),
        (status(400, "messages.3: worse", error_type="invalid_request_error"), False),
    ],
)
def test_rejections_are_the_same_but_for_their_numbers(other: Failure, same: bool) -> None:
    assert (same_failure(REJECTION) == same_failure(other)) is same
