"""Documents that are too large, empty or unreadable are refused, skipped, cut or set aside, and never in silence."""

import json

import duckdb
import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.errors import ExitCode, Refused
from batchrun.outcome import Outcome

LARGE = "word " * 3_000


def source(**more: str | int) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    return "\n".join(['type = "files"', 'include = ["docs/*.txt"]', *lines])


@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_refuses_the_run(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100))
    project.document("a.txt", "short")
    project.document("b.txt", LARGE)
    provider = ScriptedProvider()

    with pytest.raises(Refused, match=r"(?s)1 document is too large.*docs/b\.txt: about [\d,]+ tokens, above"):
        project.submit(provider)

    assert provider.sent == []


@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_refuses_the_run_whatever_else_is_wrong(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100, on_empty="skip"))
    for number in range(30):
        project.document(f"{number:02}.txt", "")
    project.document("large.txt", LARGE)

    with pytest.raises(Refused, match=r"docs/large\.txt"):
        project.submit(ScriptedProvider())


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_text_is_truncated_to_what_its_columns_leave(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute(
            "create table t as select 1 as id, repeat('word ', 3000) as text, repeat('note ', 100) as note"
        )
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"\n'
        'max_document_tokens = 500\non_oversize = "truncate"',
        prompt='user = "{{ doc.text }} {{ doc.note }}"',
    )
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert 200 < provider.sent[0].count("word") < 450
    assert provider.sent[0].count("note") == 100


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_what_is_too_large_even_when_truncated_is_a_failure_and_not_silence(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute("create table t as select 1 as id, 'text' as text, repeat('note ', 1000) as note")
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"\n'
        'max_document_tokens = 500\non_oversize = "truncate"',
        prompt='user = "{{ doc.text }} {{ doc.note }}"',
    )

    summary = project.submit(ScriptedProvider())

    assert summary.exit_code == ExitCode.SOME_FAILED
    assert project.statuses() == {"1": "unreadable"}


@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_may_be_skipped(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100, on_oversize="skip"))
    project.document("a.txt", "short")
    project.document("b.txt", LARGE)
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert provider.sent == ["short"]
    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 1, Outcome.SKIPPED: 1}
    assert project.statuses() == {"a.txt": "succeeded", "b.txt": "skipped"}


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_document_too_large_may_be_truncated(project: TrialProject) -> None:
    project.job(source=source(max_document_tokens=100, on_oversize="truncate"))
    project.document("b.txt", LARGE)
    provider = ScriptedProvider()

    project.submit(provider)
    project.submit(provider)

    (text,) = provider.sent
    assert LARGE.startswith(text)
    assert 70 <= text.count("word") <= 100


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_document_larger_than_the_context_window_is_refused(project: TrialProject) -> None:
    project.document("a.txt", "word " * 250_000)

    with pytest.raises(Refused, match="context window"):
        project.submit(ScriptedProvider())


@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize(
    ("on_empty", "status", "exit_code"),
    [("skip", "skipped", ExitCode.OK), ("fail", "unreadable", ExitCode.SOME_FAILED)],
)
def test_an_empty_document(project: TrialProject, on_empty: str, status: str, exit_code: ExitCode) -> None:
    project.job(source=source(on_empty=on_empty))
    project.document("a.txt", "text")
    project.document("b.txt", " \n\t ")
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert provider.sent == ["text"]
    assert project.statuses() == {"a.txt": "succeeded", "b.txt": status}
    assert summary.exit_code == exit_code


@pytest.mark.slow
def test_a_document_that_cannot_be_read_for_a_night_keeps_its_row(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    share = project.root / "docs/0000.txt"
    share.unlink()
    share.symlink_to(project.root / "unmounted")

    night = project.submit(ScriptedProvider())

    assert night.exit_code == ExitCode.SOME_FAILED
    assert project.statuses()["0000.txt"] == "unreadable"
    assert len(project.rows()) == 3, "it was paid for"
    share.unlink()
    project.document("0000.txt", "text 0")
    morning = ScriptedProvider()
    assert project.submit(morning).exit_code == ExitCode.OK
    assert morning.sent == []
    assert len(project.rows()) == 3


@pytest.mark.slow
def test_a_document_set_aside_while_sending_keeps_its_row(project: TrialProject) -> None:
    project.document("a.txt", "one")
    project.submit(ScriptedProvider(default=answer({"title": "of one"})))
    project.document("a.txt", "two")
    project.execute(ScriptedProvider(), before_sending=lambda _: project.document("a.txt", "three"))

    project.submit(ScriptedProvider(default=BAD_KEY))

    assert project.rows("select title from trial") == [("of one",)]
    project.submit(ScriptedProvider(default=answer({"title": "of three"})))
    assert project.rows("select title from trial") == [("of three",)]


@pytest.mark.slow
def test_a_document_that_becomes_empty_loses_its_row(project: TrialProject) -> None:
    project.document("a.txt", "text")
    project.document("b.txt", "more")
    project.submit(ScriptedProvider())
    project.document("b.txt", "")

    project.submit(ScriptedProvider())

    assert project.rows() == [("docs/a.txt",)]
