"""A cascade for people and for programs: what a plan expects of the cascade, and what the cascade did in a run."""

import math
from collections.abc import Sequence
from typing import Any

from batchrun.catalog.money import dollars
from batchrun.cli.views.format import count
from batchrun.escaping import escape_control
from batchrun.planning.cascade_threshold import begun_calibration
from batchrun.report.summary_json import calibration_as_json, interval_fields
from batchrun.statistics.audit import RISK
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration, calibration_of
from batchrun.store.ledger.cascades import Escalations
from batchrun.strategy.cascade_cost import CascadeCost, Step
from batchrun.workflow.open_job import OpenJob


def cascade_lines(cost: CascadeCost, opened: OpenJob, *, to_send: int) -> list[str]:
    """The models in their order, how often each next model is expected to be asked, and the cost without a cascade."""
    names = [escape_control(chain_model.price.name) for chain_model in opened.chain.models]
    reasons = ", ".join(reasons_of(opened))
    lines = [f"cascade  {', then '.join(names)} on {reasons}"]
    if not to_send:
        return lines
    lines += [f"         {words}" for words in threshold_words(cost, opened, to_send=to_send)]
    lines += [f"         {step_words(step)}" for step in cost.steps]
    alone = f"         {names[-1]} alone would cost {dollars(cost.alone_nusd.mean)}"
    lines.append(alone if cost.pays else f"{alone}: the cascade is not expected to be cheaper")
    return lines


def reasons_of(opened: OpenJob) -> list[str]:
    """The reasons for which the next model is asked, as the job file states them."""
    chain = opened.chain
    return [*opened.job.spec.model.fallback_on, *(chain.acceptance_rules.words if chain.acceptance_rules else ())]


def threshold_words(cost: CascadeCost, opened: OpenJob, *, to_send: int) -> list[str]:
    """What finding the threshold costs, or what was found before; nothing if the cascade has rules alone."""
    rules, section = opened.chain.acceptance_rules, opened.job.spec.cascade
    if section is None or rules is None or not rules.calibrate:
        return []
    if begun := begun_calibration(opened.job, opened.chain, opened.ledger):
        if begun.below is not None:
            return promise_words(begun, section.models)
        stands = "has found no threshold" if begun.ended else "has begun and goes on"
        return [f"the calibration on {count(len(begun.drawn), 'document')} {stands}"]
    both, step = min(rules.calibrate, to_send), cost.steps[-1]
    alone_nusd = step.cost_nusd.mean / step.share.expected.mean  # streamed, as the calibration is
    return [
        f"{count(both, 'document')} asked of both models first: about {dollars(alone_nusd * both / to_send)} for"
        f" {escape_control(step.model)}",
    ]


def promise_words(calibration: CascadeCalibration, models: Sequence[str]) -> list[str]:
    """What a calibration promises of the documents that are taken from the first model, and what it was found on."""
    first, last = (escape_control(name) for name in (models[0], models[-1]))
    below = (
        "whatever their score" if calibration.below == math.inf else f"where the score is below {calibration.below:g}"
    )
    return [
        f"at most {calibration.max_difference:.1%} of the documents taken from {first} differ from {last},"
        f" with {1 - RISK:.0%} confidence",
        f"found on {count(calibration.asked, 'document')} that both answered: {calibration.accepted:,} would be"
        f" taken ({calibration.accepted / calibration.asked:.0%}), {below}; {calibration.differing:,} of them differ",
        f"drawn at random from the {count(calibration.documents, 'document')} that were to be sent; the promise is"
        " about no other documents",
    ]


def promise_lines(calibration: CascadeCalibration | None, models: Sequence[str]) -> list[str]:
    """What is promised of the answers that a run took from the first model, if anything; for the end of a run."""
    return [f"           {line}" for line in promise_words(calibration, models)] if calibration else []


def step_words(step: Step) -> str:
    """How many of one model's answers are expected to go on to the next model."""
    share = step.share.expected
    source = f"measured on {count(step.share.answers, 'answer')} of this job" if step.share.answers else "a guess"
    return (
        f"about {share.mean:.0%} pass on to {escape_control(step.model)}"
        f" (90%: {share.low:.0%} to {share.high:.0%}; {source}): {dollars(step.cost_nusd.mean)}"
    )


def cascade_as_json(cost: CascadeCost, opened: OpenJob) -> dict[str, Any]:
    """The expected cascade for programs."""
    rules = opened.chain.acceptance_rules
    found = calibration_of(opened.ledger, rules.calibration_no if rules else None)
    return {
        "escalate_on": reasons_of(opened),
        "calibrate": rules.calibrate if rules and rules.is_calibrating else 0,
        "calibration": calibration_as_json(found) if found else None,
        "steps": [
            {
                "model": step.model,
                "share": interval_fields(step.share.expected),
                "measured_answers": step.share.answers,
                "estimate_usd": interval_fields(step.cost_nusd.times(1e-9)),
            }
            for step in cost.steps
        ],
        "alone_usd": interval_fields(cost.alone_nusd.times(1e-9)),
        "pays": cost.pays,
    }


def escalated_lines(escalations: Sequence[Escalations]) -> list[str]:
    """How many of each model's answers went on to the next model, and why; for the end of a run."""
    lines = []
    for number, one in enumerate(escalations):
        whose = f" of {escape_control(one.model)}" if len(escalations) > 1 else ""
        reasons = ", ".join(f"{times:,} {escape_control(reason)}" for reason, times in one.reasons.items())
        share = 100 * one.escalated / one.answers
        lines.append(
            f"  {'' if number else 'cascade':<8} {one.escalated:,} of {count(one.answers, 'answer')}{whose}"
            f" ({share:.1f}%) passed to the next model" + (f": {reasons}" if reasons else "")
        )
    return lines
