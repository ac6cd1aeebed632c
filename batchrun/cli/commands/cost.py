"""`batchrun cost`: what was spent, from the ledger."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import UsageProblem
from batchrun.escaping import escape_control

TAG = "tag:"


class GroupOption(click.Choice[str]):
    """What to put together: one of a few words, or a tag of the runs."""

    def __init__(self) -> None:
        super().__init__(["day", "model", "job", "run", "document", f"{TAG}NAME"])

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take any name of a tag: only the ledger knows the tags."""
        return value if value.startswith(TAG) else super().convert(value, param, ctx)


DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("jobs_or_runs", nargs=-1, metavar="[JOB_OR_RUN]...")
@click.option("--by", type=GroupOption(), default="job", show_default=True,
              help="What to group by. Days are days in UTC, by the start of each attempt.")  # fmt: skip
@click.option("--since", type=DAY, metavar="DATE", help="From this day on, such as 2026-11-01.")
@click.option("--until", type=DAY, metavar="DATE", help="Up to this day, which is included.")
@click.option("--simulate", is_flag=True, help="Look only at simulated runs.")
@LEDGER
@speaking
def cost(
    jobs_or_runs: tuple[str, ...],
    *,
    by: str,
    since: datetime | None,
    until: datetime | None,
    simulate: bool,
    ledger: Path | None,
    terminal: Terminal,
) -> None:
    """Show what was spent, by class of token, with the prices of the time. Failed attempts count.

    A job's name or file stands for all runs of the job. --json prints one object, with a row on each line.

    \b
    batchrun cost
    batchrun cost contracts --by run
    batchrun cost --by day --since 2026-11-01 --json
    batchrun cost --by tag:team
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_runs
    from batchrun.cli.views.cost_text import show_as_json, show_as_text
    from batchrun.store.reports.costs import By, CostFilter, Costs

    kind, _, tag = by.partition(":")
    with found_runs(jobs_or_runs, ledger, simulated=simulate) as found:
        meant = CostFilter(
            run_nos=None if found.run_nos is None else sorted(found.run_nos),
            since=seconds(since) if since else None,
            until=seconds(until + timedelta(days=1)) if until else None,
            tag=tag or None,
        )
        if found.nothing:
            terminal.say(found.nothing)
        costs = Costs(found.ledger, meant)
        with costs.one_moment():
            show = show_as_json if terminal.json else show_as_text
            if kind == By.TAG and tag not in (tags := costs.tags()):
                raise no_such_tag(tag, tags)
            show(costs, By(kind), simulated=found.simulated, terminal=terminal)


def no_such_tag(tag: str, tags: Sequence[str]) -> UsageProblem:
    """Say which tags the runs have, as no run has this one."""
    from batchrun.job.problems import did_you_mean

    if not tags:
        hint = 'tags are set in a job file: [job] tags = { team = "legal" }'
        return UsageProblem("no run has a tag.", hint=hint)
    meant = did_you_mean(tag, tags)
    return UsageProblem(
        f"no run has the tag `{escape_control(tag)}`; there are: {', '.join(tags)}.",
        hint=f"did you mean --by {TAG}{meant}?" if meant else f"such as --by {TAG}{tags[0]}",
    )


def seconds(day: datetime) -> float:
    """The beginning of a day, in seconds since 1970."""
    return day.replace(tzinfo=UTC).timestamp()
