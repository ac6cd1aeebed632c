"""What the caps of one model leave to the next model of a chain, where `budget` is a reason to ask the next one."""

from collections.abc import Iterable

from batchrun.budget.cap_text import called
from batchrun.budget.caps import CapUsage, Of
from batchrun.estimation.estimate import Estimate


def share_within(estimate: Estimate, cap_usage: CapUsage) -> float:
    """Return the share of the requests for which a cap has room at their mean cost, in whole documents."""
    tokens = estimate.input.mean + estimate.output.mean
    needed = tokens if cap_usage.cap.of is Of.TOKENS else estimate.cost_nusd.mean
    documents = max(1, estimate.documents)
    return int(documents * min(1.0, cap_usage.remaining / max(1.0, needed))) / documents


def narrowest(estimate: Estimate, cap_usages: Iterable[CapUsage]) -> CapUsage | None:
    """Find the cap that leaves most to the next model. Returns None if no cap leaves anything to the next model."""
    passing = [one for one in cap_usages if one.passes_on and share_within(estimate, one) < 1]
    return min(passing, key=lambda one: share_within(estimate, one), default=None) if estimate.documents else None


def shared_out(own: Estimate, rest: Estimate, cap_usage: CapUsage) -> Estimate:
    """Replace the requests beyond a cap by those of the rest, which is an estimate of all documents."""
    share = share_within(own, cap_usage)
    return own.times(share).plus(rest.times(1 - share))


def budget_note(estimate: Estimate, cap_usage: CapUsage, then: str) -> str:
    """Say for how many documents a cap has room, and which model answers the others."""
    name, documents = called(cap_usage.cap), round(share_within(estimate, cap_usage) * estimate.documents)
    if not documents:
        return f"{name} has no room: {then} answers"
    return f"{name} has room for about {documents:,} of {estimate.documents:,}: {then} answers the others"
