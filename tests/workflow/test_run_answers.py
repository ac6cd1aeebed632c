"""What each run has answered stays known when documents and job file have changed since."""

import contextlib
import re
import sqlite3
from importlib import resources

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.store import migrations
from batchrun.store.ledger.connection import SCRIPTS
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.run_answers import RunAnswer, run_answers


def titles(project: TrialProject, run_no: int) -> dict[str, str | None]:
    """The titles of a run's answers by document; None where there is no answer."""
    with Ledger.read(project.ledger_path) as ledger:
        return {one.doc_id.removeprefix("docs/"): title_of(one) for one in run_answers(ledger, run_no)}


def title_of(answered: RunAnswer) -> str | None:
    return None if answered.values is None else answered.values["title"]


def saying(title: str) -> ScriptedProvider:
    return ScriptedProvider(default=answer({"title": title}))


def test_a_changed_prompt_leaves_the_answers_of_the_run_before(project: TrialProject) -> None:
    project.documents(2)
    project.submit(saying("old"))
    project.job(prompt='user = "Now: {{ doc.text }}"')
    project.submit(saying("new"))

    assert titles(project, 1) == {"0000.txt": "old", "0001.txt": "old"}
    assert titles(project, 2) == {"0000.txt": "new", "0001.txt": "new"}


def test_a_later_run_has_what_earlier_runs_with_the_same_prompt_have_answered(project: TrialProject) -> None:
    project.documents(1)
    project.submit(saying("first"))
    project.document("more.txt", "another text")
    project.submit(saying("second"))

    assert titles(project, 1) == {"0000.txt": "first"}
    assert titles(project, 2) == {"0000.txt": "first", "more.txt": "second"}


def test_identical_and_empty_documents_belong_to_the_run(project: TrialProject) -> None:
    project.document("a.txt", "the same")
    project.document("b.txt", "the same")
    project.document("empty.txt", "")
    project.submit(saying("one answer"))

    assert titles(project, 1) == {"a.txt": "one answer", "b.txt": "one answer", "empty.txt": None}


def test_an_answer_to_a_changed_document_belongs_to_the_later_run_alone(project: TrialProject) -> None:
    project.document("a.txt", "before")
    project.submit(saying("before"))
    project.document("a.txt", "after")
    project.submit(saying("after"))

    assert (titles(project, 1), titles(project, 2)) == ({"a.txt": "before"}, {"a.txt": "after"})


def test_going_back_to_an_earlier_prompt_makes_a_run_with_its_answers(project: TrialProject) -> None:
    project.documents(1)
    project.submit(saying("old"))
    project.job(prompt='user = "Now: {{ doc.text }}"')
    project.submit(saying("new"))
    project.job()
    project.submit(saying("never sent"))

    assert titles(project, 3) == {"0000.txt": "old"}


@pytest.mark.slow
def test_a_ledger_of_the_version_before_tells_what_its_attempts_tell(project: TrialProject) -> None:
    project.documents(2)
    project.submit(saying("old"))
    project.job(prompt='user = "Now: {{ doc.text }}"')
    project.submit(saying("new"))
    later = "".join((resources.files(migrations) / script).read_text("utf-8") for script in SCRIPTS[15:])
    made = [*re.findall(r"^create (trigger) (\w+)", later, re.MULTILINE)]
    made += reversed(re.findall(r"^create (table) (\w+)", later, re.MULTILINE))
    with contextlib.closing(sqlite3.connect(project.ledger_path)) as connection:
        connection.executescript("".join(f"drop {kind} {name};" for kind, name in made) + "pragma user_version = 15")
    Ledger.open(project.ledger_path).close()

    assert titles(project, 1) == {"0000.txt": "old", "0001.txt": "old"}
    assert titles(project, 2) == {"0000.txt": "new", "0001.txt": "new"}
