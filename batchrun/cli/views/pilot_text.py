"""A pilot for people and for programs: its documents, its findings, and what follows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batchrun.catalog.money import dollars
from batchrun.cli.next_command import changed, command
from batchrun.cli.views.format import count, tokens, with_bounds
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control
from batchrun.outcome import Outcome
from batchrun.report.summary_json import interval_fields
from batchrun.strategy.pilot_report import Decision, PilotReport, ThresholdCheck, percent
from batchrun.strategy.plan import Plan
from batchrun.strategy.rate import Rate
from batchrun.workflow.open_job import OpenJob

SHOWN_FIELDS = 8


def pilot_line(pilot: Plan, whole: Plan, what: str = "pilot") -> str:
    """What is shown of a pilot, or of what else comes first, before it is sent."""
    cost = with_bounds(pilot.estimate.cost_nusd, dollars)
    return f"{what}: {pilot.to_send:,} of {count(whole.to_send, 'document')} first, about {cost}"


def report_as_text(report: PilotReport, opened: OpenJob, terminal: Terminal, path: Path) -> str:
    """The report after the pilot."""
    found = report.found
    stamp = terminal.simulated_stamp(opened.simulated)
    of = f"of run {report.run_id}" if report.run_id else "of before, which tell enough: none is sent for it"
    return "\n".join(
        [
            f"{stamp}{opened.name} pilot: {count(found.documents, 'document')} {of}",
            "",
            *[f"  {outcome:<11} {rate.count:>7,}  {rate_words(rate)}" for outcome, rate in found.outcomes.items()],
            "",
            *null_lines(report),
            f"  cost     {with_bounds(found.cost_nusd, dollars)} a document, streamed",
            f"  tokens   in {with_bounds(found.input_tokens, tokens)}",
            f"           out {with_bounds(found.output_tokens, tokens)}",
            *rest_lines(report),
            *check_lines(report.checks),
            *next_lines(report, path),
            "",
        ]
    )


def rate_words(rate: Rate) -> str:
    """`4.0%   (90%: 1.4% to 10.6%)`."""
    return with_bounds(rate.interval, percent, width=6)


def null_lines(report: PilotReport) -> list[str]:
    """The fields that are null most often; no line if no field is ever null."""
    nulls = sorted(
        ((rate, name) for name, rate in report.found.nulls.items() if rate.count), key=lambda one: -one[0].count
    )
    lines = [f"{escape_control(name):<20} {rate_words(rate)}" for rate, name in nulls[:SHOWN_FIELDS]]
    if len(nulls) > SHOWN_FIELDS:
        lines.append(f"and {len(nulls) - SHOWN_FIELDS} more fields")
    return [f"  {'null' if not number else '':<8} {line}" for number, line in enumerate(lines)]


def rest_lines(report: PilotReport) -> list[str]:
    """The estimate of the rest, now and before the pilot."""
    rest = report.rest
    if not rest.unsettled:
        return ["  rest     there is none"]
    if not rest.to_send:
        return [f"  rest     {count(rest.unsettled, 'document')} in batches in progress"]
    return [
        f"  rest     {count(rest.to_send, 'document')} by {rest.choice.route}:"
        f" {with_bounds(rest.estimate.cost_nusd, dollars)}",
        f"           before it {with_bounds(report.before.cost_nusd, dollars)}",
    ]


def check_lines(checked: Sequence[ThresholdCheck]) -> list[str]:
    """The thresholds; of the fields only the worst one, and all that exceed their threshold."""
    fields = [one for one in checked if one.field]
    worst = max(fields, key=lambda one: one.measured.mean, default=None)
    shown = [one for one in checked if not one.field or not one.holds or one is worst]
    return [f"  {'holds' if one.holds else 'EXCEEDS':<8} {one.words}" for one in shown]


def next_lines(report: PilotReport, path: Path) -> list[str]:
    """What follows, or the command that makes the rest follow. The error on stderr says why a run stops."""
    typed = report.rest.typed[1:]
    match report.decision:
        case Decision.GOES_ON:
            return ["", "  the rest follows"]
        case Decision.STOPS:
            rest = {"next": report.rest.to_send} if any(word.startswith("--next=") for word in typed) else {}
            return [f"  next     {command('submit', path, changed(typed, pilot=None, **rest))}   # the rest"]
        case _:
            return []


def report_as_event(report: PilotReport, opened: OpenJob, terminal: Terminal) -> None:
    """Print the report as a line of JSON."""
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
        cost_per_document_usd=interval_fields(found.cost_nusd.times(1e-9)),
        input_tokens_per_document=interval_fields(found.input_tokens),
        output_tokens_per_document=interval_fields(found.output_tokens),
        rest={
            "documents": rest.to_send,
            "in_batches": rest.unsettled - rest.to_send,
            "route": str(rest.choice.route),
            "estimate_usd": interval_fields(rest.estimate.cost_usd),
            "estimate_before_usd": interval_fields(report.before.cost_usd),
        },
        thresholds=[check_fields(one) for one in report.checks],
        decision=str(report.decision),
    )


def rate_fields(rate: Rate) -> dict[str, float]:
    """A rate for programs."""
    found = rate.interval
    return {"count": rate.count, "rate": round(found.mean, 6), "low": round(found.low, 6), "high": round(found.high, 6)}


def check_fields(check: ThresholdCheck) -> dict[str, Any]:
    """A threshold for programs, in rates or in dollars."""
    unit = 1e-9 if check.key.endswith("_usd") else 1.0
    measured = interval_fields(check.measured.times(unit))
    return {"key": check.key, "field": check.field, "measured": measured, "allowed": check.allowed * unit,
            "holds": check.holds}  # fmt: skip
