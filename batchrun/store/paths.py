"""The files of a job's ledger and output. Simulated runs have files of their own: pretend rows never meet real ones."""

import glob
from dataclasses import dataclass
from pathlib import Path

from batchrun.documents.text_cache import FOLDER, SUFFIX
from batchrun.job.load import JobFile
from batchrun.job.project_root import STATE_FOLDER

BALLAST = "ballast"
"""The file beside the ledger that keeps space for the last words of a run on a full disk."""
RUN_IDS = ("[0-9a-f]" * 4, "sim-" + "[0-9a-f]" * 4)
"""Patterns for the ids of runs and of simulated runs."""


@dataclass(frozen=True, slots=True)
class StorePaths:
    """The absolute paths of a job's ledger and output."""

    ledger: Path
    database: Path


def store_paths(job: JobFile, *, simulated: bool) -> StorePaths:
    """Resolve the paths of a job."""
    ledger, database = job.resolve(job.spec.store.ledger), job.resolve(job.spec.store.database)
    return StorePaths(simulated_twin(ledger), simulated_twin(database)) if simulated else StorePaths(ledger, database)


def own_files(job: JobFile) -> tuple[str, ...]:
    """List patterns for all files that batchrun writes for a job: such a file is never a document."""
    state = job.root.resolve() / STATE_FOLDER
    patterns = [glob.escape(str(state))]
    for simulated in (False, True):
        where = store_paths(job, simulated=simulated)
        ledger, database = (path.parent.resolve() / path.name for path in (where.ledger, where.database))
        patterns.append(f"{glob.escape(str(database))}*")  # and its log of changes
        if not ledger.is_relative_to(state):
            folder, stem = glob.escape(str(ledger.parent)), glob.escape(ledger.stem)
            patterns += [f"{folder}/{stem}{glob.escape(ledger.suffix)}*", f"{folder}/{stem}.*.lock"]
            patterns += [f"{folder}/{BALLAST}", f"{folder}/{FOLDER}/??/*{SUFFIX}*"]
    if page := job.spec.report.html:
        for path in map(job.resolve, (page, str(simulated_twin(Path(page))))):
            pattern = glob.escape(str(path.parent.resolve() / path.name)).replace("{job}", job.spec.job.name)
            patterns += [pattern.replace("{run}", run_id) for run_id in RUN_IDS]
    return tuple(dict.fromkeys(patterns))


def simulated_twin(path: Path) -> Path:
    """Name the file that simulated runs use instead: results/a.duckdb -> results/a.simulated.duckdb."""
    return path.with_name(f"{path.stem}.simulated{path.suffix}")
