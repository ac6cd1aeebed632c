"""`batchrun status`: the state of the runs."""

import time
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, FiniteRange, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode


@click.command()
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Repeat until no run is in progress.")
@click.option(
    "--interval", type=FiniteRange(min=0.2), default=2.0, show_default=True, help="Seconds between two repeats."
)
@click.option(
    "--check", is_flag=True, help="Exit with the exit code of the run, or with 10 while the run is unfinished."
)
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def status(
    run: str | None,
    *,
    watch: bool,
    interval: float,
    check: bool,
    simulate: bool,
    ledger: Path | None,
    terminal: Terminal,
) -> int:
    """Show all runs, or one: a job file, a job's name, the beginning of a run's id, or `last`.

    \b
    batchrun status
    batchrun status last --watch
    batchrun status contracts --check
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.views.repaint import can_repaint, repainted
    from batchrun.cli.views.status_text import blocks, chosen, exit_code, show

    drawn: list[str] = []
    shown, repaints = None, watch and can_repaint() and not terminal.json
    while True:
        found = chosen(run or ("last" if check else None), ledger, simulated=simulate, watch=watch)
        is_over = not watch or all(story.state != "running" for story in found.stories)
        if repaints:
            drawn = repainted(drawn, [] if is_over else "\n".join(blocks(found, terminal)).split("\n"))
        if found != shown and (is_over or not repaints):
            show(found, terminal)
            shown = found
        if is_over:
            return exit_code(found.stories[0]) if check else ExitCode.OK
        time.sleep(interval)
