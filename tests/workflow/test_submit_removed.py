"""Rows of documents that are no longer in the source are told, and leave the output if the job file says so."""

import pytest
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

from batchrun.outcome import Outcome
from batchrun.planning.gone_documents import gone_rows, is_below
from batchrun.planning.selection import Selection

pytestmark = pytest.mark.slow

FILES = 'type = "files"\ninclude = ["docs/**"]\n'
DROP = f'{FILES}on_removed = "drop"'


def rows(project: TrialProject) -> list[str]:
    return [doc_id.removeprefix("docs/") for (doc_id,) in project.rows()]


def counted(project: TrialProject) -> int:
    with project.opened() as opened:
        return gone_rows(opened.ledger, "trial")


def submitted(project: TrialProject, source: str = FILES) -> ScriptedProvider:
    project.job(source=source)
    provider = ScriptedProvider()
    project.submit(provider)
    return provider


def test_a_removed_document_keeps_its_row_and_is_told(project: TrialProject) -> None:
    project.documents(3)
    submitted(project)
    (project.root / "docs" / "0001.txt").unlink()

    assert project.plan().gone == 1
    assert submitted(project).sent == []

    assert len(rows(project)) == 3
    assert counted(project) == 1


def test_dropped_rows_leave_the_output_and_the_answers_stay(project: TrialProject) -> None:
    project.documents(3)
    submitted(project)
    (project.root / "docs" / "0001.txt").unlink()

    submitted(project, DROP)

    assert rows(project) == ["0000.txt", "0002.txt"]
    assert project.statuses()["0001.txt"] == "skipped"
    assert project.plan().gone == 0
    project.document("0001.txt", "text 1")
    assert submitted(project, DROP).sent == []
    assert rows(project) == ["0000.txt", "0001.txt", "0002.txt"]


def test_what_was_kept_is_dropped_when_the_job_file_says_so(project: TrialProject) -> None:
    project.documents(2)
    submitted(project)
    (project.root / "docs" / "0001.txt").unlink()
    submitted(project)

    submitted(project, DROP)

    assert rows(project) == ["0000.txt"]
    project.database.unlink()
    submitted(project, DROP)
    assert rows(project) == ["0000.txt"]


def test_a_document_that_is_back_is_gone_no_longer(project: TrialProject) -> None:
    project.documents(2)
    submitted(project)
    (project.root / "docs" / "0001.txt").unlink()
    submitted(project)
    project.document("0001.txt", "text 1")

    submitted(project)

    assert counted(project) == 0


@pytest.mark.parametrize("selection", [Selection(limit=1), Selection(sources=("docs/0000*",))])
def test_a_selection_says_nothing_of_what_is_gone(project: TrialProject, selection: Selection) -> None:
    project.job(source=DROP)
    project.documents(2)
    project.submit(ScriptedProvider())
    (project.root / "docs" / "0001.txt").unlink()

    project.submit(ScriptedProvider(), selection)

    assert project.plans[-1].gone == 0
    assert len(rows(project)) == 2


def test_a_document_behind_a_link_out_of_the_project_is_not_gone(project: TrialProject) -> None:
    (project.root / "docs" / "sub").mkdir()
    project.document("sub/a.txt", "text")
    project.document("b.txt", "another text")
    submitted(project)
    (project.root / "docs" / "sub").rename(project.root.parent / "elsewhere")
    (project.root / "docs" / "sub").symlink_to(project.root.parent / "elsewhere")

    submitted(project, DROP)

    assert rows(project) == ["b.txt", "sub/a.txt"]


def test_nothing_left_of_the_source_is_no_reason_to_drop_everything(project: TrialProject) -> None:
    project.documents(1)
    submitted(project)
    (project.root / "docs" / "0000.txt").unlink()

    with pytest.raises(Exception, match="no documents"):
        submitted(project, DROP)

    assert rows(project) == ["0000.txt"]


def test_a_removed_document_without_a_row_is_no_news(project: TrialProject) -> None:
    project.documents(1)
    project.document("empty.txt", "")
    submitted(project)
    assert project.statuses()["empty.txt"] == Outcome.UNREADABLE
    (project.root / "docs" / "empty.txt").unlink()

    assert project.plan().gone == 0


@pytest.mark.parametrize(
    ("source", "below"),
    [("a/b/c.txt", True), ("a/b.eml#terms.pdf", True), ("a/bc.txt", False), ("x.eml", False), ("a/b", False)],
)
def test_what_lies_below_something_unread(source: str, below: bool) -> None:
    assert is_below(source, {"a/b", "a/b.eml", "x"}) is below
