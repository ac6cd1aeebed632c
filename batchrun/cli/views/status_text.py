"""Runs as a person reads them, and as a program does."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.catalog.money import dollars
from batchrun.cli.find_run import ledger_paths, root_of
from batchrun.cli.views.batch_text import batch_fields, batch_table
from batchrun.cli.views.format import below_here, table, utc
from batchrun.cli.views.metrics_text import minute_fields, minutes_table, pace_fields, pace_lines, retried_lines
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode
from batchrun.escaping import escape_control
from batchrun.store.ledger.job_lock import is_locked
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.performance import Performance, performance
from batchrun.store.reports.runs import RunStory, find_run, run_stories
from batchrun.store.reports.totals import totals
from batchrun.strategy.plan_record import BrokenRecord

if TYPE_CHECKING:
    from batchrun.workflow.summary import Summary

HEADER = ("RUN", "JOB", "STATE", "DONE", "PROBLEMS", "COST", "HELD", "BUDGET", "STARTED (UTC)", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What is shown of a run besides its line, when it alone was asked for."""

    performance: Performance
    retried: Mapping[str, int]
    job_path: Path
    summary: "Summary | None" = None
    """The summary that the run printed at its end. None while the run goes on, and if the summary is not remembered."""
    problem: BrokenRecord | None = None
    """Why there is no summary of a run that has one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What `status` shows."""

    stories: Sequence[RunStory]
    """The latest first."""
    detail: Detail | None
    """Of the one run, if one was asked for."""


def chosen(run: str | None, ledger: Path | None) -> Shown:
    """The runs to show, each with the state it is really in."""
    found: dict[str, Path] = {}
    stories = []
    for path in ledger_paths(ledger):
        with contextlib.closing(Ledger.read(path)) as opened:
            for story in run_stories(opened):
                stories.append(truly(story, path))
                found[story.run_id] = path
    stories.sort(key=lambda story: story.started_at, reverse=True)
    if run is None:
        return Shown(stories, None)
    one = find_run([story for story in stories if story.simulated is run.startswith("sim-")], run)
    path = found[one.run_id]
    return Shown([one], detail(path, one, root=root_of(path, ledger)))


def detail(ledger: Path, story: RunStory, *, root: Path) -> Detail:
    """Look at one run more closely."""
    with contextlib.closing(Ledger.read(ledger)) as opened:
        plain = Detail(
            performance=performance(opened, story.run_no),
            retried=totals(opened, story.run_no).retried,
            job_path=root / story.job_path,
        )
        return plain if story.state == "running" else with_summary(plain, opened, story.run_no, root=root)


def with_summary(detail: Detail, ledger: Ledger, run_no: int, *, root: Path) -> Detail:
    """The same with the summary, if one is remembered."""
    from batchrun.workflow.summary import summary_of  # takes longer to import than all runs take to be shown

    try:
        return replace(detail, summary=summary_of(ledger, run_no, root=root))
    except BrokenRecord as problem:
        return replace(detail, problem=problem)


def truly(story: RunStory, ledger: Path) -> RunStory:
    """A run whose process died says `running` in the ledger; nobody holds its job any more."""
    if story.state == "running" and not is_locked(ledger, story.job):
        return replace(story, state="interrupted")
    return story


def show(shown: Shown, terminal: Terminal, *, again: bool) -> None:
    """Print a table, or a JSON object a run."""
    if shown.detail and shown.detail.problem:
        terminal.say(f"warning: the summary of the run cannot be shown: {escape_control(shown.detail.problem)}")
    if terminal.json:
        show_json(shown, terminal)
        return
    if not shown.stories:
        terminal.say("no runs yet; begin with: batchrun plan JOB")
        return
    width = terminal.width()
    if again and width:
        click.clear()
    terminal.result(table(HEADER, [row(story) for story in shown.stories], width=width))
    if shown.detail:
        show_detail(shown.detail, terminal)
    summary = shown.detail.summary if shown.detail else None
    in_summary = {batch.batch_no for batch in summary.open_batches} if summary else set()
    for story in shown.stories:
        if batches := [batch for batch in story.open_batches if batch.batch_no not in in_summary]:
            terminal.result(f"\nbatches of run {story.run_id}")
            terminal.result(batch_table(batches, width=width))


def show_json(shown: Shown, terminal: Terminal) -> None:
    """One object for each run, and for each of its open batches."""
    for story in shown.stories:
        own, more = as_json(story), detail_as_json(shown.detail) if shown.detail else {}
        terminal.event("run", **{**own, **more, **own})  # of a key that both have, the line's value counts
        for batch in story.open_batches:
            terminal.event("batch", run=story.run_id, **batch_fields(batch))


def show_detail(one: Detail, terminal: Terminal) -> None:
    """The summary, or how fast the run is and what holds it up; and the run's last minutes."""
    if one.summary:
        show_summary(one.summary, one.job_path, terminal)
    elif lines := [*retried_lines(one.retried), *pace_lines(one.performance)]:
        terminal.result("\n" + "\n".join(lines))
    if one.performance.minutes:
        terminal.result("\n" + minutes_table(one.performance.minutes, width=terminal.width()))


def show_summary(summary: "Summary", job_path: Path, terminal: Terminal) -> None:
    """The summary as the run printed it, and why the run stopped, if it did."""
    from batchrun.cli.views.summary_text import summary_as_text

    terminal.result("\n" + summary_as_text(summary, Path(below_here(job_path)), terminal))
    if summary.halted:
        terminal.result(terminal.problem_text(summary.halted, sys.stdout))


def detail_as_json(one: Detail) -> dict[str, object]:
    """The same for programs, with every minute."""
    return {
        **summary_as_json(one.summary),
        **pace_fields(one.performance, one.retried),
        "minutes": [minute_fields(use) for use in one.performance.minutes],
    }


def summary_as_json(summary: "Summary | None") -> dict[str, object]:
    """What `run_end` has; nothing if there is no summary."""
    if summary is None:
        return {}
    from batchrun.cli.views.summary_text import summary_fields

    return summary_fields(summary)


def row(story: RunStory) -> tuple[str, ...]:
    """One line of the table."""
    share = f" {100 * story.settled // story.admitted}%" if story.admitted else ""
    ended = f"exit {story.exit_code}" if story.exit_code is not None else ""
    ending = {"finished": ended, "running": "", "waiting": "submit again to collect"}.get(
        story.state, f"{ended} submit again to continue".strip()
    )
    return (
        story.run_id,
        story.job,
        story.state,
        f"{story.settled:,}/{story.admitted:,}{share}",
        f"{story.failed:,}",
        dollars(story.committed_nusd - story.held_nusd) + (" pretend" if story.simulated else ""),
        dollars(story.held_nusd),
        dollars(story.cap_nusd),
        utc(story.started_at),
        ending,
    )


def as_json(story: RunStory) -> dict[str, object]:
    """A run for programs."""
    return {
        "run": story.run_id, "job": story.job, "state": story.state, "exit_code": story.exit_code,
        "simulated": story.simulated, "route": story.route, "settled": story.settled,
        "admitted": story.admitted, "failed": story.failed,
        "cost_usd": (story.committed_nusd - story.held_nusd) / 1e9, "held_usd": story.held_nusd / 1e9,
        "budget_usd": story.cap_nusd / 1e9, "note": story.note,
        "started": utc(story.started_at), "ended": utc(story.ended_at),
    }  # fmt: skip


def exit_code(story: RunStory) -> int:
    """For scripts: the code the run ended with, or that it has not ended."""
    if story.state == "running" or story.exit_code is None:
        return ExitCode.UNFINISHED
    return story.exit_code
