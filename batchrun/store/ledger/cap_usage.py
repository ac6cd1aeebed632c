"""What every cap leaves, asked inside the transaction that sets something aside."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchrun.budget.caps import Amount, Cap, Caps, CapUsage, Of, Per, most_in_flight_nusd, undated
from batchrun.budget.days import day_of, month_of
from batchrun.store.ledger.records import CapExceeded, Run

SHARED = """
select
    coalesce(sum(committed_nusd) filter (where day = :day), 0),
    coalesce(sum(committed_nusd), 0),
    coalesce(sum(tokens) filter (where day = :day), 0),
    coalesce(sum(committed_nusd) filter (where day = :day and OURS), 0),
    coalesce(sum(committed_nusd) filter (where OURS), 0),
    coalesce(sum(tokens) filter (where day = :day and OURS), 0)
from spending where day between :first and :last
""".replace("OURS", "(model = :model or model glob :model || '-20[0-9][0-9][0-9][0-9][0-9][0-9]')")
_COLUMNS = {
    (Per.DAY, Of.COST, False): 0,
    (Per.MONTH, Of.COST, False): 1,
    (Per.DAY, Of.TOKENS, False): 2,
    (Per.DAY, Of.COST, True): 3,
    (Per.MONTH, Of.COST, True): 4,
    (Per.DAY, Of.TOKENS, True): 5,
}


@dataclass(frozen=True, slots=True)
class Account:
    """A run's account as the ledger has it; nano-USD."""

    run_no: int
    committed_nusd: int
    expected_nusd: int
    """The same, with what is under way or lost as it was estimated."""
    cap_nusd: int


def shared_cap_usages(connection: sqlite3.Connection, caps: Sequence[Cap], *, model: str, now: float) -> list[CapUsage]:
    """What is left of those of the caps of days and months that concern a model; no question when there are none."""
    ours = [cap for cap in caps if cap.concerns(model)]
    if not ours:
        return []
    day = day_of(now)
    days = month_of(day) if any(cap.per is Per.MONTH for cap in ours) else range(day, day + 1)
    sums = connection.execute(
        SHARED, {"day": day, "first": days.start, "last": days.stop - 1, "model": undated(model)}
    ).fetchone()
    return [CapUsage(cap, sums[_COLUMNS[cap.per, cap.of, cap.model is not None]]) for cap in ours]


def plan_cap_usages(
    connection: sqlite3.Connection, caps: Caps, run: Run | None, *, models: Sequence[str], now: float
) -> tuple[CapUsage, ...]:
    """What an estimate is compared with, for a plan that continues `run`, or begins one.

    Of a run only what it has spent counts: see `check_budget`.
    """
    spent_nusd = run.committed_nusd - run.open_nusd - run.held_nusd if run else 0
    cap_usages = [CapUsage(cap, spent_nusd) for cap in (caps.run, caps.ceiling) if cap]
    for model in models:
        cap_usages += [
            cap_usage
            for cap_usage in shared_cap_usages(connection, caps.shared, model=model, now=now)
            if cap_usage not in cap_usages
        ]
    return tuple(cap_usages)


def run_cap_usages(account: Account, caps: Caps) -> Iterator[CapUsage]:
    """What is left of the caps of a run."""
    used = account.expected_nusd if caps.soft else account.committed_nusd
    yield CapUsage(caps.run, used)
    if caps.ceiling:
        yield CapUsage(caps.ceiling, account.committed_nusd)


