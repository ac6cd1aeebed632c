"""The records about batches that the ledger takes and gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchrun.answers.progress import BEGINNING, Progress
from batchrun.batch import BatchState
from batchrun.budget.caps import Amount, Caps, Of
from batchrun.reply import Failure

UNLIMITED = 2**62
"""A limit above any cap, where there is no cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as the ledger has it; times in seconds since 1970."""

    batch_no: int
    nonce: str
    run_no: int
    job: str
    model: str
    state: BatchState
    batch_id: str | None
    adopted: bool
    """Whether the batch was found in the API's list; the nonce of one of its results has to prove that it is ours."""
    requests: int
    bytes: int
    newest_before: str | None
    prepared_at: float
    unclear_at: float | None = None
    empty_scans: int = 0
    scanned_at: float | None = None
    clock_ahead: float | None = None
    """How many seconds the API's clock was ahead of ours when the batch was looked for last."""
    created_at: float | None = None
    expires_at: float | None = None
    ended_at: float | None = None
    cancel_at: float | None = None
    next_poll_at: float | None = None
    absent_at: float | None = None
    """Since when the API denies that there is such a batch."""
    downloads: int = 0
    note: str | None = None

    @property
    def name(self) -> str:
        """The name that people see: the API's id, or our number while the API has given none."""
        return self.batch_id or f"#{self.batch_no}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A packed request that may become a member of a batch."""

    request_no: int
    doc_id: str
    amount: Amount
    turn: str | None = None
    """What is asked, as JSON; None for the request as it is."""


@dataclass(frozen=True, slots=True)
class RemainingBudget:
    """What the caps leave for requests, all of them together."""

    nusd: int
    """The money that is left for worst cases, in nano-USD."""
    tokens: int = UNLIMITED
    expected_nusd: int = UNLIMITED

    def fits(self, amount: Amount) -> bool:
        """Whether the caps leave so much."""
        return (
            amount.nusd <= self.nusd and amount.tokens <= self.tokens and amount.of(Of.EXPECTED) <= self.expected_nusd
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch before its members are chosen."""

    nonce: str
    run_no: int
    job: str
    model: str
    schema: Mapping[str, Any]
    newest_before: str | None
    prepared_at: float
    others_follow: bool
    """Whether requests remain for another batch."""
    caps: Caps


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that may be sent now."""

    batch_no: int
    positions: Sequence[int] = field(repr=False)
    """The positions of the members among the candidates."""


@dataclass(frozen=True, slots=True)
class Member:
    """A request of a batch whose result is not in the ledger yet."""

    attempt_no: int
    request_id: str
    doc_id: str
    failures: Sequence[Failure] = ()
    """Why the request's attempts in batches failed since it last had an outcome; canceled ones are left out."""
    reserved_tokens: int | None = None
    """The most tokens that the request may use; None in attempts of old ledgers."""
    form_no: int | None = None
    """The form of the request's answer; None for requests of earlier versions."""
    max_tokens: int = 0
    """The `max_tokens` of the request, as its turn asks it; 0 if an earlier version made the request."""
    progress: Progress = BEGINNING
    """How far the answer to the request has come."""


def members_from(rows: Iterable[Sequence[Any]]) -> dict[str, Member]:
    """Read members from rows: a row for each earlier failure of a member, or one row without a failure."""
    members: dict[str, Member] = {}
    for attempt_no, request_id, doc_id, reserved_tokens, form_no, max_tokens, turn, partial, cause, *kept in rows:
        earlier = members[request_id].failures if request_id in members else ()
        failures = (*earlier, Failure.kept(cause, *kept)) if cause else earlier
        progress = Progress.of(turn, partial)
        most = progress.turn.max_tokens or max_tokens or 0
        members[request_id] = Member(attempt_no, request_id, doc_id, failures, reserved_tokens, form_no, most, progress)
    return members


@dataclass(frozen=True, slots=True)
class Claims:
    """What the ledger knows of ids in the API's list, for one batch in doubt."""

    taken: frozenset[str]
    """The ids that certainly belong to other batches, or were found not to be this batch."""
    contested: frozenset[str]
    """The ids that other batches in doubt have adopted without proof so far."""
    ours: frozenset[str] = frozenset()
    """The ids that certainly belong to batches of this ledger."""
    going_on: frozenset[str] = frozenset()
    """Those of `ours` that belong to the same job, and have not ended as far as the ledger knows."""
