"""What dead processes left behind in the ledger, put in order before anything else happens."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.job_lock import is_locked, job_lock
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.paths import StorePaths


@contextlib.contextmanager
def locked_ledger(job: JobFile, where: StorePaths, *, simulated: bool) -> Iterator[Ledger]:
    """Lock the job for this process, open its ledger for writing, and put in order what dead processes left."""
    name = job.spec.job.name
    with job_lock(where.ledger, name), contextlib.closing(Ledger.open(where.ledger)) as ledger:
        recover(ledger, where, name)
        if simulated:
            abandon_simulated(ledger, name)
        refuse_second_file(ledger, job)
        yield ledger


def recover(ledger: Ledger, where: StorePaths, job: str) -> None:
    """Close what dead processes left open, of this job and of other jobs whose requests this job may share."""
    with ledger.transaction():
        Runs(ledger).recover(job)
        recover_others(ledger, where, job)


def recover_others(ledger: Ledger, where: StorePaths, job: str) -> None:
    """Close what dead processes of other jobs left open. Must be called in a transaction."""
    runs = Runs(ledger)
    for name in runs.running_jobs():
        if name != job and not is_locked(where.ledger, name):
            runs.recover(name)


def abandon_simulated(ledger: Ledger, job: str) -> None:
    """Abandon the open batches of an earlier simulator, which lived as long as its command."""
    batches = Batches(ledger)
    with ledger.transaction():
        for batch in batches.open(job):
            batches.abandon(batch, "the simulator that had it is gone")


def refuse_second_file(ledger: Ledger, job: JobFile) -> None:
    """Refuse a second job file of one name: each would take the other's documents for changed ones."""
    last_run = Runs(ledger).last_run(job.spec.job.name)
    earlier = last_run.job_path if last_run else None
    if earlier and earlier != path_below_root(job) and (job.root / earlier).exists():
        raise UsageProblem(
            f'the name "{job.spec.job.name}" belongs to {earlier} already.', hint="give [job] name another value"
        )


def path_below_root(job: JobFile, path: Path | None = None) -> str:
    """Return the path by which the ledger names the job file, or `path`; a moved project still finds the file."""
    path = path or job.path
    return str(path.relative_to(job.root)) if path.is_relative_to(job.root) else str(path)
