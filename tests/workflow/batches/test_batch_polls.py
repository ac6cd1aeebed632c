"""A batch is asked for until it has ended, through failures and outages of the API and jumps of the clock."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from batch_submits import (
    HOUR_S,
    MINUTE_S,
    NOTHING_CAME,
    again_and_again,
    assert_books_agree,
    assert_books_agree_in_the_end,
    batched,
    canceling,
    once,
    submit,
    until,
    waiting,
)
from scripted_batches_memory import DAY_S, BatchApi, Remote
from scripted_provider import OVERLOADED, TURNED_AWAY, lost, status
from trial_project import TrialProject

from batchrun.batch import RemoteBatch
from batchrun.cli.views.batch_text import batch_table
from batchrun.errors import EnvironmentProblem, ExitCode
from batchrun.events import BatchSubmitted, BatchTrouble, Event
from batchrun.providers.anthropic.batch_parsing import batch_from
from batchrun.reply import Cause
from batchrun.store.ledger.batches import Batches
from batchrun.workflow.open_job import open_store

pytestmark = pytest.mark.slow


def troubles(project: TrialProject) -> list[str]:
    return [event.what for event in project.events if isinstance(event, BatchTrouble)]


@pytest.mark.parametrize("failure", [status(500), OVERLOADED, TURNED_AWAY, lost(), lost(Cause.UNREACHABLE)])
@pytest.mark.parametrize("call", ["retrieve", "results", "page"])
def test_trouble_with_asking_costs_nothing_and_is_tried_again(
    project: TrialProject, api: BatchApi, call: str, failure: Any
) -> None:
    project.documents(3)
    api.refused[call] = failure
    codes = [int(once(project, api, after_s=20).exit_code) for _ in range(10)]
    del api.refused[call]
    # Where nobody was answered in a run, something around the job has to be mended.
    alone = failure == lost(Cause.UNREACHABLE) and call != "results"
    assert codes == ([10 if call == "retrieve" else 5] + [5] * 9 if alone else [10] * 10)

    codes = again_and_again(project, api)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.calls["create"] == 1
    assert bool(troubles(project)) != alone
    assert_books_agree(project, api)


def test_polls_back_off_and_the_sleep_of_the_machine_is_noticed(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch='poll_interval = "10s"\nmax_poll_interval = "5m"')
    project.documents(3)
    api.takes_s = 4 * HOUR_S
    polled: list[float] = []
    retrieve = api.retrieve

    async def timed(batch_id: str) -> Any:
        polled.append(api.clock())
        if len(polled) == 45:
            asyncio.get_running_loop().call_later(5, api.clock.skip, 8 * HOUR_S)
        return await retrieve(batch_id)

    api.retrieve = timed

    assert submit(project, api).exit_code == ExitCode.OK

    gaps = [later - earlier for earlier, later in pairwise(polled[:45])]
    assert gaps[0] < 15
    assert max(gaps) <= 331
    assert gaps[-1] > 60
    assert len(polled) == 46
    assert polled[45] - polled[44] < 8 * HOUR_S + 20, "after the sleep it is asked for at once"


@pytest.mark.parametrize("apart_s", [-30 * DAY_S, 30 * DAY_S, 50 * 365 * DAY_S])
def test_results_are_collected_however_far_the_clocks_are_apart(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, apart_s: float
) -> None:
    def told(remote: Remote) -> RemoteBatch:
        known = BatchApi.told(api, remote)
        ended_at = None if known.ended_at is None else known.ended_at - apart_s
        return replace(known, created_at=known.created_at - apart_s, expires_at=None, ended_at=ended_at)

    project.documents(5)
    monkeypatch.setattr(api, "told", told)

    assert until(project, api) == [0]
    assert set(project.statuses().values()) == {"succeeded"}
    assert_books_agree_in_the_end(project, api)


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_clock_that_was_a_year_ahead_for_a_moment_stops_nothing(
    project: TrialProject, api: BatchApi, in_doubt: bool
) -> None:
    project.documents(5)
    api.clock.skip(365 * DAY_S)
    api.creating = [NOTHING_CAME] if in_doubt else []
    once(project, api)
    api.clock.skip(-365 * DAY_S)
    for remote in api.batches:
        remote.created_at, remote.ends_at = remote.created_at - 365 * DAY_S, remote.ends_at - 365 * DAY_S

    assert until(project, api, every_s=MINUTE_S, most=20) == [ExitCode.AMBIGUOUS if in_doubt else 0]
    assert api.calls["create"] == 1


@pytest.mark.parametrize("code", [404, 405, 410, 501])
@pytest.mark.parametrize("call", ["retrieve", "cancel", "results"])
def test_what_was_there_and_is_denied_is_waited_for(project: TrialProject, api: BatchApi, call: str, code: int) -> None:
    project.documents(3)
    once(project, api)
    api.refused[call] = status(code, "no such thing")
    if call == "cancel":
        assert canceling(project, api, waits=False).exit_code == ExitCode.UNFINISHED
    else:
        for _ in range(3):
            summary = once(project, api, after_s=20)
            assert (summary.exit_code, summary.halted) == (ExitCode.UNFINISHED, None)
        assert "no such thing" in troubles(project)[-1]
    del api.refused[call]

    assert until(project, api) == [0]
    assert api.sizes == ([3, 3] if call == "cancel" else [3]), "what was canceled at last is sent again"
    assert_books_agree_in_the_end(project, api)


def test_a_batch_that_is_denied_now_and_then_is_never_given_up(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.takes_s = HOUR_S
    once(project, api)
    for _ in range(10):
        api.refused["retrieve"] = status(404, "no such batch")
        assert once(project, api, after_s=50).exit_code == ExitCode.UNFINISHED
        del api.refused["retrieve"]
        assert once(project, api, after_s=50).exit_code == ExitCode.UNFINISHED

    assert until(project, api, every_s=5 * MINUTE_S) == [0]


def test_a_date_beyond_the_calendar_does_not_break_what_is_shown(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(remote: Remote) -> RemoteBatch:
        known = BatchApi.told(api, remote)
        body = {
            "id": known.batch_id, "processing_status": known.status, "request_counts": dict(known.counts),
            "created_at": datetime.fromtimestamp(known.created_at, UTC).isoformat(),
            "expires_at": "9999-12-31T23:59:59-12:00", "ended_at": "0001-01-01T00:00:00+12:00",
        }  # fmt: skip
        return batch_from(json.dumps(body).encode(), {})

    project.documents(3)
    monkeypatch.setattr(api, "told", told)
    once(project, api)

    with open_store(project.root / "jobs/trial.toml", simulated=False) as opened:
        assert "msgbatch_1" in str(batch_table(Batches(opened.ledger).of_run(1), width=None))
    assert until(project, api) == [0]


@pytest.mark.parametrize("waits", [False, True])
def test_an_api_that_answers_nobody_stops_the_job(project: TrialProject, api: BatchApi, waits: bool) -> None:
    project.documents(3)
    api.refused = {"page": lost(Cause.UNREACHABLE)}

    summary = waiting(project, api, most_s=HOUR_S, waits=waits)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert isinstance(summary.halted, EnvironmentProblem)
    assert api.calls["create"] == 0
    api.refused.clear()
    assert until(project, api) == [0]


def test_an_api_that_was_answering_is_waited_for_when_nobody_can_reach_it_for_an_hour(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    once(project, api)
    project.documents(5)
    unreachable = lost(Cause.UNREACHABLE)
    heals_at = api.clock() + HOUR_S

    def breaking_and_healing(event: Event) -> None:
        if isinstance(event, BatchSubmitted):
            api.refused |= {"page": unreachable, "retrieve": unreachable}
        if api.clock() > heals_at:
            api.refused.clear()

    assert waiting(project, api, listener=breaking_and_healing).exit_code == ExitCode.OK
    assert_books_agree_in_the_end(project, api)
