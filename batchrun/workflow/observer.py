"""Who hears of a run: the command line, a live report, a trace, a program that called the Python API."""

from collections.abc import Sequence

from batchrun.events import Event
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration
from batchrun.strategy.pilot_report import PilotReport
from batchrun.strategy.plan import Plan
from batchrun.workflow.summary import Summary


class Observer:
    """Somebody who hears of a run from its plan to its summary. Every method does nothing unless a class overrides it.

    An exception of an observer ends the run like any other exception: an observer that may fail without harm, such as
    one that writes a file, deals with its own failures.
    """

    def planned(self, plan: Plan, first: Plan | None = None, *, what: str = "pilot") -> None:
        """Hear of the plan before anything is sent. A BatchrunError that is raised here keeps the run from beginning.

        `first` is the plan of the documents that come first, and `what` names what these documents come first for; None
        if no documents come first.
        """

    def planning(self, phase: str, documents: int) -> None:
        """Hear that the planning is `reading`, `counting`, or `asking` the API, with so many documents found so far."""

    def calibrated(self, found: CascadeCalibration) -> None:
        """Hear of the threshold of a cascade, before the rest of the documents is sent."""

    def piloted(self, report: PilotReport) -> None:
        """Hear of what a pilot has found, before the rest of the documents is sent or not."""

    def heard(self, event: Event) -> None:
        """Hear of an event of the run. The event loop of the run waits until this method returns."""

    def ended(self, summary: Summary) -> None:
        """Hear of how the run ended. The ledger and the output have everything by now."""


class Observers(Observer):
    """Several observers, who hear of everything in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def planned(self, plan: Plan, first: Plan | None = None, *, what: str = "pilot") -> None:
        """Tell everybody of the plan."""
        for observer in self._observers:
            observer.planned(plan, first, what=what)

    def planning(self, phase: str, documents: int) -> None:
        """Tell everybody how far the planning is."""
        for observer in self._observers:
            observer.planning(phase, documents)

    def calibrated(self, found: CascadeCalibration) -> None:
        """Tell everybody of the threshold."""
        for observer in self._observers:
            observer.calibrated(found)

    def piloted(self, report: PilotReport) -> None:
        """Tell everybody what the pilot found."""
        for observer in self._observers:
            observer.piloted(report)

    def heard(self, event: Event) -> None:
        """Tell everybody of an event."""
        for observer in self._observers:
            observer.heard(event)

    def ended(self, summary: Summary) -> None:
        """Tell everybody how the run ended."""
        for observer in self._observers:
            observer.ended(summary)
