"""Why a plan is not carried out: decided and said before anything is sent."""

import math

from batchrun.errors import Refused
from batchrun.planning.budget import check_budget
from batchrun.planning.plan import Kind, Plan
from batchrun.untrusted import inert


def refusal(plan: Plan, *, max_documents: int | None, refuses_oversize: bool) -> Refused | None:
    """The reason to refuse, or None. Nothing to send is never refused."""
    count = plan.counts[Kind.TOO_LARGE]
    if count and refuses_oversize:
        large = [problem for problem in plan.problems if problem.kind is Kind.TOO_LARGE]
        shown = "\n".join(f"    {inert(problem.doc_id)}: {inert(problem.reason)}" for problem in large[:5])
        more = f"\n    and {count - 5} more" if count > 5 else ""
        return Refused(
            f"{count} {'document is' if count == 1 else 'documents are'} too large. Nothing was sent.\n{shown}{more}",
            hint='set source.on_oversize = "skip" or "truncate", or leave them out with source.exclude',
        )
    if max_documents is not None and plan.to_send > max_documents:
        return Refused(
            f"{plan.to_send:,} documents would be sent, and budget.max_documents is {max_documents:,}."
            " Nothing was sent.",
            hint=f"send some of them: --limit {max_documents}; or raise budget.max_documents",
        )
    return _over_budget(plan) if plan.to_send else None


def _over_budget(plan: Plan) -> Refused | None:
    verdict = check_budget(estimate=plan.estimate, spent_nusd=plan.spent_nusd, cap_nusd=plan.cap_nusd)
    if verdict.ok:
        return _too_little_for_one(plan)
    cost = plan.estimate.cost_usd
    spent = f"\n  spent      {dollars(plan.spent_nusd)} by run {plan.continues} so far" if plan.continues else ""
    fits = f"--limit {plan.fits}" if plan.fits else "not even one document"
    return Refused(
        "the estimate is above the budget. Nothing was sent.\n"
        f"\n  estimate   ${cost.mean:.4f}   (90%: ${cost.low:.4f} to ${cost.high:.4f}), {plan.to_send:,} documents"
        f"{spent}"
        f"\n  budget     {dollars(plan.cap_nusd)}"
        f"\n  the upper bound counts: {dollars(verdict.needed_nusd)} is {dollars(verdict.too_much_nusd)} too much"
        f"\n  would fit  {fits}",
        hint=f"raise budget.max_cost_usd to {rounded_up(verdict.needed_nusd)} or more, or send fewer documents",
    )


def _too_little_for_one(plan: Plan) -> Refused | None:
    """A request whose worst case has no room would be reserved never, and the run would stop there."""
    if plan.spent_nusd + plan.worst_nusd <= plan.cap_nusd:
        return None
    spent = f", of which run {plan.continues} has spent {dollars(plan.spent_nusd)}" if plan.continues else ""
    return Refused(
        f"one of the requests may cost up to {dollars(plan.worst_nusd)}, and that much is set aside before it is sent;"
        f" the budget is {dollars(plan.cap_nusd)}{spent}. Nothing was sent.",
        hint=f"raise budget.max_cost_usd to {rounded_up(plan.spent_nusd + plan.worst_nusd)} or more,"
        " or lower [model] max_tokens",
    )


def rounded_up(nusd: int) -> str:
    """An amount that is enough, in cents or, below a dollar, in hundredths of cents."""
    unit = 10_000_000 if nusd >= 1_000_000_000 else 100_000
    return f"{math.ceil(nusd / unit) * unit / 1e9:.{2 if nusd >= 1_000_000_000 else 4}f}"


def dollars(nusd: int) -> str:
    """An amount as people read it: cents, or four places where cents would hide it."""
    return f"${nusd / 1e9:,.2f}" if nusd >= 1_000_000_000 else f"${nusd / 1e9:.4f}"
