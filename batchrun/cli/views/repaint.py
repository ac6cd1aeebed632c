"""Text on a terminal that is drawn over what it was before."""

import os
import shutil
import sys
from collections.abc import Sequence

import click

from batchrun.cli.views.format import cut
from batchrun.escaping import columns_of


def can_repaint() -> bool:
    """Return whether stdout is a terminal whose cursor can be moved."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def repainted(before: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Draw lines over those that stand there from before, as many as the terminal has room for. Returns what is drawn.

    A terminal that was made narrower meanwhile has broken the lines from before.
    """
    size = shutil.get_terminal_size()
    room = max(1, size.lines - 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
    drawn = [cut(line, size.columns) for line in lines]
    rows = sum(max(1, -(-columns_of(line) // size.columns)) for line in before)
    back, text = f"\x1b[{rows}A" if rows else "", "".join(f"{line}\x1b[K\n" for line in drawn)
    click.echo(f"\r{back}{text}\x1b[J", nl=False, color=True)
    return drawn
