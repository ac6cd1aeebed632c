"""`batchrun review`: people look at answers, their corrections reach the output, and a promise is made of the rest."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem

if TYPE_CHECKING:
    from batchrun.store.ledger.audits import Drawn


@click.command()
@click.argument("run", default="last")
@click.option("--status", is_flag=True, help="Show how the review stands, and ask nothing.")
@click.option("--audit", "only", flag_value="audit", help="Review only fields drawn at random, which make the promise.")
@click.option("--queue", "only", flag_value="queue", help="Review only the most suspicious documents.")
@click.option("--open", "anew", is_flag=True, help="Open a new audit over the answers as they are now.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a page with the next fields, to be reviewed in a browser.")  # fmt: skip
@click.option("--next", "number", type=click.IntRange(1, 500), default=50, show_default=True, metavar="N",
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
    batchrun review contracts                  review at the terminal, a key for each field
    batchrun review contracts --status         what was found, and what can be promised
    batchrun review contracts --html p.html    the next fields as a page, for a browser
    batchrun review contracts --import reviews.json
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli import review_job
    from batchrun.cli.find_run import found_run
    from batchrun.workflow.review import open_review, reviewer_name

    shows = status or (terminal.json and not (html or imported))
    if sum(map(bool, (status, html, imported))) > 1 or (anew and (shows or imported)):
        raise UsageProblem(
            "--status, --html and --import exclude each other, and --open goes with none of them but --html.",
            hint=f"batchrun review {run} --status",
        )
    if not (shows or html or imported or is_terminal()):
        raise UsageProblem(
            "review asks at a terminal, and there is none.",
            hint=f"batchrun review {run} --status shows how the review stands; --html FILE writes a page for a browser",
        )
    with found_run(run, ledger, simulated=simulate, with_rows=True) as found:
        path, simulated = found.job_path, found.story.simulated
    with open_review(path, simulated=simulated, writes=not shows) as opened:
        if shows:
            review_job.show(opened, opened.standing(), terminal)
        elif imported:
            review_job.take_over(imported, opened, terminal, reviewer)
        else:
            who, standing = reviewer_name(reviewer), opened.current(anew=anew)
            if html:
                review_job.write_page(html, opened, standing, terminal, only or standing.next_drawn, number, who)
            else:
                review_job.ask(opened, standing, terminal, only, who)


def is_terminal() -> bool:
    """Whether a person can press keys and sees what is asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()
