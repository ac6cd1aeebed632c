"""The files of a job's ledger and output. Simulated runs have files of their own: pretend rows never meet real ones."""

from dataclasses import dataclass
from pathlib import Path

from batchrun.job.load import JobFile


@dataclass(frozen=True, slots=True)
class StorePaths:
    """The absolute paths of a job's ledger and output."""

    ledger: Path
    database: Path


def store_paths(job: JobFile, *, simulated: bool) -> StorePaths:
    """Resolve the paths of a job."""
    ledger, database = job.resolve(job.spec.store.ledger), job.resolve(job.spec.store.database)
    return StorePaths(simulated_twin(ledger), simulated_twin(database)) if simulated else StorePaths(ledger, database)


def simulated_twin(path: Path) -> Path:
    """Name the file that simulated runs use instead: results/a.duckdb -> results/a.simulated.duckdb."""
    return path.with_name(f"{path.stem}.simulated{path.suffix}")
