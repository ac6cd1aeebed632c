"""Reading a job file in the right project: the one whose ledger has runs of the job file, wherever that ledger is.

A new mark, such as a `batchrun.toml` in a folder between, never leaves paid answers behind in the ledger of before.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from batchrun.job.load import JobFile, load_job
from batchrun.store.ledger.connection import holds_a_ledger, reading
from batchrun.store.ledger.sqlite_errors import explained


def read_job(path: Path) -> JobFile:
    """Read a job file. Raises UsageProblem, JobFileError, and EnvironmentProblem for a ledger that cannot be read."""
    return load_job(path, choose_root=_choose_root)


def _choose_root(job_path: Path, roots: Sequence[Path], ledger: str) -> Path:
    """Choose the first project whose ledger has runs of the job file, else the first one."""
    knowing = (root for root in roots if _knows(root / ledger, name_of(job_path, root)))
    return roots[0] if len(roots) == 1 else next(knowing, roots[0])


def _knows(ledger: Path, name: str) -> bool:
    with explained(ledger):
        if not holds_a_ledger(ledger):
            return False
        with contextlib.closing(reading(ledger)) as connection:
            return bool(connection.execute("select 1 from runs where job_path = ?", (name,)).fetchone())


def name_of(path: Path, root: Path) -> str:
    """Return how a ledger names a file: by its path below the project, so that a moved project still finds the file."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
