"""Caps of tags and of a run's tokens on the batch route: waves until nothing fits."""

import pytest
from batch_submits import COST_NUSD, SMALL
from scripted_batches_memory import DAY_S, BatchApi, WallClock
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.execution.failure_messages import BudgetReached
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow


def stopped(summary: Summary) -> BudgetReached:
    assert summary.exit_code == ExitCode.STOPPED
    assert isinstance(summary.halted, BudgetReached)
    return summary.halted


def batched(project: TrialProject, name: str, *, budget: str = "", tags: str = "") -> None:
    budget = f"max_cost_usd = 1.0\npartial = true\n{budget}"
    prompt = f'user = "{name}: {{{{ doc.text }}}}"'
    path = project.job(name, run='route = "batch"', batch=SMALL, budget=budget, prompt=prompt)
    path.write_text(path.read_text().replace(f'name = "{name}"\n', f'name = "{name}"\ntags = {{ {tags} }}\n', 1))


def test_batches_use_a_runs_tokens_up_to_the_cap_and_never_pass_it(project: TrialProject, api: BatchApi) -> None:
    project.documents(60)
    batched(project, "trial", budget="max_tokens = 5_000")

    halted = stopped(project.submit(api))

    assert "the budget of tokens is reached" in str(halted)
    ((tokens, most),) = project.ask("select tokens, (select max(requests) from batches) from runs")
    assert 4_000 < tokens <= 5_000
    assert most < 10, "a batch is only as large as its worst case is small"
    assert {prompt: times for prompt, times in api.paid.items() if times > 1} == {}
    batched(project, "trial", budget="max_tokens = 50_000")
    assert project.submit(api).exit_code == ExitCode.OK
    assert project.ask("select tokens from runs") == [(60 * 110,)]


def test_a_cap_of_a_tag_holds_for_batches_of_two_jobs(project: TrialProject, api: BatchApi, clock: WallClock) -> None:
    clock.skip(DAY_S - clock() % DAY_S + 60)  # just after midnight
    (project.root / "batchrun.toml").write_text('[budget.tags."team=legal"]\nmax_cost_per_day_usd = 0.007\n')
    project.documents(60)
    batched(project, "first", tags='team = "legal"')
    batched(project, "second", tags='team = "legal", matter = "1"')
    batched(project, "third", tags='team = "sales"')
    assert project.submit(api, job="first").exit_code == ExitCode.OK

    halted = stopped(project.submit(api, job="second"))

    assert "the day's budget for team=legal is reached" in str(halted)
    ((spent,),) = project.ask("select sum(committed_nusd) from tag_spending where tag = 'team'")
    assert 6_300_000 <= spent <= 7_000_000
    assert project.submit(api, job="third").exit_code == ExitCode.OK
    clock.skip(DAY_S)
    assert project.submit(api, job="second").exit_code == ExitCode.OK
    rows = project.ask("select tag || '=' || value, sum(committed_nusd) from tag_spending group by 1 order by 1")
    assert rows == [("matter=1", 60 * COST_NUSD), ("team=legal", 120 * COST_NUSD), ("team=sales", 60 * COST_NUSD)]
