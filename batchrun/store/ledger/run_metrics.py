"""How fast a run was and what held it up, in the ledger; and what was learnt of a model's limits, for later runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.catalog.rate_limits import LearnedLimits
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import MinuteUse, Waited

NOTE_MINUTE = """
insert into minutes values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do update set
    requests = requests + excluded.requests,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    requests_limit = coalesce(excluded.requests_limit, requests_limit),
    input_tokens_limit = coalesce(excluded.input_tokens_limit, input_tokens_limit),
    output_tokens_limit = coalesce(excluded.output_tokens_limit, output_tokens_limit)
"""
NOTE_WAIT = """
insert into waits values (?, ?, ?, ?)
on conflict do update set seconds = seconds + excluded.seconds, times = times + excluded.times
"""
LEARN = """
insert into learnt_limits values (?, ?, ?, ?, ?, ?)
on conflict do update set
    requests_per_minute = coalesce(excluded.requests_per_minute, requests_per_minute),
    input_tokens_per_minute = coalesce(excluded.input_tokens_per_minute, input_tokens_per_minute),
    output_tokens_per_minute = coalesce(excluded.output_tokens_per_minute, output_tokens_per_minute),
    concurrency = coalesce(excluded.concurrency, concurrency),
    learnt_at = excluded.learnt_at
"""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The least time in seconds that so many percent of the attempts did not exceed."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of the answered attempts that were streamed."""

    latency_s: Percentiles
    """From the send to the end of the answer."""
    first_byte_s: Percentiles | None
    """From the send to the first byte; None when nobody measured it."""


@dataclass(frozen=True, slots=True)
class Activity:
    """When a run streamed, and how much came of it."""

    began_at: float
    """The first send; this and the next in seconds since 1970."""
    ended_at: float
    """The last answer, or failure."""
    settled: int
    """Requests that were brought to their outcomes."""
    active_s: float
    """Between the two, without the minutes in which nothing ended: a run may have been cut short and continued."""


class RunMetrics:
    """The pace of the runs of a ledger; methods that write belong inside `ledger.transaction()`."""

    def __init__(self, ledger: Ledger) -> None:
        self._connection = ledger.connection

    # --- noting

    def note(self, run_no: int, uses: Sequence[MinuteUse], waits: Sequence[Waited]) -> None:
        """Add minutes and waits of a run."""
        self.note_minutes(run_no, uses)
        self.note_waits(run_no, waits)

    def note_minutes(self, run_no: int, uses: Sequence[MinuteUse]) -> None:
        """Add to what was noted of these minutes; limits replace the earlier ones, None replaces nothing."""
        self._connection.executemany(
            NOTE_MINUTE,
            (
                (
                    run_no, use.model, use.minute, use.requests, use.input_tokens, use.output_tokens,
                    use.requests_limit, use.input_tokens_limit, use.output_tokens_limit,
                )
                for use in uses
            ),
        )  # fmt: skip

    def note_waits(self, run_no: int, waits: Sequence[Waited]) -> None:
        """Add to what was noted of these causes."""
        self._connection.executemany(NOTE_WAIT, ((run_no, one.cause, one.seconds, one.times) for one in waits))

    def learn(self, model: str, learned: LearnedLimits) -> None:
        """Remember limits for later runs; what is None now keeps its older value."""
        self._connection.execute(
            LEARN,
            (
                model, learned.requests_per_minute, learned.input_tokens_per_minute, learned.output_tokens_per_minute,
                learned.concurrency, learned.learnt_at,
            ),
        )  # fmt: skip

    # --- asking

    def learned(self, model: str) -> LearnedLimits | None:
        """What earlier runs learnt of a model's limits."""
        row = self._connection.execute(
            "select requests_per_minute, input_tokens_per_minute, output_tokens_per_minute, concurrency, learnt_at"
            " from learnt_limits where model = ?",
            (model,),
        ).fetchone()
        return row and LearnedLimits(
            requests_per_minute=row[0],
            input_tokens_per_minute=row[1],
            output_tokens_per_minute=row[2],
            concurrency=row[3],
            learnt_at=row[4],
        )

    def minutes(self, run_no: int) -> list[MinuteUse]:
        """What was noted of a run's minutes, the oldest first."""
        rows = self._connection.execute(
            "select model, minute, requests, input_tokens, output_tokens, requests_limit, input_tokens_limit,"
            " output_tokens_limit from minutes where run_no = ? order by minute, model",
            (run_no,),
        )
        return [
            MinuteUse(
                model=row[0],
                minute=row[1],
                requests=row[2],
                input_tokens=row[3],
                output_tokens=row[4],
                requests_limit=row[5],
                input_tokens_limit=row[6],
                output_tokens_limit=row[7],
            )
            for row in rows
        ]

    def waits(self, run_no: int) -> list[Waited]:
        """What kept a run's requests from being sent, the worst first."""
        rows = self._connection.execute(
            "select cause, seconds, times from waits where run_no = ? order by seconds desc, cause", (run_no,)
        )
        return [Waited(*row) for row in rows]

    def latencies(self, run_no: int) -> Latencies | None:
        """How long answers took; None when none was streamed, or none measured."""
        latency_s = self._percentiles("latency_s", run_no)
        return Latencies(latency_s, self._percentiles("first_byte_s", run_no)) if latency_s else None

    def activity(self, run_no: int) -> Activity | None:
        """When a run streamed; None when it did not."""
        # SQLite would take the index of latencies, and look up every row in the order of its latency.
        began_at, ended_at, settled, minutes = self._connection.execute(
            "select min(started_at), max(ended_at), count(outcome), count(distinct cast(ended_at / 60 as integer))"
            " from attempts indexed by attempts_run where run_no = ? and latency_s is not null",
            (run_no,),
        ).fetchone()
        if began_at is None:
            return None
        return Activity(began_at, ended_at, settled, min(ended_at - began_at, 60.0 * minutes))

    def answered_by(self, run_no: int) -> dict[str, int]:
        """How many attempts each model answered, the busiest first."""
        rows = self._connection.execute(
            "select model, count(*) from attempts indexed by attempts_run where run_no = ? and state = 'answered'"
            " group by model order by 2 desc, 1",
            (run_no,),
        )
        return dict(rows.fetchall())

    def _percentiles(self, column: str, run_no: int) -> Percentiles | None:
        """By nearest rank: each is the time of one of the attempts."""
        # The column's index is used because this repeats its condition.
        those = f"from attempts where run_no = ? and state = 'answered' and {column} is not null"
        (count,) = self._connection.execute(f"select count(*) {those}", (run_no,)).fetchone()
        if not count:
            return None

        def at(percent: int) -> float:
            rank = -(-count * percent // 100)
            query = f"select {column} {those} order by {column} limit 1 offset ?"
            return float(self._connection.execute(query, (run_no, rank - 1)).fetchone()[0])

        return Percentiles(at(50), at(95), at(99))
