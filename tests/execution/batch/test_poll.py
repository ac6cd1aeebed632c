"""When a batch is asked for again."""

from dataclasses import replace

import pytest
from collect_bench import ABC, CREATED_AT, Bench, ours
from scripted_provider import OVERLOADED

from batchrun.batch import BatchState, RemoteBatch
from batchrun.events import BatchEnded
from batchrun.execution.batch.poll import poll_delay_s


def test_a_batch_that_goes_on_is_asked_for_later() -> None:
    bench = Bench(ABC, [])
    bench.remote = RemoteBatch(
        batch_id="msgbatch_1", status="in_progress", counts={"processing": 3}, created_at=CREATED_AT,
        expires_at=CREATED_AT + 86_400,
    )  # fmt: skip

    batch = bench.visit()

    assert batch.state is BatchState.SUBMITTED
    assert batch.next_poll_at == pytest.approx(bench.now + 300, abs=31)
    assert batch.expires_at == CREATED_AT + 86_400
    assert bench.asked == 0


def test_after_its_cancellation_a_batch_is_asked_for_as_if_it_were_young() -> None:
    bench = Bench(ABC, [])
    bench.remote = replace(bench.remote, status="canceling", counts={"processing": 3})
    bench.now = CREATED_AT + 20 * 3600
    bench.batches.ask_to_cancel(bench.batch, now=bench.now - 5)

    batch = bench.visit()

    assert batch.next_poll_at == pytest.approx(bench.now + 30, abs=3.1)


@pytest.mark.parametrize(("ahead_s", "asked"), [(300.0, 0), (900.0, 0), (1_300.0, 1), (365 * 86_400.0, 1)])
def test_a_time_that_only_a_wrong_clock_can_have_set_is_due(ahead_s: float, asked: int) -> None:
    bench = Bench(ABC, map(ours, ABC))
    bench.batches.postpone(bench.batch, next_poll_at=bench.now + ahead_s)

    bench.visit()

    assert bench.asked == asked


def test_the_api_may_want_to_be_asked_later_still() -> None:
    bench = Bench(ABC, [])
    bench.remote = RemoteBatch(
        batch_id="msgbatch_1", status="in_progress", counts={}, created_at=CREATED_AT, retry_after_s=7_000.0
    )

    assert bench.visit().next_poll_at >= bench.now + 7_000


def test_a_poll_that_fails_costs_nothing_and_is_repeated() -> None:
    bench = Bench(ABC, map(ours, ABC))
    bench.refusal = OVERLOADED

    batch = bench.visit()

    assert batch.state is BatchState.SUBMITTED
    assert batch.next_poll_at is not None
    assert batch.next_poll_at > bench.now
    bench.refusal = None
    assert bench.later().state is BatchState.COLLECTED


def test_the_end_is_told_with_its_counts() -> None:
    counts = {"processing": 0, "succeeded": 2, "errored": 1}
    bench = Bench(ABC, map(ours, ABC))
    bench.remote = RemoteBatch(
        batch_id="msgbatch_1", status="ended", counts=counts, created_at=CREATED_AT, ended_at=CREATED_AT + 99
    )
    bench.visit()

    assert [event for event in bench.events if isinstance(event, BatchEnded)] == [
        BatchEnded("msgbatch_1", 99.0, counts)
    ]
    assert bench.batch.ended_at == CREATED_AT + 99


class Middle:
    """No jitter."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


@pytest.mark.parametrize(
    ("age_s", "delay_s"), [(-50, 30), (0, 30), (300, 30), (600, 60), (2_000, 200), (3_000, 300), (86_400, 300)]
)
def test_a_batch_is_asked_for_after_a_tenth_of_its_age(age_s: float, delay_s: float) -> None:
    assert poll_delay_s(age_s, least_s=30, most_s=300, rng=Middle()) == pytest.approx(delay_s)
