"""Who hears of a run: the command line, a live report, a trace, a program that called the Python API."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from traceback import format_tb

from batchrun.errors import BatchrunError
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

    def sending(self, doc_id: str) -> AbstractContextManager[object]:  # noqa: ARG002
        """Return a context in which a request about a document is sent and answered."""
        return nullcontext()

    def ended(self, summary: Summary) -> None:
        """Hear of how the run ended. The ledger and the output have everything by now."""

    def failed(self, error: BaseException) -> None:
        """Hear of an exception that kept the run from beginning, or ended the run without a summary."""


class Observers(Observer):
    """Several observers, who hear of everything in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def planned(self, plan: Plan, first: Plan | None = None, *, what: str = "pilot") -> None:
        """Tell everybody of the plan."""
        self._each(lambda observer: observer.planned(plan, first, what=what))

    def planning(self, phase: str, documents: int) -> None:
        """Tell everybody how far the planning is."""
        self._each(lambda observer: observer.planning(phase, documents))

    def calibrated(self, found: CascadeCalibration) -> None:
        """Tell everybody of the threshold."""
        self._each(lambda observer: observer.calibrated(found))

    def piloted(self, report: PilotReport) -> None:
        """Tell everybody what the pilot found."""
        self._each(lambda observer: observer.piloted(report))

    def heard(self, event: Event) -> None:
        """Tell everybody of an event."""
        self._each(lambda observer: observer.heard(event))

    @contextmanager
    def sending(self, doc_id: str) -> Iterator[None]:
        """Enter everybody's context."""
        with ExitStack() as contexts:
            self._each(lambda observer: contexts.enter_context(observer.sending(doc_id)))
            yield

    def ended(self, summary: Summary) -> None:
        """Tell everybody how the run ended."""
        self._each(lambda observer: observer.ended(summary))

    def failed(self, error: BaseException) -> None:
        """Tell everybody of an exception."""
        self._each(lambda observer: observer.failed(error))

    def _each(self, tell: Callable[[Observer], object]) -> None:
        for observer in self._observers:
            tell(observer)


class HarmlessObservers(Observers):
    """Observers that may fail: the run goes on without an observer that failed, and `warn` says so once."""

    def __init__(self, observers: Sequence[Observer], warn: Callable[[str], None]) -> None:
        super().__init__(list(observers))
        self._warn = warn

    def _each(self, tell: Callable[[Observer], object]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception as error:  # noqa: BLE001 - the run is paid for, and its rows matter more
                self._observers = [other for other in self._observers if other is not observer]
                self._warn(f"{type(observer).__name__}: {reason(error).removesuffix('.')}; the run goes on without")
                if not isinstance(error, (BatchrunError, OSError)):
                    self._warn(f"this is a bug in batchrun:\n{''.join(format_tb(error.__traceback__)).rstrip()}")


def reason(error: Exception) -> str:
    """Say what failed, without words in which others may have put a secret."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) if isinstance(error, BatchrunError) else type(error).__name__
