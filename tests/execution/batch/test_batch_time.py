"""Batches over hours and days, in virtual time: polls, expiry, deadlines, outages, and a machine that sleeps."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from scripted_batches_memory import CANCELED, DAY_S, EXPIRED, BatchApi, Lost, Remote, WallClock, prompt_of
from scripted_provider import OVERLOADED, TURNED_AWAY, lost, status
from trial_project import TrialProject

from batchrun.batch import BatchBody, BatchPage, RemoteBatch
from batchrun.errors import ExitCode
from batchrun.execution import output_sync
from batchrun.providers import AttemptError
from batchrun.reply import Failure
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.summary import Summary

MINUTE_S, HOUR_S = 60.0, 3600.0
LEAST_S, MOST_S = 30.0, 300.0
"""Between polls, as the job file has it when it says nothing."""
RECONCILE_S = 600.0
NOTHING_CAME = Lost(created=False)
JITTERED_MOST_S = 1.1 * MOST_S


@dataclass
class SlowApi(BatchApi):
    """Processes the requests of a batch one after the other, and notes when it is asked for what.

    What has not had its turn when the batch is canceled, or a day old, is never processed.
    """

    asked_at: dict[str, list[float]] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)
    """The times, by batch, when no more of the batch is processed."""
    after_page: Callable[[], None] = lambda: None
    retry_after_s: float | None = None

    def out_for(self, seconds: float, call: str, failure: Failure) -> None:
        """From now on, for so long, a call is answered with a failure."""
        self.refused[call] = failure
        asyncio.get_running_loop().call_later(seconds, self.refused.pop, call, None)

    async def create(self, body: BatchBody) -> RemoteBatch:
        self._note("create")
        if "create" in self.refused:
            self.creating = [self.refused["create"]]
        return await super().create(body)

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        self._note("retrieve")
        return await super().retrieve(batch_id)

    async def page(self, *, model: str = "", after_id: str | None = None, limit: int = 1000) -> BatchPage:
        self._note("page")
        page = await super().page(after_id=after_id, limit=limit)
        self.after_page()
        return page

    async def cancel(self, batch_id: str) -> RemoteBatch:
        if "cancel" not in self.refused:
            self.until.setdefault(batch_id, self.clock())
        return await super().cancel(batch_id)

    def told(self, remote: Remote) -> RemoteBatch:
        told = super().told(remote)
        object.__setattr__(told, "retry_after_s", self.retry_after_s)
        return told

    def _note(self, call: str) -> None:
        self.asked_at.setdefault(call, []).append(self.clock())

    def _added(self, params: dict[str, Any]) -> Remote:
        remote = super()._added(params)
        remote.ends_at = remote.created_at + min(self.takes_s, DAY_S)
        return remote

    def _settle(self, remote: Remote) -> None:
        if remote.fates or self.clock() < remote.ends_at:
            return
        until = self.until.get(remote.batch_id, remote.created_at + DAY_S)
        for number, (custom_id, params) in enumerate(remote.params.items(), 1):
            processed = remote.created_at + self.takes_s * number / len(remote.params) <= until
            unprocessed = CANCELED if remote.canceling else EXPIRED
            remote.fates[custom_id] = self.default if processed else unprocessed
            self.billed.update([prompt_of(params)] * processed)


@pytest.fixture
def api(clock: WallClock) -> SlowApi:
    return SlowApi(clock)


@pytest.fixture
def project(project: TrialProject, no_output: None, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """A project whose job travels in batches, at the intervals of a job file that does not say any."""
    monkeypatch.setattr(output_sync, "PUBLISH_EVERY_S", 7 * DAY_S)  # it would look every three seconds
    batched(project)
    return project


def batched(project: TrialProject, *, run: str = "", batch: str = "max_requests = 10") -> None:
    project.job(run=f'route = "batch"\n{run}', batch=batch)


def submit(project: TrialProject, api: SlowApi, **options: Any) -> Summary:
    return project.submit(api, options=SubmitOptions(**options))


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def assert_paid_once(api: SlowApi, documents: int) -> None:
    assert set(api.paid.values()) == {1}
    assert len(api.paid) == documents


# --- polling


@pytest.mark.slow
def test_twenty_hours_of_polling(project: TrialProject, api: SlowApi) -> None:
    project.documents(3)
    api.takes_s = 20 * HOUR_S
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.OK

    polls = api.asked_at["retrieve"]
    for poll, gap in zip(polls, gaps(polls), strict=False):
        wanted = min(max(0.1 * (poll - begun), LEAST_S), MOST_S)
        assert 0.89 * wanted <= gap <= 1.11 * wanted
    assert len({round(gap) for gap in gaps(polls)[-50:]}) > 10, "they are jittered"
    assert 200 < len(polls) < 300
    assert api.clock() - begun <= api.takes_s + JITTERED_MOST_S
    assert (api.calls["create"], api.calls["results"]) == (1, 1)


@pytest.mark.slow
def test_what_the_api_asks_for_is_heeded(project: TrialProject, api: SlowApi) -> None:
    project.documents(3)
    api.takes_s, api.retry_after_s = 2 * HOUR_S, 20 * MINUTE_S

    assert submit(project, api).exit_code == ExitCode.OK
    assert min(gaps(api.asked_at["retrieve"])) >= 20 * MINUTE_S


@pytest.mark.slow
@pytest.mark.parametrize("failure", [status(500), OVERLOADED, TURNED_AWAY, lost()], ids=lambda failure: failure.name)
@pytest.mark.parametrize("call", ["retrieve", "results"])
def test_hours_of_errors_cost_nothing(project: TrialProject, api: SlowApi, call: str, failure: Failure) -> None:
    project.documents(3)
    api.takes_s = HOUR_S
    create = api.create

    async def then_trouble(body: BatchBody) -> RemoteBatch:
        api.out_for(4 * HOUR_S, call, failure)
        return await create(body)

    api.create = then_trouble  # type: ignore[method-assign]
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.OK

    assert 4 * HOUR_S <= api.clock() - begun <= 4 * HOUR_S + JITTERED_MOST_S
    assert api.calls["create"] == 1
    assert api.calls[call] < 5 * 4 * HOUR_S / MOST_S + 60, "not in a hurry"
    assert_paid_once(api, 3)


@pytest.mark.slow
def test_what_the_api_asks_for_is_heeded_by_downloads_too(project: TrialProject, api: SlowApi) -> None:
    project.documents(3)
    downloads: list[float] = []
    results = api.results

    def turned_away(batch: RemoteBatch) -> Any:
        downloads.append(api.clock())
        api.refused = {"results": status(429, "later", retry_after_s=20 * MINUTE_S)} if len(downloads) < 5 else {}
        return results(batch)

    api.results = turned_away  # type: ignore[method-assign, assignment]

    assert submit(project, api).exit_code == ExitCode.OK
    assert min(gaps(downloads)) >= 20 * MINUTE_S
    assert_paid_once(api, 3)


# --- expiry


@pytest.mark.slow
def test_what_expires_is_sent_again_and_what_was_processed_is_not(project: TrialProject, api: SlowApi) -> None:
    project.documents(8)
    api.takes_s = 2 * DAY_S
    begun = api.clock()

    assert submit(project, api).outcomes == {"succeeded": 7, "expired": 1}, "three attempts are all it has"

    assert api.sizes == [8, 4, 2]
    assert [int((one.created_at - begun) / DAY_S) for one in api.batches] == [0, 1, 2]
    assert 3 * DAY_S <= api.clock() - begun <= 3 * (DAY_S + JITTERED_MOST_S)
    assert_paid_once(api, 7)


@pytest.mark.slow
def test_days_of_cron(project: TrialProject, api: SlowApi) -> None:
    project.documents(8)
    api.takes_s = 2 * DAY_S
    codes = []
    while not codes or codes[-1] == ExitCode.UNFINISHED:
        begun = api.clock()
        codes.append(submit(project, api, waits=False).exit_code)
        assert api.clock() - begun < 1, "it does not wait"
        api.clock.skip(HOUR_S)

    assert codes[-1] == ExitCode.SOME_FAILED
    assert len(codes) == 3 * 24 + 1
    assert_paid_once(api, 7)


# --- the deadline


@pytest.mark.slow
def test_near_the_deadline_what_is_unprocessed_is_streamed(project: TrialProject, api: SlowApi) -> None:
    batched(project, run='deadline = "6h"')
    project.documents(20)
    api.takes_s = 10 * HOUR_S
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.OK

    assert 5 * HOUR_S < api.clock() - begun <= 6 * HOUR_S
    assert len(api.canceled) == 2
    assert len(api.billed) == 2 * 5, "what was processed by then is collected"
    assert_paid_once(api, 20)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["cancel", "retrieve", "results"])
def test_an_api_that_is_out_for_a_while_does_not_break_the_deadline(
    project: TrialProject, api: SlowApi, call: str
) -> None:
    batched(project, run='deadline = "6h"')
    project.documents(20)
    api.takes_s = 10 * HOUR_S
    create = api.create

    async def then_trouble(body: BatchBody) -> RemoteBatch:
        api.clock.skip(5.7 * HOUR_S if len(api.batches) else 0)
        api.out_for(7 * MINUTE_S, call, status(500))
        return await create(body)

    api.create = then_trouble  # type: ignore[method-assign]
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.OK

    assert api.clock() - begun <= 6 * HOUR_S
    assert_paid_once(api, 20)


@pytest.mark.slow
def test_a_deadline_that_was_slept_through(project: TrialProject, api: SlowApi) -> None:
    batched(project, run='deadline = "6h"')
    project.documents(10)
    api.takes_s = 16 * HOUR_S
    asleep = sleeping(api, 8 * HOUR_S, after_s=HOUR_S)
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.OK

    assert asleep
    assert 9 * HOUR_S < api.clock() - begun < 9 * HOUR_S + 15 * MINUTE_S
    assert len(api.billed) == 5
    assert_paid_once(api, 10)


@pytest.mark.slow
def test_killed_while_batches_are_being_canceled(project: TrialProject, api: SlowApi) -> None:
    batched(project, run='deadline = "6h"')
    project.documents(10)
    api.takes_s = 10 * HOUR_S
    submit(project, api, waits=False)
    api.clock.skip(5.9 * HOUR_S)
    assert submit(project, api, waits=False).exit_code == ExitCode.UNFINISHED
    assert api.canceled
    assert api.streaming.sent == [], "not before what the batch has done is known"
    api.clock.skip(5 * MINUTE_S)

    assert submit(project, api).exit_code == ExitCode.OK
    assert_paid_once(api, 10)


# --- sleep of the machine


def sleeping(api: SlowApi, seconds: float, *, after_s: float) -> list[float]:
    """The machine sleeps some time after a batch was created; when it woke up."""
    woke: list[float] = []
    create = api.create

    def sleep() -> None:
        api.clock.skip(seconds)
        woke.append(api.clock())

    async def then_sleep(body: BatchBody) -> RemoteBatch:
        if not woke:
            asyncio.get_running_loop().call_later(after_s, sleep)
        return await create(body)

    api.create = then_sleep  # type: ignore[method-assign]
    return woke


@pytest.mark.slow
def test_a_machine_that_slept_asks_as_soon_as_it_wakes(project: TrialProject, api: SlowApi) -> None:
    project.documents(3)
    api.takes_s = 4 * HOUR_S
    woke = sleeping(api, 8 * HOUR_S, after_s=2 * HOUR_S)

    assert submit(project, api).exit_code == ExitCode.OK
    assert api.clock() - woke[0] <= 15.1


def test_a_machine_that_sleeps_with_an_old_list_in_its_hands_sends_nothing_twice(
    project: TrialProject, api: SlowApi
) -> None:
    project.documents(3)
    api.creating, api.hidden = [Lost(created=True)], True

    def sleep() -> None:
        if api.calls["page"] == 3:  # the second look for it
            api.clock.skip(HOUR_S)
            api.hidden = False

    api.after_page = sleep

    assert submit(project, api).exit_code == ExitCode.OK
    assert api.calls["create"] == 1
    assert_paid_once(api, 3)


def test_a_machine_that_sleeps_in_a_create_call(project: TrialProject, api: SlowApi) -> None:
    project.documents(3)
    api.takes_s = HOUR_S
    create = api.create

    async def asleep(body: BatchBody) -> RemoteBatch:
        await create(body)
        api.clock.skip(30 * HOUR_S)
        raise AttemptError(lost())

    api.create = asleep  # type: ignore[method-assign]

    assert submit(project, api).exit_code == ExitCode.OK
    assert len(api.batches) == 1
    assert_paid_once(api, 3)


# --- creating


@pytest.mark.slow
@pytest.mark.parametrize("asked_s", [None, 20.0, 25 * MINUTE_S])
def test_an_hour_of_429(project: TrialProject, api: SlowApi, asked_s: float | None) -> None:
    batched(project)
    project.documents(25)
    full = status(429, "the queue is full", error_type="rate_limit_error", retry_after_s=asked_s)
    page = api.page

    async def then_full(**where: Any) -> BatchPage:
        if not api.calls["page"]:
            api.out_for(HOUR_S, "create", full)
        return await page(**where)

    api.page = then_full  # type: ignore[method-assign]
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.OK

    waits = gaps([moment for moment in api.asked_at["create"] if moment - begun <= HOUR_S])
    assert min(waits) >= max(LEAST_S, asked_s or 0)
    assert max(waits) <= max(MOST_S, asked_s or 0) + 1
    assert api.sizes == [10, 10, 5]
    assert api.batches[0].created_at - begun <= HOUR_S + max(MOST_S, asked_s or 0) + 1
    assert_paid_once(api, 25)


@pytest.mark.slow
def test_what_was_never_created_is_sent_again_after_ten_minutes(project: TrialProject, api: SlowApi) -> None:
    """The list shows the end of the run's first batch after the call, so the list would show the lost batch."""
    project.documents(13)
    api.creating, api.takes_s = [None, NOTHING_CAME], RECONCILE_S - MINUTE_S

    assert submit(project, api).exit_code == ExitCode.OK

    _, first, again = api.asked_at["create"]
    assert RECONCILE_S <= again - first <= RECONCILE_S + 2 * LEAST_S
    looks = [moment for moment in api.asked_at["page"] if first < moment < again]
    assert looks[-1] >= first + RECONCILE_S, "the last look is after the wait"
    assert len(looks) <= RECONCILE_S / LEAST_S + 3
    assert_paid_once(api, 13)


