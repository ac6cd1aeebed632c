"""`submit --no-wait` does what is due and returns, so that it may be called again and again."""

import pytest
from batch_submits import SMALL, again_and_again, assert_books_agree, batched, once, states, submit
from scripted_batches_memory import WRONG, BatchApi
from trial_project import TrialProject

from batchrun.errors import Busy, ExitCode
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.store.ledger.job_lock import job_lock
from batchrun.strategy.plan import Kind


@pytest.mark.slow
def test_no_wait_does_what_is_due_and_says_10_until_all_is_settled(project: TrialProject, api: BatchApi) -> None:
    project.documents(15)

    first = once(project, api)

    assert first.exit_code == ExitCode.UNFINISHED
    assert first.outcomes == {None: 15}
    assert [batch.requests for batch in first.open_batches] == [10, 5]
    assert first.totals is not None
    assert first.totals.open_nusd > 0
    assert project.ask("select state, exit_code from runs") == [("waiting", 10)]
    assert once(project, api, after_s=1).exit_code == ExitCode.UNFINISHED
    assert api.calls["create"] == 2
    assert again_and_again(project, api)[-1] == ExitCode.OK
    assert len(project.ask("select 1 from runs")) == 1
    assert_books_agree(project, api)


@pytest.mark.slow
def test_called_every_second_it_settles_everything_and_asks_no_more_than_is_due(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(12)

    codes = again_and_again(project, api, every_s=1)

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.calls["retrieve"] <= 2 * 8, "a batch of a minute, asked for every ten seconds"
    assert_books_agree(project, api)


@pytest.mark.slow
def test_no_wait_collects_what_ended_and_submits_what_fits_in_one_call(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"{SMALL}\nmax_queued = 10")
    project.documents(25)
    once(project, api)
    assert api.sizes == [10]

    summary = once(project, api, after_s=61)

    assert api.sizes == [10, 10], "the next is submitted as soon as the first has ended"
    assert summary.outcomes == {None: 15, Outcome.SUCCEEDED: 10}
    assert again_and_again(project, api)[-1] == 0
    assert api.sizes == [10, 10, 5]


@pytest.mark.slow
def test_a_submit_that_waits_goes_on_where_no_wait_left_off(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    once(project, api)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.sizes == [5]
    assert project.plans[-1].counts[Kind.IN_BATCH] == 5
    assert project.plans[-1].to_send == 0
    assert len(project.ask("select 1 from runs")) == 1


def test_a_job_that_another_process_has_is_busy(project: TrialProject, api: BatchApi) -> None:
    project.documents(1)
    with job_lock(project.ledger_path, "trial"), pytest.raises(Busy) as busy:
        once(project, api)

    assert busy.value.exit_code == 75
    assert api.calls["create"] == 0


@pytest.mark.slow
def test_documents_that_come_while_batches_are_open_go_into_another(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    project.document("late.txt", "a late one")

    once(project, api, after_s=1)

    assert [remote.prompts for remote in api.batches][1:] == [["a late one"]]
    assert again_and_again(project, api)[-1] == 0
    assert_books_agree(project, api)


@pytest.mark.slow
def test_a_limit_sends_that_many_and_the_rest_later(project: TrialProject, api: BatchApi) -> None:
    project.documents(6)

    assert submit(project, api, Selection(limit=2)).exit_code == ExitCode.OK
    assert api.sizes == [2]
    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [2, 4]
    assert_books_agree(project, api)


@pytest.mark.slow
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
