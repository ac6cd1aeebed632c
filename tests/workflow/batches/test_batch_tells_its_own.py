"""Several jobs and programs share a workspace: each ends with its own batches, and a wrong adoption is undone."""

import contextlib
from collections import Counter
from typing import Any

import pytest
from batch_submits import (
    COST_NUSD,
    HOUR_S,
    LOST,
    MINUTE_S,
    NOTHING_CAME,
    again_and_again,
    assert_books_agree,
    assert_books_agree_in_the_end,
    batched,
    given_history,
    once,
    until,
    waiting,
)
from run_caps import run_caps
from scripted_batches_memory import BatchApi, result
from scripted_provider import lost
from trial_project import TrialProject

from batchrun.batch import BatchBody, RemoteBatch
from batchrun.budget.caps import Amount
from batchrun.errors import ExitCode
from batchrun.events import Event, RunStarted
from batchrun.reply import Cause
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import RunPlan
from batchrun.store.ledger.runs import Runs

pytestmark = pytest.mark.slow

READ = 'user = "Read: {{ doc.text }}"'
"""Another prompt: a second job over the same documents, with batches of the same size."""


def test_a_wrong_adoption_is_undone_without_loss(project: TrialProject, api: BatchApi) -> None:
    given_history(project, api)
    project.documents(5)
    api.creating = [NOTHING_CAME]
    once(project, api)
    api.clock.skip(1)
    api.somebody_elses(5)  # the same size, at the same time

    codes = again_and_again(project, api)

    assert codes[-1] == 0
    assert api.sizes == [1, 5, 5]
    assert Counter(project.statuses().values()) == {"succeeded": 6}
    theirs = {prompt for prompt in api.billed if prompt.startswith("theirs")}
    assert len(theirs) == 5
    assert project.ask("select sum(committed_nusd) from runs") == [(6 * COST_NUSD,)]
    assert "msgbatch_2" in [batch_id for (batch_id,) in project.ask("select batch_id from foreign_batches")]


def test_a_wrong_adoption_is_undone_and_the_right_one_is_found(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.creating = [LOST]
    api.hidden = True
    once(project, api)
    api.hidden = False
    ours = api.batches.pop()
    api.somebody_elses(5)
    once(project, api, after_s=10)  # adopts the wrong one
    api.batches.insert(0, ours)
    api.batches[1].batch_id, ours.batch_id = "msgbatch_theirs", "msgbatch_ours"
    project.ask("update batches set batch_id = 'msgbatch_theirs'", commit=True)

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1
    assert project.ask("select batch_id from batches") == [("msgbatch_ours",)]


def test_two_jobs_in_doubt_at_once_with_batches_of_one_find_their_own(project: TrialProject, api: BatchApi) -> None:
    """Both are of the same size, and were created at the same time: only the custom_ids tell them apart."""
    project.document("a.txt", "the one")
    batched(project, "second", prompt='user = "Read: {{ doc.text }}"')
    api.creating = [LOST, LOST]
    api.hidden = True
    once(project, api)
    once(project, api, job="second")
    api.hidden = False
    api.clock.skip(70)  # both have ended

    first = again_and_again(project, api)
    second = again_and_again(project, api, job="second")

    assert (first[-1], second[-1]) == (0, 0)
    assert api.calls["create"] == 2
    assert_books_agree(project, api)


def test_another_jobs_batch_is_not_taken_from_it_for_good(project: TrialProject, api: BatchApi) -> None:
    """One job adopts the other's batch by mistake and gives it back."""
    project.document("a.txt", "the one")
    batched(project, "second", prompt='user = "Read: {{ doc.text }}"')
    api.creating = [NOTHING_CAME, LOST]
    once(project, api)
    api.clock.skip(1)
    once(project, api, job="second")
    once(project, api, after_s=10)  # takes the second job's batch for its own

    codes = [again_and_again(project, api, job=job)[-1] for job in ("trial", "second", "trial")]

    assert codes == [6, 0, 0], "the list proves that it was never created once it is known to show one of ours"
    assert api.calls["create"] == 3
    assert_books_agree(project, api)


def test_an_adopted_batch_without_a_single_result_is_no_proof_that_it_was_somebody_elses(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    api.creating = [LOST]
    downloads: list[int] = []

    def empty_at_first(results: list[Any]) -> list[Any]:
        downloads.append(1)
        return [] if len(downloads) == 1 else results

    api.arranged = empty_at_first

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1
    assert_books_agree(project, api)


def test_an_unreadable_first_line_does_not_make_our_batch_somebody_elses(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.creating = [LOST]
    once(project, api)
    api.somebody_elses(3)
    api.arranged = lambda results: [result("", lost(Cause.MALFORMED)), *results]

    assert again_and_again(project, api)[-1] == 0
    assert api.calls["create"] == 1


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
    assert_books_agree_in_the_end(project, api)


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
    assert_books_agree_in_the_end(project, api)


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
            run_no = Runs(ledger).begin_run(plan, run_id="dead")
            caps = run_caps(ledger, run_no)
            assert isinstance(ledger.reserve(work, Amount(10), run_no=run_no, job="second", model="m", caps=caps), int)

    summary = waiting(project, api, most_s=HOUR_S, listener=neighbour_dies)

    assert summary.exit_code == ExitCode.OK
    assert project.ask("select state, cause from attempts where job = 'second'") == [("unknown", "process died")]
    assert api.calls["page"] < 10
