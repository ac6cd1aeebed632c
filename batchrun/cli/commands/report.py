"""`batchrun report`: what the ledger knows of a run, as a page for people."""

import contextlib
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal


@click.command()
@click.argument("run", default="last")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="The file to write; by default results/JOB-RUN.html in the project.")  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def report(
    run: str, *, output: Path | None, opens: bool, simulate: bool, ledger: Path | None, terminal: Terminal
) -> None:
    """Write the report of a run: one HTML file, which loads nothing and is read without script. Nothing is sent.

    \b
    batchrun report last --open
    batchrun report contracts -o contracts.html
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.cli.permissions import ordinary_permissions
    from batchrun.cli.views.format import below_here
    from batchrun.file_system import replace_file
    from batchrun.report.collect import collect
    from batchrun.report.page import html_page

    with found_run(run, ledger, simulated=simulate) as found:
        story, facts = found.story, collect(found.ledger, found.story.run_no, root=found.root)
    path = output or found.root / "results" / f"{story.job}-{story.run_id}.html"
    with ordinary_permissions() if output else contextlib.nullcontext():
        replace_file(path, html_page(facts))
    if terminal.json:
        terminal.event("report", run=story.run_id, job=story.job, simulated=story.simulated, path=str(path))
    elif not terminal.quiet:
        terminal.result(below_here(path.absolute()))
    if opens and click.launch(str(path)):
        terminal.say("no browser was found: open the file by hand")
