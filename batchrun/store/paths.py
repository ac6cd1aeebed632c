"""Where a job's ledger and output are; a simulated run has its own, so that pretend rows never meet real ones."""

from dataclasses import dataclass
from pathlib import Path

from batchrun.job.load import JobFile

LEDGER = Path(".batchrun/ledger.sqlite3")
"""Below the project, unless the job file says otherwise."""


@dataclass(frozen=True, slots=True)
class StorePaths:
    """Absolute paths."""

    ledger: Path
    database: Path


def store_paths(job: JobFile, *, simulated: bool) -> StorePaths:
    """The places of a job."""
    ledger, database = job.resolve(job.spec.store.ledger), job.resolve(job.spec.store.database)
    return StorePaths(simulated_twin(ledger), simulated_twin(database)) if simulated else StorePaths(ledger, database)


def simulated_twin(path: Path) -> Path:
    """The file beside it that simulated runs use: results/a.duckdb -> results/a.simulated.duckdb."""
    return path.with_name(f"{path.stem}.simulated{path.suffix}")
