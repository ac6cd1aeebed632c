"""The ladder in a whole submit: who answers, what the rows say, what it costs, and the next submit after it."""

import json
import os
import signal
from collections import Counter

import pytest
from scripted_models import FIRST, SECOND, THIRD, Models, models
from scripted_provider import OVERLOADED, ScriptedProvider, Step, answer, lost
from trial_project import TrialProject

from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Cause, Reply
from batchrun.request import Request

pytestmark = pytest.mark.slow

REFUSED = answer("", stop_reason="refusal")
TRUNCATED = answer('{"tit', stop_reason="max_tokens")


def chain(*models: str, on: str | None = None) -> str:
    """The section [model]."""
    first, *others = models or (FIRST, SECOND)
    reasons = f"\nfallback_on = {json.dumps(on.split())}" if on else ""
    return f'name = "{first}"\nmax_tokens = 100\nfallbacks = {json.dumps(others)}{reasons}'


def answered_by(project: TrialProject) -> list[tuple[str, str]]:
    """The rows, and who answered them."""
    return project.rows("select doc_id, _model from trial order by doc_id")


# --- refused, truncated


def test_what_the_first_model_refuses_or_cuts_short_the_next_one_answers(project: TrialProject) -> None:
    project.job(model=chain())
    project.documents(4)
    provider = models(first={"text 1": [REFUSED], "text 2": [TRUNCATED]})

    summary = project.submit(provider)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 4}
    assert provider.count == {FIRST: 4, SECOND: 2}
    assert summary.performance
    assert summary.performance.answered_by == {FIRST: 4, SECOND: 2}
    assert [(doc_id[-5], model.removesuffix("-20251001")) for doc_id, model in answered_by(project)] == [
        ("0", FIRST), ("1", SECOND), ("2", SECOND), ("3", FIRST),
    ]  # fmt: skip
    assert project.settled == [f"000{number}.txt succeeded" for number in range(4)], "each is told once"
    again = models()
    assert project.submit(again).outcomes == {Outcome.SUCCEEDED: 4}
    assert again.asked == []


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize(("on", "asked"), [("refused", {FIRST: 3, SECOND: 1}), ("outage", {FIRST: 3})])
def test_only_what_the_job_says_falls_back(project: TrialProject, on: str, asked: dict[str, int]) -> None:
    project.job(model=chain(on=on))
    project.documents(3)
    provider = models(first={"text 1": [REFUSED], "text 2": [TRUNCATED]})

    summary = project.submit(provider)

    assert provider.count == asked
    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses()["0002.txt"] == "truncated"


@pytest.mark.usefixtures("no_output")
def test_who_is_refused_by_every_model_is_refused_and_left_alone_until_retry(project: TrialProject) -> None:
    project.job(model=chain(FIRST, SECOND, THIRD))
    project.documents(2)
    every = {"text 1": [REFUSED]}
    provider = models(**{which: {"text 1": [REFUSED]} for which in ("first", "second", "third")})

    assert project.submit(provider).outcomes == {Outcome.SUCCEEDED: 1, Outcome.REFUSED: 1}

    assert provider.count == {FIRST: 2, SECOND: 1, THIRD: 1}
    again = models()
    project.submit(again)
    assert again.asked == []
    retrying = models(first=every)
    summary = project.submit(retrying, Selection(again=frozenset({Outcome.REFUSED})))
    assert summary.exit_code == ExitCode.OK
    assert len(retrying.asked) <= 2
    assert project.statuses() == {"0000.txt": "succeeded", "0001.txt": "succeeded"}


@pytest.mark.usefixtures("no_output")
def test_fallbacks_that_are_added_later_send_only_what_was_refused(project: TrialProject) -> None:
    project.documents(4)
    project.submit(models(first={"text 1": [REFUSED], "text 2": [answer("nonsense")]}))
    project.job(model=chain())
    provider = models()

    project.submit(provider)

    assert provider.asked == [(SECOND, "text 1")]
    assert project.statuses()["0001.txt"] == "succeeded"
    assert project.statuses()["0002.txt"] == "invalid"


def test_a_fallback_that_is_removed_and_put_back_costs_nothing(project: TrialProject) -> None:
    project.job(model=chain())
    project.documents(3)
    project.submit(models(first={"text 1": [REFUSED]}))
    before = answered_by(project)
    project.job()
    provider = models()

    project.submit(provider)

    assert project.statuses()["0001.txt"] == "refused", "by the only model there is now"
    project.job(model=chain())
    project.submit(provider)
    assert provider.asked == []
    assert answered_by(project) == before


