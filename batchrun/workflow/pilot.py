"""The story of a submit that begins with a pilot: plan -> some documents -> what they tell -> the rest, or not.

Pilot and rest are one run on one budget. Which documents come first is in the ledger before any is sent, and so is that
the rest was let in: the same command continues after anything.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from batchrun.estimation.estimate import Estimate
from batchrun.execution.run import Caller
from batchrun.execution.stop_conditions import OutOfTime
from batchrun.planning.narrowing import Narrowing
from batchrun.planning.planner import Planner
from batchrun.planning.selection import Selection
from batchrun.store.ledger.pilots import BegunPilot, Pilots
from batchrun.store.ledger.runs import Runs
from batchrun.strategy.pilot_report import Decision, PilotReport, PilotTerms, Tried, checks, decide, drawn, findings
from batchrun.strategy.plan import Plan
from batchrun.strategy.routes import Route
from batchrun.workflow.open_job import OpenJob, SubmitOptions
from batchrun.workflow.submit import Sent, caps_in_force, carry_out, refuse, send
from batchrun.workflow.summary import Summary, conclude


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """The documents that come first, and what is known of them before."""

    members: Sequence[str]
    plan: Plan
    """Of those of them that are still to be sent."""
    rest: Estimate
    """Of the others."""
    is_drawn: bool = False
    """Whether it was chosen just now: the ledger does not have it yet."""
    past: Sequence[Tried] = ()
    """The job's own past, when that tells as much: then nothing is sent."""


