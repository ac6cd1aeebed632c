"""Batches, for people and for programs."""

import time
from collections.abc import Sequence

from batchrun.batch import RESULTS_KEPT_S, BatchState
from batchrun.cli.views.format import count, duration, iso, table, utc
from batchrun.escaping import escape_control
from batchrun.events import BatchCollected, BatchEnded, BatchesOpen, BatchSubmitted, BatchTrouble
from batchrun.store.ledger.batch_records import Batch
from batchrun.wording import size

BatchEvent = BatchSubmitted | BatchEnded | BatchCollected | BatchTrouble | BatchesOpen
HEADER = ("BATCH", "STATE", "REQUESTS", "SIZE", "AGE", "EXPIRES (UTC)", "NEXT POLL", "")
WARNED_BEFORE_S = 4 * 24 * 3600.0
"""How long before the API deletes the results of a batch the table warns of the deletion."""


def batch_words(event: BatchEvent) -> str:
    """One line about what happened to a batch."""
    match event:
        case BatchSubmitted():
            found = "found again" if event.adopted else "submitted"
            batch_id = escape_control(event.batch_id)
            return f"batch {batch_id} {found}: {count(event.requests, 'request')}, {size(event.bytes)}"
        case BatchEnded():
            counts = ", ".join(f"{number:,} {escape_control(how)}" for how, number in event.counts.items() if number)
            batch_id, age = escape_control(event.batch_id), duration(max(0.0, event.age_s))
            return f"batch {batch_id} ended after {age}: {counts or 'no counts'}"
        case BatchCollected():
            again = f"; {count(event.again, 'request')} pending again" if event.again else ""
            odd = f"; {count(event.odd, 'result')} with unknown or repeated custom_ids ignored" if event.odd else ""
            return f"batch {escape_control(event.batch_id)} collected{again}{odd}"
        case BatchTrouble():
            again = "" if event.retry_in_s is None else f"; again in {duration(event.retry_in_s)}"
            return f"batch {escape_control(event.batch)}: {escape_control(event.what)}{again}"
        case BatchesOpen():
            if not event.batches:
                return f"waiting for room, again in {duration(event.next_s)}"
            expires = f", the first expires {utc(event.expires_at)} UTC" if event.expires_at is not None else ""
            return (
                f"{count(event.batches, 'batch', 'batches')} with {count(event.requests, 'request')} in progress"
                f"{expires}, next poll in {duration(event.next_s)}; safe to stop: the same command collects them"
            )


def batch_as_json(event: BatchEvent) -> tuple[str, dict[str, object]]:
    """The name and the fields of an event for programs."""
    match event:
        case BatchSubmitted():
            return "batch_submitted", {"batch": event.batch_id, "requests": event.requests, "bytes": event.bytes,
                                       "adopted": event.adopted}  # fmt: skip
        case BatchEnded():
            return "batch_ended", {
                "batch": event.batch_id,
                "seconds": round(event.age_s, 3),
                "counts": dict(event.counts),
            }
        case BatchCollected():
            return "batch_collected", {"batch": event.batch_id, "again": event.again, "odd": event.odd}
        case BatchTrouble():
            return "batch_trouble", {"batch": event.batch, "what": event.what, "retry_in_s": event.retry_in_s}
        case BatchesOpen():
            return "batches_open", {"batches": event.batches, "requests": event.requests,
                                    "next_s": round(event.next_s, 3), "expires": iso(event.expires_at)}  # fmt: skip


def batch_table(batches: Sequence[Batch], *, width: int | None) -> str:
    """A line for each batch."""
    now = time.time()
    return table(HEADER, [row(batch, now) for batch in batches], width=width)


def row(batch: Batch, now: float) -> tuple[str, ...]:
    """The line of a batch in the table."""
    waits = batch.state.open and batch.next_poll_at is not None
    return (
        batch.name,
        state_words(batch),
        f"{batch.requests:,}",
        size(batch.bytes),
        duration(max(0.0, now - batch.prepared_at)),
        utc(batch.expires_at) if batch.state is BatchState.SUBMITTED else "",
        duration(max(0.0, (batch.next_poll_at or now) - now)) if waits else "",
        warning(batch, now) or batch.note or "",
    )


def state_words(batch: Batch) -> str:
    """The state of a batch in words."""
    if is_in_doubt(batch):
        return "in doubt"
    if batch.state is BatchState.SUBMITTED and batch.cancel_at is not None:
        return "canceling"
    return str(batch.state)


def is_in_doubt(batch: Batch) -> bool:
    """Whether nobody knows if the API has created the batch."""
    return batch.state is BatchState.PREPARED and batch.unclear_at is not None


def warning(batch: Batch, now: float) -> str | None:
    """The results that will be lost soon or are lost, and what to do; None if neither is so."""
    if not batch.state.open or batch.created_at is None:
        return None
    remaining_s = batch.created_at + RESULTS_KEPT_S - now
    if remaining_s > WARNED_BEFORE_S:
        return None
    if remaining_s > 0:
        return f"the API deletes its results in {duration(remaining_s)}: submit the job again to collect them"
    return (
        "the API has deleted its results: submit books them as lost, and retry sends their documents again, paid twice"
    )


def batch_fields(batch: Batch) -> dict[str, object]:
    """The fields of a batch for programs."""
    return {
        "batch_no": batch.batch_no, "batch": batch.batch_id, "job": batch.job, "state": str(batch.state),
        "in_doubt": is_in_doubt(batch),
        "canceling": batch.cancel_at is not None, "requests": batch.requests, "bytes": batch.bytes,
        "prepared": iso(batch.prepared_at), "expires": iso(batch.expires_at), "ended": iso(batch.ended_at),
        "next_poll": iso(batch.next_poll_at), "note": batch.note,
    }  # fmt: skip
