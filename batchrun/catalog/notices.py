"""What a person should know before money is spent: an old table of prices, a model's end, a price to come."""

from collections.abc import Sequence
from datetime import date

from batchrun.catalog.lifecycle import ModelLife
from batchrun.catalog.price import ModelPrice, Rates

OLD_DAYS = 60
"""An older table may have missed a change: prices changed three times in the autumn of 2026."""
SOON_DAYS = 60
"""How long before a retirement the notice appears; the API's own notice is 60 days (model deprecations page)."""


def price_notices(prices: Sequence[ModelPrice], *, today: date) -> tuple[str, ...]:
    """Give a sentence for each of a job's models that retires soon, and for each old table that prices them."""
    tables = {(price.table_date, price.source) for price in prices}
    old = [old_table(made, source, today=today) for made, source in sorted(tables)]
    ends = [retires_soon(price.name, price.retires, today=today) for price in prices]
    return tuple(notice for notice in (*ends, *old) if notice is not None)


def old_table(made: date, source: str, *, today: date) -> str | None:
    """Give a sentence about a table of prices that is too old to be relied on."""
    age = (today - made).days
    if age <= OLD_DAYS:
        return None
    return (
        f"the prices are {age} days old ({source}, of {made}): upgrade batchrun, or put today's into a file and name"
        " it in [budget] prices_file or BATCHRUN_PRICES"
    )


def retires_soon(model: str, retires: date | None, *, today: date) -> str | None:
    """Give a sentence about a model whose end is near, or past."""
    if retires is None or (days := (retires - today).days) > SOON_DAYS:
        return None
    when = "in a day" if days == 1 else f"in {days} days" if days > 0 else "a day that has come"
    return f"{model} retires on {retires}, {when}: choose another model for what runs later"


def life_notice(life: ModelLife, *, today: date) -> str | None:
    """Give a sentence about a model that, by the Models API, is no longer offered to everybody."""
    match life.lifecycle:
        case "retired":
            return f"{life.name} is retired: choose another model"
        case "deprecated":
            soon = retires_soon(life.name, life.retires, today=today)
            day = f"retires on {life.retires}" if life.retires else "has no day of retirement yet"
            return soon or f"{life.name} is deprecated and {day}"
        case _:
            return retires_soon(life.name, life.retires, today=today)


def upcoming_price(price: ModelPrice) -> str:
    """Say what a row of the future will cost: `from 2027-01-01 on: $3 in, $15 out per million tokens`."""
    return f"from {price.valid_from} on: {in_and_out(price.rates)} per million tokens"


def in_and_out(rates: Rates) -> str:
    """Give the two prices that people compare, in USD per million tokens: `$3 in, $15 out`."""
    return f"${rates.input / 1e3:g} in, ${rates.output / 1e3:g} out"
