"""The books of a lease service: how much of each cap each holder was granted, in one SQLite file."""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from batchrun.budget.caps import Cap, Of
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.file_system import make_folder
from batchrun.leases.messages import LEASE_S, Answer, Statement
from batchrun.store.ledger.leases import Lease, period_of
from batchrun.store.ledger.sqlite_errors import LedgerDamaged, explained

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
    """What a holder has of a cap today or this month."""

    holder: str
    host: str
    cap: Cap
    granted: int
    used: int
    """As the holder said last."""
    expires_at: float
    """In seconds since 1970."""


def new_grant(lease: Lease, *, before: int | None, others: int, limit: int, begins: bool) -> int:
    """Decide what a holder has in all from now on; `before` is None if it had nothing, `others` have the rest.

    What a holder uses, and what it may be using just now, is never taken from it. At the beginning of an epoch it has
    given back what it does not use.
    """
    kept = lease.granted if before is None else min(before, lease.granted) if begins else before
    kept = max(kept, lease.used)
    left = max(limit - others - kept, 0)
    return kept if lease.needs <= kept else kept + min(lease.needs + left // AHEAD - kept, left)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        with explained(path):
            yield
    except LedgerDamaged as damage:
        hint = "restore them from a backup: new books know nothing of what hosts have spent that do not ask again"
        raise EnvironmentProblem(f"the books of the lease service, {path}, are damaged.", hint=hint) from damage


class Books:
    """The open file. Everything is durable when a method returns. All methods raise EnvironmentProblem."""

    def __init__(self, path: Path, caps: Sequence[Cap]) -> None:
        self.path, self.caps = path, {cap.kind: cap for cap in caps}
        with _explained(path):
            make_folder(path.parent)
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            self._connection.executescript(LAYOUT)
            self.are_empty = not self._connection.execute("select 1 from holders limit 1").fetchone()

    def exchange(self, statement: Statement, *, now: float) -> Answer:
        """Grant what a holder needs, as far as something is left. Raises Stale and UsageProblem."""
        holder = statement.holder
        if not self.path.exists():  # SQLite would go on, and nothing would be durable
            raise EnvironmentProblem(f"the books of the lease service, {self.path}, are gone.")
        with _explained(self.path), self._connection as books:
            books.execute("begin immediate")
            row = books.execute("select epoch from holders where holder = ?", (holder.holder,)).fetchone()
            if row and row[0] not in {holder.epoch, *holder.earlier.split()}:
                raise Stale
            books.execute(
                "insert or replace into holders values (?, ?, ?, ?)",
                (holder.holder, holder.epoch, statement.host, now + LEASE_S),
            )
            begins = row is not None and row[0] != holder.epoch
            ours = [one for one in statement.leases if one.cap in self.caps]
            return Answer(LEASE_S, tuple(self._grant(holder.holder, one, begins=begins, now=now) for one in ours))

    def _grant(self, holder: str, lease: Lease, *, begins: bool, now: float) -> Lease:
        cap, span = self.caps[lease.cap], (lease.cap, lease.period)
        if lease.period not in {period_of(cap, now + apart_s) for apart_s in (-MOST_APART_S, MOST_APART_S)}:
            raise UsageProblem("the clocks of this host and of the lease service are more than an hour apart")
        rows = self._connection.execute("select holder, granted from grants where cap = ? and period = ?", span)
        grants = dict(rows.fetchall())
        before = grants.pop(holder, None)
        granted = new_grant(lease, before=before, others=sum(grants.values()), limit=cap.limit, begins=begins)
        row = (*span, holder, granted, lease.used)
        self._connection.execute("insert or replace into grants values (?, ?, ?, ?, ?)", row)
        return replace(lease, granted=granted)

    def caps_left(self, *, now: float) -> tuple[Cap, ...]:
        """List the caps with what is left of them."""
        left = {kind: cap.limit for kind, cap in self.caps.items()}
        for grant in self.grants(now=now):
            left[grant.cap.kind] -= grant.granted
        return tuple(replace(cap, left=max(left[kind], 0)) for kind, cap in self.caps.items())

    def grants(self, *, now: float) -> list[Grant]:
        """List what is granted today and this month."""
        with _explained(self.path):
            rows = self._connection.execute(
                "select period, holder, host, cap, granted, used, expires_at from grants join holders using (holder)"
                " order by host, holder, cap"
            ).fetchall()
        return [
            Grant(holder, host, self.caps[kind], *amounts)
            for period, holder, host, kind, *amounts in rows
            if kind in self.caps and period == period_of(self.caps[kind], now)
        ]

    def settle_dead(self, holder: str, *, billed_nusd: int, now: float) -> None:
        """Free what a dead holder was granted beyond its bill of this month. Raises UsageProblem if it may be alive."""
        with _explained(self.path), self._connection as books:
            books.execute("begin immediate")
            row = books.execute("select expires_at from holders where holder = ?", (holder,)).fetchone()
            if row is None or now < row[0]:
                why = "has a lease that has not expired: it may be sending just now" if row else "is not known"
                raise UsageProblem(f"the holder {holder} {why}.", hint="look at the holders: batchrun leases")
            dollars = [cap for cap in self.caps.values() if cap.of is Of.COST]
            books.executemany(
                "update grants set granted = min(granted, ?) where holder = ? and cap = ? and period = ?",
                [(billed_nusd, holder, cap.kind, period_of(cap, now)) for cap in dollars],
            )
            # A holder that comes back all the same is told that its epoch is over, and begins as another holder.
            books.execute("update holders set epoch = ? where holder = ?", (secrets.token_hex(8), holder))
