"""A job in the hands of a program: planned, submitted, and asked for its runs."""

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack, get_type_hints

from pydantic import PlainValidator, ValidationError, create_model

from batchrun.api.results import results
from batchrun.api.run import Run
from batchrun.api.shown import Plan, shown_as
from batchrun.api.submission import Submission, begun
from batchrun.documents.memory import MemorySource
from batchrun.errors import UsageProblem
from batchrun.execution.run import Interrupts, ProviderFactory
from batchrun.integrations.observers import observers_of
from batchrun.job.field_types import Table
from batchrun.job.key_types import Positive
from batchrun.job.load import JobFile, job_of
from batchrun.job.source_sections import MemorySourceSection
from batchrun.job.spec import WORKERS_CHECK, WorkersSetting
from batchrun.job.units import MONTH_S, duration_s, nano_dollars
from batchrun.outcome import RETRIED
from batchrun.planning.planner import ONLINE
from batchrun.planning.selection import Selection
from batchrun.quality.compared_runs import ComparedRuns, compared_runs, readable_job
from batchrun.quality.evaluate import Evaluation, evaluated_run
from batchrun.report.report_file import report_files
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.paths import store_paths
from batchrun.store.reports.runs import RunStory, match_run, run_stories
from batchrun.strategy.pilot_report import PilotOptions
from batchrun.workflow.observer import Observer, Observers
from batchrun.workflow.open_job import OpenJob, SubmitOptions, opened_job
from batchrun.workflow.run import run_job

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

_log, _say = logging.getLogger("batchrun"), partial(print, file=sys.stderr)


class Choices(TypedDict, total=False):
    """What a call says over the job file."""

    limit: Positive
    """The first so many documents alone."""
    ids: Sequence[str]
    """The documents of these ids alone."""
    route: Literal["stream", "batch", "auto"]
    deadline: Annotated[str, PlainValidator(partial(duration_s, most_s=MONTH_S))]
    """The time until all answers are wanted, such as "8h": the cheapest route that is fast enough is taken."""
    workers: Annotated[WorkersSetting, WORKERS_CHECK]
    """Who reads documents, such as "ray": the plan is the same."""
    max_cost_usd: Annotated[float, PlainValidator(nano_dollars)]
    """A lower budget than the job file's."""
    retry: bool
    """Whether new attempts are made at what `batchrun retry` tries again, and at nothing else."""


_types: Any = {name: (kind, None) for name, kind in get_type_hints(Choices, include_extras=True).items()}
_Chosen = create_model("Choices", __base__=Table, **_types)


def _chosen(choices: Choices) -> tuple[Selection, SubmitOptions]:
    """Check the choices, and say them as a command does. Raises UsageProblem."""
    try:
        found: Any = _Chosen.model_validate(choices)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        raise UsageProblem(f"{first['loc'][0]}: {first['msg']}, got {first['input']!r}.") from None
    again = frozenset(RETRIED if found.retry else ())
    return (
        Selection(limit=found.limit, ids=frozenset(found.ids or ()), again=again),
        SubmitOptions(
            max_cost_nusd=found.max_cost_usd, route=found.route, deadline_s=found.deadline, workers=found.workers
        ),
    )


