"""Why a plan is not carried out. The reason is found and shown before anything is sent."""

import shlex

from batchrun.budget.cap_text import MAY_COST, called, quantity, raising, renewed, said, taken, worst
from batchrun.budget.caps import Amount, Cap, CapUsage, Of, Per
from batchrun.catalog.money import dollars, spent_and_held
from batchrun.errors import Refused
from batchrun.escaping import escape_control, shown_path
from batchrun.estimation.estimate import Estimate
from batchrun.strategy.plan import Kind, Plan, ReplyForecast

SHOWN = 5


def refusal(plan: Plan, *, max_documents: int | None, refuses_oversize: bool, job_path: str) -> Refused | None:
    """Return the reason to refuse a plan, or None.

    A plan without anything to send is never refused for its price, nor is a run that was approved before: after a kill
    a run goes on as it would have without the kill, until its cap, which no request passes. So does a run that may be
    partial, from the start. A run may have partial answers only if the command says so.
    """
    if plan.paid_before:
        return _paid_before(plan, job_path)
    if refuses_oversize and plan.counts[Kind.TOO_LARGE]:
        return _too_large(plan, plan.counts[Kind.TOO_LARGE])
    if max_documents is not None and plan.to_send > max_documents:
        return Refused(
            f"{plan.to_send:,} documents would be sent, and budget.max_documents is {max_documents:,}."
            " Nothing was sent.",
            hint=f"send some of them: {_first(plan, max_documents)}; or raise budget.max_documents",
        )
    if not plan.to_send or plan.already_approved:
        return None
    return _mostly_cut(plan) or (None if plan.caps.partial else _over_budget(plan) or _no_room_for_one(plan))


def _paid_before(plan: Plan, job_path: str) -> Refused:
    return Refused(
        f"the output has the rows of {plan.paid_before:,} of the {plan.to_send:,} documents that would be sent, and the"
        " ledger does not know them: it was lost, or is older than the output. Nothing was sent.",
        hint=f"take the rows over, free of charge: batchrun adopt {shlex.quote(job_path)};"
        " or send and pay for everything once more: --pay-again",
    )


def _mostly_cut(plan: Plan) -> Refused | None:
    if plan.partial_answers or not (reply := plan.mostly_cut):
        return None
    return Refused(
        f"{cut_words(reply)}. Nothing was sent.",
        hint="; ".join([*settings(reply), "or send the requests all the same: --partial-answers"]),
    )


def cut_words(reply: ReplyForecast) -> str:
    """Say which share of the replies is expected to be cut off, and how that is known."""
    known = f"as the last {reply.replies:,} show" if reply.replies else "a guess from the schema"
    thinking = f"; thinking is about {reply.thinking_share:.0%} of a reply" if reply.thinking_share else ""
    said = f"most replies will be cut off: about {reply.cut_share:.0%} at max_tokens = {reply.max_tokens}"
    return f"{said} ({known}{thinking})"


def settings(reply: ReplyForecast) -> list[str]:
    """Say what to write in [model] so that most replies are complete; nothing if no setting is known to help."""
    return [f"set {', or '.join(reply.remedies)} in [model]"] if reply.remedies else []


def _too_large(plan: Plan, count: int) -> Refused:
    large = [problem for problem in plan.problems if problem.kind is Kind.TOO_LARGE]
    shown = "\n".join(
        f"    {shown_path(problem.doc_id)}: {escape_control(problem.reason)}" for problem in large[:SHOWN]
    )
    more = f"\n    and {count - SHOWN} more" if count > SHOWN else ""
    dear = any(problem.reason.startswith(MAY_COST) for problem in large)
    raised = ", raise budget.max_cost_per_document_usd, or lower [model] max_tokens" if dear else ""
    return Refused(
        f"{count} {'document is' if count == 1 else 'documents are'} too large. Nothing was sent.\n{shown}{more}",
        hint=f'set source.on_oversize = "skip" or "truncate", or leave them out with source.exclude{raised}',
    )


def too_small(plan: Plan) -> CapUsage | None:
    """Return the cap that is below the estimate's upper bound. Of several caps, the one that lacks most counts."""
    return max(_all_too_small(plan), key=lambda one: upper(plan, one) - one.remaining, default=None)


def _all_too_small(plan: Plan) -> list[CapUsage]:
    ours = (cap_usage for cap_usage in plan.cap_usages if cap_usage.binds(plan.model))
    return [cap_usage for cap_usage in ours if upper(plan, cap_usage) > cap_usage.remaining]


def upper(plan: Plan, cap_usage: CapUsage) -> int:
    """Return the estimate's upper bound in the unit of a cap."""
    return plan.estimate.upper_tokens if cap_usage.cap.of is Of.TOKENS else plan.estimate.upper_nusd


