"""Every request of a batch is settled by what came back for it, and is tried again where that costs nothing."""

from typing import Any

import pytest
from batch_submits import COST_NUSD, assert_books_agree, open_attempts, submit, until
from scripted_batches_memory import BROKE, CANCELED, EXPIRED, WRONG, BatchApi
from scripted_provider import OVERLOADED, TURNED_AWAY, answer, lost, status
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Cause

FATES: dict[str, tuple[list[Any], str, int]] = {
    "an answer": ([answer()], "succeeded", 1),
    "nonsense": ([answer("nonsense")], "invalid", 1),
    "a refusal": ([answer("", stop_reason="refusal")], "refused", 1),
    "max_tokens": ([answer("{", stop_reason="max_tokens")], "truncated", 1),
    "invalid_request": ([WRONG], "rejected", 1),
    "too large": ([status(413, error_type="request_too_large")], "rejected", 1),
    "api_error once": ([BROKE, answer()], "succeeded", 2),
    "api_error always": ([BROKE], "errored", 3),
    "overloaded always": ([OVERLOADED], "errored", 3),
    "rate limited twice": ([TURNED_AWAY, TURNED_AWAY, answer()], "succeeded", 3),
    "an error nobody knows": ([status(None, error_type="teapot_error"), answer()], "succeeded", 2),
    "expired once": ([EXPIRED, answer()], "succeeded", 2),
    "expired always": ([EXPIRED], "expired", 3),
    "canceled by somebody else, once": ([CANCELED, answer()], "succeeded", 2),
    "canceled by somebody else, always": ([CANCELED], "canceled", 3),
    "one of each": ([EXPIRED, BROKE, answer()], "succeeded", 3),
    "a message that cannot be read": ([lost(Cause.MALFORMED)], "errored", 1),
}


@pytest.mark.slow
@pytest.mark.parametrize(("fates", "outcome", "batches"), FATES.values(), ids=FATES)
def test_what_becomes_of_a_document(
    project: TrialProject, api: BatchApi, fates: list[Any], outcome: str, batches: int
) -> None:
    project.documents(4)
    api.script["text 1"] = fates

    summary = submit(project, api)

    assert project.statuses() == {
        "0000.txt": "succeeded", "0001.txt": outcome, "0002.txt": "succeeded", "0003.txt": "succeeded",
    }  # fmt: skip
    assert summary.exit_code == (ExitCode.OK if outcome == "succeeded" else ExitCode.SOME_FAILED)
    assert api.sizes == [4] + [1] * (batches - 1)
    assert open_attempts(project) == 0


@pytest.mark.slow
@pytest.mark.parametrize("fate", [EXPIRED, CANCELED, BROKE, WRONG], ids=["expired", "canceled", "errored", "invalid"])
def test_what_was_not_processed_costs_nothing(project: TrialProject, api: BatchApi, fate: Any) -> None:
    project.documents(3)
    api.script["text 1"] = [fate]

    summary = submit(project, api)

    assert summary.totals is not None
    assert (summary.totals.cost_nusd, summary.totals.held_nusd) == (2 * COST_NUSD, 0)
    assert_books_agree(project, api)


