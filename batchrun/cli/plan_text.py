"""A plan as a person reads it, and as a program does."""

import json
import shlex
import sys
from pathlib import Path

import click

from batchrun.cli.cascade_text import cascade_as_json, cascade_lines
from batchrun.cli.terminal import Terminal
from batchrun.cli.words import count, duration, hours, tokens
from batchrun.errors import Refused
from batchrun.opening import OpenJob
from batchrun.planning.budget import check_budget
from batchrun.planning.interval import Interval
from batchrun.planning.limits import RateLimits
from batchrun.planning.money import dollars, spent_and_held
from batchrun.planning.plan import Evidence, Kind, Plan
from batchrun.planning.routes import Forecast, Route
from batchrun.untrusted import inert

WORDS = {
    Kind.NEW: "new",
    Kind.CHANGED: "changed",
    Kind.UNFINISHED: "unfinished",
    Kind.AGAIN: "tried again",
    Kind.IDENTICAL: "identical to another",
    Kind.IN_BATCH: "in a batch",
    Kind.REUSABLE: "done",
    Kind.FAILED: "failed before",
    Kind.TOO_LARGE: "too large",
    Kind.EMPTY: "empty",
    Kind.UNREADABLE: "unreadable",
}
ALWAYS = {Kind.NEW, Kind.CHANGED, Kind.REUSABLE}


def plan_as_text(plan: Plan, opened: OpenJob, terminal: Terminal, path: Path) -> str:
    """The whole plan."""
    spec = opened.job.spec.model
    effort = f", effort {spec.effort}" if spec.effort else ""
    stamp = terminal.styled("SIMULATED  ", sys.stdout, fg="yellow") if opened.simulated else ""
    lines = [
        f"{stamp}{plan.job}: {count(plan.documents, 'document')}, {plan.model}{effort}",
        f"source   {documents_line(plan)}",
        *problem_lines(plan),
        *[f"         {inert(note)}: {count(times, 'document')}" for note, times in sorted(plan.notes.items())],
        *ladder_lines(plan, opened),
        *money_lines(plan, opened),
        "",
        "Nothing was sent." + (f" To run this:  batchrun submit {path}{submit_options()}" if plan.to_send else ""),
    ]
    return "\n".join(lines)


def submit_options() -> str:
    """The options of this plan, as a submit takes them: without them it would do something else."""
    taken = {"--simulate", "--route", "--deadline", "--limit", "--id", "--source", "--where", "--max-cost"}
    ctx = click.get_current_context(silent=True)
    words = []
    for param in ctx.command.params if ctx else []:
        given = ctx.params.get(param.name or "") if ctx else None
        if param.opts[-1] in taken and given:
            if param.opts[-1] == "--max-cost":
                given = f"{given / 1e9:g}"
            if param.opts[-1] == "--deadline":
                given = f"{given:g}s"
            values = given if isinstance(given, tuple) else (given,)
            words += [f" {param.opts[-1]}={shlex.quote(str(value))}" for value in values]
    return "".join(words)


def documents_line(plan: Plan) -> str:
    """How many of each kind; why documents that look unchanged are sent again."""
    line = " · ".join(
        f"{plan.counts[kind]:,} {word}" for kind, word in WORDS.items() if plan.counts[kind] or kind in ALWAYS
    )
    if plan.same_text:
        line += f"\n         {count(plan.same_text, 'document')} changed only because the job file did"
        line += " (prompt, model or output): their answers are paid for again"
    return line


def problem_lines(plan: Plan) -> list[str]:
    """The first documents that will not be sent as they are."""
    shown = plan.problems[:5]
    lines = [f"         {WORDS[one.kind]}  {inert(one.doc_id)}: {inert(one.reason)}" for one in shown]
    rest = sum(plan.counts[kind] for kind in (Kind.TOO_LARGE, Kind.EMPTY, Kind.UNREADABLE)) - len(shown)
    return [*lines, f"         and {rest:,} more"] if rest > 0 else lines


def ladder_lines(plan: Plan, opened: OpenJob) -> list[str]:
    """Who answers when the job's own model does not, and what that may cost; nothing without fallbacks."""
    names = [inert(rung.price.name) for rung in opened.ladder.rungs]
    if len(names) == 1:
        return []
    if plan.cascade:
        return cascade_lines(plan.cascade, opened, to_send=plan.to_send)
    line = f"ladder   {', then '.join(names)} on {', '.join(opened.job.spec.model.fallback_on)}"
    if plan.dearest:
        there = "there" if len(names) == 2 else f"at {inert(plan.dearest.model)}"
        line += f" · all of it {there} would cost up to {dollars(plan.dearest.upper_nusd)}"
    return [line]


def money_lines(plan: Plan, opened: OpenJob) -> list[str]:
    """Tokens, cost, time, budget and prices."""
    if not plan.to_send:
        return ["cost     nothing: there is nothing to send"]
    estimate, cost = plan.estimate, plan.estimate.cost_nusd
    verdict = check_budget(estimate=estimate, spent_nusd=plan.spent_nusd, cap_nusd=plan.cap_nusd)
    before = spent_and_held(plan.spent_nusd, plan.held_nusd)
    spent = f", {before} by run {plan.continues}" if plan.continues else ""
    says = f"OK ({dollars(verdict.spare_nusd)} to spare at the upper bound)" if verdict.ok else (
        f"too little by {dollars(verdict.too_much_nusd)} at the upper bound")  # fmt: skip
    rates, limits = opened.price.rates, opened.limits
    return [
        f"tokens   input   {between(estimate.input)}   instructions and schema: {tokens(estimate.fixed_tokens)} each",
        f"         output  {between(estimate.output)}   {replies_words(plan.evidence)}",
        *evidence_lines(plan),
        f"cost     {dollars(cost.mean)}   (90%: {dollars(cost.low)} to {dollars(cost.high)})",
        *route_lines(plan, limits),
        f"budget   {dollars(plan.cap_nusd)}{spent}: {says}",
        f"prices   of {opened.price.table_date} · {plan.model} ${rates.input / 1e3:g} in, ${rates.output / 1e3:g} out"
        " per million tokens",
    ]


