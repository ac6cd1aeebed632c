"""Batches are paid at half the price and never pass a cap or the queue limit."""

import pytest
from batch_submits import (
    HOUR_S,
    INTERVALS,
    MINUTE_S,
    SMALL,
    again_and_again,
    assert_books_agree,
    assert_books_agree_in_the_end,
    batched,
    committed,
    once,
    states,
    submit,
    waiting,
)
from scripted_batches_memory import BatchApi
from scripted_provider import answer
from trial_project import TrialProject

from batchrun.errors import ExitCode, Refused
from batchrun.outcome import Outcome
from batchrun.reply import Usage
from batchrun.workflow.open_job import SubmitOptions


@pytest.mark.slow
def test_a_job_larger_than_the_budgets_worst_case_goes_in_waves(project: TrialProject, api: BatchApi) -> None:
    batched(project, budget="max_cost_usd = 0.008", batch=f"max_requests = 100\n{INTERVALS}")
    project.documents(25)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert len(api.batches) > 1
    assert_books_agree(project, api)


@pytest.mark.slow
def test_half_the_worst_case_is_set_aside(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    batched(project, route="stream")
    streamed = project.plan()
    batched(project)

    summary = once(project, api)

    assert summary.plan.worst_nusd == -(-streamed.worst_nusd // 2)
    assert summary.totals is not None
    assert 0 < summary.totals.open_nusd <= 3 * summary.plan.worst_nusd


@pytest.mark.slow
def test_a_refusal_says_how_many_would_fit_at_half_the_price(project: TrialProject, api: BatchApi) -> None:
    project.documents(50)
    budget = "max_cost_usd = 0.004"
    batched(project, route="stream", budget=budget)
    streamed = project.plan().affordable_count
    batched(project, budget=budget)

    assert 0 < streamed < 25
    assert project.plan().affordable_count == pytest.approx(2 * streamed, abs=2)


@pytest.mark.slow
def test_the_cap_is_never_passed_by_what_is_open(project: TrialProject, api: BatchApi) -> None:
    batched(project, budget="max_cost_usd = 0.008")
    project.documents(25)
    code, most = 10, 0
    while code == ExitCode.UNFINISHED:
        code = once(project, api, after_s=15).exit_code
        most = max(most, project.ask("select committed_nusd from runs")[0][0])

    assert code == ExitCode.OK
    assert 4_000_000 < most <= 8_000_000


def test_a_job_that_cannot_be_paid_is_refused_and_nothing_is_sent(project: TrialProject, api: BatchApi) -> None:
    batched(project, budget="max_cost_usd = 0.000_5")
    project.documents(25)

    with pytest.raises(Refused):
        submit(project, api)

    assert api.calls["create"] == 0


@pytest.mark.slow
def test_the_plan_of_a_batch_needs_half_the_budget_of_a_stream(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    budget = f"max_cost_usd = {project.plan().estimate.upper_nusd * 1.1e-9:.9f}"
    batched(project, budget=budget)

    assert submit(project, api).exit_code == ExitCode.OK
    batched(project, "streamed", route="stream", budget=budget, prompt='user = "{{ doc.text }}."')
    with pytest.raises(Refused):
        submit(project, api, job="streamed")


@pytest.mark.slow
def test_when_the_budget_is_reached_the_rest_is_pending(project: TrialProject, api: BatchApi) -> None:
    """Answers cost more than was estimated: the cap holds."""
    batched(project, budget="max_cost_usd = 0.008")
    project.documents(25)
    api.default = answer(usage=Usage(input_tokens=800, output_tokens=100))

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.STOPPED
    assert "budget" in str(summary.halted)
    assert 0 < summary.outcomes[Outcome.SUCCEEDED] < 25
    assert project.ask("select committed_nusd <= cap_nusd from runs") == [(1,)]
    batched(project)
    assert submit(project, api).exit_code == ExitCode.OK
    assert max(api.paid.values()) == 1


@pytest.mark.slow
def test_the_queue_limit_counts_all_jobs(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"{SMALL}\nmax_queued = 12")
    batched(project, "second", prompt='user = "Read: {{ doc.text }}"', batch=f"{SMALL}\nmax_queued = 12")
    project.documents(8)

    once(project, api)
    once(project, api, job="second")

    assert api.sizes == [8, 4]
    assert again_and_again(project, api)[-1] == 0
    assert again_and_again(project, api, job="second")[-1] == 0
    assert sum(api.sizes) == 16


def capped(project: TrialProject, cap_nusd: int) -> None:
    batched(project, budget=f"max_cost_usd = {cap_nusd / 1e9:.9f}")


@pytest.mark.slow
@pytest.mark.parametrize("waits", [False, True])
def test_streaming_does_not_wait_for_room_that_only_batches_can_give_back(
    project: TrialProject, api: BatchApi, waits: bool
) -> None:
    project.documents(5)
    once(project, api)
    project.document("late.txt", "a late one")
    capped(project, committed(project) + 1_000)

    summary = waiting(project, api, most_s=HOUR_S, route="stream", waits=waits)

    assert summary.exit_code == (ExitCode.OK if waits else ExitCode.UNFINISHED)
    assert waiting(project, api, most_s=HOUR_S, route="stream").exit_code == ExitCode.OK
    assert api.streaming.sent == ["a late one"]
    assert_books_agree_in_the_end(project, api)


@pytest.mark.slow
def test_a_refusal_is_told_at_once_though_batches_are_open(project: TrialProject, api: BatchApi) -> None:
    api.takes_s = 20 * HOUR_S
    project.documents(3)
    once(project, api)
    project.documents(2_000)
    batched(project, budget="max_cost_usd = 0.01\nmax_documents = 5")
    began = api.clock()

    with pytest.raises(Refused):
        project.submit(api, options=SubmitOptions())

    assert api.clock() - began < MINUTE_S
    assert states(project) == ["submitted"]
