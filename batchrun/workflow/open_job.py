"""Opening a job: the job file with everything that the file names, checked before anything is planned or paid."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.answers.turns import Mending
from batchrun.budget.caps import Cap, Caps, Of, Origin, Per, merged
from batchrun.budget.policy import operator_caps, project_caps
from batchrun.catalog.notices import price_notices
from batchrun.catalog.price import ModelPrice
from batchrun.catalog.price_table import PriceTable
from batchrun.catalog.rate_limits import RateLimits
from batchrun.documents import Source
from batchrun.documents.open_source import open_source, text_cache
from batchrun.duckdb_file import LockedByAnother
from batchrun.errors import BatchrunError, EnvironmentProblem, Refused, UsageProblem
from batchrun.events import Listener
from batchrun.execution.halt import Halt
from batchrun.execution.ledger_writer import LedgerWriter
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.job.load import JobFile
from batchrun.job.providers import Providers
from batchrun.job.source_sections import FILE_COLUMNS, FilesSourceSection
from batchrun.job.spec import BatchSection, WorkersSetting
from batchrun.job.tune_section import is_tuned
from batchrun.planning.cascade_threshold import calibrated_chain, calibration_problem
from batchrun.planning.planner import Planner
from batchrun.planning.request_template import RequestTemplate
from batchrun.store.job_files import read_job
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics
from batchrun.store.output.no_output import NoOutput
from batchrun.store.output.output_table import OutputTable
from batchrun.store.output.publish import Output
from batchrun.store.output.source_columns import SourceColumn
from batchrun.store.paths import StorePaths, own_files, store_paths
from batchrun.strategy.model_chain import ModelChain
from batchrun.strategy.plan import Plan
from batchrun.strategy.refusal import refusal
from batchrun.workers.open_pool import greeter, open_pool
from batchrun.workers.pool import Pool
from batchrun.workflow.job_models import models_of, prices_of, utc_today
from batchrun.workflow.recovery import locked_ledger, recover_others, second_file

if TYPE_CHECKING:
    from batchrun.leases.client import Leases


@dataclass(frozen=True, slots=True)
class OpenOutput:
    """A job without its documents, prices and model: the job's ledger and rows can be read."""

    job: JobFile
    paths: StorePaths
    ledger: Ledger

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.spec.job.name

    def output(self, ledger: Ledger | None = None) -> Output:
        """Return the job's output, fed from this ledger connection or from another one. The runs of tunes have none."""
        if is_tuned(self.name):
            return NoOutput(ledger or self.ledger, self.name)
        spec = self.job.spec
        types = FILE_COLUMNS if isinstance(spec.source, FilesSourceSection) else {}
        of_source = tuple(SourceColumn(name, types.get(name)) for name in spec.source.columns)
        form = self.job.form
        told = [
            ("_problems", form.has_problems),
            ("_evidence", form.has_evidence),
            ("_agreement", form.votes > 1),
            ("_corrections", spec.review is not None),
        ]
        findings = tuple(name for name, is_told in told if is_told)
        table = OutputTable(self.paths.database, spec.store.table, self.job.fields.columns, of_source, findings)
        return Output(ledger or self.ledger, self.name, table)


@dataclass(frozen=True, slots=True)
class OpenStore(OpenOutput):
    """A job that can bring its batches to their ends: no document is read or sent, so the documents may be gone."""

    prices: PriceTable

    @property
    def providers(self) -> Providers:
        """Who may answer."""
        return self.prices.providers

    @property
    def models(self) -> tuple[str, ...]:
        """The engine names of the models that may be asked, the job's own first."""
        return (self.job.spec.model.name, *self.job.spec.model.fallbacks)

    def run_context(self, run: RunKey, listener: Listener, *, waits: bool, cancels: bool = False) -> RunContext:
        """Make what all parts of a run's execution share. Must be called in the event loop of the run."""
        return RunContext(
            key=run,
            job=self.name,
            writer=LedgerWriter(self.ledger),
            halt=Halt(),
            tell=listener,
            retry=self.job.spec.retry,
            batch=self.job.spec.batch,
            price_of=self.prices.find,
            recover=lambda ledger: recover_others(ledger, self.paths, self.name),
            waits=waits,
            mending=cache(self._mending),
            cancels=cancels,
        )

    def _mending(self, model: str) -> Mending:
        """Say how far replies of a model are mended: what passes to the next model of the chain is not."""
        spec = self.job.spec
        is_last = model == self.models[-1]
        price = self.prices.find(model)
        return Mending(
            max_repairs=spec.output.max_repairs,
            most_tokens=price.max_output_tokens if price else 0,
            passed_on=frozenset() if is_last else frozenset(spec.model.fallback_on),
        )


