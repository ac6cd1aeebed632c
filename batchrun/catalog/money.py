"""Amounts of money as people read them. Everywhere else money is whole nano-USD (1e-9 US dollars)."""

import math

CENT = 10_000_000
DOLLAR = 1_000_000_000


def dollars(nusd: float) -> str:
    """Write an amount in cents, or with four places if cents would hide the amount."""
    return f"${nusd / DOLLAR:,.2f}" if abs(nusd) >= DOLLAR or nusd == 0 else f"${nusd / DOLLAR:.4f}"


def enough(nusd: int) -> str:
    """Write an amount to type into a job file, not below this amount."""
    unit, places = (CENT, 2) if nusd >= DOLLAR else (CENT // 100, 4)
    return f"{math.ceil(nusd / unit) * unit / DOLLAR:.{places}f}"


def spent_and_held(spent_nusd: int, held_nusd: int) -> str:
    """Say what a run has cost, and what the run may have cost besides."""
    held = f" and {dollars(held_nusd)} held for answers that were lost and may have been billed" if held_nusd else ""
    return f"{dollars(spent_nusd)} spent{held}"
