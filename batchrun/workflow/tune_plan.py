"""A tune before anything is sent: its documents, what every setting would cost, and whether the money is enough."""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from batchrun.budget.cap_text import called, raising, renewed, said
from batchrun.budget.caps import Cap, Of, Origin
from batchrun.catalog.money import dollars
from batchrun.document import DocumentRef
from batchrun.documents.chosen import ChosenDocuments
from batchrun.errors import Refused, UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.spec import PilotSection
from batchrun.job.tune_section import TUNED
from batchrun.planning.planner import Planner
from batchrun.planning.selection import Selection
from batchrun.quality.tune.settings import Setting, read_settings, variant
from batchrun.quality.tune.standing import Truth
from batchrun.quality.tune.verdict import Row, State, expected_nusd, too_few
from batchrun.store.job_files import read_job
from batchrun.store.ledger.cap_usage import shared_cap_usages
from batchrun.store.ledger.connection import empty
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.run_metrics import RunMetrics
from batchrun.strategy.plan import Plan
from batchrun.strategy.refusal import cut_words
from batchrun.workflow.job_models import models_of, prices_of, utc_today
from batchrun.workflow.open_job import OpenJob, SubmitOptions, caps_of, check_columns, opened_job

ASKED_AGAIN = 30
"""About how many documents the strongest setting answers a second time, to find how often it agrees with itself."""


@dataclass(frozen=True, slots=True)
class OpenTune:
    """A job that is open for a tune, under the tune's own name."""

    job: JobFile
    """The job itself."""
    settings: tuple[Setting, ...]
    opened: OpenJob
    content: bytes
    """The job file as it was read."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setting that may be asked."""

    row: Row
    opened: OpenJob
    plan: Plan
    """The plan of the tune's documents, as if nothing had been answered."""
    asked: Mapping[str, str]
    """The ids of the requests, by document. Documents that the setting cannot be asked about are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunePlan:
    """What a tune would do, and what the tune would cost."""

    job: str
    simulated: bool
    candidates: Sequence[Candidate]
    """The cheapest first, by the plan's price."""
    documents: Sequence[str]
    """The documents in the order in which every setting answers them."""
    possible: int
    """How many documents could have been chosen."""
    target: float
    labels: Truth
    """The gold labels; empty if there are none."""
    by_agreement: bool
    """Whether answers are held against those of the strongest setting, where no label says what is right."""
    expected_nusd: float
    """The expected cost, in the costliest case that `quality.tune.verdict.expected_nusd` knows."""
    cap: Cap
    """The most that the tune may cost, and who says so."""

    @property
    def digest(self) -> str:
        """The hash of the documents, the requests and the target: a tune that has the same goes on."""
        asked = [(one.plan.fingerprint, sorted(one.asked.items())) for one in self.candidates]
        return hashlib.sha256(repr((asked, self.documents, self.target, self.by_agreement)).encode()).hexdigest()


@contextlib.contextmanager
def open_tune(path: Path, *, simulated: bool, **said: object) -> Iterator[OpenTune]:
    """Read the job file and its [tune], and take the tune of the job for this process.

    What is `said` of the target and the number of documents counts before what the job file says.
    """
    job, today = read_job(path), utc_today()
    content = job.path.read_bytes()
    tune = job.spec.tune.model_copy(update={key: value for key, value in said.items() if value is not None})
    job = replace(job, spec=job.spec.model_copy(update={"tune": tune}))
    settings = read_settings(job, prices_of(job, today=today), today=today)
    with opened_job(to_tune(job, settings[0]), simulated=simulated, to_run=True) as opened:
        yield OpenTune(job, settings, opened, content)


def to_tune(job: JobFile, setting: Setting) -> JobFile:
    """Return the job as a setting asks it, under the name of a tune's runs.

    A setting that fails often is no reason to stop, and a document that is too large for a setting is left out. Nothing
    is said of a single look's answers: the tune itself holds them against its labels.
    """
    spec = variant(job, setting).spec
    cap_nusd = spec.tune.max_cost_nusd or spec.budget.max_cost_nusd
    changes: dict[str, Any] = {
        "pilot": PilotSection(),
        "check": (),
        "gold": None,
        "run": spec.run.model_copy(update={"fail_fast": False, "max_failure_rate": None}),
        "budget": spec.budget.model_copy(update={"max_documents": None, "max_cost_nusd": cap_nusd}),
    }
    if spec.source.on_oversize in {"refuse", "split"}:
        changes["source"] = spec.source.model_copy(update={"on_oversize": "skip"})
    return replace(variant(job, setting), spec=spec.model_copy(update=changes)).under(spec.job.name + TUNED)


