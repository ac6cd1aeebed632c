"""A run's budget of tokens: refused, reserved and never passed, like its dollars and beside them."""

import re

import pytest
from scripted_provider import ScriptedProvider, answer, lost
from trial_project import TrialProject

from batchrun.errors import ExitCode, Refused
from batchrun.execution.failure_messages import BudgetReached
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Usage
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.usefixtures("no_output")
EACH = 110
"""The tokens of an answer of the scripted API."""
PARTIAL = SubmitOptions(partial=True)


def budget(tokens: int, *more: str) -> str:
    return "\n".join(["max_cost_usd = 1.0", f"max_tokens = {tokens}", *more])


def kept(project: TrialProject) -> int:
    """The tokens of the one run, as the ledger keeps them and as its attempts have them."""
    ((tokens, added_up),) = project.ask("select tokens, (select sum(counted_tokens) from attempts) from runs")
    assert tokens == added_up
    return int(tokens)


def stopped(summary: Summary) -> BudgetReached:
    assert summary.exit_code == ExitCode.STOPPED
    assert isinstance(summary.halted, BudgetReached)
    return summary.halted


def test_an_estimate_above_it_is_refused_with_the_value_that_would_be_enough(project: TrialProject) -> None:
    project.job(budget=budget(4_000))
    project.documents(40)
    plan = project.plan()

    with pytest.raises(Refused, match="the estimate is above the budget of tokens") as refused:
        project.submit(provider := ScriptedProvider())

    needed = plan.estimate.upper_tokens
    said = str(refused.value)
    assert f"tokens     up to {needed:,}\n" in said
    assert "budget     4,000 tokens\n" in said
    assert f"{needed:,} tokens is {needed - 4_000:,} tokens too much" in said
    enough = needed + plan.worst_tokens
    assert f"raise budget.max_tokens to {enough} or more" in str(refused.value.hint)
    assert "--partial" in str(refused.value.hint)
    assert provider.sent == []

    fits = int(re.findall(r"would fit  --limit (\d+)", said)[0])
    assert 0 < fits == plan.affordable_count < 40
    assert project.submit(ScriptedProvider(), Selection(limit=fits)).exit_code == ExitCode.OK
    project.job(budget=budget(needed))
    assert project.submit(ScriptedProvider()).exit_code == ExitCode.OK, "what it said is enough"


def test_a_budget_of_tokens_below_one_worst_case_is_refused(project: TrialProject) -> None:
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 8192', budget=budget(5_000))
    project.documents(3)
    plan = project.plan()
    assert plan.estimate.upper_tokens < 5_000 < plan.worst_tokens

    with pytest.raises(Refused, match="one of the requests may use up to") as refused:
        project.submit(provider := ScriptedProvider())

    assert f"may use up to {plan.worst_tokens:,} tokens, which is reserved before it is sent" in str(refused.value)
    assert "raise budget.max_tokens to" in str(refused.value.hint)
    assert plan.affordable_count == 0
    assert provider.sent == []
    project.job(model='name = "claude-haiku-4-5"\nmax_tokens = 8192', budget=budget(plan.worst_tokens))
    project.submit(provider, Selection(limit=1))
    assert len(provider.sent) == 1, "the worst case of the plan is what is reserved"


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 2, 16])
def test_a_partial_run_stops_at_it_and_goes_on_with_more(project: TrialProject, concurrency: int) -> None:
    run = f"max_concurrency = {concurrency}"
    project.job(run=run, budget=budget(4_000))
    project.documents(40)

    summary = project.submit(ScriptedProvider(latency_s=0.001), options=PARTIAL)

    halted = stopped(summary)
    assert re.search(r"the budget of tokens is reached: 3,\d+ tokens of 4,000 tokens is spent or reserved", str(halted))
    assert "the next request may use up to" in str(halted)
    assert 3_000 < kept(project) <= 4_000
    assert summary.totals is not None
    assert (summary.totals.tokens, summary.totals.cap_tokens) == (kept(project), 4_000)
    assert summary.outcomes[Outcome.SUCCEEDED] * EACH == kept(project)
    before = kept(project)
    stopped(project.submit(ScriptedProvider()))
    assert kept(project) == before, "the same command goes on, and finds that there is no more room"

    project.job(run=run, budget=budget(40 * EACH + 1_000))
    assert project.submit(ScriptedProvider()).exit_code == ExitCode.OK
    assert kept(project) == 40 * EACH
    assert project.ask("select count(*) from runs") == [(1,)]


