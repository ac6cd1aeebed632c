"""The story of a submit of a calibrated cascade: documents that both models answer -> a threshold -> the rest, or not.

The ledger has the drawn documents before any of them is sent, and the threshold before any of the rest is sent: the
same command continues after anything.
"""

import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from batchrun.errors import BatchrunError, Refused, Stopped
from batchrun.estimation.estimate import Estimate
from batchrun.execution.run import Caller
from batchrun.execution.stop_conditions import OutOfTime
from batchrun.job.match_rules import MatchRule
from batchrun.job.model_sections import CascadeSection
from batchrun.planning.cascade_history import answer_pairs
from batchrun.planning.cascade_threshold import calibrated_chain, calibration_settings
from batchrun.planning.narrowing import Narrowing
from batchrun.planning.planner import ONLINE, Planner
from batchrun.planning.selection import Selection
from batchrun.quality.evaluate import match_rules
from batchrun.quality.matching.match import match
from batchrun.statistics.audit import calibrated_threshold, calibration_needed
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration, CascadeCalibrations
from batchrun.store.ledger.cascades import Answer
from batchrun.store.ledger.pilots import Pilots
from batchrun.store.ledger.runs import Runs
from batchrun.strategy.plan import Plan
from batchrun.strategy.routes import Route
from batchrun.workflow.open_job import OpenJob, SubmitOptions
from batchrun.workflow.submit import Sent, caps_in_force, refuse, send
from batchrun.workflow.summary import Summary, conclude

SEEDS = 2**32
"""A seed is below this number."""


async def submit_calibrated(
    opened: OpenJob,
    selection: Selection,
    caller: Caller,
    *,
    show: Callable[[Plan, Plan | None], None],
    report: Callable[[CascadeCalibration], None],
    rest: Callable[[OpenJob, SubmitOptions], Awaitable[Summary]],
    options: SubmitOptions | None = None,
    counts: bool = False,
) -> Summary:
    """Run a job, and calibrate its cascade first if its [cascade] wants a threshold that the ledger does not have.

    `show` shows the plan of everything and of the documents to calibrate, `report` what they have shown, and `rest`
    submits the job with the threshold. Raises what `rest` raises, and Refused and Stopped with nothing sent.
    """
    options, section = options or SubmitOptions(), opened.job.spec.cascade
    rules = opened.chain.acceptance_rules
    if (
        section is None or rules is None or not rules.is_calibrating or selection.again
    ):  # what failed calibrates nothing
        return await rest(opened, options)
    started_at, settings = time.time(), calibration_settings(opened.job, opened.chain)
    calibrating = _Calibrating(opened, caller, show, options, counts, section, settings)
    calibrated = await calibrating.run(selection)
    if calibrated is None:
        return await rest(opened, options)
    chain = calibrated_chain(opened.job, opened.chain, opened.ledger)
    if chain is not opened.chain and (found := CascadeCalibrations(opened.ledger, opened.name).latest(settings)):
        report(found)
    if not calibrated.goes_on:
        return calibrated.conclude(calibrated.halted)
    try:
        return await rest(replace(opened, chain=chain), replace(options, elapsed_s=time.time() - started_at))
    except Refused as refused:
        why = str(refused).replace(" Nothing was sent.", "", 1)
        return calibrated.conclude(Stopped(f"the rest is not sent: {why}", hint=refused.hint))


@dataclass(frozen=True, slots=True)
class _Calibrated:
    """What became of the documents that both models were asked about."""

    halted: BatchrunError | None
    """Why the run stops here. None if the rest follows or is empty, and while answers are still to come."""
    goes_on: bool
    """Whether the rest follows."""
    conclude: Callable[[BatchrunError | None], Summary]
    """Ends the run here, for a reason if there is one."""


