"""Whether a run will have its answers by its deadline, as far as its events tell. Times are in seconds since 1970."""

import time
from collections.abc import Callable

from batchrun.events import DocumentSettled, Event, RunStarted

FEWEST = 20
"""How many documents must have come to their outcomes before their rate says when the rest will."""
NEAR = 0.9
"""The share of the time after which documents without an outcome are in danger, whatever their rate."""


class DeadlineWatch:
    """Counts the documents of a run by its events."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._since = clock, 0.0
        self.run: RunStarted | None = None
        self.settled = 0

    def heard(self, event: Event) -> bool:
        """Count an event. Returns whether documents are left that will not have their outcomes by the deadline."""
        if isinstance(event, RunStarted):
            self.run, self.settled, self._since = event, 0, self._clock()
        self.settled += isinstance(event, DocumentSettled)
        run = self.run
        if run is None or run.deadline_at is None or self.settled >= run.to_send:
            return False
        near_at = run.started_at + NEAR * (run.deadline_at - run.started_at)
        return self._clock() >= near_at or (self.ends_at() or 0.0) > run.deadline_at

    def ends_at(self) -> float | None:
        """Return when the last document will have its outcome at the rate so far. Returns None if nobody knows.

        The documents of a batch come all at once, so that their rate says nothing.
        """
        if self.run is None or self.run.route == "batch" or self.settled < FEWEST:
            return None
        return self._since + (self._clock() - self._since) * self.run.to_send / self.settled
