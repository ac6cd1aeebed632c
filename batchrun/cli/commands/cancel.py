"""`batchrun cancel`: cancel a run's batches, collect the finished results, and make the other requests pending."""

from pathlib import Path

import click

from batchrun.cli.next_command import again
from batchrun.cli.options import LEDGER, PROGRESS, speaking
from batchrun.cli.views.format import count
from batchrun.cli.views.terminal import Terminal


@click.command()
@click.argument("run")
@click.option(
    "--no-wait",
    is_flag=True,
    help="Ask for the cancellation and return. A later cancel or submit collects the results.",
)
@PROGRESS
@LEDGER
@speaking
def cancel(run: str, *, no_wait: bool, progress: str, ledger: Path | None, terminal: Terminal) -> int:
    """Cancel the open batches of a job. Finished requests are billed and collected; the others are pending again.

    \b
    batchrun cancel last
    batchrun cancel contracts --no-wait
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.cli.interrupts import halting_on_signals, run_async
    from batchrun.cli.views.progress import Progress
    from batchrun.execution.run import Caller
    from batchrun.providers.routing import RoutingFactory
    from batchrun.workflow.batch_recovery import cancel as cancel_batches
    from batchrun.workflow.open_job import open_store

    with found_run(run, ledger) as found:
        job_path, story = found.job_path, found.story
    shown = Progress(terminal, progress)
    with open_store(job_path, simulated=story.simulated, name=story.job) as opened:
        factory = RoutingFactory(opened.providers, opened.models)
        caller = Caller(provider=factory, listener=shown, interrupts=halting_on_signals)
        try:
            done = run_async(cancel_batches(opened, story.run_no, caller, waits=not no_wait))
        finally:
            shown.close()
        name = opened.name
    if terminal.json:
        terminal.event("canceled", job=name, batches=done.canceled, open=done.still_open, pending=done.pending,
                       exit_code=int(done.exit_code))  # fmt: skip
    elif not (terminal.quiet and not done.exit_code):
        terminal.result(words(name, job_path, done.canceled, done.still_open, done.pending))
    if problem := done.halted or done.unpublished:
        terminal.problem(problem)
    return int(done.exit_code)


def words(job: str, path: Path, canceled: int, still_open: int, pending: int) -> str:
    """The result of the cancel with what to type next."""
    if not canceled:
        return f"{job}: no batch is open"
    if still_open:
        open_batches = count(still_open, "batch", "batches")
        return f"{job}: {open_batches} canceling; run the same command later to collect what had finished"
    rest = f"; {count(pending, 'document')} pending\nnext     {again(job, path)}" if pending else ""
    return f"{job}: {count(canceled, 'batch', 'batches')} canceled; what had finished is collected and was billed{rest}"
