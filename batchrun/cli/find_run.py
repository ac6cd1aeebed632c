"""From the word a person types for a run to the ledger it is in."""

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
    """A run, the ledger that has it, and its job file."""

    story: RunStory
    ledger: Ledger
    job_path: Path


def ledger_paths(given: Path | None) -> list[Path]:
    """The project's ledger and its simulated twin; the project is found from the current directory upward."""
    path = given or project_root(Path.cwd() / "any.toml") / LEDGER
    return [path, simulated_twin(path)]


def root_of(path: Path, given: Path | None) -> Path:
    """The project's folder, from the path of one of its ledgers."""
    return path.parent.parent if given is None else project_root(path)


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """The runs that several words mean together, and the ledger that has them."""

    ledger: Ledger
    run_nos: frozenset[int] | None
    """None: all of them."""
    simulated: bool


@contextlib.contextmanager
def found_run(wanted: str, given: Path | None, *, simulated: bool = False) -> Iterator[FoundRun]:
    """Find a run by id, job name, job file or `last`; a simulated one only if its id or the flag says so."""
    if wanted.endswith(".toml"):
        job = load_job(Path(wanted))
        with contextlib.closing(Ledger.read(store_paths(job, simulated=simulated).ledger)) as ledger:
            yield FoundRun(find_run(run_stories(ledger), job.spec.job.name), ledger, job.path)
        return
    real, pretend = ledger_paths(given)
    path = pretend if simulated or wanted.startswith("sim-") else real
    ledger = Ledger.read(path)
    try:
        stories = run_stories(ledger)
        if not stories and path == real:
            refuse_to_pretend(pretend)
        story = find_run(stories, wanted)
        yield FoundRun(story, ledger, root_of(path, given) / story.job_path)
    finally:
        ledger.close()


def refuse_to_pretend(pretend: Path) -> None:
    """Simulated runs are not shown in the place of real ones."""
    if pretend.exists():
        raise UsageProblem(
            "there is no real run yet, only simulated ones.", hint="add --simulate, or name one: batchrun status"
        )


@contextlib.contextmanager
def found_runs(wanted: Sequence[str], given: Path | None, *, simulated: bool) -> Iterator[FoundRuns]:
    """Find the runs that ids, job names, job files and `last` mean; a job's are all of its runs."""
    simulated = simulated or any(word.startswith("sim-") for word in wanted)
    path = ledger_of(wanted, given, simulated=simulated)
    with contextlib.closing(Ledger.read(path)) as ledger:
        stories = run_stories(ledger)
        if not stories and not simulated:
            refuse_to_pretend(simulated_twin(path))
        words = [load_job(Path(word)).spec.job.name if word.endswith(".toml") else word for word in wanted]
        meant = [
            story.run_no
            for word in words
            for story in ([one for one in stories if one.job == word] or [find_run(stories, word)])
        ]
        yield FoundRuns(ledger, frozenset(meant) if words else None, simulated)


def ledger_of(wanted: Sequence[str], given: Path | None, *, simulated: bool) -> Path:
    """The ledger that was named, by an option or by job files, or the project's."""
    named = {store_paths(load_job(Path(word)), simulated=simulated).ledger for word in wanted if word.endswith(".toml")}
    if len(named) > 1:
        raise UsageProblem("these job files name different ledgers.", hint="ask for one of them at a time")
    real, pretend = ledger_paths(given)
    return named.pop() if named and given is None else pretend if simulated else real
