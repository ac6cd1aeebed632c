"""What was spent, for people and for programs. Groups are written one by one, because there may be many."""

import heapq
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields

from batchrun.catalog.money import dollars, in_column
from batchrun.catalog.price import PriceRow
from batchrun.cli.views.format import about, count, cut
from batchrun.cli.views.price_text import per_million
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, readable_json
from batchrun.store.reports.costs import NAMES, By, ClassCosts, Costs, Spending, UsedPrice

MOST_ON_A_TERMINAL = 50
UNTAGGED = "(none)"
"""What stands for the value of a tag that a run does not have."""
CLASSES = {one.name: one.name.replace("_", " ").upper() for one in fields(ClassCosts)}
"""The classes of tokens, with the names of their columns."""


def show_as_text(costs: Costs, by: By, *, simulated: bool, terminal: Terminal) -> None:
    """A table of the groups, their total, and the prices that were used."""
    total = costs.total()
    if adopted := costs.adopted():
        terminal.say(
            f"the cost of {count(adopted, 'answer')} is unknown: adopted from the output, not sent by this ledger"
        )
    if not total.attempts:
        terminal.say("nothing was sent, so nothing was spent")
        return
    width = terminal.width()
    few = by is By.DOCUMENT and width is not None and total.documents > MOST_ON_A_TERMINAL
    groups = heapq.nlargest(MOST_ON_A_TERMINAL, costs.groups(by), key=weight) if few else costs.groups(by)
    if simulated:
        terminal.result(terminal.styled("SIMULATED: none of this was paid", sys.stdout, fg="yellow"))
    for line in table_lines(groups, total, by=by, longest=costs.longest_names(by)):
        terminal.result(cut(line, width))
    if few:
        terminal.result(
            f"the costliest {MOST_ON_A_TERMINAL}, and {total.documents - MOST_ON_A_TERMINAL:,} more; all: --json"
        )
    for line in [*explanation_lines(total), *price_lines(costs.prices())]:
        terminal.result(line)


def weight(one: Spending) -> int:
    """The most that a group may have cost."""
    return one.cost_nusd + one.held_nusd + one.open_nusd


def table_lines(groups: Iterable[Spending], total: Spending, *, by: By, longest: tuple[int, ...]) -> Iterator[str]:
    """The table, names at the left and numbers at the right. No number of a group is wider than that of the total."""
    totals = cells_of(total, total, by)
    names = [name.upper() for name in NAMES[by]]
    first = [max(len(name), size) for name, size in zip(names, longest, strict=True)]
    first[0] = max(first[0], len("total"), len(UNTAGGED) if by is By.TAG else 0)
    rest = [max(len(name), len(cell) + ("$" in cell)) for name, cell in totals.items()]

    def line(left: Iterable[str], right: Iterable[str]) -> str:
        cells = [escape_control(cell).ljust(size) for cell, size in zip(left, first, strict=True)]
        return "  ".join([*cells, *(cell.rjust(size) for cell, size in zip(right, rest, strict=True))]).rstrip()

    yield line(names, totals)
    for group in groups:
        named = [name or UNTAGGED for name in group.names] if by is By.TAG else group.names
        yield line(named, cells_of(group, total, by).values())
    yield line(["total", *[""] * (len(names) - 1)], totals.values())


def cells_of(one: Spending, total: Spending, by: By) -> dict[str, str]:
    """The numbers of a group by column. Most columns exist only if the total has something to show in them."""
    places = 6 if by is By.DOCUMENT else 4  # the amounts of single documents are small

    def usd(nusd: int) -> str:
        return in_column(nusd, places=places)

    cells = {"COST": usd(one.cost_nusd)}
    if total.failed:
        cells["FAILED"] = f"{one.failed:,} {usd(one.failed_nusd)}"
    if total.held_nusd:
        cells["RESERVED"] = usd(one.held_nusd)
    if total.open_nusd:
        cells["OPEN"] = usd(one.open_nusd)
    cells["ATTEMPTS"] = f"{one.attempts:,}"
    if by is not By.DOCUMENT:
        cells["DOCUMENTS"] = f"{one.documents:,}"
    tokens, all_tokens = tokens_of(one), tokens_of(total)
    for name, column in CLASSES.items():
        if all_tokens[name] or name in {"input", "output"}:
            cells[column] = f"{tokens[name]:,} {usd(getattr(one.classes, name))}"
    if total.tokens.thinking_tokens:
        cells["THINKING"] = f"{one.tokens.thinking_tokens or 0:,}"
    return cells


