"""Runs, for people and for programs."""

import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.catalog.money import dollars
from batchrun.cli.find_run import RunPlace, no_run, place_of
from batchrun.cli.views.batch_text import batch_fields, batch_table
from batchrun.cli.views.findings_text import findings_lines
from batchrun.cli.views.format import below_here, iso, table, utc
from batchrun.cli.views.live_text import live_fields, live_lines
from batchrun.cli.views.metrics_text import minute_fields, minutes_table, pace_lines, retried_lines
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode
from batchrun.escaping import columns_of, escape_control
from batchrun.job.tune_section import is_tuned
from batchrun.report.summary_json import findings_fields, pace_fields
from batchrun.store.ledger.job_lock import is_locked
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.reports.evidence import RunFindings, run_findings
from batchrun.store.reports.live import LiveRun, live_run
from batchrun.store.reports.performance import Performance, performance
from batchrun.store.reports.runs import RunStory, match_run, run_stories
from batchrun.store.reports.totals import totals
from batchrun.strategy.plan_record import BrokenRecord

if TYPE_CHECKING:
    from batchrun.workflow.summary import Summary

HEADER = ("RUN", "JOB", "STATE", "DONE", "PROBLEMS", "COST", "RESERVED", "BUDGET", "STARTED (UTC)", "END")
EXPENDABLE = ("RESERVED", "BUDGET", "STARTED (UTC)", "PROBLEMS")
"""The columns that a narrow terminal goes without, the first one first."""
WATCHED = 5
"""How many runs are watched together; those in progress come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What is shown of a run besides the line of the run, if a person asked for this run alone."""

    performance: Performance
    retried: Mapping[str, int]
    findings: RunFindings
    job_path: Path
    summary: "Summary | None"
    """The summary that the run printed at its end. None while the run goes on, and if the summary is not remembered."""
    problem: BrokenRecord | None
    """Why a summary that is remembered cannot be shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What `status` shows."""

    stories: Sequence[RunStory]
    """The latest first."""
    detail: Detail | None
    """The detail of the one run, if a person asked for one."""
    place: RunPlace
    live: Mapping[str, LiveRun] = field(compare=False, default_factory=dict)
    """How the runs in progress stand, by the ids of the runs. The time alone changes this."""


def chosen(run: str | None, given: Path | None, *, simulated: bool = False, watch: bool = False) -> Shown:
    """The runs to show, each in the state that the run is really in. Raises UsageProblem for a run that is none.

    `simulated` leaves out real runs, and `watch` the runs that ended long ago.
    """
    place = place_of(run, given)
    by_ledger: dict[Path, list[RunStory]] = {}
    for path in place.ledgers[simulated:]:
        with Ledger.read(path) as opened:
            by_ledger[path] = [truly(story, path) for story in run_stories(opened)]
    stories = sorted(itertools.chain(*by_ledger.values()), key=lambda story: story.started_at, reverse=True)
    if run is None:
        running_first = sorted(stories, key=lambda story: story.state != "running")[:WATCHED]
        return Shown(running_first, None, place, live_runs(by_ledger)) if watch else Shown(stories, None, place)
    for path, some in by_ledger.items():
        if one := match_run(some, place.name(run)):
            detail = detail_of(one, path, root=place.root, job_path=place.job_path(one))
            return Shown([one], detail, place, live_runs({path: [one]}))
    raise no_run(place.name(run), stories, place)


def live_runs(by_ledger: Mapping[Path, Sequence[RunStory]]) -> dict[str, LiveRun]:
    """Look at the runs in progress, by the ids of the runs."""
    found = dict[str, LiveRun]()
    for path, stories in by_ledger.items():
        if running := [story for story in stories if story.state == "running"]:
            with Ledger.read(path) as ledger:
                found |= {one.run_id: live_run(ledger, one.run_no, now=time.time()) for one in running}
    return found


def detail_of(story: RunStory, path: Path, *, root: Path, job_path: Path) -> Detail:
    """Look at one run more closely, in the ledger at `path` of the project at `root`."""
    summary, problem = None, None
    with Ledger.read(path) as ledger:
        if story.state != "running":
            from batchrun.workflow.summary import summary_of  # takes longer to import than all runs take to be shown

            try:
                summary = summary_of(ledger, story.run_no, root=root)
            except BrokenRecord as broken:
                problem = broken
        return Detail(
            performance=performance(ledger, story.run_no),
            retried=totals(ledger, story.run_no).retried,
            findings=(summary and summary.findings) or run_findings(ledger, story.run_no),
            job_path=job_path,
            summary=summary,
            problem=problem,
        )


def truly(story: RunStory, ledger: Path) -> RunStory:
    """The run in its true state: a run whose process died says `running`, and nobody has the lock of its job."""
    if story.state == "running" and not is_locked(ledger, story.job):
        return replace(story, state="interrupted")
    return story


def show(shown: Shown, terminal: Terminal) -> None:
    """Print a table, or a JSON object for each run."""
    if shown.detail and shown.detail.problem:
        terminal.say(f"warning: the summary of the run cannot be shown: {escape_control(shown.detail.problem)}")
    if terminal.json:
        show_json(shown, terminal)
        return
    if not shown.stories:
        terminal.say(f"{shown.place.nothing()}\nnext: {shown.place.begin()}")
        return
    for block in blocks(shown, terminal):
        terminal.result(block)


