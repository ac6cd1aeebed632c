"""When a run stops although documents are left: too many documents fail, or the run takes too long."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from batchrun.errors import Stopped
from batchrun.events import DocumentSettled, Event, Listener
from batchrun.execution.halt import Halt

LATEST = 50
"""How many of the latest documents the share of failures is taken of. Fewer documents have no share."""
AGAIN = "what was answered is saved; to go on, submit again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What a run puts up with."""

    fail_fast: bool = False
    max_failure_rate: float | None = None
    """The largest share of failures among the latest documents. None means any share."""
    max_run_time_s: float | None = None
    """The longest time for this command. None means any time."""
    elapsed_s: float = 0.0
    """Part of `max_run_time_s`: what the command has taken before the run."""

    @property
    def brakes(self) -> bool:
        """Whether documents that all end alike stop the run. A person may say that all may fail, or that none may."""
        return not self.fail_fast and self.max_failure_rate != 1


EVERYTHING = Tolerance()
"""The tolerance of a run that goes on whatever fails."""


class OutOfTime(Stopped):
    """The run took the longest time that its limit allows."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the run has taken {limit_s:g} s, and that is its max_run_time.", hint=AGAIN)


class StopConditions:
    """Stops a run when the run's tolerance is exceeded."""

    def __init__(self, tolerance: Tolerance, halt: Halt) -> None:
        self._tolerance = tolerance
        self._halt = halt
        self._failed: deque[bool] = deque(maxlen=LATEST)

    def watching(self, listener: Listener) -> Listener:
        """Return a listener that also counts failed documents."""

        def tell(event: Event) -> None:
            listener(event)
            if isinstance(event, DocumentSettled):
                self._settled(event)

        return tell

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Stop the run when the time of the command is over."""
        limit_s = self._tolerance.max_run_time_s
        if limit_s is None:
            yield
            return
        left_s = max(limit_s - self._tolerance.elapsed_s, 0.0)
        timer = asyncio.get_running_loop().call_later(left_s, self._halt.stop, OutOfTime(limit_s))
        try:
            yield
        finally:
            timer.cancel()

    def _settled(self, event: DocumentSettled) -> None:
        self._failed.append(event.outcome.failed)
        if self._tolerance.fail_fast and event.outcome.failed:
            self._halt.stop(Stopped(f"a document failed ({event.outcome}), and the job says fail_fast.", hint=AGAIN))
        most, failed = self._tolerance.max_failure_rate, sum(self._failed)
        if most is not None and len(self._failed) == LATEST and failed > most * LATEST:
            message = f"{failed} of the last {LATEST} documents failed, and run.max_failure_rate is {most:g}."
            hint = f"look at the failed documents; {AGAIN}"
            self._halt.stop(Stopped(message, hint=hint))
