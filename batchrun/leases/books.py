"""The books of a lease service: how much of each cap each holder was granted, in one SQLite file."""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batchrun.budget.caps import Cap, Of, Per
from batchrun.budget.days import period_of
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.file_system import make_folder
from batchrun.leases.messages import LEASE_S, Answer, SharedCap, Statement
from batchrun.store.ledger.leases import Lease

AHEAD = 16
"""A holder gets a sixteenth of what is left on top of what it needs, so that it asks seldom."""
MOST_APART_S = 3_600.0
"""How far the clock of a holder may be from the clock of the service."""
LAYOUT = """
create table if not exists holders (
    holder text primary key, epoch text not null, host text not null, expires_at real not null
) strict, without rowid;
create table if not exists grants (
    cap text not null, period integer not null, holder text not null, granted integer not null, used integer not null,
    primary key (cap, period, holder)
) strict, without rowid;
"""


class Stale(Exception):
    """A question of a past epoch: late, or of the copy of a ledger."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a holder has of a cap in the present day or month; times in seconds since 1970."""

    holder: str
    host: str
    cap: Cap
    granted: int
    used: int
    """As the holder said last."""
    expires_at: float


def new_grant(lease: Lease, *, before: int | None, others: int, limit: int, begins: bool) -> int:
    """Decide what a holder has in all from now on; `before` is None if it had nothing, `others` have the rest.

    What the holder uses, and what it may be using just now, is never taken from it. At the beginning of an epoch it has
    given back what it does not use.
    """
    kept = lease.granted if before is None else min(before, lease.granted) if begins else before
    kept = max(kept, lease.used)
    left = max(limit - others - kept, 0)
    wanted = lease.needs + left // AHEAD - kept if lease.needs > kept else 0
    return kept + min(max(wanted, 0), left)


class Books:
    """The open file. Everything is durable when a method returns."""

    def __init__(self, path: Path, caps: Sequence[Cap]) -> None:
        self.path = path
        self.caps = {cap.kind: cap for cap in caps}
        with self._explained():
            make_folder(path.parent)
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            self._connection.executescript(LAYOUT)

    def exchange(self, statement: Statement, *, now: float) -> Answer:
        """Grant what a holder needs, as far as something is left. Raises Stale and UsageProblem."""
        holder = statement.holder
        with self._transaction():
            row = self._connection.execute("select epoch from holders where holder = ?", (holder.holder,)).fetchone()
            if row and row[0] not in {holder.epoch, holder.answered}:
                raise Stale
            begins = row is not None and row[0] != holder.epoch
            self._connection.execute(
                "insert into holders values (?, ?, ?, ?) on conflict do update set"
                " epoch = excluded.epoch, host = excluded.host, expires_at = excluded.expires_at",
                (holder.holder, holder.epoch, statement.host, now + LEASE_S),
            )
            ours = [one for one in statement.leases if one.cap in self.caps]
            return Answer(LEASE_S, tuple(self._grant(holder.holder, one, begins=begins, now=now) for one in ours))

    def _grant(self, holder: str, lease: Lease, *, begins: bool, now: float) -> Lease:
        cap = self.caps[lease.cap]
        if lease.period not in {_period(cap, now + apart_s) for apart_s in (-MOST_APART_S, MOST_APART_S)}:
            raise UsageProblem("the clocks of this host and of the lease service are more than an hour apart")
        span = (lease.cap, lease.period)
        grants = dict(self._connection.execute("select holder, granted from grants where cap = ? and period = ?", span))
        before = grants.pop(holder, None)
        granted = new_grant(lease, before=before, others=sum(grants.values()), limit=cap.limit, begins=begins)
        self._connection.execute(
            "insert or replace into grants values (?, ?, ?, ?, ?)", (*span, holder, granted, lease.used)
        )
        return Lease(*span, granted)

    def shared_caps(self, *, now: float) -> list[SharedCap]:
        """List the caps with what is left of them."""
        taken = dict.fromkeys(self.caps, 0)
        for grant in self.grants(now=now):
            taken[grant.cap.kind] += grant.granted
        return [
            SharedCap(cap.per, cap.of, cap.key, cap.limit, max(cap.limit - taken[kind], 0), cap.model, cap.tag)
            for kind, cap in self.caps.items()
        ]

    def grants(self, *, now: float) -> list[Grant]:
        """List what is granted in the present days and months."""
        with self._explained():
            rows = self._connection.execute(
                "select holder, host, cap, granted, used, expires_at, period from grants join holders using (holder)"
                " order by host, holder, cap"
            ).fetchall()
        return [
            Grant(holder, host, self.caps[kind], granted, used, expires_at)
            for holder, host, kind, granted, used, expires_at, period in rows
            if kind in self.caps and period == _period(self.caps[kind], now)
        ]

    def settle_dead(self, holder: str, *, billed_nusd: int, now: float) -> None:
        """Free what a dead holder was granted beyond its bill of this month. Raises UsageProblem if it may be alive."""
        with self._transaction():
            row = self._connection.execute("select expires_at from holders where holder = ?", (holder,)).fetchone()
            if row is None:
                raise UsageProblem("there is no such holder.", hint="batchrun leases")
            if now < row[0]:
                raise UsageProblem(
                    "the lease of this holder has not expired: it may be sending just now.",
                    hint="stop it, wait until the lease has expired, and read the bill then: batchrun leases",
                )
            for kind, cap in self.caps.items():
                if cap.of is Of.COST:
                    self._connection.execute(
                        "update grants set granted = min(granted, ?) where holder = ? and cap = ? and period = ?",
                        (billed_nusd, holder, kind, _period(cap, now)),
                    )
            # A holder that comes back all the same is told that its epoch is over, and begins as another holder.
            self._connection.execute("update holders set epoch = ? where holder = ?", (secrets.token_hex(8), holder))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._connection.execute("begin immediate")
            try:
                yield
                self._connection.execute("commit")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentProblem(
                f"the books {self.path} of the lease service cannot be used: {error}.",
                hint="check the disk and the permissions: nothing is granted meanwhile",
            ) from error


def _period(cap: Cap, now: float) -> int:
    return period_of(now, is_month=cap.per is Per.MONTH)
