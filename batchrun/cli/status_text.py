"""Runs as a person reads them, and as a program does."""

from dataclasses import replace
from pathlib import Path

import click

from batchrun.cli.batch_text import batch_fields, batch_table
from batchrun.cli.finding import ledger_paths
from batchrun.cli.terminal import Terminal
from batchrun.cli.words import table, utc
from batchrun.errors import ExitCode
from batchrun.planning.money import dollars
from batchrun.store.history import RunStory, find_run, run_stories
from batchrun.store.ledger import Ledger
from batchrun.store.lock import is_held

HEADER = ("RUN", "JOB", "STATE", "DONE", "PROBLEMS", "COST", "HELD", "BUDGET", "STARTED (UTC)", "")


def chosen(run: str | None, ledger: Path | None) -> list[RunStory]:
    """The runs to show, the latest first, each with the state it is really in."""
    stories = []
    for path in ledger_paths(ledger):
        opened = Ledger.read(path)
        try:
            stories += [truly(story, path) for story in run_stories(opened)]
        finally:
            opened.close()
    stories.sort(key=lambda story: story.started_at, reverse=True)
    if run is None:
        return stories
    return [find_run([story for story in stories if story.simulated is run.startswith("sim-")], run)]


def truly(story: RunStory, ledger: Path) -> RunStory:
    """A run whose process died says `running` in the ledger; nobody holds its job any more."""
    if story.state == "running" and not is_held(ledger, story.job):
        return replace(story, state="interrupted")
    return story


def show(stories: list[RunStory], terminal: Terminal, *, again: bool) -> None:
    """Print a table, or a JSON object a run."""
    if terminal.json:
        for story in stories:
            terminal.event("run", **as_json(story))
            for batch in story.open_batches:
                terminal.event("batch", run=story.run_id, **batch_fields(batch))
        return
    if not stories:
        terminal.say("no runs yet; begin with: batchrun plan JOB")
        return
    if again and terminal.width():
        click.clear()
    terminal.result(table(HEADER, [row(story) for story in stories], width=terminal.width()))
    for story in stories:
        if story.open_batches:
            terminal.result(f"\nbatches of run {story.run_id}")
            terminal.result(batch_table(story.open_batches, width=terminal.width()))


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
