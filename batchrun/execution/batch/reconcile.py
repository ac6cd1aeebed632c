"""Whether a batch exists: what is known after a create call, and else what the API's list says.

The create call has no idempotency key and a batch has no name, so a lost answer leaves only the list. Where the list
tells the nonces of batches, the nonce decides. Elsewhere a candidate is newer than the newest batch before the call, of
the right size, and claimed by no other intent of this ledger.

A list without a candidate proves nothing by itself: a gateway may have no list, and a cache shows how things were. Only
a list that shows a batch of ours, and something that happened after the call, proves that the batch does not exist.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from batchrun.batch import RemoteBatch
from batchrun.execution.retry_policy import REFUSALS, STOPS, FailureKind, kind_of
from batchrun.reply import Failure
from batchrun.store.ledger.batch_records import Batch, Claims

CLOCKS_APART_S = 300.0
"""How far the API's clock and ours may differ."""
SCANS = 2
"""How often the list has to be without the batch before the batch is sent again."""
SCANS_APART = 0.1
"""The least time between two scans that count, as a share of `reconcile_wait`."""


class Creation(StrEnum):
    """What is known after a create call without an answer."""

    UNCLEAR = "unclear"
    """The batch may have been created."""
    LATER = "later"
    """The batch was certainly not created, and may be tried again in a while."""
    TOO_LARGE = "too_large"
    """The batch was certainly not created, and a smaller one may be."""
    STOP = "stop"
    """The batch was certainly not created, and no other would be: the key, the account or the job file is wrong."""


def after_create(failure: Failure, *, whole: bool = True) -> Creation:
    """Decide what a failed create call leaves behind, whose body was sent as a `whole` or in part.

    Whatever is not a clear no may be a yes that was lost, unless the API cannot have had the whole body.
    """
    match kind_of(failure):
        case FailureKind.REDIRECTED if whole:
            return Creation.UNCLEAR  # whoever redirects may have passed the call on
        case FailureKind.LATER | FailureKind.UNREACHABLE:
            return Creation.LATER
        case FailureKind.TOO_LARGE:
            return Creation.TOO_LARGE
        case kind if kind in STOPS or kind in REFUSALS:
            return Creation.STOP
        case _:
            return Creation.UNCLEAR if whole else Creation.LATER


@dataclass(frozen=True, slots=True)
class Adopt:
    """The list shows one batch that fits. Unless the list tells the nonce, one of its results has to prove it ours."""

    remote: RemoteBatch


@dataclass(frozen=True, slots=True)
class Missed:
    """The batch is not in the list, and might still appear."""

    counts: bool
    """Whether this scan counts, because the scan before was long enough ago."""


@dataclass(frozen=True, slots=True)
class Resend:
    """The batch was never created, as the list proves."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """The batch is not in the list, and nothing shows that the list is ours and knows what happened after the call."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The list lacks a batch that was there before, so nothing follows from the list."""


@dataclass(frozen=True, slots=True)
class Several:
    """Several batches fit: only the nonces of their results can show which batch is ours."""

    candidates: Sequence[RemoteBatch]


Answer = Adopt | Missed | Resend | Several | Elsewhere | Unproven


def reconcile(prepared: Batch, listed: Sequence[RemoteBatch], *, claims: Claims, now: float, wait_s: float) -> Answer:
    """Decide what became of a batch whose create call got no answer.

    `listed` is the API's list, the newest first, down to `prepared.newest_before` or further. A batch is sent again
    only when two scans did not find the batch, `wait_s` has passed since the call was over, and the list proves that it
    would show the batch.
    """
    told = [remote for remote in listed if remote.nonce == prepared.nonce and remote.batch_id not in claims.taken]
    if told:
        return Adopt(told[0])
    newer = takewhile(lambda remote: remote.batch_id != prepared.newest_before, listed)
    candidates = [remote for remote in newer if is_candidate(remote, prepared, claims.taken)]
    timely = [remote for remote in candidates if is_timely(remote, prepared, wait_s)]
    anchored = prepared.newest_before is None or prepared.newest_before in {remote.batch_id for remote in listed}
    # Clocks may be wrong, but the order of the list is not: in an anchored list the time only chooses among several.
    likely = timely or ([remote for remote in candidates if not remote.archived] if anchored else [])
    free = [remote for remote in likely if remote.batch_id not in claims.contested]
    if len(free) == 1:
        return Adopt(free[0])
    if free:
        return Several(free)
    if likely:
        return Missed(counts=False)  # another batch in doubt has adopted this one, and will find out whose it is
    if not anchored:
        return Elsewhere()
    return _absent(prepared, listed, claims, now=now, wait_s=wait_s)


def _absent(
    prepared: Batch, listed: Sequence[RemoteBatch], claims: Claims, *, now: float, wait_s: float
) -> Missed | Resend | Unproven:
    counts = prepared.scanned_at is None or now - prepared.scanned_at >= SCANS_APART * wait_s
    looked = prepared.empty_scans + counts
    waited = prepared.unclear_at is not None and now - prepared.unclear_at >= wait_s
    if not (waited and counts and looked >= SCANS):
        return Missed(counts)
    if proves_absence(listed, prepared, claims, now=now):
        return Resend()
    # The end of a batch of ours that still goes on may show that the list knows what happens.
    return Missed(counts=False) if claims.going_on else Unproven()


def proves_absence(listed: Sequence[RemoteBatch], prepared: Batch, claims: Claims, *, now: float) -> bool:
    """Return whether the list would show the batch.

    The list does if it shows a batch of ours, and anything that was created or has ended after the call was over.
    """
    if prepared.unclear_at is None or not any(remote.batch_id in claims.ours for remote in listed):
        return False
    # An API's clock that seems to be behind may be the time of a cached answer.
    ahead_s = CLOCKS_APART_S if prepared.clock_ahead is None else max(0.0, prepared.clock_ahead)
    over, latest = prepared.unclear_at + ahead_s, now + ahead_s + CLOCKS_APART_S
    return any(over < max(remote.created_at, remote.ended_at or 0.0) <= latest for remote in listed)


def is_candidate(remote: RemoteBatch, prepared: Batch, taken: AbstractSet[str]) -> bool:
    """Return whether the batch is nobody else's and of the right size. An unknown size may be the right one.

    A batch of which the list tells another nonce is another batch.
    """
    return remote.nonce is None and remote.batch_id not in taken and remote.requests in {0, prepared.requests}


def is_timely(remote: RemoteBatch, prepared: Batch, wait_s: float) -> bool:
    """Return whether the batch was created about when the call was made."""
    latest = (prepared.unclear_at or prepared.prepared_at) + wait_s
    return prepared.prepared_at - CLOCKS_APART_S <= remote.created_at <= latest + CLOCKS_APART_S
