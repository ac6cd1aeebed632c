"""Opening a job: its file with everything it names, checked before anything is planned or paid."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from batchrun.errors import Refused, UsageProblem
from batchrun.job.reading import JobFile, load_job
from batchrun.planner import Planner
from batchrun.planning.limits import RateLimits, effective_limits
from batchrun.planning.model_price import ModelPrice
from batchrun.planning.model_rules import model_problems
from batchrun.planning.plan import Plan
from batchrun.planning.pricing import load_prices
from batchrun.planning.refusal import refusal
from batchrun.sources import Source
from batchrun.sources.opening import open_source
from batchrun.store.ledger import Ledger
from batchrun.store.lock import is_held, job_lock
from batchrun.store.output import Output, OutputTable
from batchrun.store.places import Places, places


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job file with everything it names, checked and ready."""

    job: JobFile
    price: ModelPrice
    limits: RateLimits
    source: Source
    places: Places
    ledger: Ledger
    simulated: bool

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.spec.job.name

    def planner(self, *, max_cost_nusd: int | None) -> Planner:
        """A planner for this job, under the job's budget or a lower one."""
        cap = self.job.spec.budget.max_cost_nusd
        cap = cap if max_cost_nusd is None else min(cap, max_cost_nusd)
        return Planner(self.job, self.source, self.ledger, self.price, self.limits, cap)

    def refusal(self, plan: Plan) -> Refused | None:
        """Why a plan of this job is not carried out, or None."""
        budget, source = self.job.spec.budget, self.job.spec.source
        return refusal(plan, max_documents=budget.max_documents, refuses_oversize=source.on_oversize == "refuse")

    def output(self, ledger: Ledger) -> Output:
        """The job's output, fed from a ledger connection."""
        return output_of(self.job, self.places, ledger)


def output_of(job: JobFile, where: Places, ledger: Ledger) -> Output:
    """A job's output, fed from a ledger connection."""
    return Output(ledger, job.spec.job.name, OutputTable(where.database, job.spec.store.table, job.fields.columns))


@dataclass(frozen=True, slots=True)
class OpenOutput:
    """What there is of a job without its documents, prices and model: its ledger and its rows."""

    job: JobFile
    places: Places
    ledger: Ledger
    output: Output


@contextlib.contextmanager
def open_output(path: Path, *, simulated: bool) -> Iterator[OpenOutput]:
    """Open only what is remembered: rows can be shown and rebuilt when the source has gone and the model is retired."""
    job = load_job(path)
    where = places(job, simulated=simulated)
    with contextlib.closing(Ledger.read(where.ledger)) as ledger:
        yield OpenOutput(job, where, ledger, output_of(job, where, ledger))


@contextlib.contextmanager
def open_job(path: Path, *, simulated: bool, to_run: bool) -> Iterator[OpenJob]:
    """Read the job file and open what it names. `to_run` takes the job for this process and may write."""
    job = load_job(path)
    spec = job.spec
    prices = load_prices(job.resolve(spec.budget.prices_file) if spec.budget.prices_file else None)
    price = prices.model(spec.model.name)
    if problems := model_problems(spec.model, price, today=datetime.now(UTC).date()):
        raise UsageProblem("\n".join(f"[model]: {problem}" for problem in problems), hint=f"mend {path}")
    source, where = open_source(job), places(job, simulated=simulated)
    check_columns(job, source)
    limits = effective_limits(spec.limits, price.limits)
    if not to_run:
        ledger = Ledger.read(where.ledger)
        try:
            yield OpenJob(job, price, limits, source, where, ledger, simulated)
        finally:
            ledger.close()
        return
    with job_lock(where.ledger, spec.job.name):
        ledger = Ledger.open(where.ledger)
        try:
            recover(ledger, where, spec.job.name)
            refuse_second_file(ledger, job)
            yield OpenJob(job, price, limits, source, where, ledger, simulated)
        finally:
            ledger.close()


def check_columns(job: JobFile, source: Source) -> None:
    """The prompt may only speak of columns that the documents have."""
    if missing := sorted(set(job.user.names) - (source.columns or frozenset())):
        has = ", ".join(sorted(source.columns)) if source.columns else "none besides id and text"
        raise UsageProblem(
            f"the prompt uses {', '.join(f'doc.{name}' for name in missing)}, and the documents have no such column.",
            hint=f"columns of the source: {has}",
        )


def recover(ledger: Ledger, where: Places, job: str) -> None:
    """Book what dead processes left open, of this job and of others whose requests this one may share."""
    with ledger.transaction():
        ledger.recover(job)
        recover_others(ledger, where, job)


def recover_others(ledger: Ledger, where: Places, job: str) -> None:
    """Book what other jobs' dead processes left open, inside the caller's transaction."""
    for name in ledger.running_jobs():
        if name != job and not is_held(where.ledger, name):
            ledger.recover(name)


def refuse_second_file(ledger: Ledger, job: JobFile) -> None:
    """Two job files of one name would take each other's documents for changed ones."""
    earlier = ledger.job_path(job.spec.job.name)
    if earlier and earlier != path_below_root(job) and (job.root / earlier).exists():
        raise UsageProblem(
            f'the name "{job.spec.job.name}" belongs to {earlier} already.', hint="give [job] name another value"
        )


def path_below_root(job: JobFile) -> str:
    """How the ledger names the job file, so that a moved project still finds it."""
    return str(job.path.relative_to(job.root)) if job.path.is_relative_to(job.root) else str(job.path)
