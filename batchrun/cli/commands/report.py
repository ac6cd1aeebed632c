"""`batchrun report`: what the ledger knows of a run, as a page for people."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal

if TYPE_CHECKING:
    from batchrun.report.formats import ReportFormat


FORMATS = ("html", "md", "json", "junit")


@click.command()
@click.argument("run", default="last")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="The file to write. By default results/JOB-RUN.html; other formats go to stdout.")  # fmt: skip
@click.option("--format", type=click.Choice(FORMATS), help="The default follows the ending of --output, or is html.")
@click.option("--sample", type=click.IntRange(0, 200), metavar="N",
              help="How many documents without a problem are shown. By default the job file decides.")  # fmt: skip
@click.option("--no-source", is_flag=True, help="Show nothing that documents and answers say: ids and numbers only.")
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def report(
    run: str,
    *,
    output: Path | None,
    format: "ReportFormat | None",  # noqa: A002 - click names the variable after it
    sample: int | None,
    no_source: bool,
    opens: bool,
    simulate: bool,
    ledger: Path | None,
    terminal: Terminal,
) -> None:
    """Write the report of a run: one HTML file, which loads nothing and is read without script. Nothing is sent.

    \b
    batchrun report last --open
    batchrun report contracts -o contracts.html
    batchrun report last --format md
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.cli.permissions import ordinary_permissions
    from batchrun.cli.views.format import below_here
    from batchrun.file_system import replace_file
    from batchrun.report.formats import format_of, report_parts, section_of, wanted_of

    kind: ReportFormat = format or (format_of(output) if output else "html")
    with found_run(run, ledger, simulated=simulate) as found:
        story = found.story
        wanted = wanted_of(section_of(found.job_path), found.job_path, sample=sample, no_source=no_source)
        parts = report_parts(found.ledger, story.run_no, kind, wanted, root=found.root)
        if output is None and kind != "html":
            for part in parts:
                terminal.exact(part)
            return
        path = output or found.root / "results" / f"{story.job}-{story.run_id}.html"
        with ordinary_permissions() if output else contextlib.nullcontext():
            replace_file(path, parts)
    if terminal.json:
        terminal.event("report", run=story.run_id, job=story.job, simulated=story.simulated, path=str(path))
    elif not terminal.quiet:
        terminal.result(below_here(path.absolute()))
    if opens and click.launch(str(path)):
        terminal.say("no browser was found: open the file by hand")
