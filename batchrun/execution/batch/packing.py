"""Requests packed for a batch: read, measured as sent, and spooled to disk, so that no batch is in memory.

The spool is a file without a name beside the ledger. The file vanishes with the process, however the process ends.
"""

import asyncio
import tempfile
from array import array
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from batchrun.budget.caps import MOST_MISFITS, Amount
from batchrun.execution.batch.uploads import Uploader, goes_apart
from batchrun.execution.document_cap import DocumentCap
from batchrun.execution.document_reader import Gone, set_aside, slices
from batchrun.execution.pending_request import PendingRequest, worst_case
from batchrun.execution.run_context import RunContext
from batchrun.execution.send_setup import SendSetup
from batchrun.outcome import Outcome
from batchrun.providers.anthropic.wire import (
    BATCH_HEAD,
    BATCH_SEPARATOR,
    BATCH_TAIL,
    batch_member,
    batch_size,
    file_size,
    with_cache_breakpoint,
)
from batchrun.request import Request
from batchrun.store.ledger.batch_records import Candidate, RemainingBudget
from batchrun.store.ledger.records import Pending
from batchrun.store.ledger.sqlite_errors import StoreFull
from batchrun.strategy.routes import Route

PART = 256 * 1024
"""How many bytes the connection gets at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackLimits:
    """The most that goes into one batch."""

    requests: int
    bytes: int
    remaining_budget: RemainingBudget
    """What the caps leave for the batch."""


class Spool:
    """The packed requests of one batch, on disk."""

    def __init__(self, folder: Path, nonce: str, *, uploads: bool = False) -> None:
        self.nonce = nonce
        self.uploads = uploads
        """Whether native files are uploaded, and only named in the requests."""
        self.file_bytes = 0
        """How many bytes of the requests are those of native files."""
        self.outgrown = False
        """Whether uploads would make room for requests that were left out."""
        self.candidates: list[Candidate] = []
        self.sizes = array("Q")
        self.reserved = Amount(0, 0, 0)
        self.full = False
        """Whether requests were left for another batch."""
        self.misfits = 0
        """How many requests in a row the caps had no room for."""
        self.least_misfit: tuple[Candidate, bytes] | None = None
        self._ends = array("Q", [0])
        self._folder = folder
        with explained_spool(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=1024 * 1024)  # noqa: SIM115 - closed by `close`

    @property
    def size(self) -> int:
        """How many bytes the body has with every request of the spool."""
        return len(BATCH_HEAD) + max(0, self._ends[-1] - len(BATCH_SEPARATOR)) + len(BATCH_TAIL)

    def add(self, candidate: Candidate, member: bytes) -> None:
        """Append a request as the body has it. Raises StoreFull."""
        with explained_spool(self._folder):
            self._file.write(member + BATCH_SEPARATOR)
        self.candidates.append(candidate)
        self.sizes.append(len(member))
        self._ends.append(self._ends[-1] + len(member) + len(BATCH_SEPARATOR))
        self.reserved += candidate.amount
        self.file_bytes += file_size(member)
        self.misfits = 0

    def leave_out(self, candidate: Candidate, member: bytes) -> None:
        """Leave out a request for which the caps have no room. The cheapest such request is remembered."""
        self.full = True
        self.misfits += 1
        if self.least_misfit is None or candidate.amount.nusd < self.least_misfit[0].amount.nusd:
            self.least_misfit = (candidate, member)

    def flush(self) -> None:
        """Empty the buffer before the intent is committed, so that a full disk is found by then. Raises StoreFull."""
        with explained_spool(self._folder):
            self._file.flush()

    def stretches(self, positions: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield where the chosen requests begin and end in the file, with neighbours in one stretch."""
        breaks = [index for index, (one, following) in enumerate(pairwise(positions), 1) if following != one + 1]
        for first, last in pairwise([0, *breaks, len(positions)]):
            yield self._ends[positions[first]], self._ends[positions[last - 1] + 1] - len(BATCH_SEPARATOR)

    def read(self, start: int, end: int) -> bytes:
        """Read bytes of the file."""
        self._file.seek(start)
        return bytes(self._file.read(end - start))

    def close(self) -> None:
        """Give the disk its space back."""
        with suppress(OSError):  # on a full disk the rest of the buffer is of no use any more
            self._file.close()


