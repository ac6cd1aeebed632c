"""A tune before anything is sent: its documents, what every setting would cost, and whether the money is enough."""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from batchrun.budget.cap_text import called
from batchrun.budget.caps import Of
from batchrun.catalog.money import dollars, enough
from batchrun.document import DocumentRef
from batchrun.documents.chosen import ChosenDocuments
from batchrun.errors import Refused, UsageProblem
from batchrun.job.load import JobFile
from batchrun.job.spec import PilotSection
from batchrun.job.tune_section import TUNED
from batchrun.planning.planner import Planner
from batchrun.planning.selection import Selection
from batchrun.quality.tune.settings import Grid, Setting, read_grid, variant
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
UNCAPPED_NUSD = 10**18
"""The budget of a tune's runs in the job file's place: every run is given what is left of the tune's cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """What a command says over [tune]."""

    target: float | None = None
    documents: int | None = None
    max_cost_nusd: int | None = None
    """A lower cap than that of the job file."""
    route: str = "stream"
    by_agreement: bool = False
    """Whether settings are compared with the strongest one although there are labels."""
    partial_answers: bool = False
    typed: tuple[str, ...] = ()
    """The command, as in `Plan.typed`."""
    speed: float = 1.0
    """The speed of the simulator's clock."""


@dataclass(frozen=True, slots=True)
class OpenTune:
    """A job that is open for a tune, under the tune's own name."""

    job: JobFile
    """The job itself."""
    grid: Grid
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
    asked: dict[str, str]
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
    typed: tuple[str, ...]
    """The command, as in `Plan.typed`."""
    target: float
    labels: Truth
    """The gold labels; empty if there are none."""
    by_agreement: bool
    """Whether answers are held against those of the strongest setting, where no label says what is right."""
    expected_nusd: float
    """The expected cost, in the costliest case that `quality.tune.verdict.expected_nusd` knows."""
    full_nusd: float
    """The cost if every setting answered all documents."""
    cap_nusd: int

    @property
    def digest(self) -> str:
        """The hash of the documents, the requests and the target: a tune that has the same goes on."""
        asked = [(one.plan.fingerprint, sorted(one.asked.items())) for one in self.candidates]
        return hashlib.sha256(repr((asked, self.documents, self.target, self.by_agreement)).encode()).hexdigest()


@contextlib.contextmanager
def open_tune(path: Path, *, simulated: bool) -> Iterator[OpenTune]:
    """Read the job file and its [tune], and take the tune of the job for this process."""
    job, today = read_job(path), utc_today()
    content = job.path.read_bytes()
    grid = read_grid(job, prices_of(job, today=today), today=today)
    with opened_job(named(variant(job, grid.settings[0], grid), TUNED), simulated=simulated, to_run=True) as opened:
        yield OpenTune(job, grid, opened, content)


def named(job: JobFile, ending: str, **model: object) -> JobFile:
    """Return the job under the name of a tune's runs, with changes in its [model].

    A setting that fails often is no reason to stop, and a document that is too large for a setting is left out. Nothing
    is said of a single look's answers: the tune itself holds them against its labels.
    """
    spec = job.spec
    changes: dict[str, Any] = {
        "model": spec.model.model_copy(update=model),
        "pilot": PilotSection(),
        "check": (),
        "gold": None,
        "run": spec.run.model_copy(update={"fail_fast": False, "max_failure_rate": None}),
        "budget": spec.budget.model_copy(update={"max_documents": None, "max_cost_nusd": UNCAPPED_NUSD}),
    }
    if spec.source.on_oversize in {"refuse", "split"}:
        changes["source"] = spec.source.model_copy(update={"on_oversize": "skip"})
    return replace(job, spec=spec.model_copy(update=changes)).under(spec.job.name + ending)


def opened_as(tune: OpenTune, setting: Setting, ending: str, **model: object) -> OpenJob:
    """Open the job as a setting asks it. Raises Refused and JobFileError for a model that cannot be used."""
    job = named(variant(tune.job, setting, tune.grid), ending, **model)
    check_columns(job, tune.opened.source)
    learned = partial(RunMetrics(tune.opened.ledger).learned, now=time.time())
    chain = models_of(job, tune.opened.prices, today=utc_today()).with_learned_limits(learned)
    return replace(tune.opened, job=job, chain=chain)


