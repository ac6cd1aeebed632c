"""A submit sends only what is new or changed: whatever the ledger has an answer to is never paid for again."""

import duckdb
import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.strategy.plan import Kind

ODD_NAMES = ("ä b.txt", 'it\'s "q".txt', "new\nline.txt", "$x.txt", "[a].txt", "-- .txt")


@pytest.mark.slow
def test_a_submit_makes_a_row_of_every_document(project: TrialProject) -> None:
    project.documents(5)

    summary = project.submit(ScriptedProvider())

    assert project.rows("select doc_id, title from trial order by 1") == [
        (f"docs/{number:04}.txt", "a title") for number in range(5)
    ]
    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 5}
    assert summary.unpublished is None
    assert summary.totals is not None
    assert (summary.totals.attempts, summary.totals.cost_nusd, summary.totals.held_nusd) == (5, 750_000, 0)
    assert project.ask("select state, exit_code, to_send from runs") == [("finished", 0, 5)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_the_second_submit_sends_nothing_and_begins_no_run(project: TrialProject) -> None:
    project.documents(5)
    project.submit(ScriptedProvider())
    provider = ScriptedProvider()

    summary = project.submit(provider)

    assert provider.sent == []
    assert summary.exit_code == ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: 5}
    assert summary.totals is None
    assert len(project.ask("select 1 from runs")) == 1


@pytest.mark.slow
def test_one_changed_document_sends_one(project: TrialProject) -> None:
    project.documents(5)
    project.submit(ScriptedProvider())
    project.document("0003.txt", "changed")
    provider = ScriptedProvider(default=answer({"title": "new"}))

    project.submit(provider)

    assert provider.sent == ["changed"]
    assert project.plans[-1].counts[Kind.CHANGED] == 1
    assert project.plans[-1].same_text == 0
    assert project.rows("select doc_id from trial where title = 'new'") == [("docs/0003.txt",)]
    assert project.rows("select count(*) from trial") == [(5,)]


@pytest.mark.slow
def test_a_document_that_changes_back_costs_nothing(project: TrialProject) -> None:
    project.document("a.txt", "first")
    project.submit(ScriptedProvider(default=answer({"title": "of the first"})))
    project.document("a.txt", "second")
    project.submit(ScriptedProvider(default=answer({"title": "of the second"})))
    project.document("a.txt", "first")
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []
    assert project.rows("select title from trial") == [("of the first",)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": 'user = "Read: {{ doc.text }}"'},
        {"prompt": 'system = "Be exact."\nuser = "{{ doc.text }}"'},
        {"model": 'name = "claude-haiku-4-5"\nmax_tokens = 50'},  # a higher one changes nothing for what is answered
        {"model": 'name = "claude-sonnet-4-6"\nmax_tokens = 100'},
        {"output_fields": 'title = "string?"'},
    ],
    ids=["prompt", "system", "max_tokens", "model", "fields"],
)
def test_a_changed_job_file_sends_all_and_the_plan_says_so(project: TrialProject, changed: dict[str, str]) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    project.job(**changed)
    provider = ScriptedProvider(default=answer({"title": "new"}))

    summary = project.submit(provider)

    assert len(provider.sent) == 3
    assert project.plans[-1].counts[Kind.CHANGED] == project.plans[-1].same_text == 3
    assert summary.exit_code == ExitCode.OK
    assert project.rows("select distinct title from trial") == [("new",)]
    assert len(project.ask("select 1 from runs")) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
@pytest.mark.parametrize(
    "changed",
    [
        {"run": "max_concurrency = 1"},
        {"budget": "max_cost_usd = 9"},
        {"retry": "max_attempts = 2"},
        {"limits": "requests_per_minute = 1_000"},
    ],
    ids=["run", "budget", "retry", "limits"],
)
def test_a_change_that_is_not_of_the_request_sends_nothing(project: TrialProject, changed: dict[str, str]) -> None:
    project.documents(3)
    project.submit(ScriptedProvider())
    project.job(**changed)
    provider = ScriptedProvider()

    project.submit(provider)

    assert provider.sent == []


@pytest.mark.slow
def test_two_jobs_with_the_same_requests_pay_once(project: TrialProject) -> None:
    project.documents(3)
    project.submit(ScriptedProvider(default=answer({"title": "shared"})))
    project.job("second")
    provider = ScriptedProvider()

    summary = project.submit(provider, job="second")

    assert provider.sent == []
    assert summary.exit_code == ExitCode.OK
    assert project.rows("select count(*), min(title) from second") == [(3, "shared")]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_who_watches_a_job_is_not_told_of_another_jobs_documents(project: TrialProject) -> None:
    project.documents(2)
    project.job("second")
    project.submit(ScriptedProvider(default=BAD_KEY), job="second")  # its documents are pending
    project.events.clear()

    project.submit(ScriptedProvider())

    assert project.settled == ["0000.txt succeeded", "0001.txt succeeded"]


@pytest.mark.usefixtures("no_output")
def test_a_chosen_document_is_sent_although_its_identical_twin_is_not_chosen(project: TrialProject) -> None:
    project.document("a.txt", "same")
    project.document("b.txt", "same")
    provider = ScriptedProvider()

    summary = project.submit(provider, Selection(where="id = 'docs/b.txt'"))

    assert provider.sent == ["same"]
    assert summary.outcomes == {Outcome.SUCCEEDED: 1}


@pytest.mark.slow
def test_documents_may_have_any_name(project: TrialProject) -> None:
    for name in ODD_NAMES:
        project.document(name, name)
    provider = ScriptedProvider()

    summary = project.submit(provider)
    project.submit(provider)

    assert sorted(provider.sent) == sorted(ODD_NAMES)
    assert summary.outcomes == {Outcome.SUCCEEDED: len(ODD_NAMES)}
    assert project.rows("select count(*) from trial") == [(len(ODD_NAMES),)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_rows_of_a_query_are_documents(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute(
            "create table t as select i as id, 'text ' || i as text, 'n' || i as who from range(300) r(i)"
        )
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"',
        prompt='user = "{{ doc.who }}: {{ doc.text }}"',
    )
    provider = ScriptedProvider()

    summary = project.submit(provider)
    project.submit(provider)

    assert len(provider.sent) == 300
    assert "n7: text 7" in provider.sent
    assert summary.outcomes == {Outcome.SUCCEEDED: 300}
