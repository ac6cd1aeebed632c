"""A cancel collects what had finished and puts the rest back."""

from collections import Counter

import pytest
from batch_submits import (
    COST_NUSD,
    HOUR_S,
    INTERVALS,
    LOST,
    assert_books_agree,
    batched,
    canceling,
    once,
    open_attempts,
    states,
    submit,
)
from scripted_batches_memory import BatchApi
from scripted_provider import lost
from trial_project import TrialProject, Unpublished, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import ExitCode
from batchrun.workflow.batch_recovery import cancel
from batchrun.workflow.open_job import OpenStore, open_store

pytestmark = pytest.mark.slow


def test_cancel_collects_what_had_finished_and_puts_the_rest_back(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"max_requests = 4\n{INTERVALS}")
    project.documents(8)
    once(project, api)
    api.batches[0].ends_at = api.clock() + 10
    api.clock.skip(20)

    done = canceling(project, api)

    assert (done.canceled, done.still_open, done.pending, done.exit_code) == (2, 0, 4, 0)
    assert Counter(project.statuses().values()) == {"succeeded": 4, "pending": 4}
    assert states(project) == ["collected", "collected"]
    assert project.ask("select state, committed_nusd from runs") == [("stopped", 4 * COST_NUSD)]
    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_a_cancel_does_not_use_up_attempts(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    for _ in range(5):
        once(project, api)
        canceling(project, api)

    assert set(project.statuses().values()) == {"pending"}
    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


def test_a_cancel_without_waiting_is_gone_on_with(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    once(project, api)

    first = canceling(project, api, waits=False)
    api.clock.skip(30)
    second = canceling(project, api, waits=False)

    assert (first.exit_code, first.still_open) == (ExitCode.UNFINISHED, 1)
    assert (second.exit_code, second.still_open, second.pending) == (ExitCode.OK, 0, 2)


def test_a_cancel_that_was_not_heard_is_asked_for_again(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    api.takes_s = 10 * HOUR_S
    once(project, api)
    api.refused["cancel"] = lost()
    canceling(project, api, waits=False)
    del api.refused["cancel"]

    done = canceling(project, api)

    assert done.exit_code == ExitCode.OK
    assert api.canceled == ["msgbatch_1"]
    assert api.clock() - api.batches[0].created_at < HOUR_S


def test_a_cancel_settles_a_batch_in_doubt_first(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    api.creating = [LOST]
    api.takes_s = 10 * HOUR_S
    once(project, api)

    done = canceling(project, api)

    assert (done.exit_code, done.pending) == (ExitCode.OK, 2)
    assert api.canceled == ["msgbatch_1"]
    assert states(project) == ["collected"]
    assert open_attempts(project) == 0


def test_a_batch_found_without_its_size_may_be_somebody_elses_and_is_not_canceled(
    project: TrialProject, api: BatchApi
) -> None:
    """Its results tell whose it is."""
    project.documents(2)
    api.creating = [LOST]
    api.takes_s = HOUR_S
    api.counts_told = False
    once(project, api)

    done = canceling(project, api)

    assert (done.exit_code, done.pending) == (ExitCode.OK, 0)
    assert api.canceled == []
    assert_books_agree(project, api)


def test_nothing_to_cancel(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    submit(project, api)

    done = canceling(project, api)

    assert (done.canceled, done.exit_code) == (0, ExitCode.OK)
    assert project.ask("select state from runs") == [("finished",)]


class HeldOutput(Unpublished):
    """Somebody has the file open."""

    def publish(self, *, wait_s: float) -> int:
        raise LockedByAnother("results/out.duckdb", "somebody")


def test_a_cancel_is_written_down_though_somebody_holds_the_output(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)
    once(project, api)
    monkeypatch.setattr(OpenStore, "output", lambda *_: HeldOutput())

    with open_store(project.root / "jobs/trial.toml", simulated=False) as opened:
        done = run_async(cancel(opened, 1, caller_of(api, project.events.append), waits=True))

    assert (done.canceled, done.still_open, done.pending, done.halted) == (1, 0, 3, None)
    assert isinstance(done.unpublished, LockedByAnother)
    assert states(project) == ["collected"]
    assert project.ask("select state, note from runs") == [("stopped", "canceled")]
