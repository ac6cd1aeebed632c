"""What a lease service has granted this ledger of the caps that several hosts share.

Grants only grow within an epoch. They are lowered when the next epoch begins, before the service hears of it, and what
belongs to an earlier epoch is void: the ledger never reserves more than the service has down for it.
"""

import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from batchrun.budget.caps import Amount, Cap, CapUsage, Per
from batchrun.budget.days import day_of, month_of

Word = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
NOTHING = Amount(0)
Quantity = Annotated[int, Field(ge=0, le=10**18)]
"""In nano-USD or tokens."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A ledger, as the service knows it."""

    holder: Word
    epoch: Word
    earlier: Annotated[str, Field(pattern="^[0-9a-f]{16}( [0-9a-f]{16}){0,99}$")]
    """The epochs in which the service may believe the holder to be: of the last answer, and those since."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One cap in one span, as a holder tells the service."""

    cap: Annotated[str, Field(max_length=1000)]
    """As in `Cap.kind`."""
    period: Quantity
    """The day, or the first day of the month, since 1970."""
    granted: Quantity
    """What the holder may use in all."""
    used: Quantity = 0
    """What the holder has spent or reserved."""
    needs: Quantity = 0
    """What the holder wants to use in all."""


def period_of(cap: Cap, now: float) -> int:
    """Return the day of a time, or the first day of its month, whatever the cap is for."""
    return month_of(day_of(now)).start if cap.per is Per.MONTH else day_of(now)


def within_leases(
    connection: sqlite3.Connection, usages: Sequence[CapUsage], *, now: float, planned: bool
) -> list[CapUsage]:
    """Count as used what a lease service has not granted; a plan may also use what the service has left."""
    if all(one.cap.left is None for one in usages):
        return list(usages)
    row, grants = connection.execute("select expires_at from lease_holder").fetchone(), _granted(connection)
    expired = not planned and (row is None or now >= row[0])

    def counted(one: CapUsage) -> CapUsage:
        if one.cap.left is None:
            return one
        room = grants.get((one.cap.kind, period_of(one.cap, now)), 0) - one.used
        room = min(room, 0) if expired else room + one.cap.left * planned
        return CapUsage(one.cap, one.cap.limit - room, one.passes_on)

    return [counted(one) for one in usages]


def told(
    connection: sqlite3.Connection, usages: Sequence[CapUsage], needs: Amount = NOTHING, *, model: str = "", now: float
) -> tuple[Holder, tuple[Lease, ...]]:
    """Say what is granted and used, inside a transaction, and what requests to a model need, if any are to be sent."""
    words = (secrets.token_hex(8), secrets.token_hex(8))
    connection.execute("insert or ignore into lease_holder values (1, ?, ?2, ?2, 0)", words)
    holder = Holder(*connection.execute("select holder, epoch, earlier from lease_holder").fetchone())
    grants, asked = _granted(connection), list[Lease]()
    for one in usages:
        key = (one.cap.kind, period_of(one.cap, now))
        more = needs.of(one.cap.of) if one.cap.concerns(model) else 0
        asked.append(Lease(*key, grants.get(key, 0), one.used, one.used + more))
    return holder, tuple(asked)


def lower(connection: sqlite3.Connection, usages: Sequence[CapUsage], *, now: float) -> None:
    """Give back what is granted and not used, and begin an epoch."""
    _, leases = told(connection, usages, now=now)
    both = "substr(earlier || ' ' || epoch, -1699)"  # a hundred epochs without an answer
    epoch = secrets.token_hex(8)
    connection.execute(f"update lease_holder set epoch = ?, earlier = iif(epoch = earlier, epoch, {both})", (epoch,))
    connection.execute("delete from leases")
    _grant(connection, [Lease(one.cap, one.period, min(one.granted, one.used)) for one in leases])


def take(connection: sqlite3.Connection, holder: Holder, leases: Sequence[Lease], *, expires_at: float) -> None:
    """Keep what the service has granted, unless an epoch has begun since the holder asked."""
    kept = connection.execute(
        "update lease_holder set earlier = epoch, expires_at = ? where holder = ? and epoch = ?",
        (expires_at, holder.holder, holder.epoch),
    )
    if kept.rowcount:
        _grant(connection, leases)


def forget(connection: sqlite3.Connection, holder: Holder) -> None:
    """Become another holder: the service has heard of a later epoch, so the ledger is a copy, or an old backup.

    Nothing changes if an epoch has begun since the holder asked: the question was late.
    """
    ours = "delete from lease_holder where holder = ? and epoch = ?"
    if connection.execute(ours, (holder.holder, holder.epoch)).rowcount:
        connection.execute("delete from leases")


def _granted(connection: sqlite3.Connection) -> Mapping[tuple[str, int], int]:
    return {(cap, period): most for cap, period, most in connection.execute("select cap, period, granted from leases")}


def _grant(connection: sqlite3.Connection, leases: Sequence[Lease]) -> None:
    connection.executemany(
        "insert into leases values (?, ?, ?) on conflict do update set granted = max(granted, excluded.granted)",
        [(one.cap, one.period, one.granted) for one in leases],
    )