class Job:
    """A job: what is asked of which documents. Nothing is sent before `submit`.

    `simulate` asks the local simulator instead of the API, without a key or cost, and with a ledger and an output of
    their own: True, or the name of one of the simulator's profiles.
    """

    def __init__(self, file: JobFile, documents: object = None) -> None:
        """Take a job that was read, and the documents that a program gives. `batchrun.open` and `from_dict` call this.

        Raises UsageProblem if the job has documents of its own.
        """
        self.file = file
        if documents is not None and not isinstance(file.spec.source, MemorySourceSection):
            raise UsageProblem(
                "`documents` are given, and [source] of the job names others.",
                hint='write [source] type = "memory" for documents that a program gives, or leave `documents` out',
            )
        self._given = None if documents is None else MemorySource(documents)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, root: str | Path = ".", documents: object = None) -> "Job":
        """Make a job of a dictionary that has the keys of a job file. `root` is the project's folder.

        `documents` are mappings with `doc_id`, `text` and columns for the prompt, or a data frame with these columns;
        `source` may be left out then. Raises UsageProblem with all problems of the dictionary at once.
        """
        if not isinstance(values, Mapping):
            raise UsageProblem(f"a {type(values).__name__} is no dictionary with the keys of a job file.")
        source = values.get("source", {})
        if documents is not None and isinstance(source, Mapping):
            values = {**values, "source": {"type": "memory", **source}}
        return cls(job_of(values, Path(root)), documents)

    @property
    def name(self) -> str:
        """The name of the job, by which the ledger knows its runs."""
        return self.file.spec.job.name

    def plan(self, *, online: bool = False, simulate: bool | str = False, **choices: Unpack[Choices]) -> Plan:
        """Say what a submit would send, cost and take. Nothing is sent, or with `online` only to be counted, for free.

        `refused` of the plan says what would keep the submit from sending. Raises UsageProblem and EnvironmentProblem.
        """
        main = partial(self._plan, *_chosen(choices), online=online, profile=_profile(simulate))
        return begun(main, daemon=True).result()

    def submit(
        self, *, wait: bool = True, simulate: bool | str = False, speed: float = 20.0, **choices: Unpack[Choices]
    ) -> Submission:
        """Run the job, or go on with it: `await` the submission for the run, or iterate over it for the events.

        Whoever waits gets the run also if the run stopped halfway (`run.halted` says why), and the exceptions of
        batchrun only if nothing was sent. Without `wait`, batches are left to a later submit. `speed` is the speed of
        the simulator's clock.
        """
        (selection, options), profile = _chosen(choices), _profile(simulate)
        if not 0 < speed < float("inf"):
            raise UsageProblem(f"speed: it is a number above zero, got {speed!r}.")
        if profile and not wait:
            raise UsageProblem("wait=False needs an API that outlives the run, and a simulated one does not.")
        options = replace(options, waits=wait, speed=speed if profile else 1.0)
        return Submission(partial(self._submit, selection, options, profile))

    def submit_sync(
        self, *, wait: bool = True, simulate: bool | str = False, speed: float = 20.0, **choices: Unpack[Choices]
    ) -> Run:
        """Do what `submit` does, and wait for the run: in a script, a worker's thread, or inside a running loop."""
        return self.submit(wait=wait, simulate=simulate, speed=speed, **choices).result()

    def runs(self) -> list[Run]:
        """List the runs of the job, the latest first, real ones before simulated ones."""
        with self._ledger(simulated=False) as real, self._ledger(simulated=True) as simulated:
            stories = [*run_stories(real), *run_stories(simulated)]
        return [Run(self.file, story) for story in stories if story.job == self.name]

    def run(self, word: str = "last") -> Run:
        """Return a run: "last", or the beginning of its id. Raises UsageProblem if there is no such run."""
        with self._found(word) as (_, story):
            return Run(self.file, story)

    def results(self, status: str | Iterable[str] = "succeeded", *, simulate: bool = False) -> "DuckDBPyRelation":
        """Return a row for each document of the job, whatever run has answered the document; see `Run.results`."""
        if not any(run.simulated is simulate for run in self.runs()):
            raise UsageProblem(f"the job {self.name} has no {'simulated ' if simulate else ''}run yet.")
        return results(self.file, status, simulated=simulate, run_id=None)

    def compare(self, old: str, new: str = "last") -> ComparedRuns:
        """Compare two runs, as `batchrun compare` does: their answers, their keys, cost and speed. Nothing is sent."""
        with self._found(old, of_others=True) as before, self._found(new, of_others=True) as now:
            paths = [self.file.root / story.job_path for _, story in (now, before)]
            return compared_runs(before, now, [self.file, *filter(None, map(readable_job, paths))])

    def evaluate(self, run: str = "last", *, against: str | None = None, fail_under: float | None = None) -> Evaluation:
        """Hold the answers of a run against the labels of [gold], as `batchrun eval` does. Nothing is sent."""
        with ExitStack() as stack:
            found = stack.enter_context(self._found(run))
            other = stack.enter_context(self._found(against, of_others=True)) if against else None
            return evaluated_run(self.file, found, against=other, fail_under=fail_under)

    def __repr__(self) -> str:
        return f"<Job {self.name} of {self.file.root}>"

    async def _plan(self, selection: Selection, options: SubmitOptions, *, online: bool, profile: str | None) -> Plan:
        with ExitStack() as stack:
            opened = stack.enter_context(self._opened(profile, options, to_run=False))
            counter = stack.enter_context(_api(profile, opened, speed=1.0)) if online else None
            plan = await opened.planner(options).plan(selection, counter=counter, online=ONLINE)
            return shown_as(Plan, plan, refused=opened.obstacle(plan), simulated=opened.simulated)

    async def _submit(
        self,
        selection: Selection,
        options: SubmitOptions,
        profile: str | None,
        observer: Observer,
        interrupts: Interrupts,
    ) -> Run:
        with self._opened(profile, options, to_run=True) as opened, _api(profile, opened, speed=options.speed) as api:
            others = observers_of(opened, report_files(opened), {}, warn=_log.warning, say=_say)
            hears, pilot = Observers([observer, others]), PilotOptions()
            summary = await run_job(opened, selection, api, hears, interrupts=interrupts, options=options, pilot=pilot)
            word = summary.totals.run_id if summary.totals else self.name
            return Run(self.file, match_run(run_stories(opened.ledger), word), summary)

    def _opened(self, profile: str | None, options: SubmitOptions, *, to_run: bool) -> AbstractContextManager[OpenJob]:
        return opened_job(self.file, simulated=profile is not None, to_run=to_run, given=self._given, options=options)

    def _ledger(self, *, simulated: bool) -> Ledger:
        return Ledger.read(store_paths(self.file, simulated=simulated).ledger)

    @contextmanager
    def _found(self, word: str, *, of_others: bool = False) -> Iterator[tuple[Ledger, RunStory]]:
        """Find a run, among the simulated ones if no real one is meant, perhaps of other jobs. Raises UsageProblem."""
        for simulated in (False, True):
            with self._ledger(simulated=simulated) as ledger:
                stories = [one for one in run_stories(ledger) if of_others or one.job == self.name]
                if story := match_run(stories, self.name if word == "last" else word):
                    yield ledger, story
                    return
        raise UsageProblem(
            f"there is no run {word} of the job {self.name}.", hint="see the runs: job.runs(), or batchrun status"
        )


def open(path: str | Path, *, documents: object = None) -> Job:  # noqa: A001 - batchrun.open is what everybody types
    """Read a job file. `documents` are those of a job whose [source] has type = "memory"; see `Job.from_dict`.

    Raises UsageProblem, with all problems of the file at once.
    """
    return Job(read_job(Path(path)), documents)


def _profile(simulate: bool | str) -> str | None:  # noqa: FBT001
    """Return the profile of the simulator. Returns None for the API. Raises UsageProblem."""
    if simulate is False:
        return None
    profile = "calm" if simulate is True else simulate
    if profile not in PROFILES:
        raise UsageProblem(f"the simulator has no profile {profile}.", hint=f"choose from {', '.join(PROFILES)}")
    return profile


def _api(profile: str | None, opened: OpenJob, *, speed: float) -> AbstractContextManager[ProviderFactory]:
    from batchrun.api.provider import provider  # the client of the API takes a second to import

    return provider(profile, opened.providers, opened.models, speed=speed)
