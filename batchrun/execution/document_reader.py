"""From the ledger's pending documents to requests: documents are read just before, and checked to be as planned."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from batchrun.document import Document, Unreadable
from batchrun.documents import Source
from batchrun.events import DocumentSettled
from batchrun.execution.run_context import RunContext, RunKey
from batchrun.execution.work_item import PendingRequest
from batchrun.outcome import Outcome
from batchrun.planning.request_builder import RequestBuilder
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Pending
from batchrun.strategy.model_chain import ModelChain

T = TypeVar("T")
PAGE = 64
"""Pending documents looked up in the ledger at once."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A pending document that cannot be sent as it was planned."""

    pending: Pending
    reason: str


class Reader:
    """Reads pending documents in a thread of its own, with a connection to the ledger of its own."""

    def __init__(self, ledger: Ledger, source: Source, builder: RequestBuilder, chain: ModelChain) -> None:
        self._ledger = ledger
        self._source = source
        self._builder = builder
        self._chain = chain
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batchrun-reader")

    async def page(self, run: RunKey, *, after: int, model: str | None = None) -> list[Pending]:
        """Return the next pending documents of the run, without their texts; of one model, if `model` names one."""
        return await self._in_thread(
            lambda: self._ledger.pending(run.run_no, since=run.since, after=after, limit=PAGE, model=model)
        )

    async def read(self, pending: list[Pending]) -> list[PendingRequest | Gone]:
        """Read the documents and make their requests again; each request must still be the one that was planned."""
        return await self._in_thread(lambda: list(self._ready(pending)))

    def close(self) -> None:
        """Let the thread end, and close the view of the ledger."""
        self._thread.shutdown(wait=True)
        self._ledger.close()

    @property
    def texts_at_once(self) -> int:
        """How many texts one `read` should ask for."""
        return self._source.page

    def _ready(self, pending: list[Pending]) -> Iterable[PendingRequest | Gone]:
        found = self._source.read([one.ref for one in pending])
        for one, document in zip(pending, found, strict=True):
            yield self._work(one, document)

    def _work(self, pending: Pending, document: Document | Unreadable) -> PendingRequest | Gone:
        if isinstance(document, Unreadable):
            return Gone(pending, document.reason)
        built = self._builder.build(document, max_tokens=pending.max_tokens)
        if pending.guessed:  # a guess is good enough for an estimate, but not for a reservation
            pending = replace(pending, counted_tokens=built.tokens.counted, guessed=False)
        acceptance_rules = self._chain.acceptance_rules
        text = built.text if acceptance_rules and acceptance_rules.evidence else None
        for number, chain_model in enumerate(self._chain.models):
            if chain_model.request(built.request).request_id == pending.request_id:
                return PendingRequest(pending, built.request, text, model_no=number)
        return Gone(pending, "it changed after it was planned; submit again")

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


async def set_aside(context: RunContext, gone: Gone, outcome: Outcome) -> None:
    """Record that a document will not be sent after all, then tell it."""
    await context.writer.write(lambda ledger: ledger.set_aside(gone.pending.document_no, outcome, gone.reason))
    context.tell(DocumentSettled(gone.pending.ref.doc_id, outcome, gone.reason, 0))


def slices(some: list[Pending], size: int) -> Iterable[list[Pending]]:
    """Cut a list in parts of at most `size`."""
    return (some[start : start + size] for start in range(0, len(some), size))
