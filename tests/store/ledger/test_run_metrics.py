"""The pace of a run in the ledger: minutes, waits, latencies, and what is learnt of limits."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from batchrun.catalog.rate_limits import FORGOTTEN_AFTER_S, LearnedLimits
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import MinuteUse, RunPlan, Settlement, Waited
from batchrun.store.ledger.run_metrics import Activity, Latencies, Percentiles, RunMetrics
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.performance import performance
from batchrun.strategy.duration import Bound

USE = MinuteUse(
    model="m", minute=100, requests=3, input_tokens=30, output_tokens=6, requests_limit=60, input_tokens_limit=100,
    output_tokens_limit=None,
)  # fmt: skip
LEARNT = LearnedLimits(
    requests_per_minute=50,
    input_tokens_per_minute=None,
    output_tokens_per_minute=8_000,
    concurrency=None,
    learnt_at=1.0,
)
RUN = 1


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("pragma foreign_keys = on")
    create_missing(connection)
    with contextlib.closing(Ledger(connection, None)) as opened:
        for run_id in ("r", "another"):
            Runs(opened).begin_run(
                RunPlan(
                    job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1,
                    cap_nusd=10**12, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
                ),
                run_id=run_id,
            )  # fmt: skip
        yield opened


@pytest.fixture
def pace(ledger: Ledger) -> RunMetrics:
    return RunMetrics(ledger)


class Sender:
    """Makes attempts, each of a request of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._number = 0

    def begin(self, *, at: float = 0.0, batch: bool = False) -> int:
        self._number += 1
        run = self._ledger.connection.execute
        if batch:
            run(
                "insert into batches (batch_no, nonce, run_no, job, model, schema, state, requests, bytes, prepared_at)"
                " values (1, 'n', 1, 'trial', 'm', '{}', 'submitted', 1, 1, 0.0) on conflict do nothing"
            )
        request_no = run(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, 'm', 1, 'prose')",
            (f"q{self._number}",),
        ).lastrowid
        return int(
            run(
                "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at, batch_no)"
                " values (?, ?, 'trial', ?, 'open', 1, ?, ?)",
                (request_no, RUN, f"d{self._number}", at, 1 if batch else None),
            ).lastrowid
            or 0
        )

    def answered(
        self, latency_s: float | None, first_byte_s: float | None = None, *, at: float = 0.0, model: str = "m"
    ) -> None:
        attempt_no = self.begin(at=at, batch=latency_s is None)
        reply = Reply("{}", "end_turn", Usage(1, output_tokens=1), model, None, "{}", first_byte_s=first_byte_s)
        self._ledger.settle(
            Settlement(attempt_no=attempt_no, state="answered", cost_nusd=1, outcome=Outcome.SUCCEEDED, output="{}",
                       reply=reply, latency_s=latency_s)
        )  # fmt: skip
        self._ended(attempt_no, at + (latency_s or 0.0))

    def failed(self, latency_s: float, *, at: float = 0.0) -> None:
        attempt_no = self.begin(at=at)
        failure = Failure(cause=Cause.STATUS, status=529, message="Overloaded")
        self._ledger.settle(
            Settlement(attempt_no=attempt_no, state="failed", cost_nusd=0, failure=failure, latency_s=latency_s)
        )
        self._ended(attempt_no, at + latency_s)

    def _ended(self, attempt_no: int, at: float) -> None:
        self._ledger.connection.execute("update attempts set ended_at = ? where attempt_no = ?", (at, attempt_no))


@pytest.fixture
def sender(ledger: Ledger) -> Sender:
    return Sender(ledger)


# --- minutes and waits


def test_what_is_noted_of_a_minute_adds_up(pace: RunMetrics) -> None:
    pace.add(RUN, [USE, replace(USE, minute=99), replace(USE, model="n")], [])
    pace.add(RUN, [USE], [])

    assert pace.minutes(RUN) == [
        replace(USE, minute=99),
        replace(USE, requests=6, input_tokens=60, output_tokens=12),
        replace(USE, model="n"),
    ]
    assert pace.minutes(2) == []


def test_a_limit_replaces_the_one_before_and_none_replaces_nothing(pace: RunMetrics) -> None:
    pace.add(RUN, [USE], [])
    pace.add(RUN, [replace(USE, requests_limit=50, input_tokens_limit=None, output_tokens_limit=8)], [])

    (noted,) = pace.minutes(RUN)
    assert (noted.requests_limit, noted.input_tokens_limit, noted.output_tokens_limit) == (50, 100, 8)


def test_waits_add_up_and_the_worst_comes_first(pace: RunMetrics) -> None:
    pace.add(RUN, [], [Waited("retry", 1.5, 2), Waited("input tokens", 10.0, 3)])
    pace.add(RUN, [], [Waited("retry", 0.5, 1), Waited("requests", 2.0, 1)])
    pace.add(2, [], [Waited("budget", 60.0, 1)])

    assert pace.waits(RUN) == [Waited("input tokens", 10.0, 3), Waited("requests", 2.0, 1), Waited("retry", 2.0, 3)]


def test_nothing_to_note_is_fine(pace: RunMetrics) -> None:
    pace.add(RUN, [], [])

    assert (pace.minutes(RUN), pace.waits(RUN)) == ([], [])


# --- what is learnt


def test_what_is_learnt_is_kept_for_each_model(pace: RunMetrics) -> None:
    pace.learn("m", LEARNT)
    pace.learn("n", replace(LEARNT, concurrency=7))

    assert pace.learned("m", now=2.0) == LEARNT
    assert pace.learned("n", now=2.0) == replace(LEARNT, concurrency=7)
    assert pace.learned("nobody", now=2.0) is None


