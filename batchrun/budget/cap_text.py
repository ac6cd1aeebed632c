"""Caps in people's words: which cap is reached, how large the cap is, and what to do about it."""

from batchrun.budget.caps import Amount, Cap, CapUsage, Of, Origin, Per
from batchrun.catalog.money import dollars, enough
from batchrun.escaping import escape_control

_NAMES = {
    Per.RUN: "the budget",
    Per.DOCUMENT: "the document's budget",
    Per.DAY: "the day's budget",
    Per.MONTH: "the month's budget",
}


def called(cap: Cap) -> str:
    """Name a cap in a sentence: `the day's budget of tokens for claude-opus-5-5`."""
    tokens, whose = " of tokens" if cap.of is Of.TOKENS else "", cap.tag or cap.model
    return f"{_NAMES[cap.per]}{tokens}" + (f" for {escape_control(whose)}" if whose else "")


def quantity(cap: Cap, value: int) -> str:
    """Write an amount in the measure of a cap."""
    return f"{value:,} tokens" if cap.of is Of.TOKENS else dollars(value)


def said(cap: Cap) -> str:
    """Say in brackets where a cap is written; the job file's own cap needs no such words."""
    return "" if cap.per is Per.RUN and cap.origin is Origin.JOB else f" ({cap.name})"


def worst(cap: Cap, amount: Amount) -> str:
    """Say what the next request may take."""
    if cap.of is Of.TOKENS:
        return f"may use up to {amount.tokens:,} tokens"
    if cap.of is Of.EXPECTED:
        return f"is expected to cost {dollars(amount.of(cap.of))}"
    return f"may cost up to {dollars(amount.nusd)}"


def raising(cap: Cap, *, to: int | None = None) -> str:
    """Say what to type for a larger cap; `to` is in the measure of the cap."""
    value = "" if to is None else f" to {f'{to}' if cap.of is Of.TOKENS else enough(to)} or more"
    if cap.origin is Origin.LEASES:
        return f"ask whoever runs the lease service to raise {escape_control(cap.key)} there{value}"
    if cap.origin is Origin.OPERATOR:
        return f"ask whoever set {cap.key} in the environment to raise it{value}"
    where = " in batchrun.toml" if cap.origin is Origin.PROJECT else ""
    return f"raise {escape_control(cap.key)}{where}{value}"


def taken(cap: Cap, *, held: str = "") -> str:
    """Say what has become of the used part of a cap. Hosts may give back what was leased to them."""
    return f"spent or reserved{held}" if cap.left is None else "spent by all hosts, or leased to them"


def renewed(cap: Cap) -> str | None:
    """Say when a cap has room again by itself. Returns None if it never has."""
    return {Per.DAY: "after 00:00 UTC", Per.MONTH: "after the end of the month, 00:00 UTC"}.get(cap.per)


def cap_usage_text(cap_usage: CapUsage) -> str:
    """Say how much of a cap remains: `$7.20 left of $10.00, the day's budget (budget.max_cost_per_day_usd of …)`."""
    cap = cap_usage.cap
    return f"{quantity(cap, cap_usage.remaining)} left of {quantity(cap, cap.limit)}, {called(cap)} ({cap.name})"


MAY_COST = "may cost up to"


def too_dear(cap: Cap, worst_nusd: int) -> str | None:
    """Say why a document's first attempt does not fit in the document's cap. Returns None if the attempt fits."""
    if worst_nusd <= cap.limit:
        return None
    return f"{MAY_COST} {dollars(worst_nusd)}, above {cap.name} of {dollars(cap.limit)}"
