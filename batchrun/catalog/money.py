"""Amounts of money as people read them. Everywhere else money is whole nano-USD (1e-9 US dollars)."""

import math
from decimal import Context

CENT = 10_000_000
DOLLAR = 1_000_000_000


def dollars(nusd: float) -> str:
    """Write an amount: from a dollar on in cents, below with four places, and below a cent with four digits that count.

    Zero is always `$0.00`, and nothing else is.
    """
    whole = round(nusd)
    if whole == 0 or abs(whole) >= DOLLAR:
        return f"${whole / DOLLAR:,.2f}"
    if abs(whole) >= CENT:
        return f"${whole / DOLLAR:.4f}"
    return f"${Context(prec=4).divide(whole, DOLLAR).normalize():f}".ljust(len("$0.0000"), "0")


def in_column(nusd: int, *, places: int) -> str:
    """Write an amount like the other amounts of a column: less than the last place shows is said to be less."""
    if nusd == 0:
        return dollars(0)
    least = DOLLAR // 10**places
    return f"<${least / DOLLAR:.{places}f}" if 0 < nusd < least else f"${nusd / DOLLAR:,.{places}f}"


def enough(nusd: int) -> str:
    """Write an amount to type into a job file, not below this amount."""
    unit, places = (CENT, 2) if nusd >= DOLLAR else (CENT // 100, 4)
    return f"{math.ceil(nusd / unit) * unit / DOLLAR:.{places}f}"


def spent_and_held(spent_nusd: int, held_nusd: int) -> str:
    """Say what a run has cost, and what the run may have cost besides."""
    unsure = "answers that were lost or told no usage, and may have been billed"
    held = f" and {dollars(held_nusd)} reserved for {unsure}" if held_nusd else ""
    return f"{dollars(spent_nusd)} spent{held}"