def test_what_a_run_learnt_stands_for_what_was_learnt_before(pace: RunMetrics) -> None:
    pace.learn("m", LEARNT)
    later = replace(LEARNT, requests_per_minute=40, output_tokens_per_minute=None, concurrency=12, learnt_at=2.0)
    pace.learn("m", later)

    assert pace.learned("m", now=3.0) == later


def test_a_run_that_learnt_no_rate_confirms_none(pace: RunMetrics) -> None:
    pace.learn("m", LEARNT)
    pace.learn("m", LearnedLimits(None, None, None, concurrency=12, learnt_at=50_000.0))

    assert pace.learned("m", now=60_000.0) == replace(LEARNT, concurrency=12)
    assert pace.learned("m", now=LEARNT.learnt_at + FORGOTTEN_AFTER_S) is None


def test_what_was_forgotten_is_returned(pace: RunMetrics) -> None:
    pace.learn("m", LEARNT)

    assert pace.forget_learned() == {"m": LEARNT}
    assert pace.learned("m", now=2.0) is None
    assert pace.forget_learned() == {}


# --- latencies


def test_no_answer_no_latencies(pace: RunMetrics, sender: Sender) -> None:
    assert pace.latencies(RUN) is None
    sender.begin()
    sender.failed(3.0)
    sender.answered(None)
    assert pace.latencies(RUN) is None, "open, failed, and out of a batch"


def test_one_answer_is_every_percentile(pace: RunMetrics, sender: Sender) -> None:
    sender.answered(2.0, 0.5)

    assert pace.latencies(RUN) == Latencies(Percentiles(2.0, 2.0, 2.0), Percentiles(0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, (1.0, 2.0, 2.0)), (3, (2.0, 3.0, 3.0)), (20, (10.0, 19.0, 20.0)), (100, (50.0, 95.0, 99.0)),
     (101, (51.0, 96.0, 100.0))],
)  # fmt: skip
def test_percentiles_are_by_nearest_rank(
    pace: RunMetrics, sender: Sender, count: int, expected: tuple[float, float, float]
) -> None:
    for number in range(count, 0, -1):
        sender.answered(float(number))

    assert pace.latencies(RUN) == Latencies(Percentiles(*expected), None)


def test_failures_and_batches_do_not_count(pace: RunMetrics, sender: Sender) -> None:
    sender.answered(1.0)
    sender.failed(100.0)
    sender.answered(None, model="m")

    assert pace.latencies(RUN) == Latencies(Percentiles(1.0, 1.0, 1.0), None)
    assert pace.latencies(2) is None


@pytest.mark.parametrize("column", ["latency_s", "first_byte_s"])
def test_percentiles_are_read_in_the_order_of_an_index(
    ledger: Ledger, pace: RunMetrics, sender: Sender, column: str
) -> None:
    sender.answered(1.0, 0.5)
    asked: list[str] = []
    ledger.connection.set_trace_callback(asked.append)
    pace.latencies(RUN)
    ledger.connection.set_trace_callback(None)

    queries = [query for query in asked if column in query]
    assert len(queries) == 4
    for query in queries:
        ((*_, plan),) = ledger.connection.execute(f"explain query plan {query}").fetchall()  # one step: no sorting
        assert f"USING INDEX attempts_{column.removesuffix('_s')} " in plan


# --- speed


def test_a_run_that_streamed_nothing_has_no_pace(ledger: Ledger, pace: RunMetrics, sender: Sender) -> None:
    sender.answered(None)

    assert pace.activity(RUN) is None
    told = performance(ledger, RUN)
    assert told.settled_per_minute is None
    assert told.shares == {}
    assert told.answered_by == {"m": 1}


def test_speed_is_of_the_time_between_the_first_send_and_the_last_answer(
    ledger: Ledger, pace: RunMetrics, sender: Sender
) -> None:
    for at in (1_000.0, 1_010.0, 1_020.0):
        sender.answered(10.0, at=at)
    sender.failed(5.0, at=1_010.0)

    assert pace.activity(RUN) == Activity(1_000.0, 1_030.0, 3, 30.0)
    assert performance(ledger, RUN).settled_per_minute == pytest.approx(6.0)


def test_a_night_between_two_parts_of_a_run_does_not_count(ledger: Ledger, pace: RunMetrics, sender: Sender) -> None:
    for number in range(30):
        sender.answered(1.0, at=6_000.0 + number * 2)
        sender.answered(1.0, at=36_000.0 + number * 2)

    activity = pace.activity(RUN)
    assert activity is not None
    assert activity.active_s == 120.0
    assert performance(ledger, RUN).settled_per_minute == pytest.approx(30.0)


def test_a_run_that_was_over_at_once_has_no_speed(ledger: Ledger, sender: Sender) -> None:
    sender.answered(0.1, at=1_000.0)

    assert performance(ledger, RUN).settled_per_minute is None


def test_shares_are_of_the_time_in_which_the_run_streamed(ledger: Ledger, pace: RunMetrics, sender: Sender) -> None:
    sender.answered(90.0, at=6_000.0)
    pace.add(RUN, [USE, replace(USE, minute=101)], [])

    shares = performance(ledger, RUN).shares
    assert shares[Bound.REQUESTS] == pytest.approx(6 / 90)
    assert shares[Bound.INPUT_TOKENS] == pytest.approx(60 / 150)
    assert Bound.OUTPUT_TOKENS not in shares


def test_who_answered_the_busiest_first(ledger: Ledger, sender: Sender) -> None:
    for model in ("a", "b", "b"):
        sender.answered(1.0, model=model)
    sender.failed(1.0)

    assert list(performance(ledger, RUN).answered_by.items()) == [("b", 2), ("a", 1)]
