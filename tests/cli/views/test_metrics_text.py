"""Speed, latency and waits in words: only what there is to say."""

from dataclasses import replace

import pytest

from batchrun.cli.views.metrics_text import pace_lines, retried_lines
from batchrun.report.summary_json import pace_fields
from batchrun.store.ledger.records import Waited
from batchrun.store.ledger.run_metrics import Activity, Latencies, Percentiles
from batchrun.store.reports.performance import Performance
from batchrun.strategy.duration import Bound

NOTHING = Performance(
    activity=None, shares={}, latencies=None, waits=[],
    minutes=[], answered_by={},
)  # fmt: skip
BUSY = Performance(
    activity=Activity(0.0, 1_361.0, 1_200, 1_361.0),
    shares={Bound.REQUESTS: 0.06, Bound.INPUT_TOKENS: 0.93, Bound.OUTPUT_TOKENS: 0.22},
    latencies=Latencies(Percentiles(1.2, 3.4, 5.0), Percentiles(0.8, 1.1, 2.0)),
    waits=[Waited("input tokens", 240.0, 9), Waited("http_429", 12.0, 1), Waited("retry", 3.0, 4)],
    minutes=[],
    answered_by={"claude-sonnet-5-5": 1_180, "claude-haiku-5-5": 20},
)


def test_a_busy_run() -> None:
    assert pace_lines(BUSY) == [
        "  speed    52.9 documents/min · input tokens 93% of the limit",
        "  latency  p50 1.2 s · p95 3.4 s · p99 5.0 s · first byte p50 0.8 s",
        "  waited   input tokens 4 min · http_429 12 s · retry 3.0 s (all requests together)",
        "  models   claude-sonnet-5-5 1,180 · claude-haiku-5-5 20",
    ]


def test_nothing_to_say() -> None:
    assert pace_lines(NOTHING) == []
    assert retried_lines({}) == []


def test_one_model_is_not_worth_a_line() -> None:
    assert pace_lines(replace(NOTHING, answered_by={"claude-haiku-4-5": 3})) == []


@pytest.mark.parametrize(
    ("settled", "active_s", "words"),
    [
        (10, 0.9, ""),
        (0, 60.0, ""),
        (100, 60.0, "  speed    100 documents/min"),
        (60_000, 60.0, "  speed    60,000 documents/min"),
        (1, 120.0, "  speed    0.5 documents/min"),
    ],
)
def test_speed(settled: int, active_s: float, words: str) -> None:
    run = replace(NOTHING, activity=Activity(0.0, active_s, settled, active_s))
    assert "\n".join(pace_lines(run)) == words


def test_a_share_that_is_next_to_nothing_is_not_told() -> None:
    run = replace(NOTHING, activity=Activity(0.0, 60.0, 60, 60.0), shares={**BUSY.shares, Bound.INPUT_TOKENS: 0.001})
    assert pace_lines(run) == ["  speed    60.0 documents/min · output tokens 22% of the limit"]
    idle = replace(run, shares={Bound.REQUESTS: 0.004, Bound.INPUT_TOKENS: 0.001})
    assert pace_lines(idle) == ["  speed    60.0 documents/min"]


@pytest.mark.parametrize(
    ("waits", "words"),
    [
        ([("requests", 0.04)], ""),
        ([("requests", 0.3)], "  waited   requests 0.3 s (all requests together)"),
        ([("requests", 1_000.0), ("retry", 1.0)], "  waited   requests 17 min · retry 1.0 s (all requests together)"),
        ([("requests", 90.0), ("retry", 0.8)], "  waited   requests 2 min (all requests together)"),
    ],
)
def test_waits_that_count(waits: list[tuple[str, float]], words: str) -> None:
    run = replace(NOTHING, waits=[Waited(cause, seconds, 1) for cause, seconds in waits])
    assert "\n".join(pace_lines(run)) == words


def test_answers_from_near_by_are_told_in_milliseconds() -> None:
    run = replace(NOTHING, latencies=Latencies(Percentiles(0.0123, 0.0999, 0.1), None))
    assert pace_lines(run) == ["  latency  p50 12 ms · p95 100 ms · p99 0.1 s"]


def test_names_from_the_api_cannot_command_a_terminal() -> None:
    run = replace(NOTHING, answered_by={"claude\x1b[2J": 2, "other": 1})
    assert pace_lines(run) == [r"  models   claude\x1b[2J 2 · other 1"]


def test_for_programs() -> None:
    assert pace_fields(BUSY, {"http_429": 11}) == {
        "latency_s": {"p50": 1.2, "p95": 3.4, "p99": 5.0},
        "first_byte_s": {"p50": 0.8, "p95": 1.1, "p99": 2.0},
        "utilisation": {"requests": 0.06, "input_tokens": 0.93, "output_tokens": 0.22},
        "waits": {"input tokens": 240.0, "http_429": 12.0, "retry": 3.0},
        "retried": {"http_429": 11},
        "models": {"claude-sonnet-5-5": 1_180, "claude-haiku-5-5": 20},
    }


@pytest.mark.parametrize("run", [None, NOTHING])
def test_for_programs_every_field_is_there(run: Performance | None) -> None:
    told = pace_fields(run, {})
    assert set(told) == set(pace_fields(BUSY, {}))
    assert (told["latency_s"], told["first_byte_s"], told["waits"], told["models"]) == (None, None, {}, {})
