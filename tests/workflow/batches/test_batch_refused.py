"""A create call that is refused stops the job, waits, or makes the batch smaller, and leaves nothing in doubt."""

import errno
from collections.abc import Callable
from typing import Any

import pytest
from batch_submits import assert_books_agree, assert_books_agree_in_the_end, open_attempts, states, submit, until
from scripted_batches_memory import BatchApi
from scripted_provider import BAD_KEY, TURNED_AWAY, answer, lost, status
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.execution.batch.packing import Spool
from batchrun.outcome import Outcome
from batchrun.providers import AttemptError
from batchrun.reply import Cause


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (BAD_KEY, ExitCode.ENVIRONMENT, "key"),
        (status(403, "no", error_type="permission_error"), ExitCode.ENVIRONMENT, "key"),
        (status(404, "no", error_type="not_found_error"), ExitCode.ENVIRONMENT, "endpoint"),
        (status(402, "no", error_type="billing_error"), ExitCode.STOPPED, "may not spend"),
        (status(400, "requests: wrong", error_type="invalid_request_error"), ExitCode.STOPPED, "rejected the batch"),
        (lost(Cause.CREDENTIALS), ExitCode.ENVIRONMENT, "no usable API key"),
    ],
    ids=["401", "403", "404", "402", "400", "no key"],
)
def test_a_clear_no_stops_the_job_and_leaves_nothing_in_doubt(
    project: TrialProject, api: BatchApi, failure: Any, code: ExitCode, words: str
) -> None:
    project.documents(3)
    api.creating = [failure]

    stopped = submit(project, api)

    assert stopped.exit_code == code
    assert words in str(stopped.halted)
    assert states(project) == ["abandoned"]
    assert project.ask("select committed_nusd, state from runs") == [(0, "stopped")]
    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [3]
    assert_books_agree(project, api)


@pytest.mark.slow
@pytest.mark.parametrize(
    "failure", [TURNED_AWAY, status(429, "later", retry_after_s=300.0), lost(Cause.UNREACHABLE)],
    ids=["429", "429 and when", "no connection"],
)  # fmt: skip
def test_a_full_queue_waits_and_goes_on(project: TrialProject, api: BatchApi, failure: Any) -> None:
    project.documents(3)
    api.creating = [failure, failure]
    begun = api.clock()

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.calls["create"] == 3
    assert api.clock() - begun >= 2 * (failure.retry_after_s or 10)
    assert_books_agree(project, api)


@pytest.mark.slow
def test_413_halves_the_batch_until_it_is_taken(project: TrialProject, api: BatchApi) -> None:
    project.documents(10)
    api.most_requests = 3

    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [2] * 5
    assert api.calls["create"] == 7, "ten, five, and then pairs"
    assert_books_agree(project, api)


@pytest.mark.slow
def test_413_for_one_request_alone_is_its_documents_failure(project: TrialProject, api: BatchApi) -> None:
    project.documents(1)
    api.creating = [status(413, "Request exceeds the maximum size", error_type="request_too_large")]

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses() == {"0000.txt": "rejected"}
    assert project.settled == ["0000.txt rejected"]
    assert project.ask("select committed_nusd from runs") == [(0,)]


@pytest.mark.slow
def test_one_request_that_is_too_large_at_the_api_does_not_take_others_with_it(
    project: TrialProject, api: BatchApi
) -> None:
    project.documents(5)
    create = api.create

    async def picky(body: Any) -> Any:
        received = b"".join([part async for part in body.parts()])
        if b"text 2" in received:
            api.calls["create"] += 1
            raise AttemptError(status(413, "too large", error_type="request_too_large"))
        return await create(body)

    api.create = picky

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 4, Outcome.REJECTED: 1}
    assert project.statuses()["0002.txt"] == "rejected"


class FullFile:
    """A spool on a full disk, as its buffer finds out sooner or later."""

    def __init__(self, call: str) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Callable[..., int]:
        def answered(*_: object) -> int:
            if name == self._call:
                raise OSError(errno.ENOSPC, "No space left on device")
            return 0

        return answered


@pytest.mark.slow
@pytest.mark.parametrize("call", ["write", "flush"])
def test_a_full_disk_under_the_spool_sends_nothing_and_leaves_nothing_in_doubt(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    project.documents(3)
    with monkeypatch.context() as full:
        full.setattr("tempfile.TemporaryFile", lambda **_: FullFile(call))
        summary = submit(project, api)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert "No space left" in str(summary.halted)
    assert api.batches == []
    assert open_attempts(project) == 0
    assert submit(project, api).exit_code == ExitCode.OK
    assert_books_agree(project, api)


@pytest.mark.slow
def test_a_spool_that_breaks_while_it_is_sent_leaves_nothing_in_doubt(
    project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(3)
    with monkeypatch.context() as broken:

        def unreadable(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        broken.setattr(Spool, "read", unreadable)
        summary = submit(project, api)

    assert summary.exit_code == ExitCode.ENVIRONMENT
    assert states(project) == ["abandoned"]
    assert submit(project, api).exit_code == ExitCode.OK
    assert api.sizes == [3]
    assert_books_agree(project, api)


@pytest.mark.slow
def test_an_account_that_may_not_spend_costs_no_document_an_attempt(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    api.default = status(402, "Your credit balance is too low", error_type="billing_error")

    for _ in range(5):
        assert until(project, api) == [ExitCode.STOPPED]
    assert set(project.statuses().values()) == {"pending"}

    api.default = answer()
    assert until(project, api) == [0]
    assert_books_agree_in_the_end(project, api)
