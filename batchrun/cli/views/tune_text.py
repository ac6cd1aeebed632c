"""A tune for people and for programs: its plan, its looks, the frontier and the verdict."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batchrun.catalog.money import dollars
from batchrun.cli.next_command import changed, command
from batchrun.cli.views.format import count, duration, table
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import BatchrunError
from batchrun.escaping import escape_control, shown_path
from batchrun.estimation.interval import Interval
from batchrun.quality.tune.standing import Standing
from batchrun.quality.tune.verdict import Ending, Row, State
from batchrun.strategy.pilot_report import percent
from batchrun.workflow.tune_plan import TunePlan
from batchrun.workflow.tune_report import PER, TuneReport
from batchrun.workflow.tune_write import JobChange

HEADER = ("SETTING", "PRICE/1,000", "AT LEAST", "MEASURED", "AT MOST", "DOCUMENTS", "EACH", "FAILED", "STATE")
SHOWN_DOCUMENTS = 30


@dataclass(frozen=True, slots=True)
class Edit:
    """What became of the job file."""

    change: JobChange | None = None
    """The change that gives the job the setting. None if no setting is named, or no program can make the change."""
    is_written: bool = False
    problem: BatchrunError | None = None
    """Why the job file could not be written."""


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
    yield (
        f"expected {dollars(plan.expected_nusd)} of cap {dollars(plan.cap_nusd)}"
        f" · every setting on all documents {dollars(plan.full_nusd)}"
    )


def look_line(row: Row) -> str:
    """Say what one look at a setting showed."""
    standing = row.standing
    found = "" if standing is None or row.state is State.STRONGEST else f": {accuracy_words(standing)}"
    number = count(standing.documents, "document") if standing else "nothing"
    state = "goes on" if row.state is State.ASKED else str(row.state)
    return f"{escape_control(row.setting.words)}, {number}{found} · {state}"


def accuracy_words(standing: Standing) -> str:
    """`at least 95.2%, measured 97.0%`."""
    return f"at least {percent(standing.accuracy.low)}, measured {percent(standing.accuracy.mean)}"


def report_as_text(report: TuneReport, edit: Edit, terminal: Terminal, path: Path) -> str:
    """The frontier, what is named, and what to type next."""
    lines = [
        table(HEADER, [cells(row) for row in report.rows], width=terminal.width()),
        "",
        *verdict_lines(report),
        f"  spent    {dollars(report.spent_nusd)} of {dollars(report.plan.cap_nusd)} by this tune",
        *label_lines(report),
        *change_lines(edit.change),
        *next_lines(report, edit, path),
    ]
    stamp = terminal.simulated_stamp(report.plan.simulated)
    return "\n".join([f"{stamp}{report.plan.job} tune", "", *lines])


def cells(row: Row) -> tuple[str, ...]:
    """One setting of the frontier."""
    standing, price = row.standing, row.price_nusd().times(PER)
    if standing is None:
        return (row.setting.words, f"{dollars(price.mean)} planned", *[""] * 6, str(row.state))
    accuracy = standing.accuracy
    shares = [percent(share) for share in (accuracy.low, accuracy.mean, accuracy.high)]
    return (
        row.setting.words,
        bounded(price, dollars),
        *([""] * 3 if row.state is State.STRONGEST and not standing.differing else shares),
        f"{standing.documents:,}",
        duration(standing.latency_s.mean) if standing.latency_s else "",
        f"{percent(standing.failures.mean)} (to {percent(standing.failures.high)})",
        str(row.state),
    )


def bounded(interval: Interval, shown: Callable[[float], str]) -> str:
    """`97.0% (95.2% to 98.1%)`."""
    return f"{shown(interval.mean)} ({shown(interval.low)} to {shown(interval.high)})"


def verdict_lines(report: TuneReport) -> Iterator[str]:
    """Say which setting is named and why, or why none is."""
    row, target = report.verdict.row, percent(report.plan.target)
    name = escape_control(row.setting.words) if row else ""
    match report.verdict.ending:
        case Ending.FOUND if row and row.standing:
            yield f"  chosen   {name}: {accuracy_words(row.standing)}; the target is {target}"
            yield from measured_lines(row)
        case Ending.UNDECIDED if row and row.standing:
            more = report.verdict.more
            told = f"{count(more, 'document')} more would probably decide" if more else "more would hardly help"
            yield f"  undecided {name}: {accuracy_words(row.standing)}; the target is {target}: {told}"
            yield from measured_lines(row)
        case Ending.STOPPED:
            yield "  stopped  before any setting was named"
        case _ if row and row.standing and row.state is not State.STRONGEST:
            yield f"  none     holds the target of {target}; the best is {name}: {accuracy_words(row.standing)}"
        case _:
            yield f"  none     holds the target of {target}"
    if report.self_agreement:
        yield from self_lines(report.self_agreement, report.plan.target)


def measured_lines(row: Row) -> Iterator[str]:
    """The price by every route, the worst fields, and the unsupported values of a named setting."""
    routes = " · ".join(f"{name} {dollars(row.price_nusd(name).mean * PER)}" for name in row.routes)
    yield f"  by route {routes} for {PER:,} documents"
    if row.standing:
        worst = sorted(row.standing.fields.items(), key=lambda one: one[1].mean)[:3]
        shown = ", ".join(f"{escape_control(name)} {percent(one.mean)}" for name, one in worst if one.mean < 1)
        if shown:
            yield f"  fields   {shown}: those that are right least often"
        if row.standing.unsupported:
            yield f"  quotes   {bounded(row.standing.unsupported, percent)} not supported by the document"


def self_lines(agreement: Interval, target: float) -> Iterator[str]:
    """Say how often the strongest setting agrees with itself, and which agreement nobody reaches."""
    yield f"  itself   the strongest setting gave the same value twice in {bounded(agreement, percent)}"
    ceiling = (1 + agreement.mean) / 2
    if target > ceiling:
        yield f"           so that an agreement above about {percent(ceiling)} is out of reach"


def label_lines(report: TuneReport) -> Iterator[str]:
    """Say which documents to label: only where the named setting and the strongest one differ."""
    if not (doc_ids := report.to_label):
        return
    yield (
        f"  label    these {count(len(doc_ids), 'document')}, in which it differs from the strongest setting:"
        " write their right answers into the table of [gold], and tune again with --agreement"
    )
    yield from (f"           {shown_path(doc_id)}" for doc_id in doc_ids[:SHOWN_DOCUMENTS])
    if len(doc_ids) > SHOWN_DOCUMENTS:
        yield f"           and {len(doc_ids) - SHOWN_DOCUMENTS} more; --json lists all of them"


def change_lines(change: JobChange | None) -> Iterator[str]:
    """The change of the job file."""
    if change:
        yield from ("", *(escape_control(line) for line in change.diff), "")


def next_lines(report: TuneReport, edit: Edit, path: Path) -> Iterator[str]:
    """What to type next. An error on stderr says why a tune stopped."""
    plan, verdict = report.plan, report.verdict
    typed = [word for word in plan.typed[1:] if word != "--write"]
    if edit.is_written:
        yield "  written  into the job file"
    if verdict.more and len(plan.documents) + verdict.more <= plan.possible:
        more = changed(typed, documents=len(plan.documents) + verdict.more)
        yield f"  next     {command('tune', path, more)}"
    if verdict.ending is not Ending.FOUND or edit.problem:
        return
    if edit.change and edit.change.diff and not edit.is_written:
        yield f"  next     {command('tune', path, [*typed, '--write'])}   writes this into the job file"
    elif not report.halted:
        yield f"  next     {command('submit', path, ['--simulate'] if plan.simulated else [])}"
