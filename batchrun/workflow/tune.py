"""The story of a tune: plan -> budget -> look after look, from the cheapest setting up -> verdict.

Every look is an ordinary submit of the first of the tune's documents, under a name of its own. Requests are named by
their content: what the job itself or an earlier tune has answered is not sent again, and the job's next run reuses what
the tune has paid for. After a kill, the same command repeats the looks from the ledger and goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from batchrun.budget.cap_text import raising, said
from batchrun.budget.caps import Of, Per
from batchrun.catalog.money import dollars
from batchrun.errors import BatchrunError, ExitCode, Stopped
from batchrun.estimation.interval import Interval
from batchrun.execution.failure_messages import BudgetReached
from batchrun.execution.run import Caller
from batchrun.job.match_rules import MatchRule
from batchrun.planning.selection import Selection
from batchrun.quality.evaluate import match_rules
from batchrun.quality.tune.frontier import Frontier, FrontierPoint
from batchrun.quality.tune.standing import Standing, Truth, measured
from batchrun.quality.tune.verdict import Ending, Row, State, Verdict, verdict_of
from batchrun.statistics.ladder import FIRST_LOOK, Climb
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.ledger.tunes import TunedAnswer, Tunes
from batchrun.strategy.plan_record import to_json
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.submit import submit
from batchrun.workflow.tune_plan import (
    ASKED_AGAIN,
    Candidate,
    OpenTune,
    TunePlan,
    planned,
    refusal_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """What a tune found."""

    plan: TunePlan
    rows: Sequence[Row]
    """The frontier: the cheapest setting first, by the plan's price."""
    verdict: Verdict
    self_agreement: Interval | None
    """How often the strongest setting gives the same value twice. None if nothing is held against its answers."""
    spent_nusd: int
    halted: BatchrunError | None
    """Why the tune stopped before its verdict. None if the tune went through."""

    @property
    def to_label(self) -> tuple[str, ...]:
        """The documents without labels in which the named setting differs from the strongest one."""
        row, plan = self.verdict.row, self.plan
        standing = row.standing if row and plan.by_agreement else None
        return tuple(doc_id for doc_id in standing.differing if doc_id not in plan.labels) if standing else ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        if self.halted:
            return self.halted.exit_code
        return ExitCode.OK if self.verdict.ending is Ending.FOUND else ExitCode.SOME_FAILED


