"""The story of a submit of a calibrated cascade: documents that both models answer -> a threshold -> the rest, or not.

The ledger has the drawn documents before any of them is sent, and the threshold before any of the rest is sent: the
same command continues after anything.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from batchrun.errors import BatchrunError, Refused, Stopped
from batchrun.estimation.estimate import Estimate
from batchrun.execution.run import Caller
from batchrun.execution.stop_conditions import OutOfTime
from batchrun.job.match_rules import MatchRule
from batchrun.job.model_sections import CascadeSection
from batchrun.planning.cascade_history import answer_pairs
from batchrun.planning.cascade_threshold import (
    begun_calibration,
    calibrated_chain,
    calibration_problem,
    calibration_settings,
    no_threshold,
)
from batchrun.planning.narrowing import Narrowing
from batchrun.planning.planner import ONLINE, Planner
from batchrun.planning.selection import Selection
from batchrun.quality.evaluate import match_rules
from batchrun.quality.matching.match import match
from batchrun.statistics.audit import calibrated_threshold
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration, begin_calibration, end_calibration
from batchrun.store.ledger.cascades import Answer
from batchrun.store.ledger.pilots import Pilots
from batchrun.store.ledger.runs import Runs
from batchrun.strategy.cascade_rules import AcceptanceRules
from batchrun.strategy.plan import Plan
from batchrun.strategy.routes import Route
from batchrun.workflow.open_job import OpenJob, SubmitOptions
from batchrun.workflow.submit import Sent, caps_in_force, refuse, send
from batchrun.workflow.summary import Summary, conclude


@dataclass(slots=True)
class CalibratedSubmit:
    """One submit that may have to calibrate the job's cascade first; `submit` may be called once."""

    opened: OpenJob
    caller: Caller
    show: Callable[[Plan, Plan | None], None]
    """Shows the plan of everything and the plan of the documents that both models are asked about."""
    report: Callable[[CascadeCalibration], None]
    """Shows the threshold that was found."""
    rest: Callable[[OpenJob, SubmitOptions], Awaitable[Summary]]
    """Submits the job, whose cascade has its threshold then if it needs one."""
    options: SubmitOptions = field(default_factory=SubmitOptions)
    counts: bool = False
    """Whether the API is asked, free of charge, for the tokens of a few requests to plan with."""
    _planner: Planner = field(init=False)
    _rules: AcceptanceRules = field(init=False)
    _section: CascadeSection = field(init=False)

    async def submit(self, selection: Selection) -> Summary:
        """Run the job. The cascade is calibrated if [cascade] wants a threshold that the ledger does not have.

        Raises what `rest` raises, and Refused and Stopped with nothing sent. What goes wrong later is in the summary.
        """
        opened, rules, section = self.opened, self.opened.chain.acceptance_rules, self.opened.job.spec.cascade
        # Documents that have failed show nothing about answers.
        if section is None or rules is None or not rules.is_calibrating or selection.again:
            return await self.rest(opened, self.options)
        self._rules, self._section, self._planner = rules, section, opened.planner(self.options)
        counter, online = self.caller.provider if self.counts else None, self.options.online or ONLINE
        whole = await self._planner.plan(selection, counter=counter, online=online)
        begun = begun_calibration(opened.job, opened.chain, opened.ledger)
        if not whole.to_send and (begun is None or begun.ended):
            return await self.rest(opened, self.options)
        if problem := calibration_problem(opened.job, opened.chain, opened.ledger, whole.to_send):
            raise problem
        narrowing = Narrowing(opened.ledger)
        narrowing.mark(self._drawn(narrowing, begun.drawn, selection) if begun else self._draw(narrowing))
        narrowing.to_pilot()
        self._planner.count(narrowing.guessed())
        plan = self._planner.forecast(route=Route.STREAM, exact=True)  # the answers are wanted now
        plan = replace(plan, caps=caps_in_force(whole))
        self.show(whole, plan if plan.to_send else None)
        # Where the whole job is refused, nothing is paid for its calibration.
        for one in (replace(whole, already_approved=whole.already_approved or begun is not None), plan):
            await refuse(opened, opened.refusal(one), self.caller)
        return await self._calibrate(whole, plan, narrowing, begins=begun is None)

    def _draw(self, narrowing: Narrowing) -> list[int]:
        """Draw documents with equal chances from all that are to be sent."""
        sendable = narrowing.sendable()
        return secrets.SystemRandom().sample(sendable, min(self._rules.calibrate, len(sendable)))

    def _drawn(self, narrowing: Narrowing, drawn: Sequence[str], selection: Selection) -> list[int]:
        """Find the drawn documents in the plan. Raises Refused if the command selects only some of them."""
        numbers = narrowing.numbers(drawn)
        if len(numbers) < len(drawn) and not selection.everything:
            raise Refused(
                f"the cascade is being calibrated on {len(drawn):,} documents, and only {len(numbers):,} of them are"
                " selected. Nothing was sent.",
                hint="submit with the selection with which the calibration began, or without one",
            )
        return numbers

    async def _calibrate(self, whole: Plan, plan: Plan, narrowing: Narrowing, *, begins: bool) -> Summary:
        """Ask both models, find the threshold, and submit the rest. With `begins` the calibration begins now."""
        opened, started_at, has_rest = self.opened, time.time(), whole.to_send > plan.to_send
        run = Runs(opened.ledger).open_run(opened.name, self._planner.fingerprint)
        sent = Sent(run.run_no if run else None, None)
        if plan.to_send:
            begin = partial(self._begin, drawn=narrowing.chosen(), documents=whole.to_send, begins_run=run is None)
            at_once = replace(self.options, waits=False)  # open batches of earlier submits are not waited for
            sent = await send(opened, self._planner, plan, self.caller, at_once, also=begin if begins else None)
        halted = sent.halted
        is_pending = bool(self._planner.planned.admission.outcomes().get(None))
        if not is_pending and (halted is None or isinstance(halted, OutOfTime)):
            halted = self._found(has_rest=has_rest)
            if has_rest and halted is None:
                try:
                    return await self._submit_rest(time.time() - started_at)
                except Refused as refused:
                    why = str(refused).replace(" Nothing was sent.", "", 1)
                    halted = Stopped(f"the rest is not sent: {why}", hint=refused.hint)

        def rest() -> Estimate:
            narrowing.to_rest()
            return self._planner.forecast().estimate

        return conclude(
            opened,
            self._planner,
            plan,
            run_no=sent.run_no,
            halted=halted,
            started_at=started_at,
            cut_short=has_rest,
            rest=rest,
        )

    def _begin(self, run_no: int, *, drawn: Sequence[str], documents: int, begins_run: bool) -> None:
        """Record, in a transaction, which documents were drawn from so many, before any of them is sent."""
        opened = self.opened
        Pilots(opened.ledger, opened.name).begin(run_no, drawn, begins_run=begins_run)
        begin_calibration(
            opened.ledger,
            opened.name,
            calibration_settings(opened.job, opened.chain),
            max_difference=self._section.max_difference,
            documents=documents,
            drawn=drawn,
        )

    def _found(self, *, has_rest: bool) -> BatchrunError | None:
        """Find and show the threshold. Returns why the rest is not sent, or None if there is no such reason."""
        ended = self._end()
        if ended.below is not None:
            self.report(ended)
            return None
        return no_threshold(self._section, ended) if has_rest else None

    def _end(self) -> CascadeCalibration:
        """Compare the answers of both models, and record the threshold."""
        opened = self.opened
        begun = begun_calibration(opened.job, opened.chain, opened.ledger)
        assert begun is not None
        rules = match_rules(opened.job, opened.job.spec.output.fields)
        scored = [
            (self._rules.calibration_score(first.output, first.findings, first.escalated), differs(rules, first, last))
            for first, last in answer_pairs(opened.ledger, begun.drawn)
        ]
        found = calibrated_threshold(scored, self._section.max_difference)
        with opened.ledger.transaction():
            return end_calibration(opened.ledger, begun.calibration_no, len(scored), found)

    async def _submit_rest(self, elapsed_s: float) -> Summary:
        chain = calibrated_chain(self.opened.job, self.opened.chain, self.opened.ledger)
        return await self.rest(replace(self.opened, chain=chain), replace(self.options, elapsed_s=elapsed_s))


def differs(rules: Mapping[str, MatchRule], first: Answer, last: Answer | None) -> bool:
    """Whether any field of the first model's answer differs from the last model's. A missing answer differs."""
    if first.output is None or last is None or last.output is None:
        return True
    return any(not match(rule, last.output.get(name), first.output.get(name)).right for name, rule in rules.items())
