"""From the word that a person types for a run to the run and its ledger.

The word is a job file, a job's name, the beginning of a run's id, or `last`. A real run counts before a simulated one,
which is found all the same where no real run is meant.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.cli.next_command import command
from batchrun.cli.views.format import below_here
from batchrun.errors import UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.problems import did_you_mean
from batchrun.job.project_root import LEDGER, STATE_FOLDER, mark_of, root_here, roots_of_job, where_looked
from batchrun.job.tune_section import is_tuned
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.paths import simulated_twin, store_paths
from batchrun.store.reports.runs import RunStory, match_run, run_stories


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run, the ledger that has the run, the job file, and the folder of the project."""

    story: RunStory
    ledger: Ledger
    job_path: Path
    root: Path


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """The runs that several words name together, and the ledger that has the runs."""

    ledger: Ledger
    run_nos: frozenset[int] | None
    """None means all runs of the ledger."""
    simulated: bool
    nothing: str | None
    """Where runs were looked for, if there are none."""


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where the runs of a project are looked for."""

    root: Path
    ledgers: tuple[Path, Path]
    """The ledger of real runs, and the ledger of simulated runs."""
    job: JobFile | None = None
    """The job file that the person named."""

    def name(self, word: str) -> str:
        """Return what names the run in a ledger: the name of the job, if the word is a job file."""
        return self.job.spec.job.name if self.job else word

    def job_path(self, story: RunStory) -> Path:
        """Return the path of a run's job file."""
        return self.job.path if self.job else self.root / story.job_path

    def nothing(self) -> str:
        """Say that there are no runs, and where runs were looked for."""
        if mark_of(self.root) or self.ledgers[0].exists():
            return f"there are no runs yet in the project {self.root}."
        return f"there is no project here: looked for {where_looked(Path.cwd())}."

    def begin(self) -> str:
        """Say what to type where there are no runs."""
        if below := [folder for folder in sorted(self.root.glob(f"*/{STATE_FOLDER}")) if folder.is_dir()]:
            return f"there are runs in {below_here(below[0].parent)}: change to that folder, or name a job file there"
        jobs = [self.job.path] if self.job else sorted(self.root.glob("jobs/*.toml"))
        return command("plan", jobs[0]) if jobs else "batchrun init jobs/first.toml"


def place_of(word: str | None, given: Path | None) -> RunPlace:
    """Find the ledgers for a word: those of the job file that the word names, else those of the project around here."""
    job = read_job(Path(word)) if word and word.endswith(".toml") else None
    if given:
        root, real = roots_of_job(given.absolute(), here=given.absolute().parent)[0], given
    elif job:
        root, real = job.root, store_paths(job, simulated=False).ledger
    else:
        root = root_here(Path.cwd())
        real = root / LEDGER
    return RunPlace(root, (real, simulated_twin(real)), job)


@contextlib.contextmanager
def found_run(
    wanted: str, given: Path | None, *, simulated: bool = False, with_rows: bool = False
) -> Iterator[FoundRun]:
    """Find a run, among the simulated ones only if the id or the flag says so.

    `with_rows` refuses the runs of tunes, which have no rows. Raises UsageProblem.
    """
    place, known = place_of(wanted, given), list[RunStory]()
    name = place.name(wanted)
    for path in place.ledgers[simulated or wanted.startswith("sim-") :]:
        with Ledger.read(path) as ledger:
            stories = run_stories(ledger)
            if story := match_run(stories, name):
                if with_rows and is_tuned(story.job):
                    raise UsageProblem(
                        f"{story.job} is a tune, and its answers are no rows.",
                        hint=command("tune", place.job_path(story), ["--simulate"] if story.simulated else []),
                    )
                yield FoundRun(story, ledger, place.job_path(story), place.root)
                return
            known += stories
    raise no_run(name, known, place)


@contextlib.contextmanager
def found_runs(wanted: Sequence[str], given: Path | None, *, simulated: bool) -> Iterator[FoundRuns]:
    """Find the runs that the words name; a job means all runs of the job. Raises UsageProblem."""
    places = [place_of(word, given) for word in wanted] or [place_of(None, given)]
    if len({place.ledgers for place in places}) > 1:
        raise UsageProblem("these job files name different ledgers.", hint="ask for one of them at a time")
    names, known = [place.name(word) for place, word in zip(places, wanted, strict=False)], list[RunStory]()
    only_simulated = simulated or any(word.startswith("sim-") for word in wanted)
    for is_simulated, path in list(enumerate(places[0].ledgers))[only_simulated:]:
        with Ledger.read(path) as ledger:
            stories = run_stories(ledger)
            run_nos = [runs_named(stories, name) for name in names]
            known += stories
            if all(run_nos) and (stories or is_simulated):
                together = frozenset().union(*run_nos) if names else None
                yield FoundRuns(ledger, together, bool(is_simulated), None if known else places[0].nothing())
                return
    raise no_run(next(name for name in names if not runs_named(known, name)), known, places[0])


@contextlib.contextmanager
def found_ledger(wanted: str | None, given: Path | None, *, simulated: bool) -> Iterator[FoundRuns]:
    """Find the ledger of a job or a run. Without a word the real ledger counts if there is one, even without runs."""
    if wanted:
        with found_runs([wanted], given, simulated=simulated) as found:
            yield found
        return
    place = place_of(None, given)
    real, twin = place.ledgers
    is_simulated = simulated or (twin.exists() and not real.exists())
    with Ledger.read(twin if is_simulated else real) as ledger:
        yield FoundRuns(ledger, None, is_simulated, None if ledger.path else place.nothing())


def runs_named(stories: list[RunStory], name: str) -> frozenset[int]:
    """All runs of the job of this name, or else the one run that is meant; empty if there is none."""
    if of_job := [story.run_no for story in stories if story.job == name]:
        return frozenset(of_job)
    one = match_run(stories, name)
    return frozenset([one.run_no] if one else [])


def no_run(name: str, known: Sequence[RunStory], place: RunPlace) -> UsageProblem:
    """The problem of a word that names no run, with what was probably meant."""
    if not known:
        return UsageProblem(place.nothing(), hint=place.begin())
    if place.job:
        return UsageProblem(f"the job {name} has no run yet.", hint=place.begin())
    if name == "last":
        return UsageProblem("only tunes have run here yet.", hint="see the runs: batchrun status")
    close = did_you_mean(name, [word for story in known for word in (story.job, story.run_id)])
    meant = f"did you mean {close}? " if close else ""
    return UsageProblem(
        f"there is no run {name}, and no job of this name.", hint=f"{meant}See the runs: batchrun status"
    )
