"""429s that never end, in virtual time: an outage like any other, after which another model is asked or all ends."""

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from scripted_provider import ScriptedProvider, answer, status
from trial_project import TrialProject

from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.events import OutageBegan, OutageEnded, Waiting
from batchrun.outcome import Outcome
from batchrun.providers import AttemptError
from batchrun.reply import Failure, Reply
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.runs import run_stories

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("virtual_time", "no_output")]

FIRST, SECOND = "claude-haiku-4-5", "claude-sonnet-5"
LADDER = f'name = "{FIRST}"\nfallbacks = ["{SECOND}"]\nmax_tokens = 100'
PATIENT = 'max_attempts = 2\ninitial_delay = "1s"\nmax_delay = "20s"\nmax_outage = "5m"'
QUOTA = "Daily quota of 20 requests is used up"
PATIENCE_S = 300.0


def turned_away(retry_after_s: float | None) -> Failure:
    return status(429, QUOTA, error_type="rate_limit_error", retry_after_s=retry_after_s)


def told_when(says: Callable[[str, float], Failure | None], *, latency_s: float = 1.0) -> ScriptedProvider:
    """A provider whose answer depends on the model and the time."""

    async def step(request: Request) -> Reply:
        failure = says(json.loads(request.body)["model"], asyncio.get_running_loop().time())
        if failure:
            raise AttemptError(failure)
        return answer()

    return ScriptedProvider(default=step, latency_s=latency_s)


@pytest.mark.parametrize("begins_s", [0.0, 5.0])
@pytest.mark.parametrize("retry_after_s", [None, 2.0, 50.0, 600.0])
def test_they_end_the_run_in_the_apis_words_after_its_patience_and_fail_no_document(
    project: TrialProject, retry_after_s: float | None, begins_s: float
) -> None:
    project.job(run="max_concurrency = 8", retry=PATIENT)
    project.documents(60)
    provider = told_when(lambda _, now: turned_away(retry_after_s) if now >= begins_s else None)

    summary = project.submit(provider)

    assert isinstance(summary.halted, EnvironmentProblem)
    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert QUOTA in str(summary.halted)
    assert set(summary.outcomes) <= {Outcome.SUCCEEDED, None}, "no document is to blame"
    assert PATIENCE_S <= provider.sent_at[-1] - begins_s < PATIENCE_S + 60
    assert len([event for event in project.events if isinstance(event, Waiting)]) == 1
    assert project.submit(ScriptedProvider()).outcomes == {Outcome.SUCCEEDED: 60}


def test_nobody_is_asked_again_before_the_time_that_the_api_named_but_once_at_the_end(project: TrialProject) -> None:
    project.job(run="max_concurrency = 8", retry=PATIENT)
    project.documents(20)
    provider = told_when(lambda _, now: turned_away(200.0) if now >= 3.0 else None)

    project.submit(provider)

    gaps = [later - earlier for earlier, later in pairwise(provider.sent_at) if later - earlier > 5]
    assert gaps[0] >= 200.0
    assert sum(gaps) <= PATIENCE_S + 5


def test_the_end_of_the_quota_ends_the_outage_and_the_run_goes_on(project: TrialProject) -> None:
    project.job(run="max_concurrency = 8", retry=PATIENT)
    project.documents(60)
    provider = told_when(lambda _, now: turned_away(None) if 3.0 < now < 200.0 else None)

    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 60}

    began, ended = [event for event in project.events if isinstance(event, OutageBegan | OutageEnded)]
    assert began == OutageBegan(FIRST, "http_429")
    assert isinstance(ended, OutageEnded)
    assert 190 < ended.seconds < 240


