"""What had to be done to read a document, in the output beside the document."""

import contextlib

import duckdb
from scripted_provider import ScriptedProvider
from trial_project import TrialProject

GERMAN = "Vergütung für Müller, gemäß § 5, zuzüglich Spesen"
NOTES = "select doc_id, note from _batchrun.documents order by 1"
GUESSED = [("docs/a.txt", None), ("docs/b.txt", "read as windows-1252 (guessed)")]


def documents(project: TrialProject) -> None:
    project.document("a.txt", "text")
    (project.root / "docs" / "b.txt").write_bytes(GERMAN.encode("cp1252"))


def test_a_guessed_encoding_is_beside_its_document(project: TrialProject) -> None:
    documents(project)

    project.submit(ScriptedProvider())

    assert project.rows(NOTES) == GUESSED


def test_an_output_of_an_earlier_version_gets_the_column(project: TrialProject) -> None:
    documents(project)
    project.submit(ScriptedProvider())
    with contextlib.closing(duckdb.connect(str(project.database))) as connection:
        connection.execute("drop view trial_all")
        connection.execute("alter table _batchrun.documents drop column note")
    project.document("c.txt", "one more")

    project.submit(ScriptedProvider())

    assert project.rows(NOTES) == [("docs/a.txt", None), ("docs/b.txt", None), ("docs/c.txt", None)]


def test_a_note_that_the_ledger_learns_later_follows(project: TrialProject) -> None:
    documents(project)
    project.submit(ScriptedProvider())
    project.ask("update documents set note = null, settings = null", commit=True)
    project.database.unlink()
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert project.rows(NOTES) == GUESSED
