"""From the ledger's pending documents to requests: each document is read just before its request is sent."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from batchrun.document import Unreadable
from batchrun.documents.files import is_pdf
from batchrun.documents.formats.pdf_boxes import Box
from batchrun.events import DocumentSettled
from batchrun.execution.pending_request import PendingRequest, shown_reply
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.outcome import Outcome
from batchrun.planning.weighing import CHANGED, Prepare, Prepared, Wanted
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Pending
from batchrun.strategy.model_chain import ModelChain

T = TypeVar("T")
PAGE = 64
"""Pending documents looked up in the ledger at once."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A pending document that cannot be sent as planned."""

    pending: Pending
    reason: str


class DocumentReader:
    """Reads pending documents in a thread of its own, with a connection to the ledger of its own."""

    def __init__(
        self,
        ledger: Ledger,
        prepare: Prepare,
        chain: ModelChain,
        *,
        texts_at_once: int,
        has_evidence: bool = False,
    ) -> None:
        """Read documents for a chain of models; `has_evidence` says whether quotes are looked for in their texts."""
        self._ledger = ledger
        self._prepare = prepare
        self._chain = chain
        self._has_evidence = has_evidence
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batchrun-reader")
        self.texts_at_once = texts_at_once
        """How many texts one `read` should ask for."""

    async def page(self, run: RunKey, *, after: int, model: str | None = None) -> list[Pending]:
        """Return the next pending documents of the run, without their texts. With `model`, return only that model's."""
        return await self._in_thread(
            lambda: self._ledger.pending(run.run_no, since=run.since, after=after, limit=PAGE, model=model)
        )

    async def read(self, pending: list[Pending]) -> list[PendingRequest | Gone]:
        """Read the documents and build their requests again. Each request must still be the planned one."""
        wanted = [Wanted(one.ref, one.max_tokens, counts=one.guessed) for one in pending]
        return await self._in_thread(
            lambda: [self._request(*found) for found in zip(pending, self._prepare(wanted), strict=True)]
        )

    def boxes(self, pending: PendingRequest, spans: Sequence[tuple[int, int]]) -> Sequence[Sequence[Box]]:
        """Return the boxes of stretches of a PDF's text, or none; the call blocks."""
        wanted = Wanted(pending.record.ref, counts=False, content_sha=pending.pdf_sha, spans=tuple(spans))
        try:
            (found,) = self._thread.submit(self._prepare, [wanted]).result()
        except Exception:  # noqa: BLE001 - the answer is paid for, and must reach the ledger without its boxes too
            return ()
        return found.boxes if isinstance(found, Prepared) else ()

    def close(self) -> None:
        """Let the thread end, and close the connection to the ledger."""
        self._thread.shutdown(wait=True)
        self._ledger.close()

    def _request(self, pending: Pending, prepared: Prepared | Unreadable) -> PendingRequest | Gone:
        if isinstance(prepared, Unreadable):
            return Gone(pending, prepared.reason)
        if prepared.tokens:  # a guess is good enough for an estimate, but not for a reservation
            pending = replace(pending, counted_tokens=prepared.tokens.counted, guessed=False)
        rules = self._chain.acceptance_rules
        is_searched = self._has_evidence or bool(rules and rules.evidence)
        text, places = (prepared.text, prepared.places) if is_searched else (None, ())
        for model_no, chain_model in enumerate(self._chain.models):
            if chain_model.request(prepared.request).request_id == pending.request_id:
                shown = shown_reply(pending, self._ledger)
                pdf_sha = prepared.content_sha if is_pdf(prepared.reader) else None
                return PendingRequest(pending, prepared.request, text, places, pdf_sha, shown, model_no=model_no)
        return Gone(pending, CHANGED)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


async def set_aside(context: RunContext, gone: Gone, outcome: Outcome) -> None:
    """Record that a document will not be sent, then announce its outcome."""
    await context.writer.write(lambda ledger: ledger.set_aside(gone.pending.document_no, outcome, gone.reason))
    context.tell(DocumentSettled(gone.pending.ref.doc_id, outcome, gone.reason, 0))


def slices(some: list[T], size: int) -> Iterable[list[T]]:
    """Cut a list in parts of at most `size`."""
    return (some[start : start + size] for start in range(0, len(some), size))