@dataclass(slots=True)
class PilotSubmit:
    """One submit that may begin with a pilot; `submit` may be called once."""

    opened: OpenJob
    caller: Caller
    show: Callable[[Plan, Plan | None], None]
    """Shows the plan of everything and the plan of the pilot, None if there is none, before anything is sent."""
    report: Callable[[PilotReport], None]
    """Shows what the pilot found."""
    options: SubmitOptions = field(default_factory=SubmitOptions)
    counts: bool = False
    """Whether the API is asked, free of charge, for the tokens of a few requests to plan with."""
    _planner: Planner = field(init=False)
    _pilots: Pilots = field(init=False)

    def __post_init__(self) -> None:
        self._planner = self.opened.planner(self.options)
        self._pilots = Pilots(self.opened.ledger, self.opened.name)

    async def submit(self, selection: Selection, terms: PilotTerms | None) -> Summary:
        """Run the job; without `terms` there is no pilot, and one that was begun is over.

        Raises Refused and other BatchrunErrors with nothing sent; what goes wrong later is in the summary.
        """
        whole = await self._planner.plan(selection, counter=self.caller.provider if self.counts else None)
        begun = self._pilots.begun(self._planner.fingerprint)
        if terms is None or (begun and begun.continued):
            return await self._without(whole, begun)
        narrowing = Narrowing(self.opened.ledger)
        pilot = self._pilot(narrowing, begun, terms)
        if not pilot.members:
            narrowing.to_all()
            return await self._without(whole, begun)
        # Where the caps are expected to bind in the end, the pilot wastes no more of them than the rest would.
        pilot = replace(pilot, plan=replace(pilot.plan, caps=caps_in_force(whole)))
        self.show(whole, pilot.plan if pilot.plan.to_send else None)
        # What would be refused of all of it, other than for the money, is refused before any of it is paid.
        await refuse(self.opened, self.opened.refusal(replace(whole, already_approved=True)), self.caller)
        await refuse(self.opened, self.opened.refusal(pilot.plan), self.caller)
        return await self._with(pilot, narrowing, whole, terms)

    async def _without(self, whole: Plan, begun: BegunPilot | None) -> Summary:
        self.show(whole, None)
        over = begun is not None and not begun.continued
        also = (lambda run_no: self._pilots.continued(run_no, whole, documents=whole.documents)) if over else None
        return await carry_out(self.opened, self._planner, whole, self.caller, self.options, also=also)

    # --- before

    def _pilot(self, narrowing: Narrowing, begun: BegunPilot | None, terms: PilotTerms) -> Pilot:
        """Choose the documents, and leave the plan narrowed to them: those of a pilot that was begun come first."""
        if begun:
            members = self._pilots.members(begun.run_no)
            if numbers := narrowing.numbers(members):  # else nothing of it is selected any more
                return self._of(members, numbers, narrowing)
        past = self._pilots.past(self._planner.fingerprint)
        sendable = narrowing.sendable()
        if len(past) >= terms.documents:
            members = [one.doc_id for one in past]
            settled = sorted(set(narrowing.numbers(members)).difference(sendable))
            return replace(self._of(members, settled, narrowing), past=past)
        pilot = self._of((), drawn(sendable, terms.documents), narrowing)
        return replace(pilot, members=narrowing.chosen(), is_drawn=True)

    def _of(self, members: Sequence[str], numbers: Sequence[int], narrowing: Narrowing) -> Pilot:
        narrowing.mark(numbers)
        narrowing.to_rest()
        rest = self._planner.forecast().estimate
        narrowing.to_pilot()
        self._planner.count(narrowing.guessed())
        plan = self._planner.forecast(route=Route.STREAM, exact=True)  # its answers are wanted now
        return Pilot(members=members, plan=plan, rest=rest)

    # --- from the first document on

    async def _with(self, pilot: Pilot, narrowing: Narrowing, whole: Plan, terms: PilotTerms) -> Summary:
        started_at = time.time()
        sent = await self._first(pilot)
        pending = self._planner.planned.outcomes().get(None)
        if pending or (sent.halted and not isinstance(sent.halted, OutOfTime)):
            return conclude(
                self.opened,
                self._planner,
                pilot.plan,
                run_no=sent.run_no,
                halted=sent.halted,
                started_at=started_at,
                cut_short=bool(pilot.rest.documents),
                rest=lambda: self._rest(narrowing).estimate,
            )
        report = self._report(pilot, self._rest(narrowing), terms, sent)
        self.report(report)
        if report.decision is Decision.GOES_ON:
            after = await send(
                self.opened,
                self._planner,
                report.rest,
                self.caller,
                replace(self.options, elapsed_s=time.time() - started_at),
                also=lambda run_no: self._pilots.continued(run_no, report.rest, documents=whole.documents),
            )
            narrowing.to_all()
            plan = replace(whole, choice=report.rest.choice)
            run_no, halted = after.run_no or sent.run_no, after.halted
            return conclude(self.opened, self._planner, plan, run_no=run_no, halted=halted, started_at=started_at)
        if sent.run_no is None:  # nothing was sent yet
            await refuse(self.opened, report.refused, self.caller)
        narrowing.to_pilot()
        return conclude(
            self.opened,
            self._planner,
            pilot.plan,
            run_no=sent.run_no,
            halted=report.stopped,
            started_at=started_at,
            cut_short=report.stopped is not None,
        )

    def _rest(self, narrowing: Narrowing) -> Plan:
        """Narrow the plan to the documents that are not the pilot's, with what the pilot has taught."""
        narrowing.to_rest()
        return self._planner.forecast()

    async def _first(self, pilot: Pilot) -> Sent:
        """Send the pilot; when it is complete already, tell the run it belongs to."""
        if not pilot.plan.to_send:
            begun = None if pilot.past else self._pilots.begun(self._planner.fingerprint)
            return Sent(begun.run_no if begun else None, None)
        begins_run = pilot.plan.continues is None

        def begin(run_no: int) -> None:
            self._pilots.begin(run_no, pilot.members, begins_run=begins_run)

        at_once = replace(self.options, waits=False)  # for batches of before
        also = begin if pilot.is_drawn else None
        return await send(self.opened, self._planner, pilot.plan, self.caller, at_once, also=also)

    def _report(self, pilot: Pilot, rest: Plan, terms: PilotTerms, sent: Sent) -> PilotReport:
        tried = pilot.past or self._pilots.tried(pilot.members)
        found = findings(tried, fields=list(self.opened.job.fields.definitions))
        checked = checks(found, terms.thresholds, route=rest.choice.route)
        refused = self.opened.refusal(rest)
        # Who submits again after a pilot that the job file asks for wants the rest.
        goes_on = terms.goes_on or (bool(pilot.past) and not terms.asked)
        return PilotReport(
            run_id=Runs(self.opened.ledger).one(sent.run_no).run_id if sent.run_no is not None else None,
            found=found,
            checks=checked,
            rest=rest,
            before=pilot.rest,
            decision=decide(rest=rest, checked=checked, refused=refused, goes_on=goes_on),
            refused=refused,
        )
