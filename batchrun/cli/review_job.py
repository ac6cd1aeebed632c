"""What `batchrun review` does: it shows how a review stands, asks at a terminal, writes a page, or takes one over."""

from itertools import islice
from pathlib import Path

from batchrun.cli.import_reviews import import_reviews
from batchrun.cli.next_command import command
from batchrun.cli.permissions import to_file
from batchrun.cli.review_session import Session
from batchrun.cli.views.format import count
from batchrun.cli.views.review_cell import shown_cells
from batchrun.cli.views.review_page import page_of
from batchrun.cli.views.review_text import needs, standing_fields, standing_lines, standing_words
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.quality.review.standing import Standing
from batchrun.store.ledger.audits import Drawn
from batchrun.workflow.review import OpenReview


def show(opened: OpenReview, standing: Standing | None, terminal: Terminal) -> None:
    """Show how a review stands, also before an audit is opened."""
    max_error = opened.max_error
    cells = 0 if standing else sum(1 for _ in opened.audits.answers()) * len(opened.fields)
    if terminal.json:
        told = standing_fields(standing) if standing else {"audit": None, "max_error": max_error, "cells": cells}
        terminal.event("review", job=opened.job.name, simulated=opened.simulated, **told)
        return
    lines = standing_lines(standing) if standing else [f"{needs(max_error, cells)} No audit is open yet."]
    stamp = terminal.simulated_stamp(opened.simulated)
    terminal.result(stamp + "\n".join([*lines, _next_line(opened, standing)]))


def ask(opened: OpenReview, standing: Standing, terminal: Terminal, only: Drawn | None, reviewer: str) -> None:
    """Let a person review at the terminal."""
    show(opened, standing, terminal)
    session = Session(opened, standing, terminal, only, reviewer)
    session.run()
    if session.next() is None and not session.skipped:
        terminal.result(f"nothing is left to be reviewed{' in this stream' if only else ''}")
    skipped = f", {len(session.skipped):,} skipped" if session.skipped else ""
    _close(opened, session.standing, terminal, len(session.saved), skipped)


def take_over(path: Path, opened: OpenReview, terminal: Terminal, reviewer: str | None) -> None:
    """Record what was said on a page."""
    standing, saved, left_out = import_reviews(path, opened, reviewer)
    if terminal.json:
        terminal.event("imported", job=opened.job.name, reviews=saved, left_out=left_out)
    why = f", {left_out:,} left out: known, reviewed later, or about an answer that has changed" if left_out else ""
    _close(opened, standing, terminal, saved, why)


def write_page(
    path: Path, opened: OpenReview, standing: Standing, terminal: Terminal, drawn: Drawn, number: int, reviewer: str
) -> None:
    """Write a page with the next fields. Raises UsageProblem if nothing is left."""
    if not (cells := list(islice(standing.upcoming(drawn), number))):
        raise UsageProblem("nothing is left to be reviewed.", hint=_command("review", opened, "--status"))
    shown = shown_cells(opened, standing.audit, cells)
    title = f"Review of {opened.job.name}{' (SIMULATED)' if opened.simulated else ''}"
    to_file([page_of(shown, standing.audit, drawn, title=title, reviewer=reviewer)], path)
    if terminal.json:
        terminal.event("page", job=opened.job.name, path=str(path), fields=len(cells))
        return
    terminal.result(
        f"{count(len(cells), 'field')} to be reviewed in {path}, in a browser; then take over what it exports"
    )
    terminal.result(f"next     {_command('review', opened, '--import=reviews.json')}")


def _close(opened: OpenReview, standing: Standing, terminal: Terminal, saved: int, more: str) -> None:
    """Tell what was saved, how the promise stands and what to type next, and bring corrections to the output."""
    if not terminal.json:
        terminal.result(f"saved    {count(saved, 'review')}{more}\npromise  {standing_words(standing)}")
        terminal.result(_next_line(opened, standing))
    if saved and (locked := opened.publish()):
        terminal.say(f"corrections are in the ledger, and reach the output later: {locked}")


def _next_line(opened: OpenReview, standing: Standing | None) -> str:
    """Return the line with the command that goes on, which shows the rows once nothing is left to be reviewed."""
    is_done = standing is not None and next(standing.upcoming(standing.next_drawn), None) is None
    return f"next     {_command('results' if is_done else 'review', opened)}"


def _command(name: str, opened: OpenReview, *options: str) -> str:
    return command(name, opened.job_path, [*options, *(["--simulate"] if opened.simulated else [])])
