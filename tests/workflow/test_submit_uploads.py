"""Submits of PDFs that one batch has no room for: they are uploaded to the simulated API, and named in one batch."""

import json
from typing import Any

import pytest
from native_samples import agreement
from test_submit_caching import FAST, SPEED, price_of_books, simulated, submitted
from test_submit_native import native
from trial_project import TrialProject

from batchrun.events import BatchTrouble
from batchrun.outcome import Outcome
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.files import AnthropicFiles
from batchrun.reply import Cause, Failure
from batchrun.simulator.http.server import SimulatorServer
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow

DOCUMENTS = 4
ATTEMPTS = 3
"""The attempts of each call in a trial project."""


def large(project: TrialProject, *, cache: str = "off", documents: int = DOCUMENTS, max_bytes: str = "60KB") -> None:
    """A batched job of PDFs, of which a batch has room for two."""
    docs = project.root / "docs"
    for number in range(documents):
        (docs / f"a{number}.pdf").write_bytes(agreement(8, title=f"Agreement {number}"))
    native(project, route="batch", cache=cache)
    job = project.root / "jobs" / "trial.toml"
    job.write_text(job.read_text().replace(FAST, f'{FAST}\nmax_bytes = "{max_bytes}"'))


def sources(server: SimulatorServer) -> list[list[str]]:
    """What the requests of each batch have in the places of their files."""
    read = [
        [json.loads(batch.file.read(member.sent.place)) for member in batch.members]
        for batch in server.simulator.batches.all
    ]
    return [[params["messages"][0]["content"][1]["source"]["type"] for params in batch] for batch in read]


def at_once(project: TrialProject, factory: Any) -> Summary:
    """Submit, and wait for nothing."""
    return project.submit(factory, options=SubmitOptions(speed=SPEED, waits=False))


def troubles(project: TrialProject) -> list[str]:
    return [event.what for event in project.events if isinstance(event, BatchTrouble) and event.batch == "files"]


@pytest.mark.parametrize("cache", ["off", "1h"])
def test_one_batch_holds_what_its_bytes_do_not(project: TrialProject, cache: str) -> None:
    large(project, cache=cache)
    with simulated() as (server, factory):
        summary = submitted(project, factory)
        books, files = server.books.summary(), server.simulator.files.all
        again = submitted(project, factory)

        assert sources(server) == [["file"] * DOCUMENTS]
        assert server.simulator.files.all == files

    assert summary.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    assert again.plan.to_send == 0
    assert project.ask("select state, requests from batches") == [("collected", DOCUMENTS)]
    assert len(files) == DOCUMENTS
    assert all(file.deleted for file in files)
    assert project.ask("select * from uploads") == []
    assert summary.totals is not None
    assert summary.totals.cost_nusd == price_of_books(books, batch=True)
    assert troubles(project) == []


def test_the_answers_are_those_of_files_within_the_batch(project: TrialProject, tmp_path_factory: Any) -> None:
    other = TrialProject(tmp_path_factory.mktemp("other"))
    rows, requests = [], []
    for one, max_bytes in ((project, "60KB"), (other, "10MB")):
        large(one, max_bytes=max_bytes)
        with simulated() as (server, factory):
            submitted(one, factory)
            assert len(server.simulator.files.all) == (DOCUMENTS if one is project else 0)
        rows.append(one.rows("select doc_id, title, law from trial order by doc_id"))
        requests.append(one.ask("select request_id from requests order by request_id"))

    assert rows[0] == rows[1]
    assert requests[0] == requests[1]


def test_what_fits_is_not_uploaded(project: TrialProject) -> None:
    large(project, documents=2)
    with simulated() as (server, factory):
        summary = submitted(project, factory)

        assert sources(server) == [["base64"] * 2]
        assert server.simulator.files.all == []
    assert summary.outcomes == {Outcome.SUCCEEDED: 2}


def test_a_file_that_no_batch_has_room_for_is_uploaded(project: TrialProject) -> None:
    large(project, documents=1, max_bytes="20KB")
    with simulated() as (server, factory):
        summary = submitted(project, factory)

        assert sources(server) == [["file"]]
    assert summary.outcomes == {Outcome.SUCCEEDED: 1}


