"""Whole runs in which everything ends alike: the account or the endpoint is at fault, and the run stops."""

import asyncio
import json
from typing import Any

import pytest
from scripted_provider import ScriptedProvider, Step, answer, status
from trial_project import TrialProject

from batchrun.errors import ExitCode, Stopped
from batchrun.events import AttemptEnded, DocumentSettled
from batchrun.execution.failure_history import FIRST_ROWLESS, LATER_REJECTIONS
from batchrun.outcome import Outcome
from batchrun.reply import Reply
from batchrun.request import Request

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("virtual_time", "no_output")]

ONE_BY_ONE = "max_concurrency = 1"
POLICY = status(400, "the gateway's policy allows no requests of this key", error_type="invalid_request_error")
PROSE = answer("Certainly! Here is what I found.")


def refusing_from(number: int, then: Step = POLICY) -> ScriptedProvider:
    """A provider that answers the first documents and then nobody."""
    return ScriptedProvider({f"text {later}": [then] for later in range(number, 300)})


@pytest.mark.parametrize("run", [ONE_BY_ONE, "max_concurrency = 16"])
@pytest.mark.parametrize("answers", [0, 40])
def test_rejections_alike_stop_the_run_at_any_time_and_their_documents_stay_pending(
    project: TrialProject, answers: int, run: str
) -> None:
    project.job(run=run)
    project.documents(90)
    provider = refusing_from(answers)

    summary = project.submit(provider)

    assert isinstance(summary.halted, Stopped)
    assert POLICY.message in str(summary.halted)
    assert summary.exit_code == ExitCode.STOPPED
    assert set(project.statuses().values()) <= {"succeeded", "pending"}, "no document is to blame"
    assert summary.outcomes[None] == 90 - answers
    assert len(provider.sent) - answers < LATER_REJECTIONS + 16
    assert not [event for event in project.events if isinstance(event, DocumentSettled) and event.outcome.failed]

    mended = project.submit(ScriptedProvider())

    assert mended.outcomes == {Outcome.SUCCEEDED: 90}
    assert len(project.ask("select 1 from attempts where state = 'answered'")) == 90, "and nothing is paid twice"


def test_bad_documents_among_good_ones_are_rejected_and_the_run_goes_on(project: TrialProject) -> None:
    project.job(run=ONE_BY_ONE)
    project.documents(90)
    bad = [*range(20, 29), *range(40, 49), *range(85, 90)]
    provider = ScriptedProvider({f"text {number}": [POLICY] for number in bad})

    summary = project.submit(provider)

    assert summary.halted is None
    assert summary.outcomes == {Outcome.SUCCEEDED: 90 - len(bad), Outcome.REJECTED: len(bad)}
    assert len(provider.sent) == 90
    settled = [event for event in project.events if isinstance(event, DocumentSettled)]
    assert len(settled) == 90
    assert {event.reason for event in settled if event.outcome is Outcome.REJECTED} == {
        f"400 invalid_request_error: {POLICY.message}"
    }
    assert len([event for event in project.events if isinstance(event, AttemptEnded)]) == 90
    assert project.ask("select count(*) from attempts where outcome = 'rejected'") == [(len(bad),)]


def test_ten_documents_that_are_each_too_large_stop_nobody(project: TrialProject) -> None:
    project.job(run=ONE_BY_ONE)
    project.documents(40)
    provider = refusing_from(10, status(413, "Request too large", error_type="request_too_large"))

    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 10, Outcome.REJECTED: 30}


@pytest.mark.parametrize("run", ["max_failure_rate = 1.0", "fail_fast = true"])
def test_a_person_may_say_that_all_documents_may_fail_or_none(project: TrialProject, run: str) -> None:
    project.job(run=f"{ONE_BY_ONE}\n{run}")
    project.documents(40)

    summary = project.submit(refusing_from(0))

    assert summary.outcomes[Outcome.REJECTED] == (1 if "fail_fast" in run else 40)


def test_identical_documents_of_a_rejection_that_is_held_back_end_with_it(project: TrialProject) -> None:
    project.job(run=ONE_BY_ONE)
    for number in range(20):
        project.document(f"{number:04}.txt", "the same" if number in {3, 4, 12} else f"text {number}")

    summary = project.submit(ScriptedProvider({"the same": [POLICY]}))

    assert summary.outcomes == {Outcome.SUCCEEDED: 17, Outcome.REJECTED: 3}


def test_a_run_that_is_killed_meanwhile_asks_again(project: TrialProject) -> None:
    """What is held back is in no memory but that of the process, and pending in the ledger."""
    project.job(run=ONE_BY_ONE)
    project.documents(4)
    seen: list[str] = []

    async def look(_: Request) -> Reply:
        seen.extend(sorted(set(project.statuses().values())))
        return answer()

    project.submit(ScriptedProvider({f"text {number}": [POLICY] for number in range(3)} | {"text 3": [look]}))

    assert seen == ["pending"]
    assert sorted(project.statuses().values()) == ["rejected"] * 3 + ["succeeded"]


# --- answers without a row


@pytest.mark.parametrize("run", [ONE_BY_ONE, "max_concurrency = 16"])
def test_an_endpoint_that_ignores_structured_output_is_not_paid_to_the_end(project: TrialProject, run: str) -> None:
    project.job(run=run)
    project.documents(300)
    provider = ScriptedProvider(default=PROSE, latency_s=1.0)

    summary = project.submit(provider)

    assert summary.exit_code == ExitCode.STOPPED
    assert "structured output" in str(summary.halted and summary.halted.hint)
    assert FIRST_ROWLESS <= len(provider.sent) < FIRST_ROWLESS + 32
    assert summary.outcomes == {Outcome.INVALID: len(provider.sent), None: 300 - len(provider.sent)}
    assert project.ask("select count(*) from attempts where cost_nusd > 0") == [(len(provider.sent),)]


def test_invalid_answers_later_are_the_documents_own(project: TrialProject) -> None:
    project.job(run=ONE_BY_ONE)
    project.documents(60)

    assert project.submit(refusing_from(1, PROSE)).outcomes == {Outcome.SUCCEEDED: 1, Outcome.INVALID: 59}


def test_the_answers_of_the_next_model_do_not_hide_that_the_first_brings_no_row(project: TrialProject) -> None:
    first, second = "claude-haiku-4-5", "claude-sonnet-5"
    project.job(
        run=ONE_BY_ONE,
        model="max_tokens = 100",
        cascade=f'models = ["{first}", "{second}"]\nescalate_on = ["invalid"]',
    )
    project.documents(100)
    asked: list[Any] = []

    async def step(request: Request) -> Reply:
        asked.append(json.loads(request.body)["model"])
        await asyncio.sleep(0.1)
        return PROSE if asked[-1] == first else answer()

    summary = project.submit(ScriptedProvider(default=step))

    assert summary.exit_code == ExitCode.STOPPED
    assert f"answers of {first} " in str(summary.halted)
    assert asked.count(first) == FIRST_ROWLESS
