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


class Repaint:
    """A few lines that are drawn again and again in one place. What was drawn last stays."""

    def __init__(self) -> None:
        self._drawn: Sequence[str] = ()

    def draw(self, lines: Sequence[str]) -> None:
        """Draw lines over the last ones, as many as the terminal has room for. No lines erase what was drawn."""
        size = shutil.get_terminal_size()
        room = max(1, size.lines - 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
        lines = [cut(line, size.columns) for line in lines]
        text = "".join(f"{line}\x1b[K\n" for line in lines)
        click.echo(f"{self._back(size.columns)}{text}\x1b[J", nl=False, color=True)
        self._drawn = lines

    def _back(self, columns: int) -> str:
        """Return what moves the cursor to the first line: a terminal that was made narrower has broken long lines."""
        rows = sum(max(1, -(-columns_of(click.unstyle(line)) // columns)) for line in self._drawn)
        return f"\r\x1b[{rows}A" if rows else "\r"