@pytest.mark.slow
def test_what_no_list_proves_is_left_in_doubt_after_ten_minutes(project: TrialProject, api: SlowApi) -> None:
    project.documents(3)
    api.creating = [NOTHING_CAME]
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.AMBIGUOUS

    assert api.calls["create"] == 1
    assert RECONCILE_S <= api.clock() - begun <= RECONCILE_S + 3 * LEAST_S


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [1, 5, 9.9])
def test_what_the_list_shows_minutes_later_is_adopted(project: TrialProject, api: SlowApi, minutes: float) -> None:
    project.documents(3)
    api.creating, api.hidden = [Lost(created=True)], True
    page = api.page

    async def shown_late(**where: Any) -> BatchPage:
        api.hidden = api.clock() - api.asked_at["page"][0] < minutes * MINUTE_S if api.calls["page"] else True
        return await page(**where)

    api.page = shown_late  # type: ignore[method-assign]

    assert submit(project, api).exit_code == ExitCode.OK
    assert api.calls["create"] == 1
    assert_paid_once(api, 3)


@pytest.mark.slow
def test_a_list_that_is_out_for_hours_leaves_it_in_doubt(project: TrialProject, api: SlowApi) -> None:
    """Not seeing a list is no proof that the batch is not in it."""
    project.documents(3)
    create = api.create

    async def unheard(body: BatchBody) -> RemoteBatch:
        api.out_for(5 * HOUR_S, "page", status(500))
        await create(body)
        raise AttemptError(lost())

    api.create = unheard  # type: ignore[method-assign]
    begun = api.clock()

    assert submit(project, api).exit_code == ExitCode.OK
    assert api.calls["create"] == 1
    assert api.clock() - begun < 5 * HOUR_S + JITTERED_MOST_S
    assert_paid_once(api, 3)
