"""`batchrun plan`: what a submit would do and cost; never sends."""

from pathlib import Path

import click

from batchrun.cli.options import DEADLINE, JOB, MAX_COST, ROUTE, SIMULATE, Chosen, JobCommand, selecting, speaking
from batchrun.cli.terminal import Terminal
from batchrun.errors import ExitCode


@click.command(cls=JobCommand)
@JOB
@click.option("--check", is_flag=True, help="Exit 3 if a submit would be refused.")
@MAX_COST
@ROUTE
@DEADLINE
@SIMULATE
@selecting
@speaking
def plan(
    job: Path,
    *,
    check: bool,
    max_cost: int | None,
    route: str | None,
    deadline: float | None,
    simulate: str | None,
    chosen: Chosen,
    terminal: Terminal,
) -> int:
    """Show what a submit would send, cost and take. Nothing is sent.

    \b
    batchrun plan jobs/contracts.toml
    batchrun plan jobs/contracts.toml --json
    batchrun plan jobs/contracts.toml --check --max-cost 10
    """  # noqa: D301 - \b tells click to keep the lines
    from batchrun.cli.plan_text import plan_as_json, plan_as_text
    from batchrun.opening import Wishes, open_job

    with open_job(job, simulated=simulate is not None, to_run=False) as opened:
        planner = opened.planner(Wishes(max_cost_nusd=max_cost, route=route, deadline_s=deadline))
        made = planner.plan(chosen.selection())
        refused = opened.refusal(made)
        if terminal.json:
            click.echo(plan_as_json(made, opened, refused))
        else:
            terminal.result(plan_as_text(made, opened, terminal, job))
        if refused and not terminal.json:
            terminal.problem(refused)
        return ExitCode.REFUSED if refused and check else ExitCode.OK
