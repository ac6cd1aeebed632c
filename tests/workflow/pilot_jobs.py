"""What the tests of pilots share: jobs with a pilot, and what a submit of them shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scripted_provider import Step, answer
from trial_project import TrialProject, caller_of

from batchrun.cli.interrupts import run_async
from batchrun.events import Event
from batchrun.planning.selection import Selection
from batchrun.providers import AttemptError
from batchrun.reply import Failure, Reply
from batchrun.strategy.pilot_report import PilotOptions, PilotReport, pilot_terms
from batchrun.strategy.plan import Plan
from batchrun.workflow.open_job import SubmitOptions
from batchrun.workflow.pilot import PilotSubmit
from batchrun.workflow.summary import Summary

COST_NUSD = 150_000
"""The cost of one answer: 100 tokens in and 10 out."""

REFUSED = answer("", stop_reason="refusal")

ONE_BY_ONE = "max_concurrency = 1"


@dataclass
class Piloted:
    """Submits of a project with what they told."""

    project: TrialProject
    reports: list[PilotReport] = field(default_factory=list)
    shown: list[tuple[Plan, Plan | None]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda _: None
    on_report: Callable[[PilotReport], None] = lambda _: None

    def submit(
        self, provider: Any, documents: int | None = None, *, selection: Selection | None = None, **more: Any
    ) -> Summary:
        options = more.pop("options", SubmitOptions())
        with self.project.opened() as opened:
            terms = pilot_terms(opened.job.spec.pilot, PilotOptions(documents=documents, **more))
            piloted = PilotSubmit(
                opened,
                caller_of(provider, self._listen),
                show=lambda whole, pilot: self.shown.append((whole, pilot)),
                report=self._report,
                options=options,
            )
            return run_async(piloted.submit(selection or Selection(), terms))

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def _report(self, report: PilotReport) -> None:
        self.reports.append(report)
        self.on_report(report)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Their states, and how many documents each was to send."""
        return self.project.ask("select state, to_send from runs order by run_no")

    @property
    def members(self) -> set[str]:
        return {doc_id for (doc_id,) in self.project.ask("select doc_id from pilot_documents")}


async def next_of(steps: list[Step]) -> Reply:
    """The next step, whatever the document."""
    step = steps.pop(0)
    if isinstance(step, Failure):
        raise AttemptError(step)
    assert isinstance(step, Reply)
    return step