@dataclass(frozen=True, slots=True)
class CapUsages:
    """Asks what there is room for; `caps` are None where nobody told any: then the run's cap in the ledger counts."""

    connection: sqlite3.Connection
    caps: Caps | None

    def account(self, run_no: int) -> Account:
        """A run's account."""
        row = self.connection.execute(
            "select committed_nusd, expected_nusd, cap_nusd from runs where run_no = ?", (run_no,)
        ).fetchone()
        return Account(run_no, *row)

    def all(self, account: Account, *, model: str, now: float) -> list[CapUsage]:
        """What is left of every cap that concerns one more request to a model."""
        assert self.caps is not None
        return [
            *run_cap_usages(account, self.caps),
            *shared_cap_usages(self.connection, self.caps.shared, model=model, now=now),
        ]

    def remaining(self, account: Account, counted: Of, *, model: str, now: float) -> int | None:
        """The least that caps of one kind leave; None: there is none."""
        if self.caps is None:
            return max(account.cap_nusd - account.committed_nusd, 0) if counted is Of.COST else None
        cap_usages = self.all(account, model=model, now=now)
        return min((cap_usage.remaining for cap_usage in cap_usages if cap_usage.cap.of is counted), default=None)

    def refusal(self, account: Account, amount: Amount, *, model: str, now: float) -> CapExceeded | None:
        """The cap that would be passed by one more request, or None."""
        if self.caps is None:
            if account.committed_nusd + amount.nusd <= account.cap_nusd:
                return None
            return self._exceeded(account.run_no, account.committed_nusd, account.cap_nusd, None)
        for cap_usage in self.all(account, model=model, now=now):
            if not cap_usage.fits(amount):
                return self._exceeded(account.run_no, cap_usage.used, cap_usage.cap.limit, cap_usage.cap)
        scarce_nusd = self.caps.scarce_nusd
        if scarce_nusd is not None and self._too_much_in_flight(account, amount, scarce_nusd):
            return self._exceeded(account.run_no, account.committed_nusd, account.cap_nusd, self.caps.run)
        return None

    def document_usage(self, run_no: int, doc_id: str, request_ids: Sequence[str]) -> CapUsage | None:
        """What is left for a document, from its requests to each model so far; None: it has no cap."""
        cap = self.caps.document if self.caps else None
        return CapUsage(cap, self.committed_for(run_no, doc_id, request_ids)) if cap else None

    def committed_for(self, run_no: int, doc_id: str, request_ids: Sequence[str]) -> int:
        """What a run has spent, or holds, for a document: all attempts of its own, and those of these requests.

        Its own may be of other requests, with a lower `max_tokens`; those of its requests may be of identical ones.
        The plus keeps SQLite from going through the whole run to find them.
        """
        marks = ", ".join("?" * len(request_ids))
        row = self.connection.execute(
            "select coalesce(sum(coalesce(cost_nusd, reserved_nusd)), 0) from attempts where attempt_no in ("
            "select attempt_no from attempts where run_no = ? and doc_id = ?"
            " union select attempt_no from attempts where +run_no = ?"
            f" and request_no in (select request_no from requests where request_id in ({marks})))",
            (run_no, doc_id, run_no, *request_ids),
        )
        return int(row.fetchone()[0])

    def _too_much_in_flight(self, account: Account, amount: Amount, cap_nusd: int) -> bool:
        in_flight, count, held = self.connection.execute(
            "select coalesce(sum(reserved_nusd), 0), count(*), (select coalesce(sum(reserved_nusd), 0) from attempts"
            "  where run_no = :run_no and cost_nusd is null and state != 'open')"
            " from attempts where run_no = :run_no and state = 'open' and batch_no is null",
            {"run_no": account.run_no},
        ).fetchone()
        most_nusd = most_in_flight_nusd(cap_nusd=cap_nusd, held_nusd=held)
        return bool(count and in_flight + amount.nusd > most_nusd)

    def _exceeded(self, run_no: int, used: int, limit: int, cap: Cap | None) -> CapExceeded:
        shared = cap is not None and cap.per in {Per.DAY, Per.MONTH}
        return CapExceeded(
            used,
            limit,
            open_attempts=open_attempts(self.connection, run_no),
            in_batches=in_batches(self.connection, run_no),
            others=shared and open_elsewhere(self.connection, run_no),
            cap=cap,
        )


def open_attempts(connection: sqlite3.Connection, run_no: int) -> int:
    """How many requests of the run are under way, besides those in batches."""
    query = "select count(*) from attempts where run_no = ? and state = 'open' and batch_no is null"
    return int(connection.execute(query, (run_no,)).fetchone()[0])


def in_batches(connection: sqlite3.Connection, run_no: int) -> bool:
    """Whether requests of the run are in open batches."""
    query = "select 1 from attempts where run_no = ? and state = 'open' and batch_no is not null limit 1"
    return connection.execute(query, (run_no,)).fetchone() is not None


def open_elsewhere(connection: sqlite3.Connection, run_no: int) -> bool:
    """Whether requests of other runs are under way, besides those in batches."""
    query = "select 1 from attempts where run_no != ? and state = 'open' and batch_no is null limit 1"
    return connection.execute(query, (run_no,)).fetchone() is not None
