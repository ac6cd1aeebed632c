"""Outages of one model or of all, with a fallback, with few workers, and with requests that wait at the gate."""

import asyncio
import contextlib
import json
from collections.abc import Callable

import pytest
from scripted_provider import OVERLOADED, ScriptedProvider, answer
from trial_project import SECTIONS, TrialProject

from batchrun.catalog.rate_limits import LearnedLimits
from batchrun.providers import AttemptError
from batchrun.reply import Failure, Reply
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics

pytestmark = pytest.mark.slow

FIRST, SECOND = "claude-haiku-4-5", "claude-sonnet-5"
LADDER = f'name = "{FIRST}"\nfallbacks = ["{SECOND}"]\nmax_tokens = 100'
PATIENT = 'max_attempts = 3\ninitial_delay = "1s"\nmax_delay = "4s"\nmax_outage = "15m"'
REFUSAL = answer("", stop_reason="refusal")


def by_model(
    decide: Callable[[str, str, float], Reply | Failure], asked: list[tuple[str, str]] | None = None
) -> ScriptedProvider:
    """A provider whose answer depends on the model, the text and the time."""

    async def step(request: Request) -> Reply:
        params = json.loads(request.body)
        model, text = params["model"], params["messages"][0]["content"]
        if asked is not None:
            asked.append((model, text))
        said = decide(model, text, asyncio.get_running_loop().time())
        if isinstance(said, Failure):
            raise AttemptError(said)
        return said

    return ScriptedProvider(default=step, latency_s=1.0)


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_an_outage_of_everything_is_outlasted_with_a_fallback_that_never_answered(project: TrialProject) -> None:
    project.documents(200)
    project.job(model=LADDER, retry=PATIENT)

    summary = project.submit(by_model(lambda _m, _t, now: OVERLOADED if 20 < now < 80 else answer()))

    assert summary.halted is None
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_a_fallback_that_is_down_does_not_stop_what_the_first_model_answers(project: TrialProject) -> None:
    project.documents(60)
    project.job(model=LADDER, retry=PATIENT)

    def decide(model: str, text: str, now: float) -> Reply | Failure:
        if model == SECOND:
            return OVERLOADED if now < 120 else answer()
        return REFUSAL if text == "text 5" else answer()

    summary = project.submit(by_model(decide))

    assert summary.halted is None
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_one_failure_of_the_fallback_does_not_end_a_run_whose_first_model_never_answered(project: TrialProject) -> None:
    project.documents(10)
    project.job(model=LADDER, retry=PATIENT)
    failures = [OVERLOADED]

    def decide(model: str, _: str, __: float) -> Reply | Failure:
        return OVERLOADED if model == FIRST else failures.pop() if failures else answer()

    summary = project.submit(by_model(decide))

    assert summary.halted is None
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_when_the_fallback_returns_first_everyone_goes_to_it(project: TrialProject) -> None:
    project.documents(300)
    project.job(model=LADDER, retry=PATIENT, run="max_concurrency = 8")
    provider = by_model(lambda model, _t, now: OVERLOADED if 10 < now < (600 if model == FIRST else 60) else answer())

    summary = project.submit(provider)

    assert summary.halted is None
    assert provider.sent_at[-1] < 150


@pytest.mark.usefixtures("virtual_time", "no_output")
@pytest.mark.parametrize(("concurrency", "failed"), [(1, 1), (2, 0), (4, 0)])
def test_an_outage_fails_at_most_one_document_with_few_workers(
    project: TrialProject, concurrency: int, failed: int
) -> None:
    project.documents(60)
    project.job(retry=PATIENT, run=f"max_concurrency = {concurrency}")

    project.submit(by_model(lambda _m, _t, now: OVERLOADED if 10 < now < 70 else answer()))

    assert sum(status != "succeeded" for status in project.statuses().values()) == failed


def remember_concurrency(project: TrialProject, concurrency: int) -> None:
    """As an earlier run would have."""
    with contextlib.closing(Ledger.open(project.ledger_path)) as ledger, ledger.transaction():
        learned = LearnedLimits(
            requests_per_minute=None,
            input_tokens_per_minute=None,
            output_tokens_per_minute=None,
            concurrency=concurrency,
            learnt_at=0.0,
        )
        RunMetrics(ledger).learn(FIRST, learned)


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_who_waited_at_the_gate_is_not_sent_into_an_outage(project: TrialProject) -> None:
    project.documents(150)
    slow = SECTIONS["limits"].replace("600_000", "60")
    project.job(retry=PATIENT, limits=slow, run="max_concurrency = 100")
    remember_concurrency(project, 120)
    asked: list[tuple[str, str]] = []
    provider = by_model(lambda _m, _t, now: OVERLOADED if 40 < now < 70 else answer(), asked)

    project.submit(provider)

    assert len(asked) - 150 < 20


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_an_old_outage_of_the_fallback_does_not_count_in_a_new_one(project: TrialProject) -> None:
    project.documents(1500)
    slow = SECTIONS["limits"].replace("600_000", "60")
    project.job(model=LADDER, retry=PATIENT, limits=slow, run="max_concurrency = 8")

    summary = project.submit(
        by_model(lambda _m, _t, now: OVERLOADED if 20 < now < 50 or 1300 < now < 1330 else answer())
    )

    assert summary.halted is None
    assert set(project.statuses().values()) == {"succeeded"}


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_an_answered_request_is_not_paid_again_for_an_identical_document_in_an_outage(project: TrialProject) -> None:
    for number in range(40):
        project.document(f"{number:04}.txt", "same" if number in {3, 38} else f"text {number}")
    asked: list[tuple[str, str]] = []
    slow = SECTIONS["limits"].replace("600_000", "60")
    project.job(model=LADDER, retry=PATIENT, run="max_concurrency = 40", limits=slow)

    project.submit(by_model(lambda m, _t, now: OVERLOADED if m == FIRST and now > 10 else answer(), asked))

    assert [one for one in asked if one[1] == "same"] == [(FIRST, "same")]