def test_a_limit_of_every_minute_is_no_outage(project: TrialProject) -> None:
    """Ten requests in each minute by the clock, and nothing is told of it."""
    project.job(model=LADDER, run="max_concurrency = 8", retry=PATIENT)
    project.documents(45)
    taken: dict[int, int] = {}
    models: set[str] = set()

    def says(model: str, now: float) -> Failure | None:
        models.add(model)
        minute = int(now // 60)
        taken[minute] = taken.get(minute, 0) + 1
        return turned_away(None) if taken[minute] > 10 else None

    assert project.submit(told_when(says)).outcomes == {Outcome.SUCCEEDED: 45}
    assert models == {FIRST}
    assert not [event for event in project.events if isinstance(event, OutageBegan)]


@pytest.mark.parametrize("begins_s", [0.0, 5.0])
@pytest.mark.parametrize(("retry_after_s", "within_s"), [(600.0, 30.0), (50.0, 120.0), (None, 120.0)])
def test_the_next_model_is_asked_when_the_first_is_in_a_cool_down(
    project: TrialProject, retry_after_s: float | None, within_s: float, begins_s: float
) -> None:
    project.job(model=LADDER, run="max_concurrency = 8", retry=PATIENT)
    project.documents(60)
    asked: list[tuple[str, float]] = []

    def says(model: str, now: float) -> Failure | None:
        asked.append((model, now))
        return turned_away(retry_after_s) if model == FIRST and now >= begins_s else None

    assert project.submit(told_when(says)).outcomes == {Outcome.SUCCEEDED: 60}

    assert next(now for model, now in asked if model == SECOND) - begins_s < within_s
    assert len([1 for model, now in asked if model == FIRST and now > begins_s + within_s]) < 30


def test_when_the_next_model_is_in_a_cool_down_too_the_run_ends(project: TrialProject) -> None:
    project.job(model=LADDER, run="max_concurrency = 8", retry=PATIENT)
    project.documents(20)

    summary = project.submit(told_when(lambda _, now: turned_away(600.0) if now > 3 else None))

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert QUOTA in str(summary.halted)
    assert set(summary.outcomes) <= {Outcome.SUCCEEDED, None}


# --- told once


def test_a_long_pause_is_told_at_once_and_stands_in_the_ledger_while_it_lasts(project: TrialProject) -> None:
    project.job(run="max_concurrency = 2", retry=PATIENT)
    project.documents(10)
    notes: list[tuple[float, str | None]] = []

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1.0)
            notes.append((loop.time(), run_stories(Ledger.read(project.ledger_path))[0].note))

    watching: list[asyncio.Task[None]] = []

    async def step(_: Request) -> Reply:
        now = asyncio.get_running_loop().time()
        if not watching:
            watching.append(asyncio.create_task(watch()))
        if 3.0 < now < 50.0:
            raise AttemptError(turned_away(50.0))
        return answer()

    summary = project.submit(ScriptedProvider(default=step, latency_s=1.0))

    assert summary.outcomes == {Outcome.SUCCEEDED: 10}
    assert [event.why for event in project.events if isinstance(event, Waiting)] == [f"429: {QUOTA}"]
    assert {note for now, note in notes if 10 < now < 50} == {f"429: {QUOTA}"}
    assert notes[-1][1] is None
    assert project.ask("select note from runs") == [(None,)]


def test_an_outage_is_told_in_the_apis_words_when_it_has_become_long(project: TrialProject) -> None:
    project.job(run="max_concurrency = 4", retry=PATIENT)
    project.documents(60)
    overloaded = status(529, "Overloaded", error_type="overloaded_error")

    project.submit(told_when(lambda _, now: overloaded if 5 < now < 90 else None))

    assert [event.why for event in project.events if isinstance(event, Waiting)] == ["529: Overloaded"]


def test_short_pauses_and_a_document_that_fails_alone_are_not_told(project: TrialProject) -> None:
    project.job(run="max_concurrency = 4", retry='max_attempts = 6\ninitial_delay = "20s"\nmax_delay = "20s"')
    project.documents(100)
    overloaded = status(529, "Overloaded", error_type="overloaded_error")
    provider = ScriptedProvider({"text 3": [overloaded], "text 40": [turned_away(5.0), answer()]}, latency_s=4.0)

    project.submit(provider)

    assert not [event for event in project.events if isinstance(event, Waiting)]