def replies_words(evidence: Evidence) -> str:
    """Where the length of the replies is from."""
    if evidence.replies:
        return f"learnt from {count(evidence.replies, 'answer')} of this job"
    return "a guess from the schema"


def evidence_lines(plan: Plan) -> list[str]:
    """How the input was counted, and what corrects it."""
    evidence = plan.evidence
    guessed = (
        f"; {count(evidence.guessed, 'document')} by size, from a sample of the others" if evidence.guessed else ""
    )
    if evidence.past:
        corrected = f"corrected by {count(evidence.past, 'answer')} of this job"
    elif evidence.online:
        corrected = f"corrected by {count(evidence.online, 'count')} of the API"
    else:
        corrected = "times the measured factor of this model's tokenizer and kind of text; --online 30 narrows it"
    lines = [f"counted  tiktoken cl100k{guessed or f', {corrected}'}", *([f"         {corrected}"] if guessed else [])]
    if evidence.online_problem:
        lines.append(f"         the API did not count: {inert(evidence.online_problem)}")
    return lines


def route_lines(plan: Plan, limits: RateLimits) -> list[str]:
    """How long it takes, why this route, and what the other one would cost and take."""
    chosen, other = sorted(plan.forecasts, key=lambda one: one.route is not plan.choice.route)
    bound = ""
    if chosen.route is Route.STREAM:
        bound = (
            f"; the limit is {plan.duration.binding} ({limits.requests_per_minute:,} requests,"
            f" {tokens(limits.input_tokens_per_minute)} input, {tokens(limits.output_tokens_per_minute)} output tokens"
            f" a minute: {limits.origin('requests_per_minute')})"
        )
    cost = other.estimate.cost_nusd
    return [
        f"time     {time_words(chosen)}{bound}",
        f"route    {chosen.route}: {plan.choice.reason}",
        f"         {other.route} would cost {dollars(cost.mean)} (90%: {dollars(cost.low)} to {dollars(cost.high)})"
        f" and take {time_words(other)}",
    ]


def time_words(forecast: Forecast) -> str:
    """What a route takes."""
    if forecast.at_most_s is None:
        return f"about {duration(forecast.seconds)}"
    return f"as a rule less than {hours(forecast.seconds)}, at most {hours(forecast.at_most_s)}"


def between(interval: Interval) -> str:
    """A mean with its bounds."""
    return f"{tokens(interval.mean):>7}   (90%: {tokens(interval.low)} to {tokens(interval.high)})"


def plan_as_json(plan: Plan, opened: OpenJob, refused: Refused | None) -> str:
    """The plan as one JSON object; fields may be added, none is renamed."""
    cost, estimate = plan.estimate.cost_usd, plan.estimate
    verdict = check_budget(estimate=estimate, spent_nusd=plan.spent_nusd, cap_nusd=plan.cap_nusd)
    return json.dumps(
        {
            "v": 1,
            "job": plan.job,
            "model": plan.model,
            "ladder": [rung.price.name for rung in opened.ladder.rungs],
            "cascade": cascade_as_json(plan.cascade, opened) if plan.cascade else None,
            "route": str(plan.choice.route),
            "route_reason": plan.choice.reason,
            "routes": {
                str(one.route): {
                    "estimate_usd": shaped(one.estimate.cost_usd),
                    "seconds": round(one.seconds, 1),
                    "at_most_s": one.at_most_s,
                }
                for one in plan.forecasts
            },
            "simulated": opened.simulated,
            "documents": {
                "total": plan.documents,
                "to_send": plan.to_send,
                **{kind.value: plan.counts[kind] for kind in WORDS},
                "changed_by_job_file": plan.same_text,
            },
            "tokens": {"input": shaped(estimate.input), "output": shaped(estimate.output),
                       "fixed_per_request": round(estimate.fixed_tokens)},
            "estimate_usd": {**shaped(cost), "confidence": estimate.confidence},
            "evidence": {
                "guessed_documents": plan.evidence.guessed,
                "past_answers": plan.evidence.past,
                "online_counts": plan.evidence.online,
                "online_problem": plan.evidence.online_problem,
                "past_replies": plan.evidence.replies,
            },
            "time": {"seconds": round(plan.duration.seconds, 1), "binding": str(plan.duration.binding)},
            "limits": {
                "requests_per_minute": opened.limits.requests_per_minute,
                "input_tokens_per_minute": opened.limits.input_tokens_per_minute,
                "output_tokens_per_minute": opened.limits.output_tokens_per_minute,
            },
            "budget_usd": plan.cap_nusd / 1e9,
            "spent_usd": plan.spent_nusd / 1e9,
            "held_usd": plan.held_nusd / 1e9,
            "continues": plan.continues,
            "ok": refused is None,
            "refused": str(refused) if refused else None,
            "over_budget": not verdict.ok,
            "fits": plan.fits,
            "prices": {"date": str(opened.price.table_date)},
            "problems": [{"id": one.doc_id, "kind": one.kind, "reason": one.reason} for one in plan.problems],
            "notes": dict(plan.notes),
        },
        indent=2,
    )  # fmt: skip


def shaped(interval: Interval) -> dict[str, float]:
    """An interval for JSON."""
    return {"mean": round(interval.mean, 6), "low": round(interval.low, 6), "high": round(interval.high, 6)}
