"""How fast a run was and what its requests waited for, in the ledger; and the limits that a run learnt of a model."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from batchrun.catalog.rate_limits import FORGOTTEN_AFTER_S, LearnedLimits
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import MinuteUse, Waited

ADD_MINUTE = """
insert into minutes values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do update set
    requests = requests + excluded.requests,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    requests_limit = coalesce(excluded.requests_limit, requests_limit),
    input_tokens_limit = coalesce(excluded.input_tokens_limit, input_tokens_limit),
    output_tokens_limit = coalesce(excluded.output_tokens_limit, output_tokens_limit)
"""
ADD_WAIT = """
insert into waits values (?, ?, ?, ?)
on conflict do update set seconds = seconds + excluded.seconds, times = times + excluded.times
"""
LEARN = "insert or replace into learnt_limits values (?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The least times in seconds that so many percent of the attempts did not exceed."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long the answers to streamed attempts took."""

    latency_s: Percentiles
    """The time from the send to the end of the answer."""
    first_byte_s: Percentiles | None
    """The time from the send to the first byte; None if no attempt measured this time."""


@dataclass(frozen=True, slots=True)
class Activity:
    """When a run streamed, and how many requests the run settled."""

    began_at: float
    """The time of the first send, in seconds since 1970."""
    ended_at: float
    """The time of the last answer or failure, in seconds since 1970."""
    settled: int
    """How many requests were brought to their outcomes."""
    active_s: float
    """The time between the two, without minutes in which no attempt ended: a run may be cut short and continued."""


class RunMetrics:
    """The speed and the waits of the runs of a ledger; methods that write belong inside `ledger.transaction()`."""

    def __init__(self, ledger: Ledger) -> None:
        self._connection = ledger.connection

    def add(self, run_no: int, uses: Sequence[MinuteUse], waits: Sequence[Waited]) -> None:
        """Add minutes and waits to those of a run. The limits of a minute replace its earlier ones, unless None."""
        self._connection.executemany(ADD_MINUTE, ((run_no, *astuple(use)) for use in uses))
        self._connection.executemany(ADD_WAIT, ((run_no, *astuple(wait)) for wait in waits))

    def learn(self, model: str, learned: LearnedLimits) -> None:
        """Remember limits for later runs. A run that learnt no rate confirms none: the older rates keep their age."""
        before = self.learned(model, now=learned.learnt_at)
        self._connection.execute(LEARN, (model, *astuple(learned.over(before))))

    def learned(self, model: str, *, now: float) -> LearnedLimits | None:
        """Look up what earlier runs learnt of a model. Returns None if no run has, or none has confirmed it for a day.

        `now` is in seconds since 1970.
        """
        known = self.all_learned().get(model)
        return known if known and now - known.learnt_at < FORGOTTEN_AFTER_S else None

    def all_learned(self) -> dict[str, LearnedLimits]:
        """Return what runs have learnt of each model, however long ago."""
        rows = self._connection.execute(
            "select model, requests_per_minute, input_tokens_per_minute, output_tokens_per_minute, concurrency,"
            " learnt_at from learnt_limits order by model"
        )
        return {model: LearnedLimits(*values) for model, *values in rows}

    def forget_learned(self) -> dict[str, LearnedLimits]:
        """Forget what runs have learnt of the models' limits. Returns what was forgotten."""
        forgotten = self.all_learned()
        self._connection.execute("delete from learnt_limits")
        return forgotten

    def minutes(self, run_no: int) -> list[MinuteUse]:
        """List the minutes of a run, the oldest first."""
        rows = self._connection.execute(
            "select model, minute, requests, input_tokens, output_tokens, requests_limit, input_tokens_limit,"
            " output_tokens_limit from minutes where run_no = ? order by minute, model",
            (run_no,),
        )
        return [MinuteUse(*row) for row in rows]

    def waits(self, run_no: int) -> list[Waited]:
        """List what kept a run's requests from being sent, the longest wait first."""
        rows = self._connection.execute(
            "select cause, seconds, times from waits where run_no = ? order by seconds desc, cause", (run_no,)
        )
        return [Waited(*row) for row in rows]

    def latencies(self, run_no: int) -> Latencies | None:
        """Find how long answers took. Returns None if no attempt was streamed and measured."""
        latency_s = self._percentiles("latency_s", run_no)
        return Latencies(latency_s, self._percentiles("first_byte_s", run_no)) if latency_s else None

    def activity(self, run_no: int) -> Activity | None:
        """Find when a run streamed. Returns None if the run did not stream."""
        # Without the hint SQLite would take the index of latencies, and look up every row in the order of its latency.
        began_at, ended_at, settled, minutes = self._connection.execute(
            "select min(started_at), max(ended_at), count(outcome), count(distinct cast(ended_at / 60 as integer))"
            " from attempts indexed by attempts_run where run_no = ? and latency_s is not null",
            (run_no,),
        ).fetchone()
        if began_at is None:
            return None
        return Activity(began_at, ended_at, settled, min(ended_at - began_at, 60.0 * minutes))

    def answered_by(self, run_no: int) -> dict[str, int]:
        """Count the attempts that each model answered, by the name that was asked for, the busiest model first."""
        rows = self._connection.execute(
            "select coalesce(p.model, a.model), count(*) from attempts a indexed by attempts_run"
            " left join prices p using (price_no) where a.run_no = ? and a.state = 'answered'"
            " group by 1 order by 2 desc, 1",
            (run_no,),
        )
        return dict(rows.fetchall())

    def _percentiles(self, column: str, run_no: int) -> Percentiles | None:
        """Take percentiles by nearest rank, so that each is the time of one of the attempts."""
        # SQLite uses the column's index because this repeats the condition of the index.
        measured = f"from attempts where run_no = ? and state = 'answered' and {column} is not null"
        (count,) = self._connection.execute(f"select count(*) {measured}", (run_no,)).fetchone()
        if not count:
            return None

        def at(percent: int) -> float:
            rank = -(-count * percent // 100)
            query = f"select {column} {measured} order by {column} limit 1 offset ?"
            return float(self._connection.execute(query, (run_no, rank - 1)).fetchone()[0])

        return Percentiles(at(50), at(95), at(99))
