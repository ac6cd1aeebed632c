"""Caps on the batch route: waves until nothing fits, days, documents, and what is expected."""

import pytest
from batch_submits import COST_NUSD, SMALL
from scripted_batches_memory import DAY_S, EXPIRED, BatchApi, WallClock
from scripted_provider import answer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.execution.failure_messages import BudgetReached
from batchrun.outcome import Outcome
from batchrun.reply import Usage
from batchrun.workflow.summary import Summary

pytestmark = pytest.mark.slow


def batched(project: TrialProject, name: str = "trial", *, budget: str, **more: str) -> None:
    run = 'route = "batch"'
    prompt = f'user = "{name}: {{{{ doc.text }}}}"'
    project.job(name, **{"run": run, "batch": SMALL, "budget": budget, "prompt": prompt} | more)


def committed(project: TrialProject) -> int:
    return int(project.ask("select sum(coalesce(cost_nusd, reserved_nusd)) from attempts")[0][0])


def stopped(summary: Summary) -> BudgetReached:
    assert summary.exit_code == ExitCode.STOPPED
    assert isinstance(summary.halted, BudgetReached)
    return summary.halted


def test_waves_go_on_until_not_even_one_request_fits(project: TrialProject, api: BatchApi) -> None:
    project.documents(150)
    for number in range(0, 150, 7):
        project.document(f"{number:04}.txt", f"{number} " + "word " * 600)
    batched(project, budget="max_cost_usd = 0.009\npartial = true")

    summary = project.submit(api)

    assert "the budget is reached" in str(stopped(summary))
    assert 8_100_000 <= committed(project) <= 9_000_000
    assert {prompt: times for prompt, times in api.paid.items() if times > 1} == {}
    assert summary.remaining is not None
    assert summary.remaining.documents == summary.outcomes[None] == 150 - summary.outcomes[Outcome.SUCCEEDED]


def test_the_cap_of_a_day_holds_for_batches_and_the_next_day_goes_on(
    project: TrialProject, api: BatchApi, clock: WallClock
) -> None:
    clock.skip(DAY_S - clock() % DAY_S + 60)  # just after midnight
    (project.root / "batchrun.toml").write_text("[budget]\nmax_cost_per_day_usd = 0.007\n")
    project.documents(60)
    for name in ("first", "second"):
        batched(project, name, budget="max_cost_usd = 1.0\npartial = true")
    assert project.submit(api, job="first").exit_code == ExitCode.OK

    halted = stopped(project.submit(api, job="second"))

    assert "the day's budget is reached" in str(halted)
    assert 6_300_000 <= committed(project) <= 7_000_000
    clock.skip(DAY_S)
    assert project.submit(api, job="second").exit_code == ExitCode.OK
    assert committed(project) == 120 * COST_NUSD


def test_tokens_of_a_day_hold_for_batches(project: TrialProject, api: BatchApi, clock: WallClock) -> None:
    clock.skip(DAY_S - clock() % DAY_S + 60)
    (project.root / "batchrun.toml").write_text("[budget]\nmax_tokens_per_day = 5_000\n")
    project.documents(60)
    batched(project, budget="max_cost_usd = 1.0\npartial = true")

    halted = stopped(project.submit(api))

    assert "the day's budget of tokens is reached" in str(halted)
    ((used,),) = project.ask("select tokens from spending")
    assert 4_000 < used <= 5_000


def test_a_soft_cap_packs_what_is_expected(project: TrialProject, api: BatchApi) -> None:
    project.documents(60)
    sizes = {}
    for cutoff in ("hard", "soft"):
        budget = f'max_cost_usd = 0.009\ncutoff = "{cutoff}"\npartial = true'
        batched(project, cutoff, budget=budget, batch=SMALL.replace("10\n", "100\n"))
        before = len(api.sizes)
        project.submit(api, job=cutoff)
        sizes[cutoff] = api.sizes[before]

    assert sizes["soft"] > 1.5 * sizes["hard"]


def test_a_document_is_batched_again_only_within_its_cap(project: TrialProject, api: BatchApi) -> None:
    project.documents(3)
    batched(project, budget="max_cost_usd = 1.0\nmax_cost_per_document_usd = 0.001", source=(
        'type = "files"\ninclude = ["docs/*.txt"]\non_oversize = "skip"'))  # fmt: skip
    project.document("0009.txt", "word " * 1_500)
    untold = answer(usage=None, text="")  # booked at its worst case
    api.script["trial: text 0"] = [EXPIRED, answer()]
    api.script["trial: text 1"] = [untold]

    summary = project.submit(api)

    assert project.statuses()["0009.txt"] == "skipped", "at half the price it may still cost more"
    assert project.statuses()["0000.txt"] == "succeeded", "what expired was not billed"
    assert summary.exit_code == ExitCode.SOME_FAILED
    project.ask("update requests set outcome = null where outcome = 'invalid'", commit=True)
    project.ask("update runs set state = 'stopped'", commit=True)

    project.submit(api)

    assert project.statuses()["0001.txt"] == "errored"
    ((reason,),) = project.ask("select reason from document_status where status = 'errored'")
    assert "budget.max_cost_per_document_usd of the job file) is spent or reserved for it" in reason
    assert api.paid["trial: text 1"] == 1


def test_an_answer_that_costs_more_than_the_rest_ends_the_waves(project: TrialProject, api: BatchApi) -> None:
    project.documents(40)
    batched(project, budget="max_cost_usd = 0.009\npartial = true")
    api.default = answer(usage=Usage(input_tokens=500, output_tokens=100))

    stopped(project.submit(api))

    assert 8_100_000 <= committed(project) <= 9_000_000
