"""Caps for people and for programs: the remainder of each cap before a run, and what a reached cap leaves undone."""

from collections.abc import Iterator
from typing import Any

from batchrun.budget.cap_text import cap_usage_text, quantity
from batchrun.budget.caps import Of, Origin, Per
from batchrun.catalog.money import dollars
from batchrun.cli.views.format import count, with_bounds
from batchrun.execution.failure_messages import BudgetReached, to_finish
from batchrun.report.summary_json import cap_as_json
from batchrun.strategy.plan import Plan
from batchrun.strategy.refusal import too_small, upper
from batchrun.workflow.summary import Summary


def cap_lines(plan: Plan) -> Iterator[str]:
    """Every cap besides the budget of the job file, with the remainder of the cap."""
    caps, short = plan.caps, too_small(plan)
    if caps.run.origin is not Origin.JOB:
        yield f"         as {caps.run.name} says"
    if caps.soft:
        yield "         soft: sending stops when the expected cost of what was sent reaches it"
    for cap_usage in plan.cap_usages[1:]:
        missing = quantity(cap_usage.cap, upper(plan, cap_usage) - cap_usage.remaining)
        yield f"         {cap_usage_text(cap_usage)}{f': too little by {missing}' if cap_usage == short else ''}"
    if caps.document:
        yield f"         {dollars(caps.document.limit)} for each document at most ({caps.document.name})"
    if caps.partial and short:
        yield "         it is begun anyway, and stops there"


def caps_as_json(plan: Plan) -> list[dict[str, Any]]:
    """Every cap for programs; amounts in dollars or in tokens."""
    document = [cap_as_json(plan.caps.document, None)] if plan.caps.document else []
    return [*(cap_as_json(cap_usage.cap, cap_usage.remaining) for cap_usage in plan.cap_usages), *document]


def left_lines(summary: Summary) -> Iterator[str]:
    """What a run that reached a cap leaves undone, the cost of the remaining documents, and how to go on."""
    if summary.remaining is None or not isinstance(summary.halted, BudgetReached):
        return
    to_do = to_finish(summary.halted.cap, needed=needed(summary))
    cost = with_bounds(summary.remaining.cost_nusd, dollars)
    yield f"  left     {count(summary.remaining.documents, 'document')}, about {cost}; to finish: {to_do}"


def needed(summary: Summary) -> int | None:
    """The cap of the run that is enough for all that a reached cap leaves, in what the cap counts.

    Returns None if the cap is not one of the run.
    """
    halted, totals, left = summary.halted, summary.totals, summary.remaining
    if left is None or totals is None or not isinstance(halted, BudgetReached) or halted.cap.per is not Per.RUN:
        return None
    # The worst case of one request is reserved for the last request, when all others are paid.
    if halted.cap.of is Of.TOKENS:
        return totals.tokens + left.upper_tokens + summary.plan.worst_tokens
    return totals.cost_nusd + totals.held_nusd + left.upper_nusd + summary.plan.worst_nusd
