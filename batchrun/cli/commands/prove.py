"""`batchrun prove`: the promises about killed processes, tried on this machine."""

import random

import click

from batchrun.cli.options import speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode

LANES_IMPORT = (
    "batchrun.cli.run_job",
    "batchrun.cli.commands.submit",
    "batchrun.providers.anthropic.provider",
    "batchrun.providers.openai.batches",
)
"""What every submit imports: a process that is killed should not have to."""


@click.command()
@click.option("--kills", type=click.IntRange(min=1), default=200, show_default=True, help="At least so many deaths.")
@click.option("--seed", type=click.IntRange(min=0), help="The seed of projects, faults and kills; by default any.")
@click.option("--trial", type=click.IntRange(min=1), metavar="N", help="Only this trial of the seed.")
@click.option("--at-once", type=click.IntRange(1, 64), metavar="N", help="Projects at a time; by default four a core.")
@click.option("--provider", type=click.Choice(["anthropic", "openai"]), default="anthropic", help="Whose batches.")
@speaking
def prove(
    *, kills: int, seed: int | None, trial: int | None, at_once: int | None, provider: str, terminal: Terminal
) -> int:
    """Kill submits again and again, and see that nothing is lost, paid twice or overspent.

    Real processes run small projects against the simulator, which answers with errors, broken connections and lost
    answers, and are killed (SIGKILL) around commits and calls and at random times, by either route, until each project
    is settled. The simulator's books are then compared with the ledger. There is no network, key or cost; everything is
    in a temporary folder (TMPDIR). Exit 1 if a promise was broken, with the command that tries the same again: a seed
    gives the same projects, faults and kills, but the system decides which of two moments comes first.

    \b
    batchrun prove
    batchrun prove --kills 12000 --seed 1
    """  # noqa: D301 - \b makes click keep the lines
    from tqdm import tqdm

    from batchrun.cli import run
    from batchrun.cli.views.proof_text import breach_text, show_record
    from batchrun.proof.campaign import Record
    from batchrun.proof.campaign import prove as prove_it

    with tqdm(total=kills, unit=" deaths", disable=None if not terminal.quiet else True, leave=False) as bar:

        def progress(record: Record, number: int) -> None:
            bar.update(record.deaths - bar.n)
            if number in record.breaches:  # at once: a proof may run for an hour, and be stopped before its record
                bar.clear()
                terminal.say(breach_text(record, number))

        record = prove_it(
            run,
            preload=LANES_IMPORT,
            seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
            provider=provider,
            least_deaths=kills,
            only=trial,
            at_once=at_once,
            progress=progress,
        )
    show_record(record, terminal)
    return ExitCode.SOME_FAILED if record.breaches else ExitCode.OK
