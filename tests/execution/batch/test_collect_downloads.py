"""Downloads of results that break, end early, or lack results."""

from collections import Counter

import pytest
from collect_bench import ABC, COST, PENDING, WORST, Bench, line, ours
from scripted_provider import BAD_KEY, OVERLOADED, answer, lost, status

from batchrun.batch import BatchState
from batchrun.errors import EnvironmentProblem, Stopped
from batchrun.execution.batch import collect
from batchrun.reply import Cause, Failure


@pytest.mark.parametrize("failure", [lost(), lost(Cause.TIMEOUT), lost(Cause.UNREACHABLE), status(500), OVERLOADED])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_broken_download_begins_again_at_once_and_skips_what_is_settled(failure: Failure, at: int) -> None:
    whole = [ours(name) for name in ABC]
    bench = Bench(ABC, [*whole[:at], failure], whole)

    batch = bench.visit()

    assert batch.state is BatchState.COLLECTED
    assert bench.asked == 2
    assert bench.told == ABC
    assert bench.writes == [one for one in (at, 3 - at) if one]
    assert bench.committed == 3 * COST


def test_a_download_that_breaks_again_and_again_is_left_for_later() -> None:
    bench = Bench(ABC, [ours("a"), lost()])

    batch = bench.visit()

    assert batch.state is BatchState.ENDED
    assert 1 < bench.asked < 10
    assert bench.statuses == {"a": "succeeded", "b": PENDING, "c": PENDING}
    assert bench.committed == COST + 2 * WORST
    assert batch.next_poll_at is not None
    assert batch.next_poll_at > bench.now
    asked = bench.asked
    bench.visit()
    assert bench.asked == asked, "it is not due"
    bench.downloads = [[ours(name) for name in ABC]]
    assert bench.later().state is BatchState.COLLECTED


@pytest.mark.parametrize(("failure", "code"), [(BAD_KEY, 5), (status(403), 5), (status(402), 4)])
def test_a_download_that_is_refused_stops_the_job(failure: Failure, code: int) -> None:
    bench = Bench(ABC, [ours("a"), failure])

    batch = bench.visit()

    assert bench.asked == 1
    assert isinstance(bench.halted, EnvironmentProblem | Stopped)
    assert bench.halted.exit_code == code
    assert batch.state is BatchState.ENDED
    assert bench.statuses["a"] == "succeeded"


@pytest.mark.parametrize("code", [404, 410])
@pytest.mark.parametrize("adopted", [False, True])
def test_results_that_are_not_there_yet_stop_nothing(code: int, adopted: bool) -> None:
    """The batch was there a moment ago, so neither the key nor the address is wrong."""
    bench = Bench(ABC, [status(code, "not available")], adopted=adopted)

    for _ in range(5):
        batch = bench.later()
        assert (batch.state, batch.downloads) == (BatchState.ENDED, 0)

    assert (bench.halted, bench.problem) == (None, None)
    assert bench.open == 3
    assert bench.asked == 5
    assert "not available" in bench.trouble
    bench.downloads = [[ours(name) for name in ABC]]
    assert bench.later().state is BatchState.COLLECTED


# --- downloads that end early


@pytest.mark.slow
@pytest.mark.parametrize("counts", [{}, {"succeeded": 2, "expired": 1}], ids=["not counted", "counted"])
def test_a_download_that_ends_at_the_same_place_again_and_again_is_repeated_with_patience(
    counts: dict[str, int],
) -> None:
    bench = Bench(ABC, [ours("a"), ours("c")])
    bench.counted(counts)

    for _ in range(collect.MOST_DOWNLOADS):
        assert bench.later().state is BatchState.ENDED
    assert bench.statuses == {"a": "succeeded", "b": PENDING, "c": "succeeded"}

    bench.downloads = [[ours(name) for name in ABC]]
    assert bench.later().state is BatchState.COLLECTED
    assert bench.told == ["a", "c", "b"]
    assert bench.committed == 3 * COST


def test_an_adopted_batch_is_not_judged_by_a_short_download() -> None:
    bench = Bench(ABC, [line("row-1", answer()), line("row-2", answer())], adopted=True)
    bench.counted({"succeeded": 3})

    batch = bench.visit()

    assert (batch.state, batch.batch_id) == (BatchState.ENDED, "msgbatch_1")


def test_a_download_with_somebody_elses_line_in_the_place_of_ours_is_not_the_last_either() -> None:
    bench = Bench(ABC, [ours("a"), line("row-17", answer()), ours("c")])
    bench.counted({"succeeded": 3})

    assert bench.visit().state is BatchState.ENDED
    assert bench.statuses["b"] == PENDING


# --- results that are missing


@pytest.mark.slow
def test_as_long_as_more_results_come_none_is_given_up() -> None:
    names = "abcdefgh"
    bench = Bench(names, *([ours(name) for name in names[:count]] for count in range(1, len(names) + 1)))

    for _ in names[:-1]:
        batch = bench.later()
        assert (batch.state, batch.downloads) == (BatchState.ENDED, 0)

    assert bench.later().state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(names, "succeeded")


@pytest.mark.slow
def test_missing_results_are_asked_for_again_and_then_given_up() -> None:
    bench = Bench(ABC, [ours("a"), ours("c")])
    bench.visit()
    assert bench.batch.downloads == 0, "a download that brings something new may not have been the last"

    for downloads in range(1, collect.MOST_DOWNLOADS):
        assert bench.later().state is BatchState.ENDED
        assert bench.batch.downloads == downloads
        assert bench.statuses == {"a": "succeeded", "b": PENDING, "c": "succeeded"}
    batch = bench.later()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == {"a": "succeeded", "b": "errored", "c": "succeeded"}
    assert bench.attempt("b")["state"] == "unknown"
    assert bench.committed == 2 * COST + WORST, "it may have been billed"
    assert bench.asked == 1 + collect.MOST_DOWNLOADS


@pytest.mark.slow
def test_a_download_that_breaks_is_not_one_that_has_it_not() -> None:
    bench = Bench(ABC, [ours("a"), lost()])
    for _ in range(5):
        bench.later()

    assert bench.batch.downloads == 0
    assert bench.batch.state is BatchState.ENDED


def test_missing_results_that_come_later_are_taken() -> None:
    bench = Bench(ABC, [], [ours("b")], [ours(name) for name in ABC])
    bench.later()
    bench.later()
    batch = bench.later()

    assert batch.state is BatchState.COLLECTED
    assert bench.statuses == dict.fromkeys(ABC, "succeeded")


@pytest.mark.slow
def test_many_missing_results_are_all_given_up() -> None:
    names = [f"d{number}" for number in range(450)]
    bench = Bench(names, [])
    for _ in range(collect.MOST_DOWNLOADS):
        bench.later()

    assert Counter(bench.statuses.values()) == {"errored": 450}
    assert len(bench.told) == 450