@pytest.mark.slow
def test_two_in_flight_never_pass_it(project: TrialProject) -> None:
    """Each answer uses as many tokens as were reserved, so that one request too many would pass the cap."""
    project.job(run="max_concurrency = 2")
    project.documents(40)
    worst = project.plan().worst_tokens
    project.job(run="max_concurrency = 2", budget=budget(5 * worst - 1, "partial = true"))
    dear = answer(usage=Usage(input_tokens=worst - 100, output_tokens=100))

    summary = project.submit(ScriptedProvider(default=dear, latency_s=0.001))

    assert "the budget of tokens is reached" in str(stopped(summary))
    assert kept(project) == 4 * worst


@pytest.mark.slow
def test_answers_that_were_lost_are_held_in_tokens_too(project: TrialProject) -> None:
    project.job(run="max_concurrency = 1", budget=budget(100_000))
    project.documents(3)

    summary = project.submit(ScriptedProvider({"text 0": [lost(), answer()]}))

    assert summary.totals is not None
    ((held,),) = project.ask("select sum(reserved_tokens) from attempts where state = 'unknown'")
    assert held > 0
    assert kept(project) == summary.totals.tokens == 3 * EACH + held


@pytest.mark.slow
def test_where_the_tokens_will_bind_a_kill_can_waste_little(project: TrialProject) -> None:
    project.documents(200)
    project.job(run="max_concurrency = 64", budget=budget(10_000, "partial = true"))

    stopped(project.submit(provider := ScriptedProvider(latency_s=0.002)))

    assert provider.most_in_flight == 1, "a second one at its worst would be more than 2% of what the tokens pay for"


def test_a_lower_budget_of_tokens_is_approved_anew(project: TrialProject) -> None:
    project.documents(40)
    project.job(budget=budget(4_400, "partial = true"))
    stopped(project.submit(ScriptedProvider()))
    assert project.plan().already_approved

    project.job(budget=budget(4_300))
    assert not project.plan().already_approved
    with pytest.raises(Refused, match="the budget of tokens"):
        project.submit(ScriptedProvider())
    project.job(budget=budget(4_400))
    assert project.plan().already_approved


def test_a_budget_of_tokens_that_is_new_is_approved_anew(project: TrialProject) -> None:
    project.documents(40)
    project.job(budget="max_cost_usd = 0.005\npartial = true")
    stopped(project.submit(ScriptedProvider()))

    project.job(budget="max_cost_usd = 0.005\nmax_tokens = 1_000_000")

    assert not project.plan().already_approved


def test_the_lowest_ceiling_counts(project: TrialProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def cap() -> tuple[int, str] | None:
        with project.opened() as opened:
            tokens = opened.planner().caps.tokens
        return tokens and (tokens.limit, tokens.name)

    assert cap() is None
    (project.root / "batchrun.toml").write_text("[budget]\nmax_tokens = 900\n")
    assert cap() == (900, "budget.max_tokens of batchrun.toml")
    project.job(budget=budget(800))
    assert cap() == (800, "budget.max_tokens of the job file")
    monkeypatch.setenv("BATCHRUN_MAX_TOKENS", "700")
    assert cap() == (700, "BATCHRUN_MAX_TOKENS of the environment")
    project.documents(20)
    with pytest.raises(Refused) as refused:
        project.submit(ScriptedProvider())
    assert "budget     700 tokens (BATCHRUN_MAX_TOKENS of the environment)" in str(refused.value)
    assert "ask whoever set BATCHRUN_MAX_TOKENS" in str(refused.value.hint)
