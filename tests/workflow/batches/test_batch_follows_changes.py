"""Documents, job files and routes may change while batches are open; nothing is paid twice."""

import sqlite3
from collections import Counter
from importlib import resources

import pytest
from batch_submits import (
    HOUR_S,
    again_and_again,
    assert_books_agree,
    batched,
    canceling,
    once,
    open_attempts,
    states,
    submit,
)
from scripted_batches_memory import EXPIRED, BatchApi
from scripted_provider import BAD_KEY, ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.errors import ExitCode

pytestmark = pytest.mark.slow


def test_a_document_that_changes_while_its_batch_is_open_is_sent_as_it_is_now(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    once(project, api)
    project.document("0001.txt", "changed")

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK
    assert [remote.prompts for remote in api.batches][1:] == [["changed"]]
    rows = "select r.outcome, d.row_request_no = d.request_no from documents d join requests r using (request_no)"
    assert project.ask(rows) == [("succeeded", 1)] * 3
    assert open_attempts(project) == 0
    assert max(api.paid.values()) == 1


def test_a_document_that_changes_back_is_answered_by_the_batch_it_is_in(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    project.document("0001.txt", "changed")
    project.document("0001.txt", "text 1")

    assert again_and_again(project, api)[-1] == ExitCode.OK
    assert api.sizes == [3]


def test_a_document_that_disappears_while_its_batch_is_open(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)
    (project.root / "docs/0001.txt").unlink()

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK, "it is not selected any more"
    assert states(project) == ["collected"]
    assert_books_agree(project, api)


def test_batches_of_a_document_that_nobody_wants_any_more_are_collected_and_make_no_runs(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(1)
    api.takes_s = HOUR_S
    once(project, api)
    project.document("0000.txt", "changed")
    api.takes_s = 10.0

    again_and_again(project, api, every_s=60)

    assert states(project) == ["collected", "collected"]
    assert len(project.ask("select 1 from runs")) <= 2, "not one for every call"
    assert_books_agree(project, api)


def test_a_job_file_that_changes_while_batches_are_open_begins_a_new_run_and_collects_the_old(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(3)
    once(project, api)
    batched(project, prompt='user = "Read: {{ doc.text }}"')

    codes = again_and_again(project, api)

    assert codes[-1] == ExitCode.OK
    assert states(project) == ["collected"] * 2
    assert len(project.ask("select 1 from runs")) == 2
    assert Counter(project.statuses().values()) == {"succeeded": 3}
    assert_books_agree(project, api)


def test_switching_to_streaming_with_open_batches_pays_nothing_twice(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    once(project, api)
    project.document("late.txt", "a late one")
    api.script["text 2"] = [EXPIRED]

    summary = submit(project, api, route="stream")

    assert summary.exit_code == ExitCode.OK
    assert sorted(api.streaming.sent) == ["a late one", "text 2"]
    assert api.sizes == [5]
    assert_books_agree(project, api)


def test_switching_to_streaming_without_waiting(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    once(project, api)

    codes = again_and_again(project, api, route="stream")

    assert codes == [10] * (len(codes) - 1) + [0]
    assert api.streaming.sent == []
    assert_books_agree(project, api)


def test_switching_back_to_batches_after_a_stream_was_stopped(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    api.streaming = ScriptedProvider({"text 3": [BAD_KEY]})
    batched(project, run="", route="stream")
    submit(project, api)
    sent = [prompt for prompt in api.streaming.sent if prompt != "text 3"]
    batched(project)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert sorted(sent + [prompt for remote in api.batches for prompt in remote.prompts]) == [
        f"text {number}" for number in range(5)
    ]
    assert len(project.ask("select 1 from runs")) == 1


def test_two_jobs_with_the_same_requests_pay_once(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    batched(project, "second")
    once(project, api)

    waiting = once(project, api, job="second")
    assert waiting.exit_code == ExitCode.UNFINISHED
    assert api.sizes == [3]
    assert again_and_again(project, api)[-1] == 0
    done = once(project, api, job="second")

    assert done.exit_code == ExitCode.OK
    assert set(project.statuses("second").values()) == {"succeeded"}
    assert_books_agree(project, api)


def test_a_second_job_in_the_foreground_waits_for_the_firsts_batch(project: TrialProject, api: BatchApi) -> None:
    """It cannot collect the other's batch; it says so, and does not spin or send."""
    project.documents(3)
    batched(project, "second")
    once(project, api)

    summary = submit(project, api, job="second")

    assert summary.exit_code == ExitCode.UNFINISHED
    assert api.sizes == [3]


def test_a_second_job_goes_on_when_the_firsts_batch_expired(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    batched(project, "second")
    api.default = EXPIRED
    once(project, api)
    once(project, api, job="second")
    api.clock.skip(70)
    canceling(project, api)
    api.default = answer()

    assert again_and_again(project, api, job="second")[-1] == 0
    assert again_and_again(project, api)[-1] == 0
    assert_books_agree(project, api)


def test_a_ledger_of_the_version_before_batches_goes_on_with_them(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    project.ledger_path.parent.mkdir()
    with sqlite3.connect(project.ledger_path) as connection:
        connection.executescript(
            resources.files("batchrun.store.migrations").joinpath("01_ledger.sql").read_text("utf-8")
        )
        connection.execute("insert into meta values ('ledger_id', 'old'), ('sequence', 0)")
        connection.execute("pragma user_version = 1")
    connection.close()

    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)
