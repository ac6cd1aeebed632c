"""`batchrun adopt`: rows of the output, unknown to a lost or older ledger, become settled requests again."""

from pathlib import Path

import click

from batchrun.cli.next_command import command
from batchrun.cli.options import JOB, speaking
from batchrun.cli.views.format import count
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode


@click.command()
@JOB
@speaking
def adopt(job: Path, *, terminal: Terminal) -> int:
    """Take rows of the output into the ledger, after the ledger was lost. Nothing is sent, nothing is paid.

    A row is taken if its request is one that a submit would send. The answer is made of the row's typed values, and its
    cost stays unknown. A submit then sends only the rest.

    \b
    batchrun adopt jobs/contracts.toml
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.interrupts import run_async
    from batchrun.workflow.adoption import adopt_rows
    from batchrun.workflow.open_job import open_job

    with open_job(job, simulated=False, to_run=True) as opened:
        done = run_async(adopt_rows(opened))
        name, database = opened.name, opened.paths.database
    exit_code = done.unpublished.exit_code if done.unpublished else ExitCode.OK
    if terminal.json:
        terminal.event("adopted", job=name, documents=done.documents, to_send=done.to_send, exit_code=int(exit_code))
    elif not terminal.quiet:
        terminal.result(
            f"{name}: {count(done.documents, 'document')} adopted from {database}, cost unknown;"
            f" {done.to_send:,} to send"
        )
        terminal.result(f"next     {command('submit', job)}")
    if done.unpublished:
        terminal.problem(done.unpublished)
    return int(exit_code)
