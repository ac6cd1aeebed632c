"""`batchrun sync`: bring rows that a lock had delayed to the output, or rebuild the output. Nothing is sent."""

from pathlib import Path

import click

from batchrun.cli.options import LEDGER, FiniteRange, speaking
from batchrun.cli.views.format import count
from batchrun.cli.views.terminal import Terminal


@click.command()
@click.argument("run", default="last")
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@click.option(
    "--wait",
    type=FiniteRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds to wait for the file.",
)
@LEDGER
@speaking
def sync(run: str, *, simulate: bool, wait: float, ledger: Path | None, terminal: Terminal) -> None:
    """Write the rows that the output lacks. Nothing is sent, and nothing is paid.

    \b
    batchrun sync jobs/contracts.toml
    batchrun sync contracts
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.workflow.open_job import open_output

    with found_run(run, ledger, simulated=simulate, with_rows=True) as found:
        job_path, simulated = found.job_path, found.story.simulated
    with open_output(job_path, simulated=simulated) as opened:
        written = opened.output().publish(wait_s=wait)
    if terminal.json:
        terminal.event("synced", job=opened.name, rows=written, database=str(opened.paths.database))
    elif not terminal.quiet:
        stamp = terminal.simulated_stamp(simulated)
        terminal.result(f"{stamp}{count(written, 'row')} written to {opened.paths.database}")
