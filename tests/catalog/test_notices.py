from datetime import date, timedelta

import pytest

from batchrun.catalog.lifecycle import ModelLife
from batchrun.catalog.notices import life_notice, old_table, price_notices, retires_soon, upcoming_price
from batchrun.catalog.price_table import load_prices

TODAY = date(2026, 11, 27)
TABLE = load_prices(today=TODAY)


def days(count):
    return TODAY + timedelta(days=count)


@pytest.mark.parametrize(("age", "said"), [(-1, False), (0, False), (60, False), (61, True), (400, True)])
def test_a_table_older_than_60_days_is_said_with_what_to_do(age, said):
    notice = old_table(days(-age), "a file", today=TODAY)
    assert (notice is not None) == said
    assert notice is None or (f"{age} days old" in notice and "BATCHRUN_PRICES" in notice)


@pytest.mark.parametrize(
    ("left", "said"),
    [(61, None), (60, "in 60 days"), (3, "in 3 days"), (1, "in a day"), (0, "has come"), (-9, "has come")],
)
def test_a_retirement_is_said_60_days_before(left, said):
    notice = retires_soon("m", days(left), today=TODAY)
    assert said in notice if said else notice is None


def test_no_day_of_retirement_is_no_notice():
    assert retires_soon("m", None, today=TODAY) is None


def test_a_job_hears_of_each_model_and_once_of_a_table():
    prices = [TABLE.model("claude-sonnet-4-5"), TABLE.model("claude-haiku-4-5")]
    assert price_notices(prices, today=TODAY) == (
        "claude-sonnet-4-5 retires on 2026-11-30, in 3 days: choose another model for what runs later",
    )
    (old,) = price_notices([TABLE.model("claude-opus-5"), TABLE.model("claude-opus-5-5")], today=date(2027, 6, 1))
    assert "the package's own table, of 2026-11-20" in old


def test_a_price_to_come():
    assert upcoming_price(TABLE.model("claude-sonnet-4-6")).endswith("on: $3 in, $15 out per million tokens")


LIVES = [
    ("active", None, None),
    ("active", 30, "in 30 days"),
    ("active", 90, None),
    ("deprecated", 3, "in 3 days"),
    ("deprecated", 90, "is deprecated and retires on"),
    ("deprecated", None, "no day of retirement"),
    ("retired", -3, "is retired"),
    (None, None, None),
]


@pytest.mark.parametrize(("lifecycle", "left", "said"), LIVES)
def test_what_the_models_api_tells(lifecycle, left, said):
    life = ModelLife(
        name="m",
        lifecycle=lifecycle,
        deprecated=None,
        retires=None if left is None else days(left),
        max_input_tokens=None,
        max_output_tokens=None,
    )
    notice = life_notice(life, today=TODAY)
    assert said in notice if said else notice is None
