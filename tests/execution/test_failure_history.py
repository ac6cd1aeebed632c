"""Rows of identical rejections, and answers that all bring no row: when they stop a run, and what is held back."""

import pytest

from batchrun.execution.failure_history import (
    FIRST_REJECTIONS,
    FIRST_ROWLESS,
    LATER_REJECTIONS,
    MOST_HELD,
    FailureHistory,
)
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure

A, B = "claude-a", "claude-b"


def status(code: int, message: str = "not allowed", error_type: str | None = None) -> Failure:
    return Failure(cause=Cause.STATUS, status=code, message=message, error_type=error_type)


NO = status(400)


def reject(history: FailureHistory[int], *failures: Failure, model: str = A, first: int = 1) -> list[bool]:
    return [
        history.rejected(model, failure, number, held=number) for number, failure in enumerate(failures, start=first)
    ]


def answered(history: FailureHistory[int], model: str = A) -> None:
    history.answered(model, Outcome.SUCCEEDED, None)


def begun(*, ever_answered: bool) -> FailureHistory[int]:
    history: FailureHistory[int] = FailureHistory()
    if ever_answered:
        answered(history)
    return history


# --- rejections


@pytest.mark.parametrize(("ever_answered", "most"), [(False, FIRST_REJECTIONS), (True, LATER_REJECTIONS)])
def test_enough_in_a_row_stop_the_run_whenever_they_begin(ever_answered: bool, most: int) -> None:
    history = begun(ever_answered=ever_answered)

    assert all(reject(history, *[NO] * (most - 1)))
    assert history.problem() is None
    assert history.final() == [], "as long as nobody knows who is at fault, none is final"
    reject(history, NO, first=most)

    assert "not allowed (http_400)" in str(history.problem())
    assert history.final() == []


FEW = LATER_REJECTIONS - 1
ALIKE = {
    "positions": [status(400, f"messages.{number}: bad") for number in range(FEW + 1)],
    "ids": [status(403 + 15, f"refused (trace 4f{number:x}a-{number:04x})") for number in range(FEW + 1)],
    "a status nobody foresaw": [status(418)] * (FEW + 1),
    "deleted": [status(410)] * (FEW + 1),
    "no yes and no no": [status(409)] * (FEW + 1),
}


@pytest.mark.parametrize("case", ALIKE)
def test_what_may_be_said_to_everybody_is_counted(case: str) -> None:
    history = begun(ever_answered=True)
    reject(history, *ALIKE[case])
    assert history.problem()


OF_DOCUMENTS = {
    "too large": status(413),
    "too long": status(400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "too long behind a gateway": status(400, "litellm.BadRequestError: AnthropicException - prompt is too long"),
    "blocked": status(400, "Output blocked by content filtering policy"),
    "blocked by a gateway": status(400, "no", error_type="content_filter"),
}


@pytest.mark.parametrize("case", OF_DOCUMENTS)
def test_what_is_certainly_the_documents_fault_is_final_at_once_and_stops_nobody(case: str) -> None:
    history = begun(ever_answered=False)
    assert not any(reject(history, *[OF_DOCUMENTS[case]] * 50))
    assert history.problem() is None


def test_an_answer_in_between_ends_the_row_and_makes_it_final() -> None:
    history = begun(ever_answered=True)
    for first in range(0, 50, FEW):
        reject(history, *[NO] * FEW, first=first)
        answered(history)
        assert history.final() == list(range(first, first + FEW))
        assert history.final() == []
    assert history.problem() is None


def test_another_rejection_in_between_ends_the_row_too() -> None:
    history = begun(ever_answered=True)
    reject(history, *[NO] * FEW)
    reject(history, status(400, "something else"), first=100)
    assert history.final() == list(range(1, FEW + 1))
    reject(history, *[NO] * FEW, first=200)
    assert history.problem() is None
    assert history.final() == [100]


def test_each_model_has_its_own_row() -> None:
    history = begun(ever_answered=True)
    for number in range(LATER_REJECTIONS):
        assert history.problem() is None
        reject(history, NO, first=number)
        answered(history, B)
    assert history.problem()


def test_at_the_end_all_is_final_and_the_row_still_counts() -> None:
    history = begun(ever_answered=False)
    reject(history, NO, NO, NO)
    assert history.final(at_end=True) == [1, 2, 3]
    reject(history, NO, NO, first=4)
    assert history.problem()


def test_the_same_request_counts_once() -> None:
    history = begun(ever_answered=False)
    for _ in range(50):
        reject(history, NO)
    assert history.problem() is None


def test_what_is_held_back_is_bounded_and_a_longer_row_stays_pending() -> None:
    history = begun(ever_answered=False)
    reject(history, *[NO] * (MOST_HELD + 1))
    answered(history)
    assert history.problem()
    assert history.final() == []


def test_without_brakes_nothing_is_held_back_and_nothing_stops() -> None:
    history: FailureHistory[int] = FailureHistory(brakes=False)
    assert not any(reject(history, *[NO] * 50))
    for _ in range(50):
        history.answered(A, Outcome.INVALID, "the reply has no text")
    assert history.problem() is None


# --- answers without a row

REASONS = {
    "prose": [f"not JSON: expecting value at character 0, found 'Document {number}'" for number in range(20)],
    "a field of its own": [f"the reply: 'x{number}' is no field; title: required" for number in range(20)],
    "values": [f'title: {number} is not text; date: "it\'s {number}" is not a date' for number in range(20)],
}


@pytest.mark.parametrize("case", REASONS)
def test_the_first_answers_that_are_all_invalid_alike_stop_the_run(case: str) -> None:
    history: FailureHistory[int] = FailureHistory()
    for reason in REASONS[case]:
        assert history.problem() is None
        history.answered(A, Outcome.INVALID, reason)
    assert f"the first {FIRST_ROWLESS} answers of {A}" in str(history.problem())


@pytest.mark.parametrize(
    ("outcome", "reason", "stops"),
    [(Outcome.TRUNCATED, "max_tokens: 9 were too few", True), (Outcome.REFUSED, "the model refused", False)],
)
def test_so_do_answers_that_are_all_cut_off_but_not_refusals(outcome: Outcome, reason: str, stops: bool) -> None:
    history: FailureHistory[int] = FailureHistory()
    for _ in range(FIRST_ROWLESS):
        history.answered(A, outcome, reason)
    assert (history.problem() is not None) is stops


@pytest.mark.parametrize("another", [(Outcome.SUCCEEDED, None), (Outcome.INVALID, "the reply has no text")])
@pytest.mark.parametrize("when", [0, 10, 19])
def test_another_answer_among_the_first_shows_that_the_endpoint_works(
    another: tuple[Outcome, str | None], when: int
) -> None:
    history: FailureHistory[int] = FailureHistory()
    for number in range(100):
        history.answered(A, *(another if number == when else (Outcome.INVALID, "not JSON: x")))
    assert history.problem() is None


def test_the_answers_of_each_model_are_counted_apart() -> None:
    history: FailureHistory[int] = FailureHistory()
    for _ in range(FIRST_ROWLESS):
        history.answered(A, Outcome.INVALID, "not JSON: x")
        answered(history, B)
    assert f"of {A} " in str(history.problem())
