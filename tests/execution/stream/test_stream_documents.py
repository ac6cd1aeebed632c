"""Documents and sources that change or vanish between the plan and the send."""

from collections.abc import Sequence

import duckdb
import pytest
from scripted_provider import (
    ScriptedProvider,
)
from stream_run import attempts
from trial_project import TrialProject

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import Guard
from batchrun.documents.files import FileSource
from batchrun.errors import BatchrunError, EnvironmentProblem
from batchrun.execution.halt import Bug
from batchrun.workflow.open_job import OpenJob


@pytest.mark.slow
def test_a_document_that_changes_or_vanishes_after_the_plan_fails_alone(project: TrialProject) -> None:
    project.documents(4)

    def meddle(_: OpenJob) -> None:
        project.document("0001.txt", "something else")
        (project.root / "docs/0002.txt").unlink()

    provider = ScriptedProvider()

    assert project.execute(provider, before_sending=meddle) is None

    assert sorted(provider.sent) == ["text 0", "text 3"]
    assert project.statuses() == {
        "0000.txt": "succeeded",
        "0001.txt": "unreadable",
        "0002.txt": "unreadable",
        "0003.txt": "succeeded",
    }
    reasons = project.ask("select reason from document_status where status = 'unreadable' order by doc_id")
    assert reasons == [("it changed after it was planned; submit again",), ("it is no longer there",)]


@pytest.mark.slow
def test_a_changed_document_gets_no_row_from_its_unchanged_twin(project: TrialProject) -> None:
    project.document("a.txt", "the same text")
    project.document("b.txt", "the same text")

    project.execute(ScriptedProvider(), before_sending=lambda _: project.document("b.txt", "another text"))

    assert project.settled == ["a.txt succeeded", "b.txt unreadable"]
    assert project.ask("select row_request_no from documents where doc_id = 'docs/b.txt'") == [(None,)]


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
def test_a_source_that_fails_stops_the_run_and_what_is_in_flight_is_finished(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.documents(30)
    read = FileSource.read

    def failing_later(self: FileSource, refs: Sequence[DocumentRef], guard: Guard) -> list[Document | Unreadable]:
        if "0020" in refs[-1].doc_id or "0023" in refs[-1].doc_id:
            raise EnvironmentProblem("the source has gone")
        return read(self, refs, guard)

    monkeypatch.setattr(FileSource, "read", failing_later)
    provider = ScriptedProvider(latency_s=1.0)

    halted = project.execute(provider)

    assert str(halted) == "the source has gone"
    assert {state for state, _ in attempts(project)} == {"answered"}
    assert provider.sent


@pytest.mark.usefixtures("virtual_time")
def test_when_nothing_can_be_sent_nobody_is_waited_for(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.documents(2)
    waited: list[object] = []
    monkeypatch.setattr("batchrun.workflow.open_job.recover_others", lambda *where: waited.append(where))

    def vanish(_: OpenJob) -> None:
        for path in (project.root / "docs").iterdir():
            path.unlink()

    assert project.execute(ScriptedProvider(), before_sending=vanish) is None

    assert set(project.statuses().values()) == {"unreadable"}
    assert waited == []


@pytest.mark.slow
def test_a_source_that_vanishes_stops_the_run(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute("create table t as select i as id, 'text ' || i as text from range(5) r(i)")
    project.job(source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"')

    halted = project.execute(ScriptedProvider(), before_sending=lambda _: (project.root / "in.duckdb").unlink())

    assert isinstance(halted, BatchrunError)
    assert not isinstance(halted, Bug)
    assert set(project.statuses().values()) == {"pending"}
