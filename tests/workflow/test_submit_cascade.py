"""A cascade in a whole submit: what is asked again and of whom, on either route, what it costs, and what is told."""

import json
import os
import signal
from collections import Counter
from typing import Any

import pytest
from scripted_batches_memory import BatchApi, WallClock
from scripted_models import FIRST, SECOND, THIRD, Models, models
from scripted_provider import Step, answer, status
from trial_project import TrialProject

from batchrun.cli.views.cascade_text import escalated_lines
from batchrun.errors import ExitCode
from batchrun.events import DocumentSettled
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply, Usage
from batchrun.request import Request
from batchrun.strategy.cascade_cost import GUESS
from batchrun.strategy.plan import Kind
from batchrun.workflow.open_job import SubmitOptions

pytestmark = pytest.mark.slow

FIELDS = 'title = "string"\nday = "date?"\nquote = "string?"'
REFUSED = answer("", stop_reason="refusal")
TRUNCATED = answer('{"tit', stop_reason="max_tokens")
INVALID = answer("nonsense")


def row(quote: str | None = "text", day: str | None = "2026-01-01") -> Reply:
    """A valid answer."""
    return answer({"title": "a title", "day": day, "quote": quote})


NULL = row(day=None)


def cascade(project: TrialProject, *names: str, more: str = 'null_in = ["day"]', **sections: str) -> None:
    """A job with this cascade; `name` in [model] is left out."""
    project.job(
        model="max_tokens = 100",
        output_fields=FIELDS,
        cascade=f"models = {json.dumps(names or (FIRST, SECOND))}\n{more}",
        **sections,
    )


def scripted(**scripts: dict[str, list[Step]]) -> Models:
    """Scripts of the first, second and third model; who has none answers well."""
    provider = models(**scripts)
    for one in [provider.answering, *provider.of.values()]:
        one.default = row()
    return provider


def answered_by(project: TrialProject) -> dict[str, str]:
    rows = project.rows("select doc_id, _model from trial")
    return {doc_id[-8:-4]: model.removesuffix("-20251001") for doc_id, model in rows}


def reasons(project: TrialProject) -> dict[str, int]:
    return dict(project.ask("select escalated, count(*) from attempts where escalated is not null group by 1"))


# --- streaming


def test_what_leaves_something_to_be_desired_is_asked_again(project: TrialProject) -> None:
    cascade(project, more='null_in = ["day"]\nevidence = ["quote"]')
    project.documents(6)
    provider = scripted(
        first={
            "text 1": [INVALID], "text 2": [TRUNCATED], "text 3": [NULL],
            "text 4": [row(quote="texts 4")], "text 5": [row(quote="  TEXT\n5")],
        }
    )  # fmt: skip

    summary = project.submit(provider)

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: 6})
    assert provider.count == {FIRST: 6, SECOND: 4}
    first = ["0000", "0005"]
    assert answered_by(project) == {f"{n:04}": FIRST if f"{n:04}" in first else SECOND for n in range(6)}
    assert project.settled == [f"000{number}.txt succeeded" for number in range(6)], "each is told once"
    assert reasons(project) == {"invalid": 1, "truncated": 1, "null in day": 1, "no evidence for quote": 1}
    [found] = summary.escalations
    assert (found.model, found.answers, found.escalated) == (FIRST, 6, 4)
    assert escalated_lines(summary.escalations) == [
        "  cascade  4 of 6 answers (66.7%) passed to the next model: 1 invalid, 1 no evidence for quote,"
        " 1 null in day, 1 truncated"
    ]
    again = scripted()
    assert project.submit(again).outcomes == {Outcome.SUCCEEDED: 6}
    assert again.asked == []


def test_the_last_model_may_leave_out_what_it_does_not_find(project: TrialProject) -> None:
    cascade(project, FIRST, SECOND, THIRD, more='null_in = ["day"]\nevidence = ["quote"]')
    project.documents(1)
    every = {"text 0": [row(day=None, quote="not there")]}
    provider = scripted(first=every, second={"text 0": [NULL]}, third=every)

    summary = project.submit(provider)

    assert summary.exit_code == ExitCode.OK
    assert provider.count == {FIRST: 1, SECOND: 1, THIRD: 1}
    assert project.rows("select day, quote from trial") == [(None, "not there")]
    assert escalated_lines(summary.escalations) == [
        f"  cascade  1 of 1 answer of {FIRST} (100.0%) passed to the next model: 1 null in day",
        f"           1 of 1 answer of {SECOND} (100.0%) passed to the next model: 1 null in day",
    ]


