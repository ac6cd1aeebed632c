"""A pilot as a person reads it, and as a program does: what it will be, what it told, and what follows."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from batchrun.catalog.money import dollars
from batchrun.cli.views.format import count, tokens
from batchrun.cli.views.plan_json import shaped
from batchrun.cli.views.plan_text import submit_options
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control
from batchrun.estimation.interval import Interval
from batchrun.outcome import Outcome
from batchrun.strategy.pilot_report import Decision, PilotReport, ThresholdCheck, percent
from batchrun.strategy.plan import Plan
from batchrun.strategy.rate import Rate
from batchrun.workflow.open_job import OpenJob

SHOWN_FIELDS = 8


def pilot_line(pilot: Plan, whole: Plan) -> str:
    """Before it is sent."""
    cost = pilot.estimate.cost_nusd
    return (
        f"pilot: {pilot.to_send:,} of {count(whole.to_send, 'document')} first, about {dollars(cost.mean)}"
        f" (90%: {dollars(cost.low)} to {dollars(cost.high)})"
    )


def report_as_text(report: PilotReport, opened: OpenJob, terminal: Terminal, path: Path) -> str:
    """After it."""
    found = report.found
    stamp = terminal.styled("SIMULATED  ", sys.stdout, fg="yellow") if opened.simulated else ""
    of = f"of run {report.run_id}" if report.run_id else "of before, which tell enough: none is sent for it"
    return "\n".join(
        [
            f"{stamp}{opened.name} pilot: {count(found.documents, 'document')} {of}",
            "",
            *[f"  {outcome:<11} {rate.count:>7,}  {rate_words(rate)}" for outcome, rate in found.outcomes.items()],
            "",
            *null_lines(report),
            f"  cost     {interval_words(found.cost_nusd, dollars)} a document, streamed",
            f"  tokens   in {interval_words(found.input_tokens, tokens)}",
            f"           out {interval_words(found.output_tokens, tokens)}",
            *rest_lines(report),
            *check_lines(report.checks),
            *next_lines(report, path),
            "",
        ]
    )


def rate_words(rate: Rate) -> str:
    """`4.0%   (90%: 1.4% to 10.6%)`."""
    found = rate.interval
    return f"{percent(found.mean):>6}   (90%: {percent(found.low)} to {percent(found.high)})"


def interval_words(interval: Interval, shown: Callable[[float], str]) -> str:
    """A mean with its bounds."""
    return f"{shown(interval.mean)} (90%: {shown(interval.low)} to {shown(interval.high)})"


def null_lines(report: PilotReport) -> list[str]:
    """The fields that are null most often; nothing when none ever is."""
    nulls = sorted(
        ((rate, name) for name, rate in report.found.nulls.items() if rate.count), key=lambda one: -one[0].count
    )
    lines = [f"{escape_control(name):<20} {rate_words(rate)}" for rate, name in nulls[:SHOWN_FIELDS]]
    if len(nulls) > SHOWN_FIELDS:
        lines.append(f"and {len(nulls) - SHOWN_FIELDS} more fields")
    return [f"  {'null' if not number else '':<8} {line}" for number, line in enumerate(lines)]


def rest_lines(report: PilotReport) -> list[str]:
    """What the rest is estimated to cost now, and was before."""
    rest = report.rest
    if not rest.unsettled:
        return ["  rest     there is none"]
    if not rest.to_send:
        return [f"  rest     {count(rest.unsettled, 'document')} in batches under way"]
    return [
        f"  rest     {count(rest.to_send, 'document')} by {rest.choice.route}:"
        f" {interval_words(rest.estimate.cost_nusd, dollars)}",
        f"           before it {interval_words(report.before.cost_nusd, dollars)}",
    ]


def check_lines(checked: Sequence[ThresholdCheck]) -> list[str]:
    """Each threshold: of the fields only the one that is null most often, and those that exceed it."""
    fields = [one for one in checked if one.field]
    worst = max(fields, key=lambda one: one.measured.mean, default=None)
    shown = [one for one in checked if not one.field or not one.holds or one is worst]
    return [f"  {'holds' if one.holds else 'EXCEEDS':<8} {one.words}" for one in shown]


def next_lines(report: PilotReport, path: Path) -> list[str]:
    """What follows, or what to type for it; why a run stops is said on stderr, as every error is."""
    match report.decision:
        case Decision.GOES_ON:
            return ["", "  the rest follows"]
        case Decision.STOPS:
            return [f"  next     batchrun submit {path}{rest_options(report.rest.to_send)}   the rest"]
        case _:
            return []


def rest_options(to_send: int) -> str:
    """The options of this submit, for the rest of its documents."""
    ctx = click.get_current_context(silent=True)
    limit = ctx.params.get("limit") if ctx else None
    options = submit_options()
    return options.replace(f" --limit={limit}", f" --limit={to_send}") if limit else options


def report_as_event(report: PilotReport, opened: OpenJob, terminal: Terminal) -> None:
    """The same on a line of JSON."""
    found, rest = report.found, report.rest
    terminal.event(
        "pilot",
        run=report.run_id,
        job=opened.name,
        simulated=opened.simulated,
        documents=found.documents,
        from_past=report.run_id is None,
        outcomes={str(outcome): rate_fields(rate) for outcome, rate in found.outcomes.items()},
        failure_rate=rate_fields(found.failures),
        refusal_rate=rate_fields(found.outcomes[Outcome.REFUSED]),
        truncation_rate=rate_fields(found.outcomes[Outcome.TRUNCATED]),
        null_rates={name: rate_fields(rate) for name, rate in found.nulls.items()},
        cost_per_document_usd=shaped(found.cost_nusd.times(1e-9)),
        input_tokens_per_document=shaped(found.input_tokens),
        output_tokens_per_document=shaped(found.output_tokens),
        rest={
            "documents": rest.to_send,
            "in_batches": rest.unsettled - rest.to_send,
            "route": str(rest.choice.route),
            "estimate_usd": shaped(rest.estimate.cost_usd),
            "estimate_before_usd": shaped(report.before.cost_usd),
        },
        thresholds=[check_fields(one) for one in report.checks],
        decision=str(report.decision),
    )


def rate_fields(rate: Rate) -> dict[str, float]:
    """A rate for programs."""
    found = rate.interval
    return {"count": rate.count, "rate": round(found.mean, 6), "low": round(found.low, 6), "high": round(found.high, 6)}


def check_fields(check: ThresholdCheck) -> dict[str, Any]:
    """A threshold for programs: rates, or dollars."""
    unit = 1e-9 if check.key.endswith("_usd") else 1.0
    measured = shaped(check.measured.times(unit))
    return {"key": check.key, "field": check.field, "measured": measured, "allowed": check.allowed * unit,
            "holds": check.holds}  # fmt: skip
