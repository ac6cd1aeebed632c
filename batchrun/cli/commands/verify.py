"""`batchrun verify`: whether the ledger is as it was written."""

import re
from pathlib import Path

import click

from batchrun.cli.options import LEDGER, speaking
from batchrun.cli.views.terminal import Terminal
from batchrun.errors import ExitCode

HASH = re.compile("[0-9a-fA-F]{8,64}")


class HeadOption(click.ParamType[str]):
    """A head of the chain, or the first characters of a head."""

    name = "hash"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read at least 8 hexadecimal characters."""
        if not HASH.fullmatch(value):
            self.fail(f"{value!r} is not a head: 8 to 64 of the characters 0-9 and a-f", param, ctx)
        return value.lower()


@click.command()
@click.argument("job_or_run", required=False)
@click.option("--head", type=HeadOption(), metavar="HASH", help="Look for a head that was noted before.")
@click.option("--simulate", is_flag=True, help="Verify the ledger of the simulated runs.")
@LEDGER
@speaking
def verify(job_or_run: str | None, *, head: str | None, simulate: bool, ledger: Path | None, terminal: Terminal) -> int:
    """Check that no settled attempt was changed, removed or inserted since: its cost, usage, reply and output.

    All jobs of a ledger share one chain, so that a job or a run only tells which ledger is meant. The summary of a run
    has the head of the chain. With a noted head, a chain that was written anew shows too. Exit 5 with the first link
    that is wrong.

    \b
    batchrun verify
    batchrun verify last --head 3f2a91c04be7
    """  # noqa: D301 - \b makes click keep the lines
    from batchrun.cli.find_run import found_ledger
    from batchrun.cli.views.chain_text import Verified, show

    with found_ledger(job_or_run, ledger, simulated=simulate) as found:
        if found.nothing:
            terminal.say(found.nothing)
        verified = Verified.of(found.ledger, head or "", simulated=found.simulated)
    show(verified, terminal)
    return ExitCode.OK if verified.holds else ExitCode.ENVIRONMENT
