"""A submit after one that was cut short goes on where that one stopped, in the same run and on the same account."""

import os
import signal

import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.events import RunStarted
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.request import Request
from batchrun.store.ledger.runs import Runs


async def interrupting(_: Request) -> Reply:
    """A step during which Ctrl-C is pressed."""
    os.kill(os.getpid(), signal.SIGINT)
    return answer()


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_run_cut_short_is_continued_on_its_own_account(project: TrialProject) -> None:
    project.documents(10)
    cut = project.submit(ScriptedProvider({"text 3": [interrupting]}))
    spent = project.ask("select committed_nusd from runs")[0][0]
    provider = ScriptedProvider()

    whole = project.submit(provider)

    assert cut.exit_code == ExitCode.INTERRUPTED
    assert cut.outcomes[None] >= 1
    assert whole.exit_code == ExitCode.OK
    assert whole.totals is not None
    assert cut.totals is not None
    assert whole.totals.run_id == cut.totals.run_id
    assert whole.plan.spent_nusd == spent > 0
    assert project.ask("select state, committed_nusd from runs") == [("finished", 10 * 150_000)]
    assert [event.resumed for event in project.events if isinstance(event, RunStarted)] == [False, True]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_what_a_dead_process_left_open_is_held(project: TrialProject) -> None:
    project.documents(2)
    project.submit(ScriptedProvider({"text 0": [BAD_KEY]}))
    with project.opened() as opened, opened.ledger.transaction():
        opened.ledger.connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at)"
            " values (1, 1, 'trial', 'docs/0000.txt', 'open', 5000000, 0)"
        )
        opened.ledger.connection.execute("update runs set state = 'running'")

    summary = project.submit(ScriptedProvider())

    assert summary.totals is not None
    assert (summary.totals.lost, summary.totals.held_nusd) == (1, 5_000_000)
    assert (summary.plan.committed_nusd, summary.plan.held_nusd, summary.plan.spent_nusd) == (5_000_000, 5_000_000, 0)
    assert summary.exit_code == ExitCode.OK


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_money_held_for_lost_answers_keeps_no_run_from_going_on(project: TrialProject) -> None:
    """A run that was killed a few times: nearly all of its budget is held, and next to nothing is spent."""
    project.documents(20)
    project.submit(ScriptedProvider({"text 0": [BAD_KEY]}))
    with project.opened() as opened, opened.ledger.transaction():
        cap_nusd, worst_nusd = 1_000_000_000, 1_300_000
        opened.ledger.connection.execute(
            "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, started_at)"
            " values (1, 1, 'trial', 'docs/0000.txt', 'unknown', ?, 0)",
            (cap_nusd - 5 * worst_nusd,),
        )

    summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 20}
    with project.opened() as opened:
        run = Runs(opened.ledger).last_run("trial")
    assert run is not None
    assert run.committed_nusd <= cap_nusd


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_job_file_changed_in_the_middle_begins_a_new_run(project: TrialProject) -> None:
    project.documents(4)
    project.submit(ScriptedProvider({"text 1": [interrupting]}))
    project.job(prompt='user = "Read: {{ doc.text }}"')
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert len(provider.sent) == 4
    assert summary.plan.spent_nusd == 0
    assert len(project.ask("select 1 from runs")) == 2
    assert summary.exit_code == ExitCode.OK


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_pending_document_that_left_the_source_does_not_keep_the_run_open(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=BAD_KEY))
    (project.root / "docs/0001.txt").unlink()

    summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.OK
    assert project.statuses() == {"0000.txt": "succeeded", "0001.txt": "unreadable", "0002.txt": "succeeded"}
    assert project.ask("select state from runs") == [("finished",)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_pending_document_outside_the_selection_stays_pending(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=BAD_KEY))

    project.submit(ScriptedProvider(), Selection(ids=frozenset({"docs/0000.txt"})))

    assert project.statuses() == {"0000.txt": "succeeded", "0001.txt": "pending", "0002.txt": "pending"}
    assert project.ask("select state from runs") == [("stopped",)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_job_file_that_changes_back_continues_what_was_pending(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=BAD_KEY))
    project.job(prompt='user = "Read: {{ doc.text }}"')
    project.submit(ScriptedProvider())
    project.job()
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert len(provider.sent) == 3
    assert summary.outcomes == {Outcome.SUCCEEDED: 3}


@pytest.mark.usefixtures("no_output")
def test_a_renamed_job_file_goes_on(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider())
    project.job("trial", file="renamed")
    (project.root / "jobs/trial.toml").unlink()
    provider = ScriptedProvider()

    project.submit(provider, job="renamed")

    assert provider.sent == []