async def plan_tune(tune: OpenTune, options: SubmitOptions, labels: Truth, *, by_agreement: bool) -> TunePlan:
    """Choose the documents and plan every setting.

    Raises Refused if the tune could not prove its target, and UsageProblem if there is nothing to compare.
    """
    section = tune.job.spec.tune
    by_agreement = by_agreement or not labels
    if by_agreement and len(tune.settings) == 1:
        raise UsageProblem(
            f"[tune] of the job {tune.job.spec.job.name} has one setting, and nothing to compare the setting with.",
            hint='name what to try in [tune], such as models = ["claude-haiku-4-5", "claude-sonnet-5-5"]',
        )
    target = section.target
    among = None if by_agreement else [doc_id for doc_id, values in labels.items() if values]
    possible, refs = await chosen_documents(tune.opened, section.documents, among)
    if problem := too_few(len(refs), possible, target, labelled=not by_agreement):
        raise problem
    chosen = replace(tune.opened, source=ChosenDocuments(tune.opened.source, tuple(refs)))
    found = [await _candidate(tune.job, setting, chosen) for setting in tune.settings]
    order = {effort: at for at, effort in enumerate((None, "low", "medium", "high", "xhigh", "max"))}
    found.sort(key=lambda one: (one.row.planned_nusd, order[one.row.setting.effort]))
    prices, number, extra = [one.row.planned_nusd for one in found], len(refs), 0.0
    if by_agreement:
        extra = prices.pop() * (number + min(ASKED_AGAIN, number))
    expected = expected_nusd(prices, number, target, fields=len(tune.job.fields.definitions)) + extra
    cap = caps_of(tune.opened.job, options).run
    if cap.origin is Origin.JOB and section.max_cost_nusd:
        cap = replace(cap, key="tune.max_cost_usd")
    return TunePlan(
        job=tune.job.spec.job.name,
        simulated=tune.opened.simulated,
        candidates=found,
        documents=[ref.doc_id for ref in refs],
        possible=possible,
        target=target,
        labels=labels,
        by_agreement=by_agreement,
        expected_nusd=expected,
        cap=cap,
    )


async def chosen_documents(
    opened: OpenJob, documents: int, among: Sequence[str] | None
) -> tuple[int, list[DocumentRef]]:
    """Draw documents evenly over class and size, and shuffle them in an order that stays the same.

    `among` has the ids of the documents that may be drawn, None for all. Returns how many there are, and those drawn.
    """
    with _beside_the_ledger(opened) as planner:
        await planner.plan(Selection())
        possible, refs = planner.planned.drawn(documents, among=among)
    return possible, sorted(refs, key=lambda ref: hashlib.sha256(ref.doc_id.encode()).digest())


async def _candidate(job: JobFile, setting: Setting, chosen: OpenJob) -> Candidate:
    """Plan a setting. Raises Refused and JobFileError for a model that cannot be used."""
    asked_job = to_tune(job, setting)
    check_columns(asked_job, chosen.source)
    learned = partial(RunMetrics(chosen.ledger).learned, now=time.time())
    chain = models_of(asked_job, chosen.prices, today=utc_today()).with_learned_limits(learned)
    return await planned(replace(chosen, job=asked_job, chain=chain), setting)


async def planned(opened: OpenJob, setting: Setting) -> Candidate:
    """Plan a setting of a job that is open as the setting asks it."""
    with _beside_the_ledger(opened) as planner:
        plan, asked = await planner.plan(Selection()), planner.planned.asked()
    if not asked:
        raise Refused(f"{setting.words} cannot be asked about any of the documents. Nothing was sent.")
    plain = plan.forecasts[0].estimate.cost_nusd.mean
    row = Row(
        setting=setting,
        state=State.NOT_ASKED,
        planned_nusd=plan.chosen.estimate.cost_nusd.mean / plan.to_send,
        standing=None,
        own_route=plan.chosen.name,
        routes={one.name: one.estimate.cost_nusd.mean / plain if plain else 1.0 for one in plan.forecasts},
    )
    return Candidate(row, opened, plan, asked)


@contextlib.contextmanager
def _beside_the_ledger(opened: OpenJob) -> Iterator[Planner]:
    """Make a planner that plans as if nothing had been answered, so that all settings are planned alike."""
    with Ledger(empty(), None) as ledger:
        yield replace(opened, ledger=ledger).planner(SubmitOptions(pay_again=True))


def refusal_of(plan: TunePlan, tune: OpenTune, *, spent_nusd: int) -> Refused | None:
    """Return why nothing is sent for a tune that has spent so much already, or None if its requests are sent."""
    for candidate in plan.candidates:
        if reply := candidate.plan.mostly_cut:
            return Refused(
                f"{candidate.row.setting.words}: {cut_words(reply)}. Nothing was sent.",
                hint="raise max_tokens in [model], or take the setting out of [tune]",
            )
    amounts, fewer = f"the tune is expected to cost {dollars(plan.expected_nusd)}", "try fewer settings or --documents"
    if plan.expected_nusd > plan.cap.limit:
        return Refused(
            f"{amounts}, and its cap is {dollars(plan.cap.limit)}{said(plan.cap)}. Nothing was sent.",
            hint=f"{raising(plan.cap, to=round(plan.expected_nusd))}, or {fewer}",
        )
    caps, now = tune.opened.caps(SubmitOptions()).borne_by(tune.job.spec.job.tags), time.time()
    usages = shared_cap_usages(
        tune.opened.ledger.connection, caps.shared, model=tune.opened.price.name, now=now, planned=True
    )
    left_nusd = plan.expected_nusd - spent_nusd
    for usage in usages:
        if usage.cap.of is Of.COST and usage.cap.model is None and usage.remaining < left_nusd:
            return Refused(
                f"{amounts}{f', {dollars(spent_nusd)} of it spent' if spent_nusd else ''},"
                f" and {called(usage.cap)} has {dollars(usage.remaining)} left. Nothing was sent.",
                hint=f"type the same command again {renewed(usage.cap)}, or {raising(usage.cap)}, or {fewer}",
            )
    return None