def _over_budget(plan: Plan) -> Refused | None:
    cap_usage = too_small(plan)
    if cap_usage is None:
        return None
    cap, cost, needed = cap_usage.cap, plan.estimate.cost_nusd, upper(plan, cap_usage) + cap_usage.used
    interval = f"(90%: {dollars(cost.low)} to {dollars(cost.high)})"
    tokens = f"\n  tokens     up to {upper(plan, cap_usage):,}" if cap.of is Of.TOKENS else ""
    with_spent = ", with what is spent" if cap_usage.used else ""
    fits_some = plan.affordable_count > 0
    fits = _first(plan, plan.affordable_count) if fits_some else "not even one document"
    return Refused(
        f"the estimate is above {called(cap)}. Nothing was sent.\n"
        f"\n  estimate   {dollars(cost.mean)}   {interval}, {plan.to_send:,} documents{tokens}"
        f"{_before(plan)}"
        f"\n  budget     {quantity(cap, cap.limit)}{said(cap)}{_used(cap_usage)}"
        f"\n  the upper bound counts{with_spent}: {quantity(cap, needed)} is"
        f" {quantity(cap, needed - cap.limit)} too much"
        f"\n  would fit  {fits}",
        hint=f"{_later(cap, upper(plan, cap_usage))}{_enough(plan)}"
        + (", or send fewer documents; or begin it anyway and stop at the cap: --partial" if fits_some else ""),
    )


def _enough(plan: Plan) -> str:
    """Say which caps to raise, and to what: so much that every request fits, also the last and costliest one."""
    return " and ".join(
        raising(one.cap, to=_all_used(plan, one) + upper(plan, one) + _worst_of_one(plan, one.cap))
        for one in _all_too_small(plan)
    )


def _all_used(plan: Plan, cap_usage: CapUsage) -> int:
    """Return how much of a cap is used, with what a run has reserved for lost answers, which no request may touch."""
    of_the_run = cap_usage.cap.per is Per.RUN and cap_usage.cap.of is Of.COST
    return plan.committed_nusd if of_the_run else cap_usage.used


def _worst_of_one(plan: Plan, cap: Cap) -> int:
    return Amount(plan.worst_nusd, plan.worst_tokens).of(cap.of)


def _first(plan: Plan, count: int) -> str:
    """Return the option that sends the first of the documents that have to be sent."""
    return f"--limit {count}" if plan.to_send == plan.documents else f"--next {count}"


def _used(cap_usage: CapUsage) -> str:
    """Say how much of a cap that all jobs share is used. What the run itself has spent is said elsewhere."""
    cap = cap_usage.cap
    return f", of which {quantity(cap, cap_usage.used)} is {taken(cap)}" if cap.per in {Per.DAY, Per.MONTH} else ""


def _later(cap: Cap, needed: int) -> str:
    """Say when the job would fit without anybody changing anything."""
    return f"submit it {when}, or " if (when := renewed(cap)) and needed <= cap.limit else ""


def _no_room_for_one(plan: Plan) -> Refused | None:
    """Refuse a plan with a request whose worst case is above a cap: the run would stop at that request."""
    one = Amount(plan.worst_nusd, plan.worst_tokens)
    for cap_usage in plan.cap_usages:
        cap = cap_usage.cap
        needed = _all_used(plan, cap_usage) + one.of(cap.of)
        enough = needed + upper(plan, cap_usage)
        if cap.of is Of.EXPECTED or not cap_usage.binds(plan.model) or needed <= cap.limit:
            continue
        return Refused(
            f"one of the requests {worst(cap, one)}, which is reserved before it is sent."
            f" Nothing was sent.\n{_before(plan)}"
            f"\n  budget     {quantity(cap, cap.limit)}{said(cap)}{_used(cap_usage)}",
            hint=f"{_later(cap, one.of(cap.of))}{raising(cap, to=enough)}, or lower [model] max_tokens",
        )
    return None


def _before(plan: Plan) -> str:
    if not plan.continues:
        return ""
    return f"\n  before     {spent_and_held(plan.spent_nusd, plan.held_nusd)} by run {plan.continues}"


def budget_left(*, estimate: Estimate, spent_nusd: int, cap_nusd: int) -> int:
    """Return what a budget has left at the estimate's upper bound, in nano-USD; less than 0 if the budget is too small.

    What is reserved for lost answers does not count here: it was probably not billed, and would keep a run that was
    killed a few times from ever going on. It counts before each send, so no cap is ever passed; see `Ledger.reserve`.
    """
    return cap_nusd - spent_nusd - estimate.upper_nusd