def blocks(shown: Shown, terminal: Terminal) -> Iterator[str]:
    """Yield what is shown, part by part: the table of runs, how runs stand, the detail of one run, and open batches."""
    width = terminal.width()
    stories = shown.stories if shown.detail else with_whole_tunes(shown.stories)
    lines = [HEADER, *(row(story) for story in stories)]
    if not any(story.held_nusd for story in shown.stories):
        lines = without("RESERVED", lines)
    for name in EXPENDABLE:
        if width and columns_of(max(table(lines[0], lines[1:]).split("\n"), key=columns_of)) > width:
            lines = without(name, lines)
    yield table(lines[0], lines[1:], width=width)
    for story in shown.stories:
        if live := shown.live.get(story.run_id):
            heading = [] if shown.detail else [f"run {story.run_id}"]
            yield "\n".join(["", *heading, *live_lines(story, live, now=datetime.now(UTC), width=width)])
    if shown.detail:
        yield from detail_blocks(shown.detail, terminal)
    summary = shown.detail.summary if shown.detail else None
    in_summary = {batch.batch_no for batch in summary.open_batches} if summary else set()
    for story in shown.stories:
        if batches := [batch for batch in story.open_batches if batch.batch_no not in in_summary]:
            yield f"\nbatches of run {story.run_id}"
            yield batch_table(batches, width=width)


def with_whole_tunes(stories: Sequence[RunStory]) -> list[RunStory]:
    """Put the runs of a tune together, as the last one of them: each look at a setting is a run."""
    together: list[RunStory] = []
    for job, group in itertools.groupby(stories, key=lambda story: (story.job, story.simulated)):
        runs = list(group)
        if is_tuned(job[0]):
            runs = [
                replace(
                    runs[0],
                    settled=sum(run.settled for run in runs),
                    failed=sum(run.failed for run in runs),
                    admitted=sum(run.admitted for run in runs),
                    committed_nusd=sum(run.committed_nusd for run in runs),
                    held_nusd=sum(run.held_nusd for run in runs),
                    cap_nusd=max(run.cap_nusd for run in runs),
                    started_at=runs[-1].started_at,
                )
            ]
        together += runs
    return together


def show_json(shown: Shown, terminal: Terminal) -> None:
    """Print one object for each run, and for each open batch of the run."""
    for story in shown.stories:
        line = as_json(story) | (live_fields(shown.live[story.run_id]) if story.run_id in shown.live else {})
        detail = detail_as_json(shown.detail) if shown.detail else {}
        terminal.event("run", **{**line, **detail, **line})  # of a key that both have, the value of the line counts
        for batch in story.open_batches:
            terminal.event("batch", run=story.run_id, **batch_fields(batch))


def detail_blocks(one: Detail, terminal: Terminal) -> Iterator[str]:
    """Yield the summary, or the speed and the waits of the run; then the run's last minutes."""
    if one.summary:
        from batchrun.cli.views.summary_text import summary_as_text

        yield "\n" + summary_as_text(one.summary, Path(below_here(one.job_path)), terminal)
        if one.summary.halted:
            hint = one.summary.remaining is None
            yield terminal.problem_text(one.summary.halted, sys.stdout, hint=hint)
    elif lines := [*findings_lines(one.findings), *retried_lines(one.retried), *pace_lines(one.performance)]:
        yield "\n" + "\n".join(lines)
    if one.performance.minutes:
        yield "\n" + minutes_table(one.performance.minutes, width=terminal.width())


def detail_as_json(one: Detail) -> dict[str, object]:
    """The fields of `run_end` if there is a summary, the speed and the waits, and every minute."""
    fields: dict[str, object] = {}
    if one.summary:
        from batchrun.report.summary_json import summary_fields

        fields = summary_fields(one.summary)
    minutes = [minute_fields(use) for use in one.performance.minutes]
    return {**fields, **findings_fields(one.findings), **pace_fields(one.performance, one.retried), "minutes": minutes}


def row(story: RunStory) -> tuple[str, ...]:
    """The line of a run in the table."""
    share = f" {100 * story.settled // story.admitted}%" if story.admitted else ""
    ended = f"exit {story.exit_code}" if story.exit_code is not None else ""
    waits = f"{story.note}; waiting" if story.note else ""
    how = "tune" if is_tuned(story.job) else "submit"
    ending = {"finished": ended, "running": waits, "waiting": f"{how} again to collect"}.get(
        story.state, f"{ended} {how} again to continue".strip()
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


def without(name: str, lines: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Leave out one column, if it is there."""
    at = lines[0].index(name) if name in lines[0] else len(lines[0])
    return [(*cells[:at], *cells[at + 1 :]) for cells in lines]


def as_json(story: RunStory) -> dict[str, object]:
    """A run for programs."""
    return {
        "run": story.run_id, "job": story.job, "state": story.state, "exit_code": story.exit_code,
        "tags": dict(story.tags), "simulated": story.simulated, "route": story.route, "settled": story.settled,
        "admitted": story.admitted, "failed": story.failed,
        "cost_usd": (story.committed_nusd - story.held_nusd) / 1e9, "held_usd": story.held_nusd / 1e9,
        "budget_usd": story.cap_nusd / 1e9, "note": story.note,
        "started": iso(story.started_at), "ended": iso(story.ended_at),
    }  # fmt: skip


def exit_code(story: RunStory) -> int:
    """The exit code for scripts: the code of the run, or 10 for a run that has not ended."""
    if story.state == "running" or story.exit_code is None:
        return ExitCode.UNFINISHED
    return story.exit_code
