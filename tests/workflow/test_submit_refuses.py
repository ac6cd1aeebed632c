"""A submit is refused before anything is sent or paid: money, other jobs, other people's tables."""

import os

import duckdb
import pytest
from scripted_provider import BAD_KEY, ScriptedProvider, answer, lost
from trial_project import TrialProject

from batchrun.errors import Busy, EnvironmentProblem, ExitCode, Refused, UsageProblem
from batchrun.planning.selection import Selection
from batchrun.store.ledger.job_lock import job_lock
from batchrun.workflow.open_job import SubmitOptions


@pytest.mark.usefixtures("no_output")
def test_an_estimate_above_the_budget_is_refused(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.002")
    project.documents(20)
    provider = ScriptedProvider()

    with pytest.raises(Refused, match=r"(?s)too much\n  would fit  --limit \d+") as refused:
        project.submit(provider)

    assert refused.value.exit_code == ExitCode.REFUSED
    assert provider.sent == []
    assert project.ask("select count(*) from runs") == [(0,)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_what_would_fit_really_fits(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.01")
    project.documents(50)
    fits = project.plan().affordable_count

    assert 0 < fits < 50
    with pytest.raises(Refused):
        project.submit(ScriptedProvider(), Selection(limit=fits + 1))
    assert len(project.plan(Selection(limit=fits)).problems) == 0
    project.submit(provider := ScriptedProvider(), Selection(limit=fits))
    assert provider.sent


@pytest.mark.usefixtures("no_output")
def test_a_lower_budget_of_the_command_counts(project: TrialProject) -> None:
    project.documents(20)

    with pytest.raises(Refused):
        project.submit(ScriptedProvider(), options=SubmitOptions(max_cost_nusd=1_000_000))


@pytest.mark.usefixtures("no_output")
def test_a_higher_budget_of_the_command_does_not(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.001")
    project.documents(20)

    with pytest.raises(Refused):
        project.submit(ScriptedProvider(), options=SubmitOptions(max_cost_nusd=10**9))


@pytest.mark.usefixtures("no_output")
def test_a_budget_below_one_worst_case_is_refused(project: TrialProject) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 8192', budget="max_cost_usd = 0.04")
    project.documents(3)
    provider = ScriptedProvider()
    plan = project.plan()

    with pytest.raises(Refused, match="one of the requests may cost up to") as refused:
        project.submit(provider)

    assert plan.estimate.upper_nusd < plan.cap_nusd < plan.worst_nusd
    assert plan.affordable_count == 0
    assert "max_tokens" in str(refused.value.hint)
    assert (provider.sent, project.ask("select count(*) from runs")) == ([], [(0,)])


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_what_is_held_is_told_in_a_refusal(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 0.006")
    project.documents(8)
    # One document is answered, answers of another are lost, and then the key is revoked.
    project.submit(ScriptedProvider({"text 0": [answer()], "text 1": [lost()], "text 2": [BAD_KEY]}))
    ((held,),) = project.ask("select sum(reserved_nusd) from attempts where state = 'unknown'")
    project.job(budget=f"max_cost_usd = {(held + 1_000_000) / 1e9}")

    with pytest.raises(Refused, match=r"spent and \$[\d.]+ reserved for answers that were lost") as refused:
        project.submit(ScriptedProvider())

    assert "by run " in str(refused.value)
    plan = project.plan()
    answered = list(project.statuses().values()).count("succeeded")
    assert (plan.held_nusd, plan.spent_nusd) == (held, 150_000 * answered)
    assert plan.committed_nusd == held + 150_000 * answered


@pytest.mark.usefixtures("no_output")
def test_more_documents_than_allowed_are_refused(project: TrialProject) -> None:
    project.job(budget="max_cost_usd = 1.0\nmax_documents = 3")
    project.documents(4)

    with pytest.raises(Refused, match=r"4 documents would be sent, and budget\.max_documents is 3") as refused:
        project.submit(ScriptedProvider())

    assert "--limit 3" in str(refused.value.hint)


@pytest.mark.usefixtures("no_output")
def test_a_second_job_file_of_the_same_name_is_refused(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider())
    project.job("trial", file="copy")

    with pytest.raises(UsageProblem, match=r"belongs to jobs/trial\.toml already"):
        project.submit(ScriptedProvider(), job="copy")


@pytest.mark.usefixtures("no_output")
def test_a_job_that_is_being_run_is_busy(project: TrialProject) -> None:
    project.documents(1)

    said = rf"process {os.getpid()} \(.*python.*\) on"
    with job_lock(project.ledger_path, "trial"), pytest.raises(Busy, match=said) as busy:
        project.submit(ScriptedProvider())

    assert busy.value.exit_code == ExitCode.BUSY
    assert project.submit(ScriptedProvider()).exit_code == ExitCode.OK


@pytest.mark.slow
def test_a_table_that_is_not_ours_is_refused_before_anything_is_paid(project: TrialProject) -> None:
    project.documents(1)
    project.database.parent.mkdir()
    with duckdb.connect(str(project.database)) as connection:
        connection.execute("create table trial (doc_id varchar, title varchar)")
    provider = ScriptedProvider()

    with pytest.raises(UsageProblem, match="was not made by batchrun"):
        project.submit(provider)

    assert provider.sent == []


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_paid(project: TrialProject) -> None:
    project.documents(1)
    (project.root / "results").write_text("a file where the folder should be")
    provider = ScriptedProvider()

    with pytest.raises(EnvironmentProblem, match="results"):
        project.submit(provider)

    assert provider.sent == []


@pytest.mark.slow
def test_a_table_of_another_job_is_refused(project: TrialProject) -> None:
    project.documents(1)
    project.submit(ScriptedProvider())
    project.job("second", store='database = "results/out.duckdb"\ntable = "Trial"')
    provider = ScriptedProvider()

    with pytest.raises(UsageProblem, match="belongs to the job trial"):
        project.submit(provider, job="second")


@pytest.mark.slow
@pytest.mark.usefixtures("no_output")
def test_a_prompt_that_speaks_of_no_column_is_refused(project: TrialProject) -> None:
    with duckdb.connect(str(project.root / "in.duckdb")) as connection:
        connection.execute("create table t as select 1 as id, 'text' as text, 'x' as customer")
    project.job(
        source='type = "duckdb"\ndatabase = "in.duckdb"\nquery = "select * from t"',
        prompt='user = "{{ doc.text }} {{ doc.costumer }}"',
    )

    with pytest.raises(UsageProblem, match=r"doc\.costumer") as problem:
        project.submit(ScriptedProvider())

    assert "customer" in str(problem.value.hint)
