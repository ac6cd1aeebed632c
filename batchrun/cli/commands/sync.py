"""`batchrun sync`: bring rows that a lock had delayed to the output, or rebuild the output. Nothing is sent."""

from pathlib import Path

import click

from batchrun.cli.options import JOB, speaking
from batchrun.cli.views.format import count
from batchrun.cli.views.terminal import Terminal


@click.command()
@JOB
@click.option("--simulate", is_flag=True, help="Of the simulated runs.")
@click.option("--wait", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds for a held file.")
@speaking
def sync(job: Path, *, simulate: bool, wait: float, terminal: Terminal) -> None:
    """Bring the output up to the ledger. Nothing is sent, nothing is paid.

    \b
    batchrun sync jobs/contracts.toml
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.workflow.open_job import open_output

    with open_output(job, simulated=simulate) as opened:
        written = opened.output().publish(wait_s=wait)
    if terminal.json:
        terminal.event("synced", job=opened.name, rows=written, database=str(opened.paths.database))
    elif not terminal.quiet:
        terminal.result(f"{count(written, 'row')} written to {opened.paths.database}")
