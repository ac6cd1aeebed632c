"""The story of a submit that begins with a pilot: plan -> some documents -> what they show -> the rest, or not.

Pilot and rest are one run on one budget. The ledger has the pilot's documents before any of them is sent, and the
decision for the rest before any of the rest is sent: the same command continues after anything.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from batchrun.estimation.estimate import Estimate
from batchrun.execution.run import Caller
from batchrun.execution.stop_conditions import OutOfTime
from batchrun.planning.narrowing import Narrowing
from batchrun.planning.planner import ONLINE, Planner
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
    """The documents that come first, and what is known of them before they are sent."""

    members: Sequence[str]
    plan: Plan
    """The plan of the members that are still to be sent."""
    rest: Estimate
    """The estimate of all other documents."""
    is_drawn: bool = False
    """Whether the members were drawn just now: the ledger does not have the pilot yet."""
    past: Sequence[Tried] = ()
    """Documents of the job's past that show as much as a pilot would: nothing is sent for the pilot then."""


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
        """Run the job. Without `terms` there is no pilot, and a pilot that was begun is over.

        Raises Refused and other BatchrunErrors with nothing sent. What goes wrong later is in the summary.
        """
        counter, online = self.caller.provider if self.counts else None, self.options.online or ONLINE
        whole = await self._planner.plan(selection, counter=counter, online=online)
        begun = self._pilots.begun(self._planner.fingerprint)
        if terms is None or (begun and begun.continued):
            return await self._without(whole, begun)
        narrowing = Narrowing(self.opened.ledger)
        pilot = self._pilot(narrowing, begun, terms)
        if not pilot.members:
            narrowing.to_all()
            return await self._without(whole, begun)
        # Where the whole job is expected to reach its caps, the pilot wastes no more of them than the rest would.
        pilot = replace(pilot, plan=replace(pilot.plan, caps=caps_in_force(whole)))
        self.show(whole, pilot.plan if pilot.plan.to_send else None)
        # What the whole job would be refused for, other than money, is refused before anything is paid.
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
        """Choose the pilot's documents, and leave the plan narrowed to them. A pilot that was begun keeps its own."""
        if begun:
            members = self._pilots.members(begun.run_no)
            if numbers := narrowing.numbers(members):  # else none of its documents is selected any more
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
        plan = self._planner.forecast(route=Route.STREAM, exact=True)  # the pilot's answers are wanted now
        return Pilot(members=members, plan=plan, rest=rest)

    # --- from the first document on

    async def _with(self, pilot: Pilot, narrowing: Narrowing, whole: Plan, terms: PilotTerms) -> Summary:
        started_at = time.time()
        concluded = partial(conclude, self.opened, self._planner, started_at=started_at)
        sent = await self._first(pilot)
        pending = self._planner.planned.admission.outcomes().get(None)
        if pending or (sent.halted and not isinstance(sent.halted, OutOfTime)):
            cut_short, rest = bool(pilot.rest.documents), lambda: self._rest(narrowing).estimate
            return concluded(pilot.plan, run_no=sent.run_no, halted=sent.halted, cut_short=cut_short, rest=rest)
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
            return concluded(plan, run_no=after.run_no or sent.run_no, halted=after.halted)
        if sent.run_no is None:  # nothing was sent yet
            await refuse(self.opened, report.refused, self.caller)
        narrowing.to_pilot()
        stopped = report.stopped
        return concluded(pilot.plan, run_no=sent.run_no, halted=stopped, cut_short=stopped is not None)

    def _rest(self, narrowing: Narrowing) -> Plan:
        """Narrow the plan to the documents that are not the pilot's, and forecast them with what the pilot showed."""
        narrowing.to_rest()
        return self._planner.forecast()

    async def _first(self, pilot: Pilot) -> Sent:
        """Send the pilot. Of a pilot that is complete already, only return the run."""
        if not pilot.plan.to_send:
            begun = None if pilot.past else self._pilots.begun(self._planner.fingerprint)
            return Sent(begun.run_no if begun else None, None)
        at_once = replace(self.options, waits=False)  # open batches of earlier submits are not waited for
        begins_run = pilot.plan.continues is None
        begin = partial(self._pilots.begin, documents=pilot.members, begins_run=begins_run)
        also = begin if pilot.is_drawn else None
        return await send(self.opened, self._planner, pilot.plan, self.caller, at_once, also=also)

    def _report(self, pilot: Pilot, rest: Plan, terms: PilotTerms, sent: Sent) -> PilotReport:
        tried = pilot.past or self._pilots.tried(pilot.members)
        found = findings(tried, fields=list(self.opened.job.fields.definitions))
        checked = tuple(checks(found, terms.thresholds, route=rest.choice.route))
        refused = self.opened.refusal(rest)
        # A person who submits again, after a pilot that only the job file asked for, wants the rest.
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
