"""The route is chosen by size and deadline, and near the deadline what is unfinished is streamed."""

from collections import Counter
from typing import Any

import pytest
from batch_submits import (
    HOUR_S,
    INTERVALS,
    LOST,
    MINUTE_S,
    again_and_again,
    assert_books_agree,
    assert_books_agree_in_the_end,
    batched,
    once,
    submit,
    until,
)
from scripted_batches_memory import EXPIRED, BatchApi
from scripted_provider import answer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.strategy.routes import Route

SLOW = 'max_requests = 10\npoll_interval = "5m"\nmax_poll_interval = "5m"'


@pytest.mark.slow
def test_auto_streams_a_small_job(project: TrialProject, api: BatchApi) -> None:
    batched(project, route="auto")
    project.documents(20)

    summary = submit(project, api)

    assert summary.plan.choice.route is Route.STREAM
    assert (len(api.streaming.sent), api.calls["create"]) == (20, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deadline", "route"),
    [(None, Route.BATCH), (25 * HOUR_S, Route.BATCH), (3 * HOUR_S, Route.BATCH), (HOUR_S / 2, Route.STREAM)],
)
def test_auto_takes_a_batch_when_the_deadline_allows(
    project: TrialProject, api: BatchApi, deadline: float | None, route: Route
) -> None:
    batched(project, route="auto", batch=INTERVALS)
    project.documents(100)

    summary = submit(project, api, deadline_s=deadline)

    assert summary.exit_code == ExitCode.OK
    assert summary.plan.choice.route is route
    assert sum(api.billed.values()) == (100 if route is Route.BATCH else 0)
    batch, stream = summary.plan.forecasts[1], summary.plan.forecasts[0]
    assert (stream.route, batch.route) == (Route.STREAM, Route.BATCH)
    assert batch.estimate.cost_nusd.mean == pytest.approx(stream.estimate.cost_nusd.mean / 2)


@pytest.mark.slow
def test_auto_stays_with_batches_when_few_are_left(project: TrialProject, api: BatchApi) -> None:
    batched(project, route="auto", batch=f"max_requests = 90\n{INTERVALS}")
    project.documents(100)
    api.script["text 3"] = [EXPIRED, answer()]

    assert again_and_again(project, api)[-1] == 0
    assert api.streaming.sent == []
    assert sum(api.billed.values()) == 100


@pytest.mark.slow
def test_near_the_deadline_what_is_unfinished_is_canceled_and_streamed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(15)
    api.takes_s = 20 * HOUR_S
    begun = api.clock()

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert HOUR_S < api.clock() - begun <= 2 * HOUR_S
    assert sorted(api.canceled) == ["msgbatch_1", "msgbatch_2"]
    assert len(api.streaming.sent) == 15
    assert sum(api.billed.values()) == 0
    assert_books_agree(project, api)


@pytest.mark.slow
def test_what_had_finished_by_then_is_collected_and_not_streamed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(15)
    api.takes_s = 20 * HOUR_S
    create = api.create

    async def quick_at_first(body: Any) -> Any:
        told = await create(body)
        api.batches[0].ends_at = api.clock() + 30 * MINUTE_S
        return told

    api.create = quick_at_first

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert sum(api.billed.values()) == 10
    assert len(api.streaming.sent) == 5
    assert_books_agree(project, api)


@pytest.mark.slow
def test_without_a_fallback_the_deadline_passes(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f'{SLOW}\nfallback = "none"', run='deadline = "1h"')
    project.documents(5)
    api.takes_s = 2 * HOUR_S

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert (api.canceled, api.streaming.sent) == ([], [])


@pytest.mark.slow
def test_a_batch_in_doubt_is_settled_before_anything_of_it_is_streamed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f'{SLOW}\nreconcile_wait = "10m"', run='deadline = "1h"')
    project.documents(5)
    api.creating = [LOST]
    api.hidden = True
    api.takes_s = 3 * MINUTE_S
    once(project, api)
    api.clock.skip(58 * MINUTE_S)
    api.hidden = False

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.streaming.sent == []
    assert_books_agree(project, api)


@pytest.mark.slow
def test_the_fallback_without_waiting(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(5)
    api.takes_s = 20 * HOUR_S

    codes = again_and_again(project, api, every_s=10 * MINUTE_S)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert len(api.streaming.sent) == 5
    assert api.clock() - api.batches[0].created_at < 2 * HOUR_S + 10 * MINUTE_S
    assert_books_agree(project, api)


@pytest.mark.slow
def test_the_fallback_of_a_stream_that_found_batches_open(project: TrialProject, api: BatchApi) -> None:
    """`--route stream` with a deadline, while an earlier submit's batches are open."""
    project.documents(5)
    api.takes_s = 20 * HOUR_S
    once(project, api)

    summary = submit(project, api, route="stream", deadline_s=2 * HOUR_S)

    assert summary.exit_code == ExitCode.OK
    assert len(api.streaming.sent) == 5
    assert_books_agree(project, api)


@pytest.mark.slow
def test_the_deadline_is_the_runs_and_not_each_submits(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=SLOW, run='deadline = "2h"')
    project.documents(5)
    api.takes_s = 20 * HOUR_S
    once(project, api)

    once(project, api, after_s=119 * MINUTE_S)

    assert api.canceled == ["msgbatch_1"]


@pytest.mark.slow
def test_a_run_whose_deadline_is_over_is_planned_as_it_is_sent(project: TrialProject, api: BatchApi) -> None:
    batched(project, run='deadline = "2h"')
    api.script = {text: [EXPIRED] for text in project.documents(3)}
    once(project, api)
    project.documents(6)

    once(project, api, after_s=26 * HOUR_S)

    plan = project.plans[-1]
    assert plan.choice.route is Route.STREAM
    assert plan.estimate == plan.forecasts[0].estimate
    assert until(project, api) == [0]
    assert api.sizes == [3]
    assert Counter(api.streaming.sent) == Counter(f"text {number}" for number in range(6))
    assert_books_agree_in_the_end(project, api)