@dataclass(slots=True)
class _Calibrating:
    """The part of one submit that asks both models; `run` may be called once."""

    opened: OpenJob
    caller: Caller
    show: Callable[[Plan, Plan | None], None]
    options: SubmitOptions
    counts: bool
    section: CascadeSection
    settings: str
    _planner: Planner = field(init=False)
    _calibrations: CascadeCalibrations = field(init=False)

    def __post_init__(self) -> None:
        self._planner = self.opened.planner(self.options)
        self._calibrations = CascadeCalibrations(self.opened.ledger, self.opened.name)

    async def run(self, selection: Selection) -> _Calibrated | None:
        """Draw documents, ask both models about them and find the threshold. Returns None if nothing is to be sent."""
        begun = self._calibrations.latest(self.settings)
        counter, online = self.caller.provider if self.counts else None, self.options.online or ONLINE
        whole = await self._planner.plan(selection, counter=counter, online=online)
        if not whole.to_send and (begun is None or begun.ended):
            return None
        if begun and begun.ended:
            raise self._no_threshold(begun)
        narrowing, seed = Narrowing(self.opened.ledger), secrets.randbelow(SEEDS)
        narrowing.mark(self._drawn(narrowing, begun, selection) if begun else self._draw(narrowing, seed))
        narrowing.to_pilot()
        self._planner.count(narrowing.guessed())
        plan = self._planner.forecast(route=Route.STREAM, exact=True)  # the answers are wanted now
        plan = replace(plan, caps=caps_in_force(whole))
        if plan.to_send or not begun:
            self.show(whole, plan)
        # Where the whole job is refused, nothing is paid for its calibration.
        for one in (replace(whole, already_approved=whole.already_approved or begun is not None), plan):
            await refuse(self.opened, self.opened.refusal(one), self.caller)
        return await self._send(plan, narrowing, begun, seed)

    def _draw(self, narrowing: Narrowing, seed: int) -> list[int]:
        """Draw documents with equal chances from all that are to be sent. Raises Refused if these are too few."""
        found, wanted = sorted(doc_id for doc_id, _, _ in narrowing.sampled()), self.section
        if len(found) < (needed := calibration_needed(wanted.max_difference)):
            raise Refused(
                f"max_difference = {wanted.max_difference:g} needs {needed:,} documents that both models answer,"
                f" and only {len(found):,} are to be sent. Nothing was sent.",
                hint=f"raise max_difference, name {wanted.models[-1]} alone in [model], or leave accept out",
            )
        draw = random.Random(seed)  # noqa: S311 - everybody may draw the same documents again
        return narrowing.numbers(draw.sample(found, min(wanted.documents_to_calibrate, len(found))))

    def _drawn(self, narrowing: Narrowing, begun: CascadeCalibration, selection: Selection) -> list[int]:
        """Find the drawn documents in the plan. Raises Refused if the command selects only some of them."""
        drawn = self._calibrations.drawn(begun)
        numbers = narrowing.numbers(drawn)
        if len(numbers) < len(drawn) and not selection.everything:
            raise Refused(
                f"the cascade is being calibrated on {len(drawn):,} documents, and only {len(numbers):,} of them are"
                " selected. Nothing was sent.",
                hint="submit with the selection with which the calibration began, or without one",
            )
        return numbers

    async def _send(self, plan: Plan, narrowing: Narrowing, begun: CascadeCalibration | None, seed: int) -> _Calibrated:
        started_at, run = time.time(), Runs(self.opened.ledger).open_run(self.opened.name, self._planner.fingerprint)

        def begin(run_no: int) -> None:
            Pilots(self.opened.ledger, self.opened.name).begin(run_no, narrowing.chosen(), begins_run=run is None)
            self._calibrations.begin(self.settings, self.section.max_difference, seed, narrowing.sampled())

        def rest() -> Estimate:
            narrowing.to_rest()
            return self._planner.forecast().estimate

        sent = Sent(None, None)
        if plan.to_send:
            at_once = replace(self.options, waits=False)  # open batches of earlier submits are not waited for
            also = None if begun else begin
            sent = await send(self.opened, self._planner, plan, self.caller, at_once, also=also)
        has_rest, halted = bool(rest().documents), sent.halted
        narrowing.to_pilot()
        pending = self._planner.planned.admission.outcomes().get(None)
        is_through = not pending and (halted is None or isinstance(halted, OutOfTime))
        if is_through:
            no_threshold = self._end(begun or self._calibrations.latest(self.settings))
            halted = no_threshold if has_rest else None
        return _Calibrated(
            halted=halted,
            goes_on=is_through and has_rest and halted is None,
            conclude=lambda why: conclude(
                self.opened,
                self._planner,
                plan,
                run_no=sent.run_no or (run.run_no if run else None),
                halted=why,
                started_at=started_at,
                cut_short=has_rest,
                rest=rest,
            ),
        )

    def _end(self, begun: CascadeCalibration | None) -> Stopped | None:
        """Compare the answers of both models, and record the threshold. Returns why the rest is not sent, if so."""
        assert begun is not None
        assert self.opened.chain.acceptance_rules is not None
        score = self.opened.chain.acceptance_rules.calibration_score
        rules = match_rules(self.opened.job, self.opened.job.spec.output.fields)
        pairs = answer_pairs(self.opened.ledger, self._calibrations.drawn(begun))
        scored = [(score(one.output, one.findings, one.escalated), differs(rules, one, last)) for one, last in pairs]
        found = calibrated_threshold(scored, self.section.max_difference)
        with self.opened.ledger.transaction():
            self._calibrations.end(begun, len(scored), found)
        return None if found else self._no_threshold(self._calibrations.latest(self.settings))

    def _no_threshold(self, ended: CascadeCalibration | None) -> Stopped:
        assert ended is not None
        first, last = self.section.models
        return Stopped(
            f"no threshold holds: by {ended.asked or 0:,} documents that both models answered, nobody can promise that"
            f" at most {self.section.max_difference:.1%} of the documents taken from {first} differ from {last}.",
            hint=f"name {last} alone in [model]; or set a larger `calibrate` or max_difference in [cascade],"
            ' or accept = "rules", which promises nothing',
        )


def differs(rules: Mapping[str, MatchRule], first: Answer, last: Answer | None) -> bool:
    """Whether any field of the first model's answer differs from the last model's. A missing answer differs."""
    if first.output is None or last is None or last.output is None:
        return True
    return any(not match(rule, last.output.get(name), first.output.get(name)).right for name, rule in rules.items())
