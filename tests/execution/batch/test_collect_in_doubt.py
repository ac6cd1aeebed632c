"""Results of adopted batches, and results that are gone."""

from dataclasses import replace
from typing import Any

import pytest
from collect_bench import ABC, CREATED_AT, EXPIRED, PENDING, WORST, Bench, line, ours
from scripted_provider import OVERLOADED, answer, lost, status

from batchrun.batch import RESULTS_KEPT_S, BatchResult, BatchState
from batchrun.errors import Ambiguous, EnvironmentProblem
from batchrun.events import BatchTrouble
from batchrun.execution.batch import collect
from batchrun.reply import Failure


def test_an_adopted_batch_is_proven_by_a_custom_id() -> None:
    bench = Bench(ABC, [line("row-17", answer()), *map(ours, ABC)], adopted=True)

    batch = bench.visit()

    assert (batch.state, batch.adopted) == (BatchState.COLLECTED, False)
    assert bench.collected.odd == 1


def test_an_adopted_batch_that_is_somebody_elses_is_given_back_without_loss() -> None:
    bench = Bench(ABC, [line(f"row-{number}", answer()) for number in range(3)], adopted=True)

    batch = bench.visit()

    assert (batch.state, batch.batch_id, batch.adopted) == (BatchState.PREPARED, None, False)
    assert bench.open == 3
    assert bench.statuses == dict.fromkeys(ABC, PENDING)
    assert bench.committed == 3 * WORST
    assert bench.told == []
    assert [event for event in bench.events if isinstance(event, BatchTrouble)]


def test_an_adopted_batch_of_another_of_our_jobs_is_given_back_too() -> None:
    bench = Bench(ABC, [ours(name, nonce="ba9876543210") for name in ABC], adopted=True)

    assert bench.visit().state is BatchState.PREPARED


def test_a_batch_that_we_created_ourselves_is_never_taken_for_somebody_elses() -> None:
    bench = Bench(ABC, [line(f"row-{number}", answer()) for number in range(3)])

    assert bench.visit().state is BatchState.ENDED


@pytest.mark.parametrize(
    "nothing",
    [
        [],
        [lost()],
        [BatchResult(type=None)],
        [BatchResult(type=None)] * 3,
        [line("x", EXPIRED)],
    ],
    ids=["empty", "broken", "an unreadable line", "unreadable lines", "cut short"],
)
def test_results_that_tell_nothing_do_not_prove_that_it_is_somebody_elses(nothing: list[Any]) -> None:
    bench = Bench(ABC, nothing, adopted=True)

    batch = bench.visit()

    assert batch.state is BatchState.ENDED
    assert batch.batch_id == "msgbatch_1"
    assert bench.open == 3


@pytest.mark.parametrize("at", [1, 2])
def test_what_was_proven_before_a_download_broke_stays_proven(at: int) -> None:
    whole = [ours(name) for name in ABC]
    bench = Bench(ABC, [*whole[:at], lost()], adopted=True)
    bench.visit()
    assert bench.batch.adopted is False

    bench.downloads = [whole]
    assert bench.later().state is BatchState.COLLECTED


# --- results that are gone


NOT_FOUND = status(404, "not available", error_type="not_found_error")

LATE_S = RESULTS_KEPT_S + 1
WAIT_S = 600.0
"""The default of `reconcile_wait`."""


@pytest.mark.parametrize("gone", ["archived", 404, 410])
def test_results_that_are_gone_are_lost_and_nothing_is_sent_again(gone: str | int) -> None:
    bench = Bench(ABC, [] if gone == "archived" else [status(int(gone), "gone")])
    if gone == "archived":
        bench.remote = replace(bench.remote, archived=True)
    else:
        bench.now = CREATED_AT + LATE_S

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.asked == (gone != "archived")
    assert bench.statuses == dict.fromkeys(ABC, "errored")
    assert bench.committed == 3 * WORST
    assert {bench.attempt(name)["state"] for name in ABC} == {"unknown"}
    (reason,) = bench.ledger.connection.execute("select distinct reason from requests").fetchone()
    assert "29 days" in reason
    assert bench.trouble


@pytest.mark.parametrize("age_s", [-LATE_S, 0.0, RESULTS_KEPT_S - 60, LATE_S, 1_000 * LATE_S])
def test_results_are_taken_whatever_our_clock_says(age_s: float) -> None:
    bench = Bench(ABC, map(ours, ABC))
    bench.now = CREATED_AT + age_s

    assert bench.visit().state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")


@pytest.mark.parametrize("failure", [lost(), OVERLOADED, status(500)])
def test_old_results_that_cannot_be_had_just_now_are_not_gone(failure: Failure) -> None:
    bench = Bench(ABC, [failure])
    bench.now = CREATED_AT + LATE_S

    assert bench.visit().state is BatchState.ENDED
    assert bench.open == 3


@pytest.mark.parametrize("gone", ["archived", "refused"])
def test_an_adopted_batch_whose_results_are_gone_is_not_given_up_for_ours(gone: str) -> None:
    """It proves nothing: ours may be another one, and have all its results."""
    bench = Bench(ABC, [NOT_FOUND], adopted=True)
    bench.remote = replace(bench.remote, archived=gone == "archived")
    bench.now = CREATED_AT + LATE_S

    batch = bench.visit()

    assert batch.state is BatchState.ENDED
    assert isinstance(bench.problem, Ambiguous)
    assert bench.statuses == dict.fromkeys(ABC, PENDING)
    assert bench.open == 3


@pytest.mark.slow
def test_an_adopted_batch_that_nothing_proves_is_for_a_person_to_decide() -> None:
    bench = Bench(ABC, [], adopted=True)
    for downloads in range(1, collect.MOST_DOWNLOADS):
        assert bench.later().downloads == downloads
        assert bench.problem is None

    batch = bench.later()

    assert isinstance(bench.problem, Ambiguous)
    assert (batch.state, bench.open) == (BatchState.ENDED, 3)


def test_a_batch_that_the_api_does_not_know_is_for_a_person_to_decide() -> None:
    bench = Bench(ABC, [])
    bench.refusal = NOT_FOUND
    batch, began = bench.visit(), bench.now
    assert batch.absent_at == began
    while bench.problem is None:
        assert bench.now < began + 2 * WAIT_S, "it never ends"
        batch = bench.later()

    assert bench.now >= began + WAIT_S
    assert isinstance(bench.problem, EnvironmentProblem)
    assert "msgbatch_1" in str(bench.problem)
    assert bench.halted is None, "the others are taken care of first"
    assert (batch.state, bench.open) == (BatchState.SUBMITTED, 3)
