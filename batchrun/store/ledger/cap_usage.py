"""How much of every cap is used, read from the ledger."""

import sqlite3
from collections.abc import Sequence

from batchrun.budget.caps import Cap, Caps, CapUsage, Of, Per, undated
from batchrun.budget.days import day_of, month_of
from batchrun.store.ledger.leases import within_leases
from batchrun.store.ledger.records import Run

OF_MODEL = "(model = :model or model glob :model || '-20[0-9][0-9][0-9][0-9][0-9][0-9]')"
"""The condition for rows of a model without a date, or of one of its snapshots."""
SHARED = """
select
    coalesce(sum(committed_nusd) filter (where day = :day), 0),
    coalesce(sum(committed_nusd), 0),
    coalesce(sum(tokens) filter (where day = :day), 0),
    coalesce(sum(committed_nusd) filter (where day = :day and OURS), 0),
    coalesce(sum(committed_nusd) filter (where OURS), 0),
    coalesce(sum(tokens) filter (where day = :day and OURS), 0)
from spending where day between :first and :last
""".replace("OURS", OF_MODEL)
BY_TAG = """
select
    coalesce(sum(committed_nusd) filter (where day = :day), 0),
    coalesce(sum(committed_nusd), 0),
    coalesce(sum(tokens) filter (where day = :day), 0)
from tag_spending where tag = :tag and value = :value and day between :first and :last
"""
_COLUMNS = {
    (Per.DAY, Of.COST, False): 0,
    (Per.MONTH, Of.COST, False): 1,
    (Per.DAY, Of.TOKENS, False): 2,
    (Per.DAY, Of.COST, True): 3,
    (Per.MONTH, Of.COST, True): 4,
    (Per.DAY, Of.TOKENS, True): 5,
}
"""The column of `SHARED` or `BY_TAG` for a cap; the last part of the key says whether the cap is of one model."""


def shared_cap_usages(
    connection: sqlite3.Connection, caps: Sequence[Cap], *, model: str, now: float, planned: bool = False
) -> list[CapUsage]:
    """Read how much is used of those caps of days and months that concern a model.

    A cap that a lease service keeps has room for what is granted; for a plan, also for what the service has left.
    """
    usages = own_cap_usages(connection, caps, model=model, now=now)
    return within_leases(connection, usages, now=now, planned=planned)


def own_cap_usages(connection: sqlite3.Connection, caps: Sequence[Cap], *, model: str, now: float) -> list[CapUsage]:
    """Read how much this ledger alone has used of those caps of days and months that concern a model."""
    ours = [cap for cap in caps if cap.concerns(model)]
    if not ours:
        return []
    day = day_of(now)
    days = month_of(day) if any(cap.per is Per.MONTH for cap in ours) else range(day, day + 1)
    span = {"day": day, "first": days.start, "last": days.stop - 1}
    sums: dict[str | None, Sequence[int]] = {
        None: connection.execute(SHARED, {**span, "model": undated(model)}).fetchone()
    }
    for tag in {cap.tag for cap in ours if cap.tag}:
        name, _, value = tag.partition("=")
        sums[tag] = connection.execute(BY_TAG, {**span, "tag": name, "value": value}).fetchone()
    return [CapUsage(cap, sums[cap.tag][_COLUMNS[cap.per, cap.of, cap.model is not None]]) for cap in ours]


def plan_cap_usages(
    connection: sqlite3.Connection, caps: Caps, run: Run | None, *, models: Sequence[str], now: float
) -> tuple[CapUsage, ...]:
    """Read what the estimate of a plan is compared with; the plan continues `run`, or begins a run.

    Of a run only what it has spent counts: see `budget_left`.
    """
    spent_nusd = run.spent_nusd if run else 0
    cap_usages = [CapUsage(cap, spent_nusd) for cap in (caps.run, caps.ceiling) if cap]
    if caps.tokens:
        cap_usages.append(CapUsage(caps.tokens, run.spent_tokens if run else 0))
    for model in models:
        cap_usages += [
            cap_usage
            for cap_usage in shared_cap_usages(connection, caps.shared, model=model, now=now, planned=True)
            if cap_usage not in cap_usages
        ]
    return tuple(cap_usages)
