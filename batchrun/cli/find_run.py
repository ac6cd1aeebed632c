"""From the word that a person types for a run to the run and its ledger."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.errors import UsageProblem
from batchrun.job.load import load_job, project_root
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.paths import LEDGER, simulated_twin, store_paths
from batchrun.store.reports.runs import RunStory, find_run, run_stories


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run, the ledger that has the run, and the job file."""

    story: RunStory
    ledger: Ledger
    job_path: Path


def ledger_paths(given: Path | None) -> tuple[Path, Path]:
    """The project's ledgers of real and of simulated runs. The project is searched from the current directory up."""
    path = given or project_root(Path.cwd() / "any.toml") / LEDGER
    return path, simulated_twin(path)


def root_of(path: Path, given: Path | None) -> Path:
    """The project's folder, by the path of one of the project's ledgers."""
    return path.parent.parent if given is None else project_root(path)


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """The runs that several words name together, and the ledger that has the runs."""

    ledger: Ledger
    run_nos: frozenset[int] | None
    """None means all runs of the ledger."""
    simulated: bool


@contextlib.contextmanager
def found_run(wanted: str, given: Path | None, *, simulated: bool = False) -> Iterator[FoundRun]:
    """Find a run by id, job name, job file or `last`; a simulated run only if the id or the flag says so."""
    if wanted.endswith(".toml"):
        job = load_job(Path(wanted))
        with Ledger.read(store_paths(job, simulated=simulated).ledger) as ledger:
            yield FoundRun(find_run(run_stories(ledger), job.spec.job.name), ledger, job.path)
        return
    simulated = simulated or wanted.startswith("sim-")
    path = ledger_paths(given)[simulated]
    with Ledger.read(path) as ledger:
        story = find_run(stories_of(ledger, path, simulated=simulated), wanted)
        yield FoundRun(story, ledger, root_of(path, given) / story.job_path)


def stories_of(ledger: Ledger, path: Path, *, simulated: bool) -> list[RunStory]:
    """All runs of a ledger. Raises UsageProblem if only simulated runs exist: these never stand for real runs."""
    stories = run_stories(ledger)
    if not stories and not simulated and simulated_twin(path).exists():
        raise UsageProblem(
            "there is no real run yet, only simulated ones.", hint="add --simulate, or name one: batchrun status"
        )
    return stories


@contextlib.contextmanager
def found_runs(wanted: Sequence[str], given: Path | None, *, simulated: bool) -> Iterator[FoundRuns]:
    """Find the runs that ids, job names, job files and `last` name; a job means all runs of the job."""
    simulated = simulated or any(word.startswith("sim-") for word in wanted)
    path = ledger_of(wanted, given, simulated=simulated)
    with Ledger.read(path) as ledger:
        stories = stories_of(ledger, path, simulated=simulated)
        words = [load_job(Path(word)).spec.job.name if word.endswith(".toml") else word for word in wanted]
        run_nos = [
            story.run_no
            for word in words
            for story in ([one for one in stories if one.job == word] or [find_run(stories, word)])
        ]
        yield FoundRuns(ledger, frozenset(run_nos) if words else None, simulated)


def ledger_of(wanted: Sequence[str], given: Path | None, *, simulated: bool) -> Path:
    """The ledger that the option or the job files name, else the ledger of the project."""
    named = {store_paths(load_job(Path(word)), simulated=simulated).ledger for word in wanted if word.endswith(".toml")}
    if len(named) > 1:
        raise UsageProblem("these job files name different ledgers.", hint="ask for one of them at a time")
    return named.pop() if named and given is None else ledger_paths(given)[simulated]