@dataclass(frozen=True, slots=True)
class OpenJob(OpenStore):
    """A job with everything that its file names, checked and ready."""

    chain: ModelChain
    source: Source
    simulated: bool
    pool: Pool
    """The workers that read what must not be read in this process, or all they can."""
    price_notices: tuple[str, ...]
    """What a person should know of the prices of the job's models, and of the days on which the models retire."""

    @property
    def price(self) -> ModelPrice:
        """The price row of the job's own model."""
        return self.chain.models[0].price

    @property
    def limits(self) -> RateLimits:
        """The rate limits of the job's own model."""
        return self.chain.models[0].limits

    @property
    def leases(self) -> "Leases | None":
        """Who grants parts of the caps that several hosts share. None if nobody does, or if the run is simulated."""
        named = os.environ.get("BATCHRUN_LEASES", self.job.project.budget.leases)
        if named is None or self.simulated:
            return None
        from batchrun.leases.client import leases_at  # which few jobs need

        return leases_at(named, os.environ)

    def caps(self, options: "SubmitOptions") -> Caps:
        """Merge the caps of a run, with those that several hosts share. Raises LeasesUnreachable and UsageProblem."""
        leases = self.leases
        return caps_of(self.job, options, leases.caps() if leases else ())

    def planner(self, options: "SubmitOptions | None" = None) -> Planner:
        """Make a planner for this job. What the command says counts before what the job file says."""
        options, spec = options or SubmitOptions(), self.job.spec
        return Planner(
            self.job,
            self.source,
            self.ledger,
            self.chain,
            self.caps(options),
            options.route or (spec.run.route if "route" in spec.run.model_fields_set else None),
            options.deadline_s or spec.run.deadline_s,
            exact=options.exact,
            output=None if options.pay_again or self.simulated else self.output(),
            typed=options.typed,
            pool=self.pool,
            rescans=options.rescans,
            rereads=options.rereads,
            reasks_all=options.reasks_all,
            partial_answers=options.partial_answers,
            planning=options.planning,
        )

    def refusal(self, plan: Plan) -> Refused | None:
        """Return why a plan of this job is not carried out, or None if the plan is."""
        budget, source = self.job.spec.budget, self.job.spec.source
        return refusal(
            plan,
            max_documents=budget.max_documents,
            refuses_oversize=source.on_oversize == "refuse",
            job_path=os.path.relpath(self.job.path),
        )

    def obstacle(self, plan: Plan) -> BatchrunError | None:
        """Return what would keep a submit from carrying out a plan of this job, or None if nothing would."""
        uncalibrated = calibration_problem(self.job, self.chain, self.ledger, plan.to_send)
        if problem := second_file(self.ledger, self.job) or self.refusal(plan) or uncalibrated:
            return problem
        with contextlib.suppress(LockedByAnother):  # which delays only rows
            try:
                self.output().is_ahead()
            except (UsageProblem, EnvironmentProblem) as problem:
                return problem
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """What a command says over the job file."""

    max_cost_nusd: int | None = None
    """A lower budget than the job file's."""
    pay_again: bool = False
    """Whether requests are sent that have rows in the output of which the ledger does not know."""
    partial: bool = False
    """Whether the run begins although the budget is not enough for all documents, whatever the job file says."""
    partial_answers: bool = False
    """Whether requests are sent although most replies are expected to be cut off at `max_tokens`."""
    route: str | None = None
    deadline_s: float | None = None
    waits: bool = True
    """Whether the command waits for batches."""
    workers: WorkersSetting | None = None
    """Who reads documents, instead of who the job file says."""
    fail_fast: bool = False
    """Whether the first document that fails stops the run."""
    max_run_time_s: float | None = None
    """The longest time that this command may take, if shorter than the job file's."""
    elapsed_s: float = 0.0
    """The time that this command has taken already."""
    exact: bool = False
    """Whether every document is counted, however many there are."""
    rescans: bool = False
    """Whether files are opened that have not changed since their documents were settled."""
    rereads: bool = False
    """Whether documents are sent again whose text an older reader found."""
    reasks_all: bool = False
    """Whether documents are asked for all fields again, whatever is answered."""
    online: int | None = None
    """How many requests the API counts for the plan, if the plan asks the API; None for the usual number."""
    typed: tuple[str, ...] = ()
    """The command, as in `Plan.typed`."""
    planning: Callable[[str, int], None] = lambda *_: None
    """Hears how far the planning is, as an observer does."""
    speed: float = 1.0
    """The speed of the simulator's clock, by which batches at the simulator are polled."""

    def paced(self, batch: BatchSection) -> BatchSection:
        """Return [batch] with the intervals of the simulator's clock."""
        intervals = ("poll_interval_s", "max_poll_interval_s", "reconcile_wait_s")
        return batch.model_copy(update={name: getattr(batch, name) / self.speed for name in intervals})


def caps_of(job: JobFile, options: SubmitOptions, shared: Iterable[Cap] = ()) -> Caps:
    """Merge the caps of a run: of each kind, the lowest one counts. Raises UsageProblem for a wrong environment."""
    budget = job.spec.budget
    caps = [Cap(Per.RUN, budget.max_cost_nusd, "budget.max_cost_usd", Origin.JOB)]
    if options.max_cost_nusd is not None:
        caps.append(Cap(Per.RUN, options.max_cost_nusd, "--max-cost", Origin.COMMAND))
    if (limit := budget.max_cost_per_document_nusd) is not None:
        caps.append(Cap(Per.DOCUMENT, limit, "budget.max_cost_per_document_usd", Origin.JOB))
    if budget.max_tokens is not None:
        caps.append(Cap(Per.RUN, budget.max_tokens, "budget.max_tokens", Origin.JOB, of=Of.TOKENS))
    caps += [*project_caps(job.project.budget), *operator_caps(os.environ), *shared]
    return merged(caps, soft=budget.cutoff == "soft", partial=budget.partial or options.partial)


