"""From the word a person types for a run to the ledger it is in."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.job.reading import load_job, project_root
from batchrun.store.history import RunStory, find_run, run_stories
from batchrun.store.ledger import Ledger
from batchrun.store.places import LEDGER, places, simulated_twin


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run, the ledger that has it, and its job file."""

    story: RunStory
    ledger: Ledger
    job_path: Path


def ledger_paths(given: Path | None) -> list[Path]:
    """The project's ledger and its simulated twin; the project is found from the current directory upward."""
    path = given or project_root(Path.cwd() / "any.toml") / LEDGER
    return [path, simulated_twin(path)]


@contextlib.contextmanager
def found_run(wanted: str, given: Path | None, *, simulated: bool = False) -> Iterator[FoundRun]:
    """Find a run by id, job name, job file or `last`; a simulated one only if its id or the flag says so."""
    if wanted.endswith(".toml"):
        job = load_job(Path(wanted))
        with contextlib.closing(Ledger.read(places(job, simulated=simulated).ledger)) as ledger:
            yield FoundRun(find_run(run_stories(ledger), job.spec.job.name), ledger, job.path)
        return
    real, pretend = ledger_paths(given)
    path = pretend if simulated or wanted.startswith("sim-") else real
    ledger = Ledger.read(path)
    try:
        stories = run_stories(ledger)
        if not stories and path == real and pretend.exists():
            raise UsageProblem(
                "there is no real run yet, only simulated ones.", hint="add --simulate, or name one: batchrun status"
            )
        story = find_run(stories, wanted)
        root = path.parent.parent if given is None else project_root(path)
        yield FoundRun(story, ledger, root / story.job_path)
    finally:
        ledger.close()