@dataclass(slots=True)
class Tune:
    """One tune; `run` may be called once."""

    open_tune: OpenTune
    plan: TunePlan
    caller: Caller
    options: SubmitOptions
    told: Callable[[Row], None]
    """Hears of every look at a setting."""
    _after_attempt: int | None = None
    """The last attempt before the tune. None before the first request, unless an unfinished tune goes on."""
    _has_sent: bool = False
    _rows: list[Row] = field(init=False, default_factory=list)
    _self_agreement: Interval | None = None

    async def run(self) -> TuneReport:
        """Carry out the plan. Raises Refused with nothing sent; what goes wrong later is in the report."""
        self._rows = [candidate.row for candidate in self.plan.candidates]
        self._after_attempt = self._tunes.unfinished(self.plan.digest)
        halted: BatchrunError | None = None
        try:
            await self._climb()
        except BatchrunError as problem:
            if not self._has_sent or not any(row.standing for row in self._rows):
                raise
            halted = problem
        verdict = verdict_of(self._rows, self.plan.target, is_whole=halted is None)
        if self._after_attempt is not None:
            with self._ledger.transaction():
                self._tunes.keep_frontier(to_json(frontier_of(self._rows, verdict, self.plan)))
                if not halted:
                    self._tunes.end()
        return TuneReport(
            plan=self.plan,
            rows=tuple(self._rows),
            verdict=verdict,
            self_agreement=self._self_agreement,
            spent_nusd=self._spent_nusd(),
            halted=halted,
        )

    # --- the ladder

    async def _climb(self) -> None:
        plan, settings = self.plan, len(self._rows)
        truth = plan.labels
        if plan.by_agreement:
            settings -= 1
            truth = await self._strongest(settings)
        climb = Climb(settings, len(plan.documents), plan.target)
        while (step := climb.step) is not None:
            standing = await self._standing(step.setting, step.documents, truth)
            self._tell(step.setting, standing, State(climb.tell(standing.accuracy).value))
        if climb.taken is not None:
            for number in range(climb.taken + 1, settings):
                standing = await self._standing(number, FIRST_LOOK, truth)
                self._tell(number, standing, State.PROBED)

    def _tell(self, number: int, standing: Standing, state: State) -> None:
        self._rows[number] = replace(self._rows[number], standing=standing, state=state)
        self.told(self._rows[number])

    async def _standing(self, number: int, documents: int, truth: Truth) -> Standing:
        """Ask a setting about the first so many documents, and measure its answers."""
        doc_ids = self.plan.documents[:documents]
        answers = await self._answers(self.plan.candidates[number], doc_ids)
        return measured(doc_ids, answers, truth, self._rules)

    async def _strongest(self, number: int) -> Truth:
        """Ask the strongest setting about all documents, and again about some. Returns its answers under the labels."""
        candidate, doc_ids = self.plan.candidates[number], self.plan.documents
        self._rows[number] = replace(self._rows[number], state=State.GOES_ON)
        answers = await self._answers(candidate, doc_ids)
        given = {doc_id: one.values for doc_id, one in answers.items() if one.values is not None}
        truth = {doc_id: {**given.get(doc_id, {}), **self.plan.labels.get(doc_id, {})} for doc_id in doc_ids}
        self._tell(number, measured(doc_ids, answers, truth, self._rules), State.STRONGEST)
        some = doc_ids[:ASKED_AGAIN]
        again = await self._answers(await asked_again(candidate), some)
        self._self_agreement = measured(some, again, given, self._rules).accuracy
        return truth

    # --- one look

    async def _answers(self, candidate: Candidate, doc_ids: Sequence[str]) -> Mapping[str, TunedAnswer]:
        """Return the answers of a setting by document, after whatever lacks an answer was sent."""
        asked = {doc_id: candidate.asked[doc_id] for doc_id in doc_ids if doc_id in candidate.asked}
        answers = self._tunes.answers(asked.values(), candidate.opened.price)
        if len(answers) < len(asked):
            await self._send(candidate, doc_ids)
            answers = self._tunes.answers(asked.values(), candidate.opened.price)
        return {doc_id: answers[request_id] for doc_id, request_id in asked.items() if request_id in answers}

    async def _send(self, candidate: Candidate, doc_ids: Sequence[str]) -> None:
        opened = candidate.opened
        self._begin()
        run = Runs(self._ledger).open_run(opened.name, candidate.plan.fingerprint)
        spent_nusd = self._spent_nusd(besides=run.run_no if run else None)
        if spent_nusd >= self.plan.cap.limit:
            raise self._cap_reached()
        summary = await submit(
            opened,
            Selection(ids=frozenset(doc_ids)),
            self.caller,
            show=lambda _: None,
            options=replace(
                self.options,
                max_cost_nusd=self.plan.cap.limit - spent_nusd,
                pay_again=True,
                partial=True,  # the tune's cap stops the run; the estimate was held against the cap before
                partial_answers=True,
                reasks_all=True,
            ),
        )
        if halted := summary.halted:
            is_ours = isinstance(halted, BudgetReached) and (halted.cap.per, halted.cap.of) == (Per.RUN, Of.COST)
            raise self._cap_reached() if is_ours else halted
        if pending := summary.outcomes.get(None):
            others = ", ".join(summary.awaited_of)
            raise Stopped(
                f"{pending:,} documents wait for open batches{f' of {others}' if others else ''}.",
                hint="submit these jobs first, and then type the same command again",
            )

    def _begin(self) -> None:
        """Begin the tune before its first request, or go on with it. Raises Refused if nothing is to be sent."""
        if self._has_sent:
            return
        if refused := refusal_of(self.plan, self.open_tune, spent_nusd=self._spent_nusd()):
            raise refused
        if self._after_attempt is None:
            with self._ledger.transaction():
                self._after_attempt = self._tunes.begin(self.plan.digest)
        self._has_sent = True

    def _spent_nusd(self, *, besides: int | None = None) -> int:
        after = self._after_attempt
        return 0 if after is None else self._tunes.committed_nusd(after, besides=besides)

    def _cap_reached(self) -> Stopped:
        cap = self.plan.cap
        return Stopped(
            f"the cap of the tune is reached: {dollars(self._spent_nusd())} of {dollars(cap.limit)}{said(cap)}"
            " is spent or reserved.",
            hint=f"{raising(cap)} and type the same command again: what is answered is not paid twice",
        )

    @property
    def _ledger(self) -> Ledger:
        return self.open_tune.opened.ledger

    @property
    def _tunes(self) -> Tunes:
        return Tunes(self._ledger, self.open_tune.job.spec.job.name)

    @property
    def _rules(self) -> Mapping[str, MatchRule]:
        """How values are held against each other: by [gold], or else by the types of the fields."""
        return match_rules(self.open_tune.job, self.open_tune.job.fields.definitions)


def frontier_of(rows: Sequence[Row], verdict: Verdict, plan: TunePlan) -> Frontier:
    """Make the record of a tune that the reports of the job's runs show."""
    points = [
        FrontierPoint(
            setting=row.setting.words,
            state=row.state,
            documents=row.standing.documents if row.standing else 0,
            accuracy=row.standing.accuracy if row.standing else None,
            cost_nusd=row.price_nusd(),
        )
        for row in rows
    ]
    chosen = verdict.row.setting.words if verdict.row else None
    return Frontier(plan.target, plan.by_agreement, verdict.ending, chosen, points)


async def asked_again(candidate: Candidate) -> Candidate:
    """Plan a setting once more: one token less of `max_tokens` makes other requests of the same prompts."""
    opened = candidate.opened
    spec = opened.job.spec
    model = spec.model.model_copy(update={"max_tokens": spec.model.max_tokens - 1})
    job = replace(opened.job, spec=spec.model_copy(update={"model": model}))
    return await planned(replace(opened, job=job), candidate.row.setting)
