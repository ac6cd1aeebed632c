"""What the ledger tells of a job's past: the latest answers to requests as they would be made now."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from batchrun.estimation.calibration import Observation
from batchrun.estimation.text_class import TextClass
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply, Usage
from batchrun.store.ledger import past_usage
from batchrun.store.ledger.connection import create_missing
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.past_usage import PastUse, past_use
from batchrun.store.ledger.records import RunPlan, Settlement
from batchrun.store.ledger.runs import Runs

RUN = RunPlan(
    job="trial", job_path="j", fingerprint="f", model="m", simulated=False, documents=1, to_send=1, cap_nusd=10**9,
    estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1, estimate_input_tokens=70, estimate_output_tokens=8,
)  # fmt: skip


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_missing(connection)
    with contextlib.closing(connection):
        yield Ledger(connection, None)


class Past:
    """Answers, each to a request of its own unless it is named."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._runs: dict[tuple[str, str], int] = {}

    def attempt(
        self, end: Settlement, *, request: str, job: str = "trial", fingerprint: str = "f", model: str = "m",
        counted: int = 10, kind: TextClass = TextClass.PROSE,
    ) -> None:  # fmt: skip
        connection = self._ledger.connection
        connection.execute(
            "insert into requests (request_id, model, counted_tokens, text_class) values (?, ?, ?, ?)"
            " on conflict do nothing",
            (request, model, counted, kind),
        )
        attempt_no = connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at, model)"
            " select request_no, ?, ?, 'd', 'open', 1, 0, model from requests where request_id = ?",
            (self._run(job, fingerprint), job, request),
        ).lastrowid
        self._ledger.settle(replace(end, attempt_no=attempt_no or 0))

    def answer(
        self,
        usage: Usage | None,
        *,
        outcome: Outcome | None = Outcome.SUCCEEDED,
        stop_reason: str = "end_turn",
        **options: Any,
    ) -> None:
        reply = Reply(text="{}", stop_reason=stop_reason, usage=usage, model="m", api_request_id="q", raw="{}")
        end = Settlement(attempt_no=0, state="answered", cost_nusd=1, outcome=outcome, reply=reply)
        self.attempt(end, **({"request": f"request {self._attempts}"} | options))

    @property
    def _attempts(self) -> int:
        return int(self._ledger.connection.execute("select count(*) from attempts").fetchone()[0])

    def _run(self, job: str, fingerprint: str) -> int:
        if (job, fingerprint) not in self._runs:
            plan = replace(RUN, job=job, fingerprint=fingerprint)
            self._runs[job, fingerprint] = Runs(self._ledger).begin_run(plan, run_id=f"{job} {fingerprint}")
        return self._runs[job, fingerprint]


@pytest.fixture
def past(ledger: Ledger) -> Past:
    return Past(ledger)


def use(ledger: Ledger) -> PastUse:
    return past_use(ledger, "trial", fingerprint="f", model="m")


def test_nothing_yet(ledger: Ledger) -> None:
    assert use(ledger) == PastUse([], None)


def test_an_answer_tells_its_prompt_and_its_reply(ledger: Ledger, past: Past) -> None:
    past.answer(Usage(1, 20, 300, 4_000, 50), counted=1_234, kind=TextClass.CODE)

    found = use(ledger)

    assert found.observations == [Observation(TextClass.CODE, 1_234, 4_321)]
    assert found.replies
    assert (found.replies.number, found.replies.mean) == (1, 50)


def test_the_latest_come_first_and_older_ones_not_at_all(
    ledger: Ledger, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_usage, "MOST_RECENT", 3)
    for number in range(1, 6):
        past.answer(Usage(number, output_tokens=number))

    found = use(ledger)

    assert [one.prompt_tokens for one in found.observations] == [5, 4, 3]
    assert found.replies
    assert found.replies.mean == 4


OTHERS: dict[str, dict[str, Any]] = {
    "another job": {"job": "other"},
    "another prompt": {"fingerprint": "g"},
    "another model": {"model": "fallback"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_answers_to_other_requests_tell_nothing(ledger: Ledger, past: Past, other: dict[str, Any]) -> None:
    past.answer(Usage(5, output_tokens=5), **other)

    assert use(ledger) == PastUse([], None)


REJECTED, LATE = Failure(cause=Cause.STATUS, status=400, message=""), Failure(cause=Cause.TIMEOUT, message="")
ENDS = {
    "failed": Settlement(attempt_no=0, state="failed", cost_nusd=0, failure=REJECTED),
    "lost": Settlement(attempt_no=0, state="unknown", cost_nusd=None, failure=LATE),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_brought_no_answer_tells_nothing(ledger: Ledger, past: Past, end: Settlement) -> None:
    past.attempt(end, request="r")

    assert use(ledger) == PastUse([], None)


def test_an_answer_without_usage_tells_nothing(ledger: Ledger, past: Past) -> None:
    past.answer(None)

    assert use(ledger) == PastUse([], None)


@pytest.mark.parametrize("outcome", [None, Outcome.INVALID, Outcome.REFUSED, Outcome.TRUNCATED])
def test_answers_that_were_of_no_use_were_billed_all_the_same(
    ledger: Ledger, past: Past, outcome: Outcome | None
) -> None:
    past.answer(Usage(7, output_tokens=3), outcome=outcome)

    assert [one.prompt_tokens for one in use(ledger).observations] == [7]


@pytest.mark.parametrize(("told", "share"), [([None], None), ([None, 4], 0.4), ([0, 4], 0.2), ([0], 0.0)], ids=str)
def test_the_part_that_is_thinking_is_known_from_the_answers_that_tell_it(
    ledger: Ledger, past: Past, told: list[int | None], share: float | None
) -> None:
    for thinking_tokens in told:
        past.answer(Usage(7, output_tokens=10, thinking_tokens=thinking_tokens))

    assert use(ledger).thinking_share == share


def test_answers_that_were_cut_off_or_would_be_now_are_counted(ledger: Ledger, past: Past) -> None:
    past.answer(Usage(7, output_tokens=10), stop_reason="max_tokens")
    past.answer(Usage(7, output_tokens=90), outcome=Outcome.SUCCEEDED)
    past.answer(Usage(7, output_tokens=10))

    assert use(ledger).cut == 1
    assert past_use(ledger, "trial", fingerprint="f", model="m", max_tokens=89).cut == 2
    assert past_use(ledger, "trial", fingerprint="f", model="m", max_tokens=90).cut == 1, "complete to the last token"


def test_a_request_that_was_answered_twice_counts_twice(ledger: Ledger, past: Past) -> None:
    past.answer(Usage(7, output_tokens=3), request="r", outcome=None)
    past.answer(Usage(7, output_tokens=5), request="r")

    found = use(ledger)

    assert len(found.observations) == 2
    assert found.replies
    assert found.replies.mean == 4


def test_a_run_keeps_what_was_estimated_also_when_it_is_continued(ledger: Ledger) -> None:
    def kept() -> tuple[int, int]:
        query = "select estimate_input_tokens, estimate_output_tokens from runs"
        found: tuple[int, int] = ledger.connection.execute(query).fetchone()
        return found

    run_no = Runs(ledger).begin_run(RUN, run_id="r")
    assert kept() == (70, 8)

    Runs(ledger).continue_run(run_no, replace(RUN, estimate_input_tokens=30, estimate_output_tokens=4))

    assert kept() == (70, 8), "the actual use of the whole run is compared with it"
