"""`batchrun review`: people look at answers, their corrections reach the output, and a promise is made of the rest."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.cli.find_run import FoundRun
    from batchrun.quality.review.standing import Standing
    from batchrun.store.ledger.audits import Drawn
    from batchrun.workflow.review import OpenReview

MOST_CELLS = 500
"""The most fields of a page."""


@click.command()
@click.argument("run", default="last")
@click.option("--status", is_flag=True, help="Show how the review stands, and ask nothing.")
@click.option("--audit", "only", flag_value="audit", help="Review only fields drawn at random, which make the promise.")
@click.option("--queue", "only", flag_value="queue", help="Review only the most suspicious documents.")
@click.option("--open", "anew", is_flag=True, help="Open a new audit over the answers as they are now.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a page with the next fields, to be reviewed in a browser.")  # fmt: skip
@click.option("--next", "number", type=click.IntRange(1, MOST_CELLS), default=50, show_default=True, metavar="N",
              help="With --html: how many fields the page has.")  # fmt: skip
@click.option("--import", "imported", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Take over what was said on a page.")  # fmt: skip
@click.option("--reviewer", metavar="NAME", help="Who reviews; by default the name of the user.")
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def review(
    run: str,
    *,
    status: bool,
    only: "Drawn | None",
    anew: bool,
    html: Path | None,
    number: int,
    imported: Path | None,
    reviewer: str | None,
    simulate: bool,
    ledger: Path | None,
    terminal: Terminal,
) -> None:
    """Review answers field by field, and promise how many of the others are wrong. Nothing is sent.

    \b
    batchrun review contracts               review at the terminal, a key for each field
    batchrun review contracts --status      what was found, and what can be promised
    batchrun review contracts --html p.html    the next fields as a page, for a browser
    batchrun review contracts --import reviews.json
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.workflow.review import open_review, reviewer_name

    shows = status or (terminal.json and not (html or imported))
    if sum(map(bool, (status, html, imported))) > 1 or (imported and anew):
        raise UsageProblem("--status, --html and --import exclude each other, and --open belongs to none but --html.")
    if not (shows or html or imported or is_terminal()):
        raise UsageProblem(
            "review asks at a terminal, and there is none.",
            hint=f"batchrun review {run} --status shows how the review stands; --html FILE writes a page for a browser",
        )
    with (
        found_run(run, ledger, simulated=simulate) as found,
        open_review(found.job_path, simulated=found.story.simulated, writes=not shows) as opened,
    ):
        standing = opened.standing()
        if shows:
            show(found, opened, standing, terminal)
        elif imported:
            from batchrun.cli.import_reviews import import_reviews

            import_reviews(imported, opened, standing, reviewer, terminal)
        else:
            standing = opened.current(standing, anew=anew)
            who = reviewer_name(reviewer)
            if html:
                from batchrun.cli.views.review_page import write_page

                written = write_page(html, found, opened, standing, only=only, number=number, reviewer=who)
                terminal.say(f"{written} to be reviewed in {html}; then: batchrun review {run} --import FILE")
                return
            from batchrun.cli.review_session import Session

            show(found, opened, standing, terminal)
            Session(found, opened, standing, terminal, who, only).run()
        if not shows and (locked := opened.publish()):
            terminal.say(f"corrections are in the ledger, and reach the output later: {locked}")


def is_terminal() -> bool:
    """Whether a person can press keys and sees what is asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def show(found: "FoundRun", opened: "OpenReview", standing: "Standing | None", terminal: Terminal) -> None:
    """Show how a review stands, also before an audit is opened."""
    from batchrun.cli.views.review_text import needs, standing_fields, standing_lines

    stamp, section = terminal.simulated_stamp(found.story.simulated), opened.section
    if standing is None:
        cells = sum(1 for _ in opened.audits.answers()) * len(opened.fields)
        told: Mapping[str, object] = {"audit": None, "max_error": section.max_error, "cells": cells}
        lines = [f"no audit is open yet: {needs(section.max_error, cells)}"]
    else:
        told, lines = standing_fields(standing), list(standing_lines(standing))
    if terminal.json:
        terminal.event("review", job=opened.job.name, simulated=found.story.simulated, **told)
        return
    for line in (stamp + lines[0], *lines[1:]):
        terminal.result(line)
