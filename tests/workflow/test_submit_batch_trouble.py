"""Whole submits on the batch route when something is wrong: lists and clocks that lie, slips by hand, dead neighbours.

Each case has once paid twice, lost documents, hung, or said something untrue.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from scripted_batches_memory import DAY_S, EXPIRED, WRONG, BatchApi, Lost, Remote, WallClock
from scripted_provider import answer, lost, status
from trial_project import TrialProject, Unpublished

from batchrun.batch import BatchBody, BatchPage, RemoteBatch
from batchrun.budget.caps import Amount
from batchrun.cli.views.batch_text import batch_table
from batchrun.duckdb_file import HeldByAnother
from batchrun.errors import Ambiguous, EnvironmentProblem, ExitCode, Refused, UsageProblem
from batchrun.events import Event, RunStarted
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.providers.anthropic.batch_parsing import batch_from
from batchrun.reply import Cause
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.strategy.routes import Route
from batchrun.workflow.batch_recovery import adopt, cancel, resend
from batchrun.workflow.open_job import OpenJob, OpenStore, SubmitOptions, open_store
from batchrun.workflow.submit import submit as submit_job
from batchrun.workflow.summary import Summary

SMALL = 'max_requests = 10\npoll_interval = "10s"\nmax_poll_interval = "20s"\nreconcile_wait = "60s"'
READ = 'user = "Read: {{ doc.text }}"'
"""Another prompt: a second job over the same documents, with batches of the same size."""
COST_NUSD = 75_000
"""Of one answer: half of 100 tokens in and 10 out."""
MINUTE_S, HOUR_S = 60.0, 3600.0
LOST, NOTHING_CAME = Lost(created=True), Lost(created=False)


@pytest.fixture
def api(clock: WallClock) -> BatchApi:
    return BatchApi(clock)


@pytest.fixture
def project(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> TrialProject:
    """A project whose job travels in batches of ten, without an output."""
    monkeypatch.setattr(OpenJob, "output", lambda *_: Unpublished())
    monkeypatch.setattr(OpenStore, "output", lambda *_: Unpublished())
    batched(project)
    return project


def batched(project: TrialProject, name: str = "trial", *, route: str = "batch", run: str = "", **more: str) -> None:
    project.job(name, **{"run": f'route = "{route}"\nmax_concurrency = 4\n{run}', "batch": SMALL} | more)


def once(
    project: TrialProject,
    api: BatchApi,
    selection: Selection | None = None,
    *,
    after_s: float = 0.0,
    job: str = "trial",
) -> Summary:
    """`submit --no-wait`, some time later."""
    api.clock.skip(after_s)
    return project.submit(api, selection, job=job, options=SubmitOptions(waits=False))


def until(project: TrialProject, api: BatchApi, *jobs: str, every_s: float = 10.0, most: int = 100) -> list[int]:
    """`submit --no-wait` for each job in turn, until none says 10; the last exit code of each."""
    for _ in range(most):
        codes = [int(once(project, api, job=job).exit_code) for job in jobs or ("trial",)]
        if ExitCode.UNFINISHED not in codes:
            return codes
        api.clock.skip(every_s)
    raise AssertionError("it never ends")


def waiting(
    project: TrialProject,
    api: BatchApi,
    *,
    most_s: float = DAY_S,
    listener: Callable[[Event], None] = lambda _: None,
    **options: Any,
) -> Summary:
    """`submit` in the foreground, for so long at most."""
    latest = api.clock() + most_s

    def bounded(event: Event) -> None:
        project.events.append(event)
        assert api.clock() < latest, "it never ends"
        listener(event)

    with project.opened() as opened:
        return submit_job(
            opened,
            Selection(),
            provider=api,
            listener=bounded,
            show=project.plans.append,
            options=SubmitOptions(**options),
        )


def by_hand(project: TrialProject, decide: Callable[[OpenStore], Batch]) -> Batch:
    with open_store(project.root / "jobs/trial.toml", simulated=False) as opened:
        return decide(opened)


def states(project: TrialProject) -> list[str]:
    return [state for (state,) in project.ask("select state from batches order by batch_no")]


def committed(project: TrialProject) -> int:
    return int(project.ask("select coalesce(sum(committed_nusd), 0) from runs")[0][0])


def capped(project: TrialProject, cap_nusd: int) -> None:
    batched(project, budget=f"max_cost_usd = {cap_nusd / 1e9:.9f}")


def assert_books_agree(project: TrialProject, api: BatchApi) -> None:
    """Nothing is paid twice, batches that nobody asks for any more included, and the ledger has what was billed."""
    api.clock.skip(2 * DAY_S)
    for remote in api.batches:
        api.told(remote)
    paid = {prompt: times for prompt, times in api.paid.items() if not prompt.startswith("theirs")}
    assert {prompt: times for prompt, times in paid.items() if times > 1} == {}
    assert committed(project) == (sum(paid.values()) + len(api.streaming.sent)) * COST_NUSD
    assert project.ask("select count(*) from attempts where state = 'open'") == [(0,)]


# --- whose batch it is


def test_a_batch_that_another_job_has_adopted_by_mistake_is_not_sent_again(
    project: TrialProject, api: BatchApi
) -> None:
    """Neither job got an answer. One batch was created, for hours, and the job that it is not of looks first."""
    api.takes_s = HOUR_S
    project.documents(5)
    batched(project, "second", prompt=READ)
    api.creating = [NOTHING_CAME, LOST]
    once(project, api)
    once(project, api, job="second")
    once(project, api, after_s=10)
    assert project.ask("select job, batch_id from batches where adopted") == [("trial", "msgbatch_1")]

    codes = until(project, api, "second", "trial", every_s=5 * MINUTE_S)

    assert codes == [0, 0]
    assert api.calls["create"] == 3
    assert_books_agree(project, api)


def test_who_gets_the_answer_keeps_its_batch_though_another_job_has_just_adopted_it(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.takes_s = HOUR_S
    project.documents(5)
    batched(project, "second", prompt=READ)
    api.creating = [NOTHING_CAME]
    once(project, api)

    async def create(body: BatchBody) -> RemoteBatch:
        """While the answer is on its way the first job finds the batch in the list."""
        remote = await BatchApi.create(api, body)
        with contextlib.closing(Ledger.open(project.ledger_path)) as ledger, ledger.transaction():
            batches = Batches(ledger)
            if batches.one(1).batch_id is None:
                batches.attach(batches.one(1), remote, adopted=True, next_poll_at=api.clock())
        return remote

    with monkeypatch.context() as patch:
        patch.setattr(api, "create", create)
        once(project, api, job="second")
    owners = project.ask("select job, state, batch_id, adopted from batches order by batch_no")
    assert owners == [("trial", "prepared", None, 0), ("second", "submitted", "msgbatch_1", 0)]

    assert until(project, api, "second", "trial", every_s=5 * MINUTE_S) == [0, 0]
    assert api.sizes == [5, 5]
    assert_books_agree(project, api)


def test_the_list_of_another_workspace_is_no_proof_that_a_batch_does_not_exist(
    project: TrialProject, api: BatchApi
) -> None:
    """The key was changed, or a proxy answers with an empty list; the ledger knows what must be in it."""
    api.takes_s = HOUR_S
    batched(project, batch=SMALL.replace("max_requests = 10", "max_requests = 3"))
    project.documents(5)
    api.creating = [None, LOST]
    once(project, api)
    assert states(project) == ["submitted", "prepared"]
    api.hidden = True

    (code,) = until(project, api)
    summary = once(project, api, after_s=DAY_S)

    assert code == summary.exit_code == ExitCode.AMBIGUOUS
    assert isinstance(summary.halted, Ambiguous)
    assert "msgbatch_1" in str(summary.halted)
    assert api.calls["create"] == 2
    api.hidden = False
    assert until(project, api) == [0]
    assert api.calls["create"] == 2
    assert_books_agree(project, api)


def test_an_old_archived_batch_of_the_same_size_is_not_taken_for_ours(project: TrialProject, api: BatchApi) -> None:
    """What was in the list before the call has been deleted since."""
    project.documents(3)
    api.somebody_elses(7)
    api.creating = [NOTHING_CAME]
    once(project, api)
    old = api.somebody_elses(3)
    old.created_at -= 60 * DAY_S
    old.ends_at, old.archived = old.created_at + 60, True
    api.batches = [old]

    assert until(project, api) == [ExitCode.AMBIGUOUS]

    assert set(project.statuses().values()) == {"pending"}
    by_hand(project, lambda opened: resend(opened, provider=api))
    assert until(project, api) == [0]
    assert_books_agree(project, api)


def test_a_list_without_an_end_is_given_up_and_decides_nothing(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not know `after_id` gives the first page again and again."""
    project.documents(3)
    api.creating = [NOTHING_CAME]
    once(project, api)
    api.somebody_elses(7)
    asked: list[str | None] = []

    async def page(*, after_id: str | None = None, limit: int = 1000) -> BatchPage:
        asked.append(after_id)
        assert len(asked) < 100, "it never ends"
        return BatchPage(tuple(map(api.told, api.batches)), has_more=True)

    with monkeypatch.context() as patch:
        patch.setattr(api, "page", page)
        for _ in range(10):
            assert once(project, api, after_s=60).exit_code == ExitCode.UNFINISHED
    assert len(asked) == 20, "twice the same page is enough to know"
    assert states(project) == ["prepared"]

    assert until(project, api) == [0]
    assert_books_agree(project, api)


