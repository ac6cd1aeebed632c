"""The documents of a report, read again: quotes among their lines, pages as pictures, and what has changed since."""

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from native_samples import page_of, pdf
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.document import Unreadable
from batchrun.documents.formats.pdf_boxes import Box
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.report import documents as report_documents_module
from batchrun.report.collect import collect
from batchrun.report.documents import (
    ASKED_AGAIN,
    NOT_READ,
    ReportDocument,
    ReportDocuments,
    Wanted,
    report_documents,
)
from batchrun.request import Request
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.document_story import document_story
from batchrun.workers.children import Child
from batchrun.workers.pool import WorkerDied
from batchrun.workflow.asked_parts import asked_document
from batchrun.workflow.read_again import OUT_OF_TIME, reading_again

pytestmark = pytest.mark.slow

QUOTE = "The term is two years."
BOXED, PLAIN, WRONG, CHANGED, GONE = "docs/a.pdf", "docs/b.txt", "docs/c.txt", "docs/d.txt", "docs/e.txt"


async def reads(request: Request) -> Reply:
    prompt = json.loads(request.body)["messages"][0]["content"]
    return answer({"term_quote": QUOTE, "term": 2} if QUOTE in prompt else "nonsense")


def hangs(child: Child, message: bytes) -> None:
    """A call to a child process that does nothing for a minute."""
    child._process = subprocess.Popen(["sleep", "60"])
    returned = child._process.wait()
    raise WorkerDied("docs/a.pdf", -returned, "it hung")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TrialProject:
    """A PDF, texts, one of which is answered badly, and what became of some of the texts afterwards."""
    trial = TrialProject(tmp_path_factory.mktemp("report") / "project")
    trial.job(
        source='type = "files"\ninclude = ["docs/*"]',
        output="evidence = true\nmax_repairs = 0",
        output_fields='term = "integer?"',
    )
    (trial.root / BOXED).write_bytes(pdf([page_of("The first page."), page_of("Some words.", QUOTE, "More words.")]))
    for name in (PLAIN, CHANGED, GONE):
        (trial.root / name).write_text(f"First line of {name}.\n{QUOTE}\nLast line.")
    (trial.root / WRONG).write_text("It says nothing of a term, which is a long story.")
    trial.submit(ScriptedProvider(default=reads))
    (trial.root / CHANGED).write_text("Quite another text.")
    (trial.root / GONE).unlink()
    return trial