async def plan_tune(tune: OpenTune, options: TuneOptions, labels: Truth) -> TunePlan:
    """Choose the documents and plan every setting.

    Raises Refused if the tune could not prove its target, and UsageProblem if there is nothing to compare.
    """
    section = tune.job.spec.tune
    by_agreement = options.by_agreement or not labels
    if by_agreement and len(tune.grid.settings) == 1:
        raise UsageProblem(
            f"[tune] of the job {tune.job.spec.job.name} has one setting, and nothing to compare the setting with.",
            hint='name what to try in [tune], such as models = ["claude-haiku-4-5", "claude-sonnet-5-5"]',
        )
    target = options.target if options.target is not None else section.target
    among = None if by_agreement else [doc_id for doc_id, values in labels.items() if values]
    possible, refs = await chosen_documents(tune.opened, options.documents or section.documents, among)
    if problem := too_few(len(refs), possible, target, labelled=not by_agreement):
        raise problem
    chosen = replace(tune, opened=replace(tune.opened, source=ChosenDocuments(tune.opened.source, tuple(refs))))
    found = [await _candidate(chosen, setting) for setting in tune.grid.settings]
    order = {effort: at for at, effort in enumerate((None, "low", "medium", "high", "xhigh", "max"))}
    found.sort(key=lambda one: (one.row.planned_nusd, order[one.row.setting.effort]))
    prices, fields = [one.row.planned_nusd for one in found], len(tune.job.fields.definitions)
    number, extra = len(refs), 0.0
    if by_agreement:
        *climbed, strongest = prices
        extra = strongest * (number + min(ASKED_AGAIN, number))
    else:
        climbed = prices
    budget = section.max_cost_nusd or tune.job.spec.budget.max_cost_nusd
    return TunePlan(
        job=tune.job.spec.job.name,
        simulated=tune.opened.simulated,
        candidates=found,
        documents=[ref.doc_id for ref in refs],
        possible=possible,
        typed=options.typed,
        target=target,
        labels=labels,
        by_agreement=by_agreement,
        expected_nusd=expected_nusd(climbed, number, target, fields=fields) + extra,
        full_nusd=number * sum(climbed) + extra,
        cap_nusd=min(budget, options.max_cost_nusd or budget),
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


async def _candidate(tune: OpenTune, setting: Setting) -> Candidate:
    opened = opened_as(tune, setting, TUNED)
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


def refusal_of(plan: TunePlan, tune: OpenTune, *, partial_answers: bool) -> Refused | None:
    """Return why a tune is not begun, or None if it is."""
    for candidate in plan.candidates:
        if (reply := candidate.plan.mostly_cut) and not partial_answers:
            return Refused(
                f"{candidate.row.setting.words}: {cut_words(reply)}. Nothing was sent.",
                hint="raise max_tokens in [model], take the setting out of [tune], or send all the same:"
                " --partial-answers",
            )
    amounts = f"the tune is expected to cost {dollars(plan.expected_nusd)}"
    if plan.expected_nusd > plan.cap_nusd:
        return Refused(
            f"{amounts}, and its cap is {dollars(plan.cap_nusd)}. Nothing was sent.",
            hint=f"allow more: [tune] max_cost_usd = {enough(round(plan.expected_nusd))};"
            " or try fewer settings or fewer --documents",
        )
    caps, now = caps_of(tune.job, SubmitOptions()).borne_by(tune.job.spec.job.tags), time.time()
    usages = shared_cap_usages(tune.opened.ledger.connection, caps.shared, model=tune.opened.price.name, now=now)
    for usage in usages:
        if usage.cap.of is Of.COST and usage.cap.model is None and usage.remaining < plan.expected_nusd:
            return Refused(
                f"{amounts}, and {called(usage.cap)} has {dollars(usage.remaining)} left. Nothing was sent.",
                hint=f"try fewer settings or fewer --documents: batchrun tune {os.path.relpath(tune.job.path)}",
            )
    return None
