"""`batchrun plan`: what a submit would do and cost. Nothing is sent."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli.options import (
    DEADLINE,
    EXACT,
    JOB,
    MAX_COST,
    NEXT,
    PARTIAL_ANSWERS,
    READING_AGAIN,
    REASK,
    ROUTE,
    SIMULATE,
    WORKERS,
    JobCommand,
    selecting,
    speaking,
)
from batchrun.cli.plan_file import MOST_ONLINE
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import BatchrunError, ExitCode
from batchrun.escaping import readable_json
from batchrun.planning.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.job.spec import WorkersSetting
    from batchrun.planning.api_lookups import CounterFactory
    from batchrun.workflow.open_job import OpenJob

MOST_GUESSED = 1_000
"""How many documents in a guessed encoding a plan for programs names."""


@click.command(cls=JobCommand)
@JOB
@click.option("--check", is_flag=True, help="Exit as a submit would that is refused.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the plan to a file, for `submit --plan FILE`.",
)
@click.option(
    "--online",
    type=click.IntRange(min=1, max=MOST_ONLINE),
    metavar="N",
    help="Let the API count the tokens of about N requests, free of charge. A submit does so with 30.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare with an earlier plan that -o has written.",
)
@click.option("--format", "form", type=click.Choice(["text", "md"]), default="text", help="md: a comment for GitHub.")
@EXACT
@READING_AGAIN
@REASK
@MAX_COST
@PARTIAL_ANSWERS
@ROUTE
@DEADLINE
@WORKERS
@SIMULATE
@NEXT
@selecting
@speaking
def plan(
    job: Path,
    *,
    check: bool,
    output: Path | None,
    online: int | None,
    compare: Path | None,
    form: str,
    exact: bool,
    rescan: bool,
    reread: bool,
    reask: str,
    max_cost: int | None,
    partial_answers: bool,
    route: str | None,
    deadline: float | None,
    workers: "WorkersSetting | None",
    simulate: str | None,
    selection: Selection,
    terminal: Terminal,
) -> int:
    """Show what a submit would send, cost and take. Nothing is sent, or with --online only to be counted.

    \b
    batchrun plan jobs/contracts.toml
    batchrun plan jobs/contracts.toml --json
    batchrun plan jobs/contracts.toml --check --max-cost 10
    batchrun plan jobs/contracts.toml -o plan.json
    batchrun plan jobs/contracts.toml --compare plan.json
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.interrupts import run_async
    from batchrun.cli.next_command import typed_command
    from batchrun.cli.plan_file import read_plan, write_plan
    from batchrun.cli.views.format import key_fields
    from batchrun.cli.views.plan_differences import compare_fields, differences
    from batchrun.cli.views.plan_json import plan_as_json
    from batchrun.cli.views.plan_text import document_lines, plan_as_text
    from batchrun.cli.views.progress import Progress
    from batchrun.planning.planner import ONLINE
    from batchrun.workflow.open_job import SubmitOptions, open_job

    earlier = read_plan(compare, job=job) if compare else None
    progress = Progress(terminal, "auto")
    options = SubmitOptions(
        max_cost_nusd=max_cost,
        partial_answers=partial_answers,
        route=route,
        deadline_s=deadline,
        workers=workers,
        exact=exact,
        rescans=rescan,
        rereads=reread,
        reasks_all=reask == "all",
        typed=typed_command(),
        planning=progress.planning,
    )
    with (
        open_job(job, simulated=simulate is not None, to_run=False, options=options) as opened,
        counter_of(online, simulate, opened, terminal) as counter,
    ):
        planner = opened.planner(options)
        with contextlib.closing(progress):
            made = run_async(planner.plan(selection, counter=counter, online=online or ONLINE))
        refused = opened.obstacle(made)
        guessed = planner.planned.guessed_encodings(limit=MOST_GUESSED)
        fields = plan_as_json(made, opened, refused) | {
            "online": online,
            "guessed_encodings": [{**key_fields(doc_id), "encoding": encoding} for doc_id, encoding in guessed],
        }
        if output:
            write_plan(fields, output)
        found = differences(earlier, fields, path=compare, job=job) if compare and earlier else []
        if form == "md" and not terminal.json:
            from batchrun.cli.views.plan_markdown import plan_as_markdown

            terminal.exact(plan_as_markdown(made, opened, refused) + "\n")
        elif terminal.json:
            terminal.result(readable_json(fields | ({"compare": compare_fields(found)} if compare else {}), indent=2))
        else:
            for line in document_lines(planner.planned.each()) if terminal.verbose else ():
                terminal.result(line)
            runs = made.requests > 0 and refused is None
            terminal.result(plan_as_text(made, opened, terminal, job, runs=runs, file=output))
            for line in [f"compared with {compare}", *[f"  {one.words}" for one in found]] if compare else ():
                terminal.result(line)
        if refused and not terminal.json:
            terminal.problem(refused)
        return refused.exit_code if refused and check else ExitCode.OK


@contextlib.contextmanager
def counter_of(
    online: int | None, simulate: str | None, opened: "OpenJob", terminal: Terminal
) -> "Iterator[CounterFactory | None]":
    """Yield the API that counts tokens for `--online`; None without the option, and then nothing is imported."""
    if online is None:
        yield None
        return
    from batchrun.cli.run_job import provider_of

    with provider_of(simulate, opened, opened.models, speed=1.0, terminal=terminal) as counter:
        with contextlib.suppress(BatchrunError):  # which matters if something is to be counted
            counter.check()  # says where requests go, whatever the plan is
        yield counter
