"""Caps as values: the least of all that speak, days and months, what may be under way, which models are allowed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.budget.caps import (
    Amount,
    Cap,
    Caps,
    CapUsage,
    ModelRule,
    Of,
    Origin,
    Per,
    forbidden,
    merged,
    most_in_flight_nusd,
)
from batchrun.budget.days import day_of, month_of

JOB = Cap(Per.RUN, 100, "budget.max_cost_usd", Origin.JOB)
LOWER = Cap(Per.RUN, 50, "--max-cost", Origin.COMMAND)
PROJECT = Cap(Per.RUN, 70, "budget.max_cost_usd", Origin.PROJECT)
OPERATOR = Cap(Per.RUN, 60, "BATCHRUN_MAX_COST", Origin.OPERATOR)
DAY = Cap(Per.DAY, 500, "budget.max_cost_per_day_usd", Origin.PROJECT)
STRICT_DAY = Cap(Per.DAY, 400, "BATCHRUN_MAX_COST_PER_DAY", Origin.OPERATOR)
TOKENS = Cap(Per.DAY, 300, "budget.max_tokens_per_day", Origin.PROJECT, of=Of.TOKENS)
OF_MODEL = Cap(Per.DAY, 200, 'budget.models."m".max_cost_per_day_usd', Origin.PROJECT, "m")


def caps(*some: Cap, soft: bool = False) -> Caps:
    return merged(some, soft=soft, partial=False)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ([JOB], JOB),
        ([JOB, LOWER], LOWER),
        ([JOB, PROJECT, OPERATOR], OPERATOR),
        ([JOB, LOWER, PROJECT, OPERATOR], LOWER),
        ([JOB, Cap(Per.RUN, 100, "--max-cost", Origin.COMMAND)], JOB),
    ],
)
def test_the_least_counts_and_of_equals_the_first(said: list[Cap], counts: Cap) -> None:
    assert caps(*said) == Caps(run=counts)


def test_each_kind_has_its_own_least() -> None:
    document = Cap(Per.DOCUMENT, 5, "budget.max_cost_per_document_usd", Origin.JOB)

    both = caps(JOB, DAY, STRICT_DAY, TOKENS, OF_MODEL, document)

    assert both == Caps(run=JOB, document=document, shared=(STRICT_DAY, TOKENS, OF_MODEL))


def test_a_soft_cap_has_the_ceilings_beside_it() -> None:
    soft = caps(JOB, LOWER, PROJECT, OPERATOR, soft=True)

    assert soft.soft
    assert (soft.run.limit, soft.run.of, soft.run.key) == (50, Of.EXPECTED, "--max-cost")
    assert soft.ceiling == OPERATOR
    assert caps(JOB, soft=True).ceiling is None


@pytest.mark.parametrize(
    ("cap", "amount", "fits"),
    [
        (JOB, Amount(10, 1_000, 1_000), True),
        (JOB, Amount(11), False),
        (TOKENS, Amount(1_000, 210), True),
        (TOKENS, Amount(1, 211), False),
        (caps(JOB, soft=True).run, Amount(1_000, expected_nusd=10), True),
        (caps(JOB, soft=True).run, Amount(1_000, expected_nusd=11), False),
        (caps(JOB, soft=True).run, Amount(11), False),
    ],
)
def test_an_amount_fits_by_what_the_cap_counts(cap: Cap, amount: Amount, fits: bool) -> None:
    assert CapUsage(cap, 90).fits(amount) is fits


@pytest.mark.slow
@given(st.integers(0, 10**12), st.lists(st.floats(0, 1), max_size=40))
def test_whatever_dies_how_often_little_is_wasted(cap_nusd: int, deaths: list[float]) -> None:
    held = 0
    for share in deaths:
        allowed = most_in_flight_nusd(cap_nusd=cap_nusd, held_nusd=held)
        assert allowed >= 0
        held += int(share * allowed)
    assert held <= 0.08 * cap_nusd


# --- days


@pytest.mark.parametrize(
    ("moment", "first", "last"),
    [
        ("2026-11-30 23:59:59", "2026-11-01", "2026-11-30"),
        ("2026-12-01 00:00:00", "2026-12-01", "2026-12-31"),
        ("2028-02-29 12:00:00", "2028-02-01", "2028-02-29"),
        ("2027-02-01 00:00:00", "2027-02-01", "2027-02-28"),
    ],
)
def test_days_and_months_are_those_of_utc(moment: str, first: str, last: str) -> None:
    def days_of(text: str) -> int:
        return day_of(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

    month = month_of(days_of(moment))

    assert days_of(moment) == days_of(moment[:10])
    assert (month[0], month[-1]) == (days_of(first), days_of(last))


# --- models


def rule(allowed: tuple[str, ...] | None = None, denied: tuple[str, ...] = ()) -> ModelRule:
    return ModelRule(Origin.PROJECT, allowed, "budget.allowed_models", denied, "budget.denied_models")


@pytest.mark.parametrize(
    ("models", "rules", "who"),
    [
        (["a", "b"], [rule()], None),
        (["a", "b"], [rule(("a", "b", "c"))], None),
        (["a", "b"], [rule(("a",))], '"b" is not allowed: budget.allowed_models'),
        (["a", "b"], [rule(denied=("b",))], '"b" is not allowed: budget.denied_models'),
        (["a"], [rule(("a",)), rule(denied=("a",))], '"a" is not allowed: budget.denied_models'),
        (["a"], [rule(("a",), ("a",))], '"a" is not allowed: budget.denied_models'),
        (["a-20260101"], [rule(("a",))], None),
        (["a"], [rule(denied=("a-20260101",))], '"a" is not allowed: budget.denied_models'),
        (["a-5"], [rule(("a",))], '"a-5" is not allowed: budget.allowed_models'),
    ],
)
def test_every_model_must_be_allowed_by_everybody(models: list[str], rules: list[ModelRule], who: str | None) -> None:
    refused = forbidden(models, rules)

    assert (refused is None) == (who is None)
    assert who is None or who in str(refused)


def test_a_key_among_the_allowed_models_is_not_told() -> None:
    refused = forbidden(["a"], [rule(("b", "sk-ant-api03-do-not-tell-anyone-3141592653"))])

    assert refused is not None
    assert "do-not-tell-anyone" not in f"{refused} {refused.hint}"
    assert "allowed there: b, " in str(refused.hint)
