"""A submit on the batch route sends every document in batches, at half the price, and waits until all is settled."""

import re
from typing import Any

import pytest
from batch_submits import COST_NUSD, INTERVALS, assert_books_agree, batched, once, open_attempts, states, submit
from scripted_batches_memory import BatchApi
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.events import DocumentSettled
from batchrun.outcome import Outcome
from batchrun.request import Request

CUSTOM_ID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


@pytest.mark.slow
def test_a_submit_in_the_foreground_waits_until_all_is_settled(project: TrialProject, api: BatchApi) -> None:
    texts = project.documents(25)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 25}
    assert api.sizes == [10, 10, 5]
    assert sorted(prompt for remote in api.batches for prompt in remote.prompts) == sorted(texts)
    assert states(project) == ["collected"] * 3
    assert summary.open_batches == []
    assert project.ask("select state, exit_code, route from runs") == [("finished", 0, "batch")]
    assert_books_agree(project, api)


@pytest.mark.slow
def test_half_the_price_is_booked(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)

    summary = submit(project, api)

    assert summary.totals is not None
    assert (summary.totals.cost_nusd, summary.totals.open_nusd) == (3 * COST_NUSD, 0)
    assert summary.plan.estimate.cost_nusd.mean == pytest.approx(summary.plan.forecasts[0].estimate.cost_nusd.mean / 2)


@pytest.mark.slow
def test_the_rows_are_in_the_output(project: TrialProject, api: BatchApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # with an output, in real time
    monkeypatch.setattr("batchrun.execution.ledger_writer.BALLAST_BYTES", 4096)
    batched(project, batch='poll_interval = "0.01s"\nmax_poll_interval = "0.02s"')
    project.documents(3)

    summary = project.submit(BatchApi(takes_s=0.05))

    assert summary.exit_code == ExitCode.OK
    assert project.rows("select doc_id, title from trial order by 1") == [
        (f"docs/{number:04}.txt", "a title") for number in range(3)
    ]


@pytest.mark.slow
def test_the_params_are_exactly_the_bytes_that_a_streamed_request_would_have_sent(
    project: TrialProject, api: BatchApi
) -> None:
    project.document("a.txt", 'quotes " and \\ and é and \u2028 and 🙂')
    project.document("b.txt", "plain")
    submit(project, api)

    (body,) = api.bodies
    for custom_id, params in api.batches[0].params.items():
        request = Request.of(params)
        assert b'"params":' + request.body + b"}" in body
        assert custom_id.endswith(f"-{request.request_id}")


@pytest.mark.slow
def test_custom_ids_are_what_the_api_takes_and_carry_nonce_and_request(project: TrialProject, api: BatchApi) -> None:
    project.documents(12)
    submit(project, api)

    requests = {request_id for (request_id,) in project.ask("select request_id from requests")}
    for (nonce,), remote in zip(project.ask("select nonce from batches order by batch_no"), api.batches, strict=True):
        for custom_id in remote.params:
            assert CUSTOM_ID.match(custom_id)
            told, request_id = custom_id.split("-")
            assert told == nonce
            requests.remove(request_id)
    assert requests == set()


@pytest.mark.slow
def test_the_second_submit_sends_nothing(project: TrialProject, api: BatchApi) -> None:
    project.documents(5)
    submit(project, api)
    calls = api.calls.copy()

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.OK
    assert api.calls == calls
    assert len(project.ask("select 1 from runs")) == 1


@pytest.mark.slow
def test_identical_documents_make_one_request_and_are_all_answered(project: TrialProject, api: BatchApi) -> None:
    for number in range(25):
        project.document(f"{number:04}.txt", f"text {number % 2}")

    summary = submit(project, api)

    assert api.sizes == [2]
    assert summary.outcomes == {Outcome.SUCCEEDED: 25}
    settled = [event for event in project.events if isinstance(event, DocumentSettled)]
    assert len(settled) == 25
    assert sum(event.cost_nusd for event in settled) == project.ask("select sum(cost_nusd) from attempts")[0][0]
    assert_books_agree(project, api)


@pytest.mark.slow
def test_max_bytes_bounds_a_body(project: TrialProject, api: BatchApi) -> None:
    batched(project, batch=f"max_bytes = 2_000\n{INTERVALS}")
    project.documents(20)

    assert submit(project, api).exit_code == ExitCode.OK

    assert len(api.bodies) > 2
    assert max(map(len, api.bodies)) <= 2_000


@pytest.mark.slow
def test_a_request_over_the_limit_is_its_documents_failure_and_no_one_elses(
    project: TrialProject, api: BatchApi
) -> None:
    batched(project, batch=f"max_bytes = 2_000\n{INTERVALS}")
    project.documents(4)
    project.document("0001.txt", "word " * 1_000)

    summary = submit(project, api)

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses() == {
        "0000.txt": "succeeded", "0001.txt": "rejected", "0002.txt": "succeeded", "0003.txt": "succeeded",
    }  # fmt: skip
    assert "max_bytes" in project.ask("select reason from document_status where status = 'rejected'")[0][0]


def test_no_file_is_left_behind(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    once(project, api)

    names = {path.name for path in project.ledger_path.parent.iterdir()}

    assert {name for name in names if not re.match(r"ledger\.sqlite3|ballast|.*\.lock$|\.gitignore$", name)} == set()


def test_members_are_in_the_ledger_before_the_call(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    seen: list[Any] = []

    def look() -> None:
        seen.extend(project.ask("select state, requests from batches"))
        seen.append(open_attempts(project))
        seen.extend(project.ask("select committed_nusd > 0 from runs"))

    api.creating = [look]
    once(project, api)

    assert seen == [("prepared", 3), 3, (1,)]


@pytest.mark.slow
def test_clients_are_closed(project: TrialProject, api: BatchApi) -> None:
    project.documents(2)
    submit(project, api)

    assert api.closed == 1