@pytest.mark.usefixtures("no_output")
def test_only_what_the_job_says_escalates(project: TrialProject) -> None:
    cascade(project, more='escalate_on = ["truncated"]')
    project.documents(4)
    provider = scripted(first={"text 0": [REFUSED], "text 1": [INVALID], "text 2": [NULL], "text 3": [TRUNCATED]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.REFUSED: 1, Outcome.INVALID: 1, Outcome.SUCCEEDED: 2}
    assert [prompt for model, prompt in provider.asked if model == SECOND] == ["text 3"]


def test_a_row_is_better_than_none_when_the_document_may_not_cost_more(project: TrialProject) -> None:
    cascade(project, budget="max_cost_usd = 1.0\nmax_cost_per_document_usd = 0.003")
    project.documents(2)
    provider = scripted(first={"text 1": [NULL]})

    summary = project.submit(provider)

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: 2})
    assert provider.count == {FIRST: 2}, "the dearer model may pass the cap"
    assert answered_by(project) == {"0000": FIRST, "0001": FIRST}
    assert project.settled == ["0000.txt succeeded", "0001.txt succeeded"]
    again = scripted()
    assert project.submit(again).outcomes == {Outcome.SUCCEEDED: 2}
    assert again.asked == []


@pytest.mark.parametrize("end", [INVALID, REFUSED, status(400, "no")], ids=["invalid", "refused", "rejected"])
def test_a_row_is_better_than_none_when_the_dearer_model_fails(project: TrialProject, end: Step) -> None:
    cascade(project)
    project.documents(2)
    provider = scripted(first={"text 1": [NULL]}, second={"text 1": [end]})

    summary = project.submit(provider)

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: 2})
    assert answered_by(project) == {"0000": FIRST, "0001": FIRST}
    assert project.settled == ["0000.txt succeeded", "0001.txt succeeded"]
    assert summary.escalations[0].reasons == {"null in day": 1}
    again = scripted()
    assert project.submit(again).outcomes == {Outcome.SUCCEEDED: 2}
    assert again.asked == [], "neither model is paid twice"


