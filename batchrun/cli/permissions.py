"""Who may read the files of a command: its owner alone, but for files that a person names for what is exported."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from batchrun.file_system import whole_file

OWNER_ALONE = 0o077
_ordinary = [OWNER_ALONE]
"""The masks that were in force before, the latest last; the mask belongs to the process, and so does this list."""


@contextlib.contextmanager
def owner_alone() -> Iterator[None]:
    """Make every file and folder inside for its owner alone: ledger, output, log, spool, their locks and journals."""
    _ordinary.append(os.umask(OWNER_ALONE))
    try:
        yield
    finally:
        os.umask(_ordinary.pop())


@contextlib.contextmanager
def ordinary_permissions() -> Iterator[None]:
    """Make files inside as the person who called the command makes files."""
    private = os.umask(_ordinary[-1])
    try:
        yield
    finally:
        os.umask(private)


def to_file(parts: Iterable[str], output: Path) -> None:
    """Write text part by part to a file that a person has named, or to a pipe. Raises EnvironmentProblem."""
    with ordinary_permissions(), whole_file(output, or_pipe=True) as place, place.open("w", encoding="utf-8") as file:
        file.writelines(parts)
