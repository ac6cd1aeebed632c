"""The sentences that a request or a run ends with: the API's words, the amounts, and what to type next."""

from typing import Any

import pytest
from run_caps import run_cap

from batchrun.budget.caps import Amount
from batchrun.execution.failure_messages import (
    budget_reached,
    failed_outcome,
    failed_reason,
    fatal_problem,
    rejected_alike,
    rowless_alike,
)
from batchrun.execution.retry_policy import Tries
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.records import CapExceeded


def status(code: int, message: str = "words", **more: Any) -> Failure:
    return Failure(cause=Cause.STATUS, status=code, message=message, **more)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (status(400), Outcome.REJECTED),
        (status(413), Outcome.REJECTED),
        (status(418), Outcome.REJECTED),
        (status(408), Outcome.ERRORED),
        (status(409), Outcome.ERRORED),
        (status(429), Outcome.ERRORED),
        (status(500), Outcome.ERRORED),
        (status(200, error_type="overloaded_error"), Outcome.ERRORED),
        (Failure(cause=Cause.TIMEOUT, message="words"), Outcome.ERRORED),
        (Failure(cause=Cause.MALFORMED, message="words"), Outcome.ERRORED),
    ],
)
def test_only_a_definite_no_is_a_rejection(failure: Failure, outcome: Outcome) -> None:
    assert failed_outcome(failure) is outcome


@pytest.mark.parametrize(
    ("failure", "tries", "reason"),
    [
        (status(400, "bad", error_type="invalid_request_error"), Tries(1), "400 invalid_request_error: bad"),
        (status(502, "a page"), Tries(6), "502: a page (6 attempts)"),
        (status(500, "oops"), Tries(attempts=2, waits=3), "500: oops (5 attempts)"),
        (Failure(cause=Cause.TIMEOUT, message="no answer"), Tries(3), "timeout: no answer (3 attempts)"),
    ],
)
def test_a_reason_is_the_apis_own(failure: Failure, tries: Tries, reason: str) -> None:
    assert failed_reason(failure, tries) == reason


def test_a_small_budget_is_not_told_as_nothing() -> None:
    stopped = budget_reached(CapExceeded(used=1_300_000, cap=run_cap(3_000_000), open_attempts=0), Amount(4_300_000))

    assert "$0.0013 of $0.0030 is spent or reserved" in str(stopped)
    assert "up to $0.0043" in str(stopped)
    assert "budget.max_cost_usd" in str(stopped.hint)


def test_the_apis_words_are_in_what_stops_a_run() -> None:
    stops = [
        fatal_problem(status(401, "revoked")),
        fatal_problem(status(402, "revoked")),
        fatal_problem(Failure(cause=Cause.UNREACHABLE, message="revoked")),
        rejected_alike(status(400, "revoked"), 5, ever_answered=False),
        rejected_alike(status(400, "revoked"), 10, ever_answered=True),
        fatal_problem(status(429, "revoked")),
        rowless_alike("claude", 20, "revoked"),
    ]

    assert [str(stop) for stop in stops if "revoked" not in str(stop)] == []
    assert [str(stop) for stop in stops if not stop.hint] == []
    assert str(fatal_problem(status(503, "revoked"), model="home/llama3")).startswith("home/llama3: ")
