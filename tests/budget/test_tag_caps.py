"""Caps of tags and of a run's tokens, as values: whom they concern, which counts, and what they are called."""

from dataclasses import replace

import pytest

from batchrun.budget.cap_text import called, cap_usage_text, raising, said
from batchrun.budget.caps import Cap, Caps, CapUsage, Of, Origin, Per, merged, remaining_nusd, remaining_tokens
from batchrun.budget.policy import operator_caps, project_caps
from batchrun.errors import UsageProblem
from batchrun.job.project import ProjectBudget

JOB = Cap(Per.RUN, 100, "budget.max_cost_usd", Origin.JOB)
TOKENS = Cap(Per.RUN, 9_000, "budget.max_tokens", Origin.JOB, of=Of.TOKENS)
CEILING = Cap(Per.RUN, 8_000, "BATCHRUN_MAX_TOKENS", Origin.OPERATOR, of=Of.TOKENS)
LEGAL = Cap(Per.DAY, 200, 'budget.tags."team=legal".max_cost_per_day_usd', Origin.PROJECT, tag="team=legal")
SALES = replace(LEGAL, tag="team=sales")
DAY = Cap(Per.DAY, 500, "budget.max_cost_per_day_usd", Origin.PROJECT)


def test_each_tag_has_its_own_least() -> None:
    lower = replace(LEGAL, limit=150)

    caps = merged([JOB, DAY, LEGAL, SALES, lower], soft=False, partial=False)

    assert caps == Caps(run=JOB, shared=(DAY, lower, SALES))


def test_the_least_of_the_caps_of_tokens_counts_and_no_dollars_are_lowered_by_it() -> None:
    caps = merged([JOB, TOKENS, CEILING], soft=False, partial=False)

    assert caps == Caps(run=JOB, tokens=CEILING)


def test_tokens_stay_hard_beside_a_soft_cap_and_are_no_ceiling_of_dollars() -> None:
    caps = merged([JOB, TOKENS, CEILING], soft=True, partial=False)

    assert caps == Caps(run=replace(JOB, of=Of.EXPECTED), tokens=CEILING)


@pytest.mark.parametrize(
    ("tags", "shared"),
    [
        ({}, (DAY,)),
        ({"team": "legal"}, (DAY, LEGAL)),
        ({"team": "sales", "matter": "4711"}, (DAY, SALES)),
        ({"team": "other"}, (DAY,)),
        ({"legal": "team"}, (DAY,)),
    ],
)
def test_a_cap_of_a_tag_concerns_only_runs_that_have_the_tag(tags: dict[str, str], shared: tuple[Cap, ...]) -> None:
    caps = Caps(run=JOB, tokens=TOKENS, shared=(DAY, LEGAL, SALES))

    assert caps.borne_by(tags) == Caps(run=JOB, tokens=TOKENS, shared=shared)


def test_what_remains_is_told_of_dollars_and_of_tokens() -> None:
    usages = [CapUsage(JOB, 40), CapUsage(TOKENS, 1_000), CapUsage(LEGAL, 150), CapUsage(replace(TOKENS, limit=1), 2)]

    assert remaining_nusd(usages, "m") == 50
    assert remaining_tokens(usages[:3], "m") == 8_000
    assert remaining_tokens(usages, "m") == 0
    assert remaining_tokens(usages[:1], "m") == float("inf")


def test_the_project_sets_caps_of_tags_and_tokens() -> None:
    caps = {"max_cost_per_day_usd": 5.0, "max_cost_per_month_usd": 50.0, "max_tokens_per_day": 9}
    budget = ProjectBudget.model_validate({"max_tokens": 7, "tags": {"team=legal": caps, 'a="b c"': caps}})

    found = [(cap.per, cap.of, cap.limit, cap.key, cap.model, cap.tag) for cap in project_caps(budget)]

    assert found[0] == (Per.RUN, Of.TOKENS, 7, "budget.max_tokens", None, None)
    assert found[1:4] == [
        (Per.DAY, Of.COST, 5 * 10**9, 'budget.tags."team=legal".max_cost_per_day_usd', None, "team=legal"),
        (Per.MONTH, Of.COST, 50 * 10**9, 'budget.tags."team=legal".max_cost_per_month_usd', None, "team=legal"),
        (Per.DAY, Of.TOKENS, 9, 'budget.tags."team=legal".max_tokens_per_day', None, "team=legal"),
    ]
    assert found[4][3:] == (r'budget.tags."a=\"b c\"".max_cost_per_day_usd', None, 'a="b c"')


def test_the_operator_sets_a_cap_of_tokens() -> None:
    (cap,) = operator_caps({"BATCHRUN_MAX_TOKENS": "2_000_000"})

    assert cap == Cap(Per.RUN, 2_000_000, "BATCHRUN_MAX_TOKENS", Origin.OPERATOR, of=Of.TOKENS)
    with pytest.raises(UsageProblem, match="BATCHRUN_MAX_TOKENS should be a number of tokens"):
        list(operator_caps({"BATCHRUN_MAX_TOKENS": "0.5"}))


@pytest.mark.parametrize(
    ("cap", "name"),
    [
        (LEGAL, "the day's budget for team=legal"),
        (replace(LEGAL, per=Per.MONTH), "the month's budget for team=legal"),
        (replace(LEGAL, of=Of.TOKENS), "the day's budget of tokens for team=legal"),
        (replace(LEGAL, tag="a=\x1b"), r"the day's budget for a=\x1b"),
        (TOKENS, "the budget of tokens"),
    ],
)
def test_a_cap_has_a_name_in_words(cap: Cap, name: str) -> None:
    assert called(cap) == name


def test_what_is_left_and_how_to_raise_it_are_said_in_tokens() -> None:
    assert cap_usage_text(CapUsage(TOKENS, 1_000)) == (
        "8,000 tokens left of 9,000 tokens, the budget of tokens (budget.max_tokens of the job file)"
    )
    assert said(TOKENS) == ""
    assert raising(TOKENS, to=12_345) == "raise budget.max_tokens to 12345 or more"
    assert raising(CEILING, to=12_345) == (
        "ask whoever set BATCHRUN_MAX_TOKENS in the environment to raise it to 12345 or more"
    )
