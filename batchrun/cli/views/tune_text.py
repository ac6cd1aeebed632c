"""A tune for people and for programs: its plan, its looks, the verdict and the frontier."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batchrun.catalog.money import dollars
from batchrun.cli.next_command import changed, command, typed_command
from batchrun.cli.views.evaluation_text import share_words
from batchrun.cli.views.format import count, duration, table
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import escape_control, shown_path
from batchrun.quality.tune.standing import Standing
from batchrun.quality.tune.verdict import Ending, Row, State
from batchrun.report.summary_json import interval_fields
from batchrun.strategy.pilot_report import percent
from batchrun.workflow.tune import TuneReport
from batchrun.workflow.tune_plan import TunePlan
from batchrun.workflow.tune_write import Edit

PER = 1_000
"""Prices are shown for so many documents."""
HEADER = ("SETTING", "STATE", "RIGHT (90%)", "OF", f"COST OF {PER:,} (90%)", "FAILED (90%)", "LATENCY")
SHOWN_DOCUMENTS = 30


def plan_lines(plan: TunePlan) -> Iterator[str]:
    """Say what a tune will do and what it may cost, before anything is sent."""
    labelled = sum(doc_id in plan.labels for doc_id in plan.documents)
    against = plan.candidates[-1].row.setting.words if plan.by_agreement else "gold labels"
    if plan.by_agreement and labelled:
        against += f" and the labels of {count(labelled, 'document')}"
    yield (
        f"{plan.job} tune: {count(len(plan.candidates), 'setting')} on {count(len(plan.documents), 'document')},"
        f" held against {escape_control(against)}; target {percent(plan.target)}"
    )
    yield f"expected {dollars(plan.expected_nusd)} of cap {dollars(plan.cap.limit)}"


def look_line(row: Row) -> str:
    """Say what one look at a setting showed."""
    assert row.standing is not None
    found = "" if row.state is State.STRONGEST else f": {accuracy_words(row.standing)}"
    number = count(row.standing.documents, "document")
    return f"{escape_control(row.setting.words)}, {number}{found} · {row.state}"


def accuracy_words(standing: Standing) -> str:
    """`at least 95.2%, measured 97.0%`."""
    return f"at least {percent(standing.accuracy.low)}, measured {percent(standing.accuracy.mean)}"


def report_as_text(report: TuneReport, edit: Edit, terminal: Terminal, path: Path) -> str:
    """The verdict, the frontier, and what to type next."""
    plan = report.plan
    lines = [
        f"{terminal.simulated_stamp(plan.simulated)}{plan.job} tune: {verdict_words(report)}",
        *fact_lines(report),
        f"  spent    {dollars(report.spent_nusd)} of {dollars(plan.cap.limit)} by this tune",
        "",
        table(HEADER, [cells(row) for row in report.rows], width=terminal.width()),
        "",
        *label_lines(report),
        *(escape_control(line) for line in edit.diff),
        *([""] if edit.diff else []),
        *next_lines(report, edit, path),
    ]
    return "\n".join(lines)


def verdict_words(report: TuneReport) -> str:
    """Say which setting is named and why, or why none is."""
    row, target = report.verdict.row, percent(report.plan.target)
    if report.verdict.ending is Ending.STOPPED:
        return f"stopped before any setting was found to hold the target of {target}"
    if row is None or row.standing is None:
        return f"no setting holds the target of {target}"
    named = f"{escape_control(row.setting.words)}: {accuracy_words(row.standing)}"
    match report.verdict.ending:
        case Ending.FOUND:
            return f"the cheapest setting that holds the target of {target} is {named}"
        case Ending.UNDECIDED:
            return f"undecided whether the target of {target} is held by {named}"
        case _:
            return f"no setting holds the target of {target}; the best is {named}"


def fact_lines(report: TuneReport) -> Iterator[str]:
    """Say what else is known of the named setting, and of the strongest one."""
    row, more = report.verdict.row, report.verdict.more
    if report.verdict.ending is Ending.UNDECIDED:
        told = f"{count(more, 'document')} more would probably decide" if more else "documents would hardly decide"
        yield f"  more     {told}"
    if row and row.standing:
        routes = " · ".join(f"{name} {dollars(row.price_nusd(name).mean * PER)}" for name in row.routes)
        yield f"  cost     {routes} for {PER:,} documents"
        worst = sorted(row.standing.fields.items(), key=lambda one: one[1].mean)[:3]
        if shown := ", ".join(f"{escape_control(name)} {percent(one.mean)}" for name, one in worst if one.mean < 1):
            yield f"  fields   right least often: {shown}"
        if row.standing.unsupported:
            yield f"  quotes   {share_words(row.standing.unsupported)} not supported by the document"
    if itself := report.self_agreement:
        yield f"  itself   the strongest setting gave the same value twice in {share_words(itself)}"
        if report.plan.target > (ceiling := (1 + itself.mean) / 2):
            yield f"           so that an agreement above about {percent(ceiling)} is out of reach"


def cells(row: Row) -> tuple[str, ...]:
    """One setting of the frontier."""
    standing, price = row.standing, row.price_nusd().times(PER)
    if standing is None:
        return (row.setting.words, str(row.state), "", "", f"{dollars(price.mean)} planned", "", "")
    return (
        row.setting.words,
        str(row.state),
        share_words(standing.accuracy) if row.state is not State.STRONGEST or standing.differing else "",
        f"{standing.documents:,}",
        f"{dollars(price.mean)} ({dollars(price.low)} to {dollars(price.high)})",
        share_words(standing.failures),
        duration(standing.latency_s.mean) if standing.latency_s else "",
    )


def label_lines(report: TuneReport) -> Iterator[str]:
    """Say which documents to label: only where the named setting and the strongest one differ."""
    if not (doc_ids := report.to_label):
        return
    yield f"  label    {count(len(doc_ids), 'document')}, in which this setting differs from the strongest one:"
    yield from (f"           {shown_path(doc_id)}" for doc_id in doc_ids[:SHOWN_DOCUMENTS])
    if len(doc_ids) > SHOWN_DOCUMENTS:
        yield f"           and {len(doc_ids) - SHOWN_DOCUMENTS} more; --json lists all of them"
    yield "           give their right answers in the file of [gold], and tune again with --agreement"
    yield ""


def next_lines(report: TuneReport, edit: Edit, path: Path) -> Iterator[str]:
    """What to type next. An error on stderr says why a tune stopped."""
    plan, more = report.plan, report.verdict.more
    typed = [word for word in typed_command()[1:] if word != "--write"]
    if edit.is_written:
        yield "  written  into the job file"
    if more and len(plan.documents) + more <= plan.possible:
        yield f"  next     {command('tune', path, changed(typed, documents=len(plan.documents) + more))}"
    if report.verdict.ending is not Ending.FOUND or edit.problem:
        return
    if edit.diff and not edit.is_written:
        yield f"  next     {command('tune', path, [*typed, '--write'])}   writes this into the job file"
    elif not report.halted:
        yield f"  next     {command('submit', path, ['--simulate'] if plan.simulated else [])}"


def report_as_json(report: TuneReport, edit: Edit) -> Mapping[str, Any]:
    """The report for programs; accuracies are shares, and prices are those of 1,000 documents."""
    plan, verdict = report.plan, report.verdict
    return {
        "job": plan.job,
        "simulated": plan.simulated,
        "target": plan.target,
        "documents": len(plan.documents),
        "by_agreement": plan.by_agreement,
        "labelled": sum(doc_id in plan.labels for doc_id in plan.documents),
        "ending": str(verdict.ending),
        "setting": setting_fields(verdict.row) if verdict.row else None,
        "more_documents": verdict.more,
        "self_agreement": asdict(report.self_agreement) if report.self_agreement else None,
        "to_label": list(report.to_label),
        "spent_usd": report.spent_nusd / 1e9,
        "expected_usd": plan.expected_nusd / 1e9,
        "cap_usd": plan.cap.limit / 1e9,
        "frontier": [row_fields(row) for row in report.rows],
        "diff": list(edit.diff),
        "written": edit.is_written,
    }


def setting_fields(row: Row) -> dict[str, str | None]:
    """A setting for programs."""
    one = row.setting
    return {"model": one.model, "effort": one.effort, "thinking": one.thinking, "prompt": one.prompt}


def row_fields(row: Row) -> dict[str, Any]:
    """One setting of the frontier for programs: `asdict` gives what `Standing` has."""
    return {
        **setting_fields(row),
        "state": str(row.state),
        "route": row.own_route,
        "usd_per_1000": {name: interval_fields(row.price_nusd(name).times(PER / 1e9)) for name in row.routes},
        **(asdict(row.standing) if row.standing else {}),
    }