def test_a_request_that_is_too_large_without_its_file_is_rejected(project: TrialProject) -> None:
    large(project, documents=1, max_bytes="3KB")
    with simulated() as (_, factory):
        summary = submitted(project, factory)

    assert summary.outcomes == {Outcome.REJECTED: 1}
    ((reason,),) = project.ask("select reason from documents")
    assert "[batch] max_bytes is 3,000" in reason


def test_an_upload_is_tried_again_and_is_found_when_its_answer_was_lost(project: TrialProject) -> None:
    large(project)
    script = ("batch_upload_rate_limited", "batch_upload_reset", "batch_upload_error", "batch_upload_rate_limited")
    with simulated(script=script) as (server, factory):
        summary = submitted(project, factory)

        assert len(server.simulator.files.all) == DOCUMENTS
        assert sources(server) == [["file"] * DOCUMENTS]
    assert summary.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    assert troubles(project) == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [("batch_upload_rate_limited", "account's rate limit"), ("batch_upload_error", "Internal server error")],
)
def test_what_cannot_be_uploaded_now_stays_pending(project: TrialProject, fault: str, words: str) -> None:
    large(project)
    with simulated(script=["batch_upload_ok", *[fault] * ATTEMPTS]) as (server, factory):
        first = at_once(project, factory)
        assert sources(server) == []
        second = submitted(project, factory)

        assert len(server.simulator.files.all) == DOCUMENTS
    assert first.outcomes == {None: DOCUMENTS}
    assert set(project.statuses().values()) == {"succeeded"}
    assert second.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    (said,) = troubles(project)
    assert said.startswith("not uploaded: ")
    assert words in said


@pytest.mark.parametrize("fault", ["batch_upload_denied", "batch_upload_full"])
def test_batches_are_cut_where_no_files_are_taken(project: TrialProject, fault: str) -> None:
    large(project)
    with simulated(script=[fault]) as (server, factory):
        summary = submitted(project, factory)

        assert sources(server) == [["base64"] * 2] * 2
        assert server.simulator.files.all == []
    assert summary.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    (said,) = troubles(project)
    assert said.startswith("not uploaded, so batches are cut instead: ")


def test_what_was_uploaded_before_a_create_call_was_refused_is_used(project: TrialProject) -> None:
    large(project)
    with simulated(script=["batch_rate_limited"]) as (server, factory):
        at_once(project, factory)
        assert len(server.simulator.files.all) == DOCUMENTS
        assert not any(file.deleted for file in server.simulator.files.all)
        summary = submitted(project, factory)

        assert len(server.simulator.files.all) == DOCUMENTS
    assert summary.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}


def test_a_file_that_is_gone_is_uploaded_again(project: TrialProject) -> None:
    large(project)
    with simulated(script=["batch_rate_limited"]) as (server, factory):
        at_once(project, factory)
        for file in server.simulator.files.all:
            server.simulator.files.delete(file.id)
        summary = submitted(project, factory)

        assert sources(server) == [["file"] * DOCUMENTS] * 2
        assert len(server.simulator.files.all) == 2 * DOCUMENTS
        assert server.books.summary()["billed_twice"] == 0
    assert summary.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    states = project.ask("select state, status, count(*) from attempts group by 1, 2 order by 1")
    assert states == [("answered", 200, DOCUMENTS), ("failed", 404, DOCUMENTS)]


def test_a_deletion_that_fails_fails_nothing(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: AnthropicFiles, file_id: str) -> None:
        raise AttemptError(Failure(cause=Cause.STATUS, status=500, message="Internal server error"))

    large(project)
    monkeypatch.setattr(AnthropicFiles, "delete", refuse)
    with simulated() as (_, factory):
        summary = submitted(project, factory)

    assert summary.halted is None
    assert summary.outcomes == {Outcome.SUCCEEDED: DOCUMENTS}
    assert project.ask("select count(*) from uploads") == [(DOCUMENTS,)]