def tokens_of(one: Spending) -> dict[str, int]:
    """Tokens by class, under the names of `ClassCosts`."""
    return {name: getattr(one.tokens, f"{name}_tokens") for name in CLASSES}


def explanation_lines(total: Spending) -> list[str]:
    """Explanations of the columns that need one."""
    lines = []
    if total.failed:
        lines.append("FAILED: attempts that brought no row, and their part of COST.")
    if total.held_nusd:
        lines.append(
            "RESERVED: the worst case of answers that were lost or told no usage. They may have been billed, and count"
            " against budgets."
        )
    if total.open_nusd:
        lines.append("OPEN: reserved for requests in progress, or whose end is not recorded yet.")
    if total.unclassed_nusd:
        lines.append(
            f"{dollars(total.unclassed_nusd)} of COST is in no class of token: it is from before prices were recorded."
        )
    if thinking := total.tokens.thinking_tokens:
        share = about(thinking / max(total.tokens.output_tokens, 1))
        lines.append(f"THINKING: the part of the OUTPUT tokens that is thinking, {share} of them.")
    return [f"\n{lines[0]}", *lines[1:]] if lines else []


def price_lines(prices: list[UsedPrice]) -> Iterator[str]:
    """The rows of price tables by which attempts were priced, each with its use, its prices and its source."""
    if prices:
        yield "\npriced by"
    for used in prices:
        row = used.row
        above = f", prompts above {row.above_tokens:,} tokens" if row.above_tokens else ""
        batches = ", in batches" if row.divisor != 1 else ""
        since = f", valid from {row.valid_from}" if row.valid_from else ""
        yield f"  {escape_control(row.model)}{above}{batches}: {price_words(row)} per million tokens"
        yield (
            f"      {escape_control(row.source)} of {row.table_date}{since}"
            f" · {count(used.attempts, 'attempt')}, {dollars(used.cost_nusd)}"
        )


def price_words(row: PriceRow) -> str:
    """The five prices of a row."""
    usd = {name: nusd / row.divisor / 1e3 for name, nusd in asdict(row.rates).items()}
    return (
        f"${usd['input']:g} in, ${usd['output']:g} out, cache ${usd['cache_write_5m']:g} (5m) and"
        f" ${usd['cache_write_1h']:g} (1h) written, ${usd['cache_read']:g} read"
    )


def show_as_json(costs: Costs, by: By, *, simulated: bool, terminal: Terminal) -> None:
    """Write one object piece by piece, with a row on each line. Fields may be added, and none is renamed."""
    head = readable_json({"v": 1, "by": f"{by}:{costs.tag}" if by is By.TAG else by, "simulated": simulated})
    terminal.exact(f'{head[:-1]}, "rows": [')
    for number, group in enumerate(costs.groups(by)):
        named = dict(zip(NAMES[by], group.names, strict=True))
        terminal.exact(("," if number else "") + "\n" + readable_json({**named, **spending_fields(group)}))
    prices = [price_fields(one) for one in costs.prices()]
    tail = readable_json({"total": spending_fields(costs.total()), "prices": prices, "cost_unknown": costs.adopted()})
    terminal.exact(f"\n], {tail[1:]}\n")


def spending_fields(one: Spending) -> dict[str, object]:
    """A group for programs, in whole tokens and in USD that are exact to the nano-USD of the ledger."""
    return {
        "attempts": one.attempts,
        "documents": one.documents,
        "cost_usd": one.cost_nusd / 1e9,
        "held_usd": one.held_nusd / 1e9,
        "open_usd": one.open_nusd / 1e9,
        "failed": {"attempts": one.failed, "cost_usd": one.failed_nusd / 1e9},
        "tokens": tokens_of(one),
        "thinking_tokens": one.tokens.thinking_tokens,
        "class_cost_usd": {name: nusd / 1e9 for name, nusd in asdict(one.classes).items()},
        "unclassed_usd": one.unclassed_nusd / 1e9,
    }


def price_fields(used: UsedPrice) -> dict[str, object]:
    """A price row for programs, in USD per million tokens before the division (by 2 in batches)."""
    row = used.row
    return {
        "model": row.model,
        "source": row.source,
        "table_date": str(row.table_date),
        "valid_from": str(row.valid_from) if row.valid_from else None,
        "above_tokens": row.above_tokens,
        "divisor": row.divisor,
        "usd_per_million": per_million(row.rates),
        "attempts": used.attempts,
        "cost_usd": used.cost_nusd / 1e9,
    }
