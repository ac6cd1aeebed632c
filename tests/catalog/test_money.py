"""Amounts as people read and type them: never rounded to nothing, never below what is needed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.catalog.money import dollars, enough, in_column, spent_and_held

AMOUNTS = {
    0: "$0.00",
    3_000_000: "$0.0030",
    150_000: "$0.00015",
    123_456: "$0.0001235",
    1: "$0.000000001",
    0.4: "$0.00",
    999_900_000: "$0.9999",
    1_234_567_890_000: "$1,234.57",
}


@pytest.mark.parametrize("nusd", AMOUNTS)
def test_small_amounts_are_not_hidden_by_cents(nusd: int) -> None:
    assert dollars(nusd) == AMOUNTS[nusd]


@given(st.integers(1, 10**12))
def test_nothing_but_zero_reads_like_zero(nusd: int) -> None:
    assert Decimal(dollars(nusd).removeprefix("$").replace(",", "")) > 0
    assert in_column(nusd, places=4).strip("<$0.") != ""


@given(st.integers(0, 10**16))
def test_what_is_asked_for_is_enough_and_not_a_cent_more(nusd: int) -> None:
    asked = Decimal(enough(nusd)) * 10**9

    assert nusd <= asked < nusd + 10_000_000


def test_what_is_held_is_not_called_spent() -> None:
    assert spent_and_held(44_000_000, 0) == "$0.0440 spent"
    assert spent_and_held(44_000_000, 3_170_000_000).startswith(
        "$0.0440 spent and $3.17 reserved for answers that were lost"
    )
