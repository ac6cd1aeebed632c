"""`batchrun batches`: the batches of a run, and a person's decision on a batch in doubt."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli.next_command import again
from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal

if TYPE_CHECKING:
    from batchrun.store.ledger.batch_records import Batch
    from batchrun.store.ledger.batches import Batches
    from batchrun.store.reports.runs import RunStory


@click.command()
@click.argument("run", default="last")
@click.option("--adopt", metavar="ID", help="Say that the batch in doubt is this batch of the API.")
@click.option(
    "--resend", is_flag=True, help="Say that the batch in doubt was never created: its requests are pending again."
)
@click.option(
    "--pay-again",
    is_flag=True,
    help="With --resend: send again although the batch may exist. Its worst case stays reserved.",
)
@click.option("--batch", "number", type=int, metavar="NUMBER", help="The number of the batch, if several are in doubt.")
@LEDGER
@speaking
def batches(
    run: str,
    *,
    adopt: str | None,
    resend: bool,
    pay_again: bool,
    number: int | None,
    ledger: Path | None,
    terminal: Terminal,
) -> None:
    """Show the batches of a run. A batch is in doubt if its create call got no answer.

    \b
    batchrun batches contracts
    batchrun batches contracts --adopt msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d
    batchrun batches contracts --resend
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_run
    from batchrun.cli.interrupts import run_async
    from batchrun.cli.views.batch_text import batch_fields, batch_table
    from batchrun.providers.routing import RoutingFactory
    from batchrun.store.ledger.batches import Batches
    from batchrun.workflow import batch_recovery
    from batchrun.workflow.open_job import open_store

    if adopt and resend:
        raise click.UsageError("--adopt and --resend exclude each other")
    if pay_again and not resend:
        raise click.UsageError("--pay-again belongs to --resend")
    with found_run(run, ledger) as found:
        story, job_path = found.story, found.job_path
        shown = with_open_ones(Batches(found.ledger), story)
    if adopt or resend:
        with open_store(job_path, simulated=story.simulated, name=story.job) as opened:
            factory = RoutingFactory(opened.providers, opened.models)
            if adopt:
                run_async(batch_recovery.adopt(opened, adopt, provider=factory, batch_no=number))
            else:
                run_async(batch_recovery.resend(opened, provider=factory, batch_no=number, pay_again=pay_again))
            shown = with_open_ones(Batches(opened.ledger), story)
    if terminal.json:
        for batch in shown:
            terminal.event("batch", run=story.run_id, **batch_fields(batch))
        return
    if not shown:
        terminal.say(f"run {story.run_id} has no batches")
        return
    terminal.result(batch_table(shown, width=terminal.width()))
    if adopt or resend:
        terminal.say(f"next     {again(story.job, job_path, ['--simulate'] if story.simulated else [])}")


def with_open_ones(batches: "Batches", story: "RunStory") -> "list[Batch]":
    """The batches of the run, and open batches of earlier runs of the job, one of which may be the batch in doubt."""
    both = {batch.batch_no: batch for batch in [*batches.open(story.job), *batches.of_run(story.run_no)]}
    return [both[number] for number in sorted(both)]
