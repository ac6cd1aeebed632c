"""The performance of a run: speed, latency, waits, and the models that answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import MinuteUse, Waited
from batchrun.store.ledger.run_metrics import Activity, Latencies, RunMetrics
from batchrun.store.reports.utilisation import Shares, highest, utilisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The performance of one run, all its parts together."""

    activity: Activity | None
    """The activity of streaming: a batch says nothing of its speed."""
    shares: Shares
    """The share of each limit that was used, by the model that used the largest share."""
    latencies: Latencies | None
    waits: Sequence[Waited]
    """What requests waited for, the longest wait first."""
    minutes: Sequence[MinuteUse]
    """The use of every minute, the oldest first."""
    answered_by: Mapping[str, int]
    """How many attempts each model answered, the busiest model first."""

    @property
    def settled_per_minute(self) -> float | None:
        """How many requests were settled a minute; None if the run was over at once, or did not stream."""
        if self.activity is None or not self.activity.settled or self.activity.active_s < 1.0:
            return None
        return 60 * self.activity.settled / self.activity.active_s


def performance(ledger: Ledger, run_no: int) -> Performance:
    """Read the performance of a run, while the run goes on or afterwards."""
    metrics = RunMetrics(ledger)
    activity, minutes = metrics.activity(run_no), metrics.minutes(run_no)
    used = utilisation(minutes, began_at=activity.began_at, ended_at=activity.ended_at) if activity else {}
    return Performance(
        activity=activity,
        shares=highest(list(used.values())),
        latencies=metrics.latencies(run_no),
        waits=metrics.waits(run_no),
        minutes=minutes,
        answered_by=metrics.answered_by(run_no),
    )