def shown(project: TrialProject, run_no: int = 1, **wanted: object) -> ReportDocuments:
    options: dict[str, object] = {"job_path": project.root / "jobs" / "trial.toml"} | wanted
    with Ledger.read(project.ledger_path) as ledger:
        return report_documents(ledger, collect(ledger, run_no, root=project.root), Wanted(**options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def documents(project: TrialProject) -> ReportDocuments:
    return shown(project)


@pytest.fixture(scope="module")
def found(documents: ReportDocuments) -> dict[str, ReportDocument]:
    return {one.found.doc_id: one for one in documents.shown}


def test_problems_come_first_and_all_documents_are_there(documents: ReportDocuments) -> None:
    assert [one.found.doc_id for one in documents.shown] == [WRONG, BOXED, PLAIN, CHANGED, GONE]
    assert (documents.total, documents.problems) == (5, 1)


def test_a_quote_stands_among_the_lines_of_its_document(found: dict[str, ReportDocument]) -> None:
    ((excerpt,),) = (one.context for one in found[PLAIN].evidence)

    assert (excerpt.before, excerpt.quote, excerpt.behind) == (
        "First line of docs/b.txt.\n",
        QUOTE[:-1],
        ".\nLast line.",
    )
    assert found[PLAIN].values == {"term": 2}
    assert found[PLAIN].unread is None


def test_a_page_with_evidence_is_a_picture(found: dict[str, ReportDocument]) -> None:
    (picture,) = found[BOXED].pictures

    assert picture.page == 2
    assert found[BOXED].pictured == {2: ["term"]}
    ((left, top, width, height),) = picture.boxes
    assert 0 < left < left + width < picture.width
    assert 0 < top < top + height < picture.height


def test_a_document_without_a_quote_shows_its_beginning(found: dict[str, ReportDocument]) -> None:
    assert found[WRONG].found.outcome is Outcome.INVALID
    assert found[WRONG].beginning == "It says nothing of a term, which is a long story."


def test_what_has_changed_or_gone_is_told_and_no_line_of_it_is_shown(found: dict[str, ReportDocument]) -> None:
    for name, why in ((CHANGED, "has changed since it was asked"), (GONE, "is no longer there")):
        assert why in str(found[name].unread)
        assert [one.context for one in found[name].evidence] == [()]
        assert found[name].evidence[0].told["text"] == QUOTE[:-1]
        assert found[name].beginning == ""


def test_without_texts_nothing_is_read_or_told(project: TrialProject) -> None:
    for one in shown(project, has_texts=False).shown:
        assert one == ReportDocument(one.found)


def test_what_is_read_and_pictured_has_bounds(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_documents_module, "MOST_READ", 4)
    monkeypatch.setattr(report_documents_module, "MOST_PICTURE_BYTES", 100)

    documents = {one.found.doc_id: one for one in shown(project).shown}

    assert [name for name, one in documents.items() if one.unread == NOT_READ] == [CHANGED, GONE]
    assert documents[BOXED].evidence[0].context
    assert not documents[BOXED].pictures


def test_what_takes_too_long_is_given_up_and_told(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_documents_module, "READING_S", 0.0)

    documents = {one.found.doc_id: one for one in shown(project).shown}

    assert documents[BOXED].unread == documents[PLAIN].unread == OUT_OF_TIME
    assert documents[BOXED].values == {"term": 2}


def test_a_child_process_that_hangs_is_ended(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Child, "call", hangs)
    begun_at = time.monotonic()
    with Ledger.read(project.ledger_path) as ledger:
        story = document_story(ledger, "trial", BOXED) or {}
    asked = replace(asked_document(story), boxes=(Box(page=2, left=0, bottom=0, right=9, top=9),))

    (found, other) = reading_again(project.root / "jobs" / "trial.toml", [asked, asked], simulated=False, seconds=0.1)

    assert isinstance(found, Unreadable)
    assert (found.reason, other) == (OUT_OF_TIME, found)
    assert time.monotonic() - begun_at < 20


def test_a_picture_that_takes_all_the_time_takes_no_text(
    project: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Child, "call", hangs)
    monkeypatch.setattr(report_documents_module, "READING_S", 1.5)

    documents = {one.found.doc_id: one for one in shown(project).shown}

    assert documents[BOXED].evidence[0].context
    assert (documents[BOXED].pictures, documents[BOXED].unread) == ([], OUT_OF_TIME)
    assert documents[PLAIN].unread is None


def test_a_sample_is_as_large_as_asked_and_the_same_each_time(project: TrialProject) -> None:
    one, again = (shown(project, sample=2, job_path=None) for _ in range(2))

    assert one.shown[0].found.doc_id == WRONG
    assert len(one.shown) == 3
    assert one == again


def test_a_job_file_that_is_gone_leaves_what_the_ledger_knows(project: TrialProject) -> None:
    documents = {one.found.doc_id: one for one in shown(project, job_path=Path("/nowhere/x.toml")).shown}

    assert documents[PLAIN].values == {"term": 2}
    assert "the job cannot be opened today" in str(documents[PLAIN].unread)


@pytest.mark.usefixtures("documents")  # which are those of the first run alone
def test_a_document_that_was_asked_again_keeps_the_story_of_its_run(project: TrialProject) -> None:
    async def better(_: Request) -> Reply:
        return answer({"term_quote": "", "term": None})

    project.submit(
        ScriptedProvider(default=better), Selection(again=frozenset({Outcome.INVALID}), ids=frozenset({WRONG}))
    )

    first = next(one for one in shown(project, 1, job_path=None).shown if one.found.doc_id == WRONG)
    assert (first.found.outcome, first.unread, first.values) == (Outcome.INVALID, ASKED_AGAIN, None)
    (second,) = (one for one in shown(project, 2, job_path=None).shown)
    assert (second.found.outcome, second.values) == (Outcome.SUCCEEDED, {"term": None})