class SpooledBody:
    """The body of a create call, with the requests that became members, read from a spool during the send."""

    def __init__(self, spool: Spool, positions: Sequence[int], model: str) -> None:
        self._spool = spool
        self._positions = positions
        self.model, self.nonce, self.requests = model, spool.nonce, len(positions)
        self.size = batch_size([spool.sizes[position] for position in positions])

    async def members(self) -> AsyncIterator[bytes]:
        """Yield each member as JSON, in order."""
        for position in self._positions:
            for start, end in self._spool.stretches([position]):
                yield await asyncio.to_thread(self._spool.read, start, end)

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the bytes, in order."""
        yield BATCH_HEAD
        for number, (start, end) in enumerate(self._spool.stretches(self._positions)):
            if number:
                yield BATCH_SEPARATOR
            for begin in range(start, end, PART):
                yield await asyncio.to_thread(self._spool.read, begin, min(begin + PART, end))
        yield BATCH_TAIL


@contextmanager
def explained_spool(folder: Path) -> Iterator[None]:
    """Translate the error of a full disk into StoreFull, with what to do."""
    try:
        yield
    except OSError as error:
        raise StoreFull(
            f"the disk of {folder} has no room for a batch: {error.strerror}.",
            hint="free some space, or lower [batch] max_bytes, and run the same command again",
        ) from error


def unreadable_spool(error: OSError) -> StoreFull:
    """Say that a spool cannot be read back."""
    return StoreFull(
        f"a batch that was packed cannot be read from the disk: {error.strerror}.",
        hint="check the disk and run the same command again: nothing was sent",
    )


def firsts(page: Iterable[Pending], seen: set[int]) -> Iterator[Pending]:
    """Yield the documents whose request was not seen before. Identical documents make one request."""
    for one in page:
        if one.request_no not in seen:
            seen.add(one.request_no)
            yield one


class Packer:
    """Packs the pending requests of a run, in the order of the plan."""

    def __init__(self, context: RunContext, setup: SendSetup, uploader: Uploader | None = None) -> None:
        self._context = context
        self._uploader = uploader
        self.able = setup.chain.models[0].capabilities
        """What the provider of the model can do."""
        self.uploads = uploader is not None and self.able.files
        """Whether files are uploaded that batches have no room for. Otherwise batches are cut."""
        self._estimator = setup.estimator_on(Route.BATCH, setup.estimator.price.in_batches)
        self.model, self.schema, self.caps = self._estimator.price.name, setup.form.full_schema, setup.caps
        self.leases = setup.leases
        self._form, self.chain = setup.form, setup.chain
        self._reader = setup.reader
        self._document_cap = DocumentCap(context, setup.caps)
        self._folder = setup.folder
        self._cache_breakpoint = setup.cache_breakpoints.get(Route.BATCH)
        self._document_marking = setup.document_marking(Route.BATCH, self._estimator.price)

    async def any_pending(self) -> bool:
        """Return whether there is anything to pack."""
        return bool(await self._reader.page(self._context.key, after=0, model=self.model))

    def worst_case(self, pending: PendingRequest) -> Amount:
        """Return what is reserved for a request."""
        return worst_case(self._estimator, pending, self._asked(pending), soft=self.caps.soft)

    def _asked(self, pending: PendingRequest) -> Request:
        return pending.request_to(self.chain.models[0], self._form)

    def _marked(self, pending: PendingRequest) -> Request:
        request = with_cache_breakpoint(self._asked(pending), self._cache_breakpoint)
        if self._document_marking is None:
            return request
        return self._document_marking.marked(request, pending.record.progress, pending.tokens)

    async def pack(self, nonce: str, limits: PackLimits) -> Spool:
        """Pack as many pending requests as the limits allow; the spool may be empty.

        Raises StoreFull, and AttemptError when a file cannot be uploaded.
        """
        spool = await self._filled(Spool(self._folder, nonce), limits)
        if spool.outgrown:
            spool.close()
            spool = await self._filled(Spool(self._folder, nonce, uploads=True), limits)
        return spool

    async def _filled(self, spool: Spool, limits: PackLimits) -> Spool:
        try:
            await self._fill(spool, limits)
            if not spool.candidates and spool.least_misfit:
                spool.add(*spool.least_misfit)  # the ledger says why the request has no room
            spool.flush()
        except BaseException:
            spool.close()
            raise
        return spool

    async def _fill(self, spool: Spool, limits: PackLimits) -> None:
        after, seen = 0, set[int]()
        while page := await self._reader.page(self._context.key, after=after, model=self.model):
            after = page[-1].document_no
            for some in slices(list(firsts(page, seen)), self._reader.texts_at_once):
                for pending in await self._reader.read(some):
                    if not await self._add(spool, pending, limits):
                        spool.full = True
                        return

    async def _add(self, spool: Spool, pending: PendingRequest | Gone, limits: PackLimits) -> bool:
        """Add one request. Returns False if the batch is full."""
        if isinstance(pending, Gone):
            await set_aside(self._context, pending, Outcome.UNREADABLE)
            return True
        request = self._marked(pending)
        member = batch_member(request, nonce=spool.nonce)
        uploads = spool.uploads and file_size(member) > 0
        if not uploads and batch_size([len(member)]) > limits.bytes:
            return await self._too_large(spool, pending, member, limits)
        amount = self.worst_case(pending)
        if await self._document_cap.ends(pending, amount):
            return True
        record = pending.record
        candidate = Candidate(record.request_no, record.ref.doc_id, amount, record.progress.turn_json)
        if not limits.remaining_budget.fits(spool.reserved + amount):
            spool.leave_out(candidate, member)  # a smaller one may fit all the same
            return spool.misfits < MOST_MISFITS
        if uploads:
            member = batch_member(await self._uploaded(request), nonce=spool.nonce)
        if batch_size([len(member)]) > limits.bytes:  # even without its file
            return await self._too_large(spool, pending, member, limits)
        return self._append(spool, candidate, member, limits)

    def _append(self, spool: Spool, candidate: Candidate, member: bytes, limits: PackLimits) -> bool:
        """Append a request if the batch has room. Returns False if the batch is full."""
        if spool.candidates and spool.size + len(BATCH_SEPARATOR) + len(member) > limits.bytes:
            file_bytes, all_bytes = spool.file_bytes + file_size(member), spool.size + len(member)
            spool.outgrown = self._may_upload(spool) and goes_apart(file_bytes, all_bytes, limits.bytes)
            return False
        spool.add(candidate, member)
        return len(spool.candidates) < limits.requests

    def _may_upload(self, spool: Spool) -> bool:
        return self.uploads and not spool.uploads

    async def _too_large(self, spool: Spool, pending: PendingRequest, member: bytes, limits: PackLimits) -> bool:
        """Settle a request that no batch has room for, unless an upload makes room. Returns False if one does."""
        alone = batch_size([len(member)])
        spool.outgrown = self._may_upload(spool) and goes_apart(file_size(member), alone, limits.bytes)
        if spool.outgrown:
            return False
        reason = f"its request takes {alone:,} bytes, and [batch] max_bytes is {limits.bytes:,}"
        await set_aside(self._context, Gone(pending.record, reason), Outcome.REJECTED)
        return True

    async def _uploaded(self, request: Request) -> Request:
        assert self._uploader is not None
        return await self._uploader.with_upload(request)