def test_a_row_does_not_give_way_to_what_is_known_to_fail(project: TrialProject) -> None:
    project.job("dear", model=f'name = "{SECOND}"\nmax_tokens = 100', output_fields=FIELDS)
    cascade(project)
    project.documents(2)
    project.submit(scripted(second={"text 1": [INVALID]}), job="dear")
    provider = scripted(first={"text 0": [NULL], "text 1": [NULL]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert provider.count == {FIRST: 2}, "what the other job has paid for is known"
    assert project.settled[-1] == "0001.txt succeeded"
    assert answered_by(project) == {"0000": SECOND, "0001": FIRST}


@pytest.mark.usefixtures("no_output")
def test_who_fails_at_every_model_has_failed(project: TrialProject) -> None:
    cascade(project, FIRST, SECOND, THIRD)
    project.documents(1)
    every = {"text 0": [INVALID]}

    summary = project.submit(scripted(first=every, second=every, third=every))

    assert summary.outcomes == {Outcome.INVALID: 1}


def test_identical_documents_pass_on_together_and_another_job_keeps_its_row(project: TrialProject) -> None:
    cascade(project)
    project.job("other", model=f'name = "{FIRST}"\nmax_tokens = 100', output_fields=FIELDS)
    for name in ("a", "b"):
        project.document(f"{name}.txt", "the same")
    script = {"the same": [NULL]}
    project.submit(scripted(first=script), job="other")
    provider = scripted(first=script)

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert provider.asked == [(SECOND, "the same")], "the first answer is known already"
    assert project.rows("select day is null from other") == [(True,), (True,)]
    assert project.rows("select day is null from trial") == [(False,), (False,)]


@pytest.mark.usefixtures("no_output")
def test_a_demand_that_is_added_later_sends_only_what_does_not_meet_it(project: TrialProject) -> None:
    cascade(project, more="")
    project.documents(4)
    project.submit(scripted(first={"text 1": [NULL], "text 2": [row(quote="no such text")]}))
    cascade(project, more='null_in = ["day"]')
    plan = project.plan()
    assert (plan.to_send, plan.counts[Kind.UNFINISHED], plan.counts[Kind.REUSABLE]) == (1, 1, 3)
    provider = scripted()
    project.submit(provider)
    assert provider.asked == [(SECOND, "text 1")]

    cascade(project, more='null_in = ["day"]\nevidence = ["quote"]')
    provider = scripted()
    project.submit(provider)

    assert provider.asked == [(SECOND, "text 2")]


@pytest.mark.usefixtures("no_output")
def test_a_run_that_is_cut_short_between_two_models_goes_on_at_the_second(project: TrialProject) -> None:
    cascade(project, run="max_concurrency = 1")
    project.documents(3)

    async def interrupted(_: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        return NULL

    first = project.submit(scripted(first={"text 1": [interrupted]}))

    assert first.exit_code == ExitCode.INTERRUPTED
    assert project.statuses()["0001.txt"] == "pending"
    provider = scripted()
    summary = project.submit(provider)
    assert summary.exit_code == ExitCode.OK
    assert sorted(provider.asked) == [(FIRST, "text 2"), (SECOND, "text 1")]
    assert (summary.escalations[0].answers, summary.escalations[0].escalated) == (3, 1), "it is one run"


def test_the_row_from_before_stays_until_the_next_model_has_answered(project: TrialProject) -> None:
    cascade(project, run="max_concurrency = 1")
    project.documents(1)
    project.submit(scripted())
    cascade(project, run="max_concurrency = 1", prompt='system = "Now briefly."\nuser = "{{ doc.text }}"')

    async def interrupted(_: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        return NULL

    project.submit(scripted(first={"text 0": [interrupted]}))

    assert project.rows("select day is null from trial") == [(False,)], "the answer that is not taken is no row"


@pytest.mark.usefixtures("no_output")
def test_the_dearer_models_worst_case_is_set_aside_before_it_is_asked(project: TrialProject) -> None:
    """Everything has to be asked again, and the dear answers are longer than was expected."""
    cascade(project, FIRST, THIRD, run="max_concurrency = 2", budget="max_cost_usd = 0.04")
    project.documents(20)
    every = {f"text {number}": [NULL] for number in range(20)}
    long = answer({"title": "a title", "day": None, "quote": None}, usage=Usage(input_tokens=100, output_tokens=100))

    summary = project.submit(provider := scripted(first=every, third={prompt: [long] for prompt in every}))

    ((committed, cap),) = project.ask("select committed_nusd, cap_nusd from runs")
    assert summary.exit_code == ExitCode.STOPPED
    assert committed <= cap
    cascade(project, FIRST, THIRD)
    rest = scripted(first=every)
    assert project.submit(rest).outcomes == {Outcome.SUCCEEDED: 20}
    asked = provider.asked + rest.asked
    assert len(asked) == len(set(asked)) == 40, "nobody is asked twice about a document"


# --- batches


@pytest.fixture
def api(clock: WallClock) -> BatchApi:
    api = BatchApi(clock, default=row())
    api.streaming = scripted()
    return api


def batched(project: TrialProject, **more: Any) -> None:
    sections = {"run": 'route = "batch"\nmax_concurrency = 4\nmax_failure_rate = 0.1', "batch": "max_requests = 10"}
    cascade(project, more='null_in = ["day"]\nevidence = ["quote"]', **sections, **more)


BATCHED = {f"text {number}": [INVALID] for number in range(0, 60, 10)} | {
    "text 1": [NULL], "text 2": [row(quote="not there")], "text 3": [row(quote="text 3")],
}  # fmt: skip


def test_what_came_in_batches_is_asked_again_in_the_same_submit(project: TrialProject, api: BatchApi) -> None:
    batched(project)
    project.documents(60)
    api.script = dict(BATCHED)

    summary = project.submit(api)

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: 60})
    assert isinstance(api.streaming, Models)
    assert sorted(api.streaming.asked) == sorted((SECOND, f"text {number}") for number in [0, 1, 2, 10, 20, 30, 40, 50])
    assert Counter(answered_by(project).values())[SECOND] == 8
    assert reasons(project) == {"invalid": 6, "null in day": 1, "no evidence for quote": 1}
    assert (summary.escalations[0].answers, summary.escalations[0].escalated) == (60, 8)
    told = Counter(event.doc_id for event in project.events if isinstance(event, DocumentSettled))
    assert [doc_id[-8:-4] for doc_id, times in told.items() if times > 1] == ["0002"], "evidence takes its text"
    project.submit(api)
    assert len(api.streaming.asked) == 8


def test_a_fallback_is_asked_too_about_what_a_batch_left_refused_or_cut_short(
    project: TrialProject, api: BatchApi
) -> None:
    chain = f'name = "{FIRST}"\nfallbacks = ["{SECOND}"]\nmax_tokens = 100'
    project.job(model=chain, run='route = "batch"', output_fields=FIELDS)
    project.documents(4)
    api.script = {"text 1": [REFUSED], "text 2": [TRUNCATED], "text 3": [INVALID]}

    summary = project.submit(api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 3, Outcome.INVALID: 1}
    assert isinstance(api.streaming, Models)
    assert sorted(api.streaming.asked) == [(SECOND, "text 1"), (SECOND, "text 2")]
    project.submit(api)
    assert len(api.streaming.asked) == 2


def test_a_process_that_dies_after_the_batch_leaves_the_rest_to_the_next_submit(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    batched(project)
    project.documents(60)
    api.script = dict(BATCHED)
    with monkeypatch.context() as dying:

        async def die(*_: object) -> None:
            raise KeyboardInterrupt

        dying.setattr("batchrun.execution.batch.cascade.BatchCascade.escalate", die)
        with pytest.raises(KeyboardInterrupt):
            project.submit(api)
    plan = project.plan()
    assert (plan.to_send, plan.counts[Kind.REUSABLE]) == (8, 52)

    summary = project.submit(api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 60}
    assert isinstance(api.streaming, Models)
    assert api.streaming.count == {SECOND: 8}
    assert api.sizes == [10] * 6


def test_without_waiting_it_takes_the_submits_that_it_takes(project: TrialProject, api: BatchApi) -> None:
    batched(project)
    project.documents(10)
    api.script = {"text 1": [NULL]}

    assert project.submit(api, options=SubmitOptions(waits=False)).exit_code == ExitCode.UNFINISHED
    api.clock.skip(600)  # type: ignore[attr-defined]
    assert project.submit(api, options=SubmitOptions(waits=False)).exit_code == ExitCode.OK

    assert isinstance(api.streaming, Models)
    assert api.streaming.asked == [(SECOND, "text 1")]


def test_a_row_that_was_kept_stays_when_batches_end_after_the_streaming(project: TrialProject, api: BatchApi) -> None:
    batched(project)
    project.documents(1)
    project.submit(api, options=SubmitOptions(waits=False))
    project.documents(3)
    api.streaming = scripted(first={"text 1": [NULL], "text 2": [NULL]}, second={"text 1": [INVALID]})

    summary = project.submit(api, options=SubmitOptions(route="stream"))

    assert (summary.exit_code, summary.outcomes) == (ExitCode.OK, {Outcome.SUCCEEDED: 3})
    assert Counter(api.streaming.asked).most_common(1)[0][1] == 1
    assert project.rows("select doc_id[-8:-5], day is null from trial order by 1") == [
        ("0000", False), ("0001", True), ("0002", False),
    ]  # fmt: skip


# --- the plan


@pytest.mark.usefixtures("no_output")
def test_the_plan_guesses_then_measures(project: TrialProject) -> None:
    cascade(project)
    project.documents(40)
    guess = project.plan().cascade
    assert guess is not None
    assert (guess.steps[0].share.expected, guess.steps[0].share.answers) == (GUESS, 0)
    project.submit(scripted(first={f"text {number}": [NULL] for number in range(4)}))
    for number in range(40):
        project.document(f"new {number}.txt", f"another {number}")

    measured = project.plan().cascade

    assert measured is not None
    assert measured.steps[0].share.answers == 40
    assert measured.steps[0].share.expected.mean == 0.1
    cascade(project, more='escalate_on = ["invalid"]')
    changed = project.plan().cascade
    assert changed is not None
    assert changed.steps[0].share.expected.mean == 0.0, "the past is judged as the cascade is now"


@pytest.mark.usefixtures("no_output")
def test_the_plan_adds_the_dearer_model_to_the_first(project: TrialProject) -> None:
    cascade(project)
    for number, model in enumerate((FIRST, SECOND)):
        project.job(f"only{number}", model=f'name = "{model}"\nmax_tokens = 100', output_fields=FIELDS)
    project.documents(20)

    plan, first, second = project.plan(), project.plan(job="only0"), project.plan(job="only1")

    costs = [one.estimate.cost_nusd.mean for one in (plan, first, second)]
    assert plan.cascade is not None
    assert costs[0] == pytest.approx(costs[1] + 0.2 * costs[2])
    assert plan.cascade.alone_nusd == second.estimate.cost_nusd
    assert plan.cascade.pays
    stream, batch = (one.estimate.cost_nusd.mean for one in plan.forecasts)
    assert stream == costs[0]
    assert batch == pytest.approx(costs[1] / 2 + 0.2 * costs[2]), "what is asked again is streamed"
    low, high = (project.plan(Selection(limit=limit)).estimate.cost_nusd.mean for limit in (5, 10))
    assert high == pytest.approx(2 * low, rel=0.05)


@pytest.mark.usefixtures("no_output")
def test_a_cascade_of_models_that_cost_the_same_does_not_pay(project: TrialProject) -> None:
    cascade(project, "claude-opus-4-5", "claude-opus-4-6")
    project.documents(3)
    plan = project.plan()
    assert plan.cascade is not None
    assert not plan.cascade.pays
