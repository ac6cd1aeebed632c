"""The table of prices, for people and for programs."""

from collections.abc import Iterator
from dataclasses import asdict, astuple
from datetime import date

from batchrun.catalog.notices import old_table, retires_soon
from batchrun.catalog.price import ModelPrice, Rates
from batchrun.catalog.price_table import PriceTable
from batchrun.cli.views.format import count, table
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, readable_json

HEADER = (
    "MODEL", "VALID FROM", "IN", "OUT", "WRITE 5M", "WRITE 1H", "READ", "CACHED FROM", "RETIRES", "TABLE OF",
)  # fmt: skip


def show_prices(prices: PriceTable, *, today: date, terminal: Terminal) -> None:
    """Print the rows in force, the rows to come, and the warnings about both."""
    now = [row for row in prices.prices.values() if row.valid_from is None or row.valid_from <= today]
    upcoming = sorted((row for rows in prices.upcoming.values() for row in rows), key=lambda row: row.name)
    later = [*(row for row in prices.prices.values() if row not in now), *upcoming]
    warnings = table_warnings([*now, *later], today=today)
    age = (today - prices.date).days
    if terminal.json:
        rows = [price_fields(row, in_force=row in now) for row in [*now, *later]]
        about = {"v": 1, "source": prices.source, "date": str(prices.date), "age_days": age, "warnings": warnings}
        terminal.result(readable_json({**about, "models": rows}, indent=2))
        return
    terminal.result(f"{escape_control(prices.source)}, of {prices.date}: {count(age, 'day')} old")
    terminal.result("USD per million tokens; in batches half of every price\n")
    width = terminal.width()
    terminal.result(table(HEADER, [line for row in now for line in lines_of(row)], width=width))
    if later:
        terminal.result("\nto come\n" + table(HEADER, [line for row in later for line in lines_of(row)], width=width))
    if warnings:
        terminal.result("\n" + "\n".join(f"warning: {escape_control(warning)}" for warning in warnings))


def table_warnings(rows: list[ModelPrice], *, today: date) -> list[str]:
    """Warnings of old tables, each once, and of models that retire soon."""
    tables = sorted({(row.table_date, row.source) for row in rows})
    ends = sorted({(row.name, row.retires) for row in rows if row.retires})
    notices = [
        *(old_table(made, source, today=today) for made, source in tables),
        *(retires_soon(name, retires, today=today) for name, retires in ends),
    ]
    return [one for one in notices if one is not None]


def lines_of(row: ModelPrice) -> Iterator[tuple[str, ...]]:
    """The line of a model, and a second line if long prompts have other prices."""
    valid_from, retires = (str(day) if day else "" for day in (row.valid_from, row.retires))
    cached = f"{row.min_cacheable_tokens:,}" if row.min_cacheable_tokens else "not known"
    yield (row.name, valid_from, *amounts(row.rates), cached, retires, str(row.table_date))
    if row.band:
        yield (f"  prompts above {row.band.above_tokens:,}", "", *amounts(row.band.rates), "", "", "")


def amounts(rates: Rates) -> tuple[str, ...]:
    """The five prices, in the order of the header."""
    return tuple(f"${nusd / 1e3:g}" for nusd in astuple(rates))


def price_fields(row: ModelPrice, *, in_force: bool) -> dict[str, object]:
    """The row of a model for programs."""
    return {
        "model": row.name,
        "in_force": in_force,
        "valid_from": str(row.valid_from) if row.valid_from else None,
        "usd_per_million": per_million(row.rates),
        "above": {"prompt_tokens": row.band.above_tokens, "usd_per_million": per_million(row.band.rates)}
        if row.band
        else None,
        "min_cacheable_tokens": row.min_cacheable_tokens,
        "context_window": row.context_window,
        "max_output_tokens": row.max_output_tokens,
        "retires": str(row.retires) if row.retires else None,
        "table_date": str(row.table_date),
        "source": row.source,
    }


def per_million(rates: Rates) -> dict[str, float]:
    """Prices in USD per million tokens, by class of token."""
    return {name: nusd / 1e3 for name, nusd in asdict(rates).items()}
