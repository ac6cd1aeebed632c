"""How a run went besides its outcomes and its money: speed, latency, waits, and who answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import MinuteUse, Waited
from batchrun.store.ledger.run_metrics import Activity, Latencies, RunMetrics
from batchrun.store.reports.utilisation import Shares, highest, utilisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Of one run, all its parts together."""

    activity: Activity | None
    """Of streaming; a batch tells nothing of its pace."""
    shares: Shares
    """What was used of each limit, of the model that used most of it."""
    latencies: Latencies | None
    waits: Sequence[Waited]
    """The worst first."""
    minutes: Sequence[MinuteUse]
    """The oldest first."""
    answered_by: Mapping[str, int]
    """Attempts that each model answered, the busiest first."""

    @property
    def settled_per_minute(self) -> float | None:
        """Requests brought to their outcomes; None for a run that was over at once, or did not stream."""
        if self.activity is None or not self.activity.settled or self.activity.active_s < 1.0:
            return None
        return 60 * self.activity.settled / self.activity.active_s


def performance(ledger: Ledger, run_no: int) -> Performance:
    """Look at a run, while it goes on or afterwards."""
    metrics = RunMetrics(ledger)
    activity, minutes = metrics.activity(run_no), metrics.minutes(run_no)
    used = utilisation(minutes, began_at=activity.began_at, ended_at=activity.ended_at) if activity else {}
    return Performance(
        activity=activity,
        shares=highest(used.values()),
        latencies=metrics.latencies(run_no),
        waits=metrics.waits(run_no),
        minutes=minutes,
        answered_by=metrics.answered_by(run_no),
    )
