"""What dead processes left behind, recorded before anything else happens."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.problems import is_given
from batchrun.store.job_files import name_of
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.job_lock import is_locked, job_lock
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.paths import StorePaths


@contextlib.contextmanager
def locked_ledger(job: JobFile, where: StorePaths, *, simulated: bool) -> Iterator[Ledger]:
    """Lock the job for this process and open its ledger for writing, with what dead processes left open recorded."""
    name = job.spec.job.name
    with job_lock(where.ledger, name), Ledger.open(where.ledger) as ledger:
        with ledger.transaction():
            Runs(ledger).recover(name)
            recover_others(ledger, where, name)
        if simulated:
            abandon_simulated(ledger, name)
        if problem := second_file(ledger, job):
            raise problem
        yield ledger


def recover_others(ledger: Ledger, where: StorePaths, job: str) -> None:
    """Record what dead processes of other jobs left open, inside the caller's transaction.

    The job may share requests with other jobs.
    """
    runs = Runs(ledger)
    for name in runs.running_jobs():
        if name != job and not is_locked(where.ledger, name):
            runs.recover(name)


def abandon_simulated(ledger: Ledger, job: str) -> None:
    """Give up open batches: they are gone with the simulator of an earlier command, which ended with that command."""
    batches = Batches(ledger)
    with ledger.transaction():
        for batch in batches.open(job):
            batches.abandon(batch, "the simulator that had it is gone")


def second_file(ledger: Ledger, job: JobFile) -> UsageProblem | None:
    """Refuse a second job file of one name: each would take the other's documents for changed ones.

    A job that a program gives has no file, and goes on with the runs of its name.
    """
    last_run = Runs(ledger).last_run(job.spec.job.name)
    earlier = last_run.job_path if last_run and not is_given(job.path) else None
    if earlier and earlier != path_below_root(job) and (job.root / earlier).exists():
        return UsageProblem(
            f'the name "{job.spec.job.name}" belongs to {earlier} already.', hint="give [job] name another value"
        )
    return None


def path_below_root(job: JobFile, path: Path | None = None) -> str:
    """Return the path of the job file, or another one, as the ledger names it: a moved project still finds it."""
    return name_of(path or job.path, job.root)