# --- clocks


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
    assert_books_agree(project, api)


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

    assert until(project, api, every_s=MINUTE_S, most=20) == [0]
    assert_books_agree(project, api)


def test_a_clock_that_is_set_forward_between_two_calls_does_not_end_the_wait(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From cron: only the API's own clock tells that the hour has not gone by."""
    set_forward_s = 0.0

    async def page(*, after_id: str | None = None, limit: int = 1000) -> BatchPage:
        listed = await BatchApi.page(api, after_id=after_id, limit=limit)
        return replace(listed, told_at=api.clock() - set_forward_s)

    monkeypatch.setattr(api, "page", page)
    project.documents(3)
    api.takes_s = HOUR_S
    api.creating, api.hidden = [LOST], True
    once(project, api)
    once(project, api, after_s=7)
    set_forward_s = HOUR_S
    api.clock.skip(HOUR_S)
    once(project, api)
    once(project, api, after_s=7)
    api.hidden = False

    until(project, api, every_s=MINUTE_S, most=200)
    assert api.sizes == [3]
    assert_books_agree(project, api)


def test_a_clock_that_is_set_forward_while_a_batch_is_looked_for_does_not_end_the_wait(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch shows up in the list half a minute after its call; by then the clock has been an hour ahead."""
    project.documents(3)
    api.creating = [LOST]
    began = asyncio.Event()

    async def page(*, after_id: str | None = None, limit: int = 1000) -> BatchPage:
        seconds = asyncio.get_running_loop().time()
        if seconds > 8 and not began.is_set():
            began.set()
            api.clock.skip(HOUR_S)
        api.hidden = seconds < 30
        return await BatchApi.page(api, after_id=after_id, limit=limit)

    monkeypatch.setattr(api, "page", page)

    assert waiting(project, api).exit_code == ExitCode.OK
    assert began.is_set()
    assert api.sizes == [3]
    assert_books_agree(project, api)


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


# --- by hand


def test_a_batch_that_exists_is_not_given_up(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)

    with pytest.raises(UsageProblem, match="paid twice"):
        by_hand(project, lambda opened: resend(opened, provider=api, batch_no=1))

    assert until(project, api) == [0]
    assert api.calls["create"] == 1
    assert_books_agree(project, api)


def test_a_batch_that_has_an_id_is_not_given_another(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    api.somebody_elses(3)

    with pytest.raises(UsageProblem, match="no batch in doubt has the number 1"):
        by_hand(project, lambda opened: adopt(opened, "msgbatch_2", provider=api, batch_no=1))

    assert project.ask("select batch_id, adopted from batches") == [("msgbatch_1", 0)]


# --- money


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
    assert_books_agree(project, api)


def test_answers_of_a_model_without_a_price_are_collected_at_their_worst(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    reserved = committed(project)
    project.ask("update batches set model = 'claude-of-old'", commit=True)

    summary = once(project, api, after_s=70)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 3}
    assert committed(project) == reserved


def test_an_account_that_may_not_spend_costs_no_document_an_attempt(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.default = status(402, "Your credit balance is too low", error_type="billing_error")

    for _ in range(5):
        assert until(project, api) == [ExitCode.STOPPED]
    assert set(project.statuses().values()) == {"pending"}

    api.default = answer()
    assert until(project, api) == [0]
    assert_books_agree(project, api)


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
    assert_books_agree(project, api)


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


def test_what_has_ended_is_collected_whatever_is_refused(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    project.documents(2_000)
    batched(project, budget="max_cost_usd = 0.01\nmax_documents = 5")
    api.clock.skip(70)

    with pytest.raises(Refused):
        project.submit(api, options=SubmitOptions())

    assert states(project) == ["collected"]
    assert_books_agree(project, api)


# --- downloads, and batches that are gone


def test_no_document_is_lost_to_downloads_that_end_early_without_an_error(project: TrialProject, api: BatchApi) -> None:
    project.documents(10)
    ends = iter(range(5, 100, 2))
    api.arranged = lambda results: results[: next(ends)]

    assert until(project, api) == [0]
    assert_books_agree(project, api)


def test_a_batch_that_was_deleted_does_not_keep_the_others_from_being_collected(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(25)
    once(project, api)
    api.batches.pop(0)

    summary = once(project, api, after_s=70)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert "msgbatch_1" in str(summary.halted)
    assert states(project) == ["submitted", "collected", "collected"]
    assert api.calls["create"] == 3, "nothing is created meanwhile"


@pytest.mark.parametrize("code", [404, 410])
def test_results_that_are_refused_are_asked_for_again(project: TrialProject, api: BatchApi, code: int) -> None:
    project.documents(25)
    once(project, api)
    api.refused["results"] = status(code, "results not available")

    for _ in range(3):
        summary = once(project, api, after_s=70)
        assert (summary.exit_code, summary.halted) == (ExitCode.UNFINISHED, None)
    assert states(project) == ["ended"] * 3

    del api.refused["results"]
    assert until(project, api) == [0]
    assert_books_agree(project, api)


# --- outages and neighbours


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


def test_an_api_that_answers_nobody_for_an_hour_is_waited_for_while_batches_are_open(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    once(project, api)
    project.documents(5)
    unreachable = lost(Cause.UNREACHABLE)
    api.refused = {"page": unreachable, "retrieve": unreachable}
    heals_at = api.clock() + HOUR_S

    def healing(_: Event) -> None:
        if api.clock() > heals_at:
            api.refused.clear()

    assert waiting(project, api, listener=healing).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_a_neighbour_that_dies_while_it_streams_the_same_request_is_not_waited_for(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(1)
    batched(project, "second", route="stream")

    def neighbour_dies(event: Event) -> None:
        """After the job has begun, another begins the same request, and is killed."""
        if not isinstance(event, RunStarted):
            return
        plan = RunPlan(
            job="second", job_path="jobs/second.toml", fingerprint="f", model="m", simulated=False, documents=1,
            to_send=1, cap_nusd=10**9, estimate_nusd=1, estimate_low_nusd=1, estimate_high_nusd=1,
        )  # fmt: skip
        with contextlib.closing(Ledger.open(project.ledger_path)) as ledger, ledger.transaction():
            (work,) = ledger.pending(1, since=0, after=0, limit=2)
            run_no = ledger.begin_run(plan, run_id="dead")
            assert isinstance(ledger.reserve(work, Amount(10), run_no=run_no, job="second", model="m"), int)

    summary = waiting(project, api, most_s=HOUR_S, listener=neighbour_dies)

    assert summary.exit_code == ExitCode.OK
    assert project.ask("select state, cause from attempts where job = 'second'") == [("unknown", "process died")]
    assert api.calls["page"] < 10


# --- how it is told


def test_as_long_as_batches_are_open_it_is_not_finished_whatever_failed(project: TrialProject, api: BatchApi) -> None:
    """One document failed in a batch of its own; those of the other batch are not asked for."""
    project.documents(3)
    first, others = (frozenset({"docs/0000.txt"}), frozenset({"docs/0001.txt", "docs/0002.txt"}))
    api.script["text 0"] = [WRONG]
    once(project, api, Selection(ids=first))
    once(project, api, Selection(ids=others), after_s=30)

    summary = once(project, api, Selection(ids=first), after_s=35)

    assert states(project) == ["collected", "submitted"]
    assert summary.outcomes == {Outcome.REJECTED: 1}
    assert summary.exit_code == ExitCode.UNFINISHED


class HeldOutput(Unpublished):
    """Somebody has the file open."""

    def publish(self, *, wait_s: float) -> int:
        raise HeldByAnother("results/out.duckdb", "somebody")


def test_a_cancel_is_written_down_though_somebody_holds_the_output(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)
    once(project, api)
    monkeypatch.setattr(OpenStore, "output", lambda *_: HeldOutput())

    with open_store(project.root / "jobs/trial.toml", simulated=False) as opened:
        done = cancel(opened, 1, provider=api, listener=project.events.append, waits=True)

    assert (done.canceled, done.still_open, done.pending, done.halted) == (1, 0, 3, None)
    assert isinstance(done.unpublished, HeldByAnother)
    assert states(project) == ["collected"]
    assert project.ask("select state, note from runs") == [("stopped", "canceled")]