@contextlib.contextmanager
def open_output(path: Path, *, simulated: bool, writes: bool = False) -> Iterator[OpenOutput]:
    """Open only what is remembered: rows can be shown and rebuilt when the source has gone and the model is retired."""
    with opened_output(read_job(path), simulated=simulated, writes=writes) as output:
        yield output


@contextlib.contextmanager
def opened_output(job: JobFile, *, simulated: bool, writes: bool = False) -> Iterator[OpenOutput]:
    """Open what is remembered of a job that was read already."""
    where = store_paths(job, simulated=simulated)
    with Ledger.open(where.ledger) if writes else Ledger.read(where.ledger) as ledger:
        yield OpenOutput(job, where, ledger)


@contextlib.contextmanager
def open_job(path: Path, *, simulated: bool, to_run: bool, options: "SubmitOptions | None" = None) -> Iterator[OpenJob]:
    """Read the job file and open what the job file names. `to_run` takes the job for this process and may write.

    With `options` the job's own workers read its documents. A look at a few documents is done by this machine alone.
    """
    with opened_job(read_job(path), simulated=simulated, to_run=to_run, options=options) as opened:
        yield opened


@contextlib.contextmanager
def opened_job(
    job: JobFile,
    *,
    simulated: bool,
    to_run: bool,
    given: Source | None = None,
    options: "SubmitOptions | None" = None,
) -> Iterator[OpenJob]:
    """Open what a job file names that was read already. `given` are documents that a program gives."""
    today = utc_today()
    prices = prices_of(job, today=today)
    chain = models_of(job, prices, today=today)
    notices = price_notices([chain_model.price for chain_model in chain.models], today=today)
    source, where = given or open_source(job, own_files(job)), store_paths(job, simulated=simulated)
    check_columns(job, source)
    # A ledger of an older batchrun is brought up to date: nobody should have to run a job to see its plan.
    reading = Ledger.read(where.ledger, renews=True) if not to_run else None
    wish: WorkersSetting = (options.workers or job.spec.run.workers) if options else "auto"
    greet = greeter(source, lambda: RequestTemplate(job, tool_choice=chain.models[0].tool_choice).fingerprint)
    with (
        trimmed_cache(job),
        reading or locked_ledger(job, where, simulated=simulated) as ledger,
        open_pool(wish, greet, is_shared=source.parallel and given is None) as pool,
    ):
        chain = chain.with_learned_limits(partial(RunMetrics(ledger).learned, now=time.time()))
        chain = calibrated_chain(job, chain, ledger)
        yield OpenJob(job, where, ledger, prices, chain, source, simulated, pool, notices)


@contextlib.contextmanager
def trimmed_cache(job: JobFile) -> Iterator[None]:
    """Keep the cache of texts within its bound, if texts come into the cache meanwhile."""
    cache, since_s = text_cache(job), time.time()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a cache that cannot be changed only takes room
            if cache and cache.has_grown(since_s):
                cache.trim(job.spec.source.text_cache)


@contextlib.contextmanager
def open_store(path: Path, *, simulated: bool, name: str | None = None) -> Iterator[OpenStore]:
    """Lock the job for this process, without its documents and model; `name` names its runs if they are a tune's."""
    job = read_job(path)
    if name and is_tuned(name):
        job = job.under(name)
    where = store_paths(job, simulated=simulated)
    with locked_ledger(job, where, simulated=simulated) as ledger:
        yield OpenStore(job, where, ledger, prices_of(job, today=utc_today()))


def check_columns(job: JobFile, source: Source) -> None:
    """Raise UsageProblem if the prompt speaks of columns that the documents do not have."""
    if missing := sorted(set(job.user.names) - (source.columns or frozenset())):
        has = ", ".join(sorted(source.columns)) if source.columns else "none besides id and text"
        raise UsageProblem(
            f"the prompt uses {', '.join(f'doc.{name}' for name in missing)}, and the documents have no such column.",
            hint=f"columns of the source: {has}",
        )
    check_source_columns(job, source)


def check_source_columns(job: JobFile, source: Source) -> None:
    """Raise UsageProblem if the output is to get columns that the rows of the source do not have."""
    if isinstance(job.spec.source, FilesSourceSection) or not job.spec.source.columns:
        return
    there = source.columns or frozenset()
    if missing := [name for name in job.spec.source.columns if name not in there]:
        has = ", ".join(sorted(there)) or "none besides id and text"
        raise UsageProblem(
            f"[source] columns: the documents have no column {', '.join(missing)}.",
            hint=f"columns of the source: {has}",
        )
