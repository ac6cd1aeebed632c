"""Why a plan is not carried out: decided and said before anything is sent."""

from batchrun.errors import Refused
from batchrun.planning.budget import check_budget
from batchrun.planning.money import dollars, enough, spent_and_held
from batchrun.planning.plan import Kind, Plan
from batchrun.untrusted import inert

SHOWN = 5


def refusal(plan: Plan, *, max_documents: int | None, refuses_oversize: bool) -> Refused | None:
    """The reason to refuse, or None. Nothing to send is never refused for its price, nor a run that was let in before.

    A run goes on after a kill as it would have without one: until its cap, which no request passes.
    """
    if refuses_oversize and plan.counts[Kind.TOO_LARGE]:
        return _too_large(plan, plan.counts[Kind.TOO_LARGE])
    if max_documents is not None and plan.to_send > max_documents:
        return Refused(
            f"{plan.to_send:,} documents would be sent, and budget.max_documents is {max_documents:,}."
            " Nothing was sent.",
            hint=f"send some of them: --limit {max_documents}; or raise budget.max_documents",
        )
    if not plan.to_send or plan.let_in:
        return None
    return _over_budget(plan) or _no_room_for_one(plan)


def _too_large(plan: Plan, count: int) -> Refused:
    large = [problem for problem in plan.problems if problem.kind is Kind.TOO_LARGE]
    shown = "\n".join(f"    {inert(problem.doc_id)}: {inert(problem.reason)}" for problem in large[:SHOWN])
    more = f"\n    and {count - SHOWN} more" if count > SHOWN else ""
    return Refused(
        f"{count} {'document is' if count == 1 else 'documents are'} too large. Nothing was sent.\n{shown}{more}",
        hint='set source.on_oversize = "skip" or "truncate", or leave them out with source.exclude',
    )


def _over_budget(plan: Plan) -> Refused | None:
    verdict = check_budget(estimate=plan.estimate, spent_nusd=plan.spent_nusd, cap_nusd=plan.cap_nusd)
    if verdict.ok:
        return None
    cost = plan.estimate.cost_nusd
    interval = f"(90%: {dollars(cost.low)} to {dollars(cost.high)})"
    return Refused(
        "the estimate is above the budget. Nothing was sent.\n"
        f"\n  estimate   {dollars(cost.mean)}   {interval}, {plan.to_send:,} documents"
        f"{_before(plan)}"
        f"\n  budget     {dollars(plan.cap_nusd)}"
        f"\n  the upper bound counts: {dollars(verdict.needed_nusd)} is {dollars(verdict.too_much_nusd)} too much"
        f"\n  would fit  {f'--limit {plan.fits}' if plan.fits else 'not even one document'}",
        hint=f"raise budget.max_cost_usd to {enough(verdict.needed_nusd)} or more, or send fewer documents",
    )


def _no_room_for_one(plan: Plan) -> Refused | None:
    """A request whose worst case has no room could never be reserved: the run would stop there."""
    needed_nusd = plan.committed_nusd + plan.worst_nusd
    if needed_nusd <= plan.cap_nusd:
        return None
    return Refused(
        f"one of the requests may cost up to {dollars(plan.worst_nusd)}, which is set aside before it is sent."
        f" Nothing was sent.\n{_before(plan)}\n  budget     {dollars(plan.cap_nusd)}",
        hint=f"raise budget.max_cost_usd to {enough(needed_nusd)} or more, or lower [model] max_tokens",
    )


def _before(plan: Plan) -> str:
    if not plan.continues:
        return ""
    return f"\n  before     {spent_and_held(plan.spent_nusd, plan.held_nusd)} by run {plan.continues}"