def test_a_message_that_cannot_be_read_is_held_at_its_worst(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    api.script["text 1"] = [lost(Cause.MALFORMED)]

    summary = submit(project, api)

    assert summary.totals is not None
    assert summary.totals.cost_nusd == COST_NUSD
    assert summary.totals.held_nusd > COST_NUSD


@pytest.mark.slow
def test_retry_sends_what_failed_in_batches_as_often_as_at_first(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.script["text 1"] = [EXPIRED] * 5 + [answer()]
    assert submit(project, api).exit_code == ExitCode.SOME_FAILED
    assert project.statuses()["0001.txt"] == "expired"

    summary = submit(project, api, Selection(again=frozenset({Outcome.EXPIRED})))

    assert summary.exit_code == ExitCode.OK, "three attempts more: two expire, the third is answered"
    assert api.sizes == [3, 1, 1, 1, 1, 1]
    assert_books_agree(project, api)


@pytest.mark.slow
def test_failed_documents_are_left_alone_by_the_next_submit(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.script["text 1"] = [EXPIRED]
    submit(project, api)
    created = api.calls["create"]

    assert submit(project, api).exit_code == ExitCode.SOME_FAILED
    assert api.calls["create"] == created


@pytest.mark.slow
def test_a_retry_may_stream_what_failed_in_a_batch(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.script["text 1"] = [BROKE]
    submit(project, api)

    summary = submit(project, api, Selection(again=frozenset({Outcome.ERRORED})), route="stream")

    assert summary.exit_code == ExitCode.OK
    assert api.streaming.sent == ["text 1"]
    assert_books_agree(project, api)


@pytest.mark.slow
def test_when_everything_is_rejected_alike_the_job_file_is_wrong(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    api.default = WRONG

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.STOPPED
    assert "rejected" in str(summary.halted)
    assert api.calls["create"] == 3, "no more are sent"


@pytest.mark.slow
def test_a_few_that_are_rejected_alike_do_not_stop_the_job(project: TrialProject, api: BatchApi) -> None:
    project.documents(25)
    api.script = {f"text {number}": [WRONG] for number in range(9)}

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert summary.outcomes == {Outcome.SUCCEEDED: 16, Outcome.REJECTED: 9}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (status(402, "no credit", error_type="billing_error"), ExitCode.STOPPED),
        (status(401, "key revoked", error_type="authentication_error"), ExitCode.ENVIRONMENT),
        (status(403, "not yours", error_type="permission_error"), ExitCode.ENVIRONMENT),
        (status(404, "model: none", error_type="not_found_error"), ExitCode.ENVIRONMENT),
    ],
    ids=["billing", "401", "403", "404"],
)
def test_an_error_that_would_meet_every_other_stops_the_job_and_keeps_the_documents(
    project: TrialProject, api: BatchApi, error: Any, code: ExitCode
) -> None:
    project.documents(3)
    api.default = error

    stopped = submit(project, api)
    api.default = answer()
    mended = submit(project, api)

    assert stopped.exit_code == code
    assert stopped.outcomes == {None: 3}
    assert api.calls["create"] == 2
    assert mended.exit_code == ExitCode.OK
    assert_books_agree(project, api)


REFUSAL = status(400, "the gateway's policy allows no requests of this key", error_type="invalid_request_error")


@pytest.mark.slow
def test_rejections_alike_that_begin_later_stop_the_job_and_their_documents_stay_pending(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(45)
    api.script = {f"text {number}": [REFUSAL] for number in range(10, 45)}

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.STOPPED
    assert REFUSAL.message in str(summary.halted)
    assert set(summary.outcomes) <= {Outcome.SUCCEEDED, None}, "no document is to blame"
    assert summary.outcomes[None] >= 35
    api.script = {}
    while summary.exit_code != ExitCode.OK:  # batches that were under way tell of the past first
        assert api.calls["create"] < 20
        summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 45}
    assert_books_agree(project, api)


@pytest.mark.slow
def test_a_few_rejections_alike_are_not_final_before_the_open_batches_have_ended(
    project: TrialProject, api: BatchApi
) -> None:
    """The first batch ends soon, with answers, and the last one, which is small; then the others end."""
    project.documents(45)
    api.script = {f"text {number}": [REFUSAL] for number in range(10, 45)}
    takes_s = iter([1.0, 300.0, 300.0, 300.0, 1.0])
    api.creating = [lambda: setattr(api, "takes_s", next(takes_s))] * 5

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.STOPPED
    assert set(summary.outcomes) <= {Outcome.SUCCEEDED, None}, "no document is to blame"
    api.script = {}
    assert until(project, api)[-1] == ExitCode.OK
    assert_books_agree(project, api)


@pytest.mark.slow
def test_what_is_held_back_is_final_in_the_end_and_is_not_sent_meanwhile(project: TrialProject, api: BatchApi) -> None:
    project.documents(15)
    api.script = {"text 10": [REFUSAL], "text 11": [REFUSAL]}
    takes_s = iter([300.0, 1.0])
    api.creating = [lambda: setattr(api, "takes_s", next(takes_s))] * 2

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 13, Outcome.REJECTED: 2}
    assert api.sizes == [10, 5]
    assert_books_agree(project, api)


@pytest.mark.slow
def test_a_rejection_that_stopped_the_job_has_spent_no_attempt(project: TrialProject, api: BatchApi) -> None:
    project.job(run='route = "batch"', retry="max_attempts = 2", batch="max_requests = 10\npoll_interval = '10s'")
    project.documents(5)
    api.default = REFUSAL
    submit(project, api)
    api.default, api.script = answer(), {"text 1": [BROKE, answer()]}

    assert submit(project, api).outcomes == {Outcome.SUCCEEDED: 5}


@pytest.mark.slow
def test_batches_whose_answers_all_bring_no_row_are_not_paid_to_the_end(project: TrialProject, api: BatchApi) -> None:
    project.job(run='route = "batch"', batch="max_requests = 10\nmax_queued = 20\npoll_interval = '10s'")
    project.documents(100)
    api.default = answer("Certainly! Here is what I found.")

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.STOPPED
    assert "brought no row" in str(summary.halted)
    assert summary.outcomes == {Outcome.INVALID: 20, None: 80}
    assert api.calls["create"] <= 3, "one may be under way already"


@pytest.mark.slow
def test_what_a_batch_waits_for_is_noted_for_status(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    notes: list[str | None] = []
    api.creating = [status(429, "the queue is full", retry_after_s=300.0), lambda: notes.extend(noted(project))]

    assert submit(project, api).exit_code == ExitCode.OK
    assert notes == ["the queue is full"]
    assert noted(project) == [None]


def noted(project: TrialProject) -> list[str | None]:
    return [note for (note,) in project.ask("select note from runs")]