@pytest.mark.usefixtures("no_output")
def test_a_run_that_is_cut_short_between_two_models_goes_on_at_the_second(project: TrialProject) -> None:
    project.job(model=chain(), run="max_concurrency = 1")
    project.documents(3)

    async def refusing(_: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        return REFUSED

    first = project.submit(models(first={"text 1": [refusing]}))

    assert first.exit_code == ExitCode.INTERRUPTED
    assert project.statuses()["0001.txt"] == "pending"
    provider = models()
    assert project.submit(provider).exit_code == ExitCode.OK
    assert provider.count == {SECOND: 1, FIRST: 1}
    assert (SECOND, "text 1") in provider.asked


@pytest.mark.usefixtures("no_output")
def test_of_two_jobs_with_one_request_only_the_one_with_fallbacks_falls_back(project: TrialProject) -> None:
    project.job()
    project.job("second", model=chain())
    project.documents(2)
    project.submit(models(first={"text 1": [REFUSED]}))
    provider = models()

    summary = project.submit(provider, job="second")

    assert provider.asked == [(SECOND, "text 1")]
    assert summary.exit_code == ExitCode.OK
    assert project.statuses() == {"0000.txt": "succeeded", "0001.txt": "refused"}
    assert project.statuses("second") == {"0000.txt": "succeeded", "0001.txt": "succeeded"}


# --- outages


@pytest.mark.usefixtures("virtual_time")
def test_while_the_first_model_is_out_the_second_answers_until_it_is_back(project: TrialProject) -> None:
    project.job(model=chain(), run="max_concurrency = 8", retry='max_attempts = 3\ninitial_delay = "1s"')
    project.documents(400)
    provider = models()
    provider.answering.latency_s = 0.5

    class Out(ScriptedProvider):
        def _next(self, prompt: str) -> Step:
            return OVERLOADED if 5 < self.sent_at[-1] < 20 else answer()

    provider.of[FIRST] = Out(latency_s=0.5)

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 400}
    rows = Counter(model.removesuffix("-20251001") for _, model in answered_by(project))
    assert rows[SECOND] > 100
    assert rows[FIRST] > 100
    assert provider.asked[-1][0] == FIRST, "it is asked again"
    assert provider.count[FIRST] - rows[FIRST] < 50
    again = models()
    project.submit(again)
    assert again.asked == []


@pytest.mark.usefixtures("virtual_time", "no_output")
def test_when_all_models_are_out_for_long_the_run_ends_and_nothing_is_lost(project: TrialProject) -> None:
    retry = 'max_attempts = 3\ninitial_delay = "1s"\nmax_outage = "60s"'
    project.job(model=chain(), run="max_concurrency = 8", retry=retry)
    project.documents(100)

    class Out(ScriptedProvider):
        def _next(self, prompt: str) -> Step:
            return OVERLOADED if self.sent_at[-1] > 3 else answer()

    provider = Models(of={FIRST: Out(latency_s=0.5), SECOND: Out(latency_s=0.5)})

    summary = project.submit(provider)

    assert isinstance(summary.halted, EnvironmentProblem)
    assert set(summary.outcomes) == {Outcome.SUCCEEDED, None}
    assert max(out.sent_at[-1] for out in provider.of.values()) < 3 + 2 * 60 + 30
    assert project.submit(models()).outcomes == {Outcome.SUCCEEDED: 100}


@pytest.mark.usefixtures("virtual_time", "no_output")
@pytest.mark.parametrize(("last", "ends"), [("bedrock/claude-sonnet-5-5", ExitCode.OK), (THIRD, ExitCode.ENVIRONMENT)])
def test_where_nobody_can_be_reached_from_the_start_another_provider_is_asked(
    project: TrialProject, last: str, ends: ExitCode
) -> None:
    project.job(model=chain(FIRST, SECOND, last))
    project.documents(4)
    dead = ScriptedProvider(default=lost(Cause.UNREACHABLE))
    provider = Models(of={FIRST: dead, SECOND: dead, THIRD: dead})

    summary = project.submit(provider)

    assert summary.exit_code == ends
    assert summary.outcomes == {Outcome.SUCCEEDED if ends == ExitCode.OK else None: 4}
    assert set(provider.count) == ({FIRST, SECOND, last} if ends == ExitCode.OK else {FIRST})


# --- money


@pytest.mark.usefixtures("no_output")
def test_the_dearer_models_worst_case_is_set_aside_before_it_is_asked(project: TrialProject) -> None:
    project.job(model=chain(FIRST, THIRD), run="max_concurrency = 1")
    project.documents(2)

    project.submit(models(first={"text 1": [REFUSED]}))

    reserved = project.ask("select reserved_nusd from attempts order by attempt_no")
    assert len(reserved) == 3
    first, _, dear = [nusd for (nusd,) in reserved]
    assert dear == pytest.approx(5 * first, rel=0.02), "5 and 25 dollars a million, and not 1 and 5"
    costs = [nusd for (nusd,) in project.ask("select cost_nusd from attempts order by attempt_no")]
    assert costs == [150_000, 150_000, 750_000]


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize("room", [1, 3])
def test_a_fallback_that_does_not_fit_the_budget_is_not_asked(project: TrialProject, room: int) -> None:
    """The cap lets the first model answer all, and `room` documents more at the dear one's prices."""
    worst = 25 * 100 * 1_000
    cap = 20 * 150_000 + room * 1_000_000 + 2 * worst
    project.job(model=chain(FIRST, THIRD), run="max_concurrency = 2", budget=f"max_cost_usd = {cap / 1e9:.6f}")
    project.documents(20)
    provider = models(first={f"text {number}": [REFUSED] for number in range(1, 20)})

    summary = project.submit(provider)

    assert summary.exit_code == ExitCode.STOPPED
    assert "budget" in str(summary.halted)
    assert 0 < provider.count[THIRD] < 19
    ((committed, cap_nusd),) = project.ask("select committed_nusd, cap_nusd from runs")
    assert committed <= cap_nusd
    assert None in summary.outcomes
    project.job(model=chain(FIRST, THIRD), budget="max_cost_usd = 5.0")
    rest = models()
    assert project.submit(rest).outcomes == {Outcome.SUCCEEDED: 20}
    asked = provider.asked + rest.asked
    assert len(asked) == len(set(asked)), "nothing is asked twice"
