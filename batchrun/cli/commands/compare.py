"""`batchrun compare`: two runs side by side."""

from functools import partial
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.format import count
from batchrun.cli.views.terminal import Terminal
from batchrun.escaping import readable_json


@click.command()
@click.argument("before")
@click.argument("now")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Write every changed value to a file: .csv, .jsonl or .json.")  # fmt: skip
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def compare(
    before: str,
    now: str,
    *,
    output: Path | None,
    simulate: bool,
    ledger: Path | None,
    terminal: Terminal,
) -> None:
    """Show what differs between two runs: the answers, the keys that did it, cost and speed. Nothing is sent.

    BEFORE and NOW are each a job file, a job's name, the beginning of a run's id, or `last`. The exit code is 0
    whatever differs. To compare plans: batchrun plan JOB --compare FILE.

    \b
    batchrun compare 8f3c last
    batchrun compare jobs/cheap.toml jobs/strong.toml
    batchrun compare cheap strong -o changes.csv
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.export_changes import number, write_changes
    from batchrun.cli.find_run import found_run
    from batchrun.cli.views.comparison_json import comparison_as_json
    from batchrun.cli.views.comparison_text import comparison_as_text, next_lines
    from batchrun.quality.compared_runs import compared_runs, readable_job

    with (
        found_run(before, ledger, simulated=simulate) as old,
        found_run(now, ledger, simulated=simulate) as new,
    ):
        jobs = filter(None, map(readable_job, (new.job_path, old.job_path)))
        take = partial(write_changes, output=output) if output else iter
        compared = compared_runs((old.ledger, old.story), (new.ledger, new.story), jobs, take)
    comparison, runs = compared.comparison, compared.runs
    if terminal.json:
        terminal.exact(readable_json(comparison_as_json(comparison, runs), default=number) + "\n")
        return
    options = [*([f"--ledger={ledger}"] if ledger else []), *(["--simulate"] if simulate else [])]
    terminal.result(comparison_as_text(comparison, runs, terminal))
    if output:
        changed = sum(one.changed for one in comparison.fields.values())
        terminal.say(f"{count(changed, 'change')} written to {output}")
    if typed := next_lines(comparison, (before, now), options, written=output is not None):
        terminal.result("\n" + "\n".join(typed))
