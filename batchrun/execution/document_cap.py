"""The cap of a single document: a request whose next attempt might pass the cap ends as errored."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.budget.caps import Amount, Caps, CapUsage
from batchrun.events import DocumentSettled
from batchrun.execution.failure_messages import document_budget_reached
from batchrun.execution.pending_request import PendingRequest
from batchrun.execution.run_context import RunContext
from batchrun.outcome import Outcome
from batchrun.store.ledger.cascades import take_back
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.request_refusal import document_usage


@dataclass(frozen=True, slots=True)
class DocumentCap:
    """Ends the documents of one run that may not be tried again."""

    context: RunContext
    caps: Caps

    async def ends(self, pending: PendingRequest, amount: Amount) -> bool:
        """End the document if one more attempt may pass the cap. Returns whether the document has ended."""
        cap = self.caps.document
        if cap is None:
            return False
        run_no = self.context.key.run_no
        doc_id, request_ids = pending.record.ref.doc_id, [pending.record.request_id]
        cap_usage = await self.context.writer.write(
            lambda ledger: document_usage(ledger.connection, cap, run_no, doc_id, request_ids)
        )
        if cap_usage.fits(amount):
            return False
        await self.end(pending, cap_usage, amount)
        return True

    async def end(
        self, pending: PendingRequest, cap_usage: CapUsage, amount: Amount, *, earlier: Sequence[str] = ()
    ) -> None:
        """Record that the document is given up, then announce its end.

        `earlier` are the ids of the document's requests to the models before: a valid row of one of them is better
        than none.
        """
        reason = document_budget_reached(cap_usage, amount)
        request_no = pending.record.request_no

        def end(ledger: Ledger) -> list[DocumentSettled]:
            kept = take_back(ledger, self.context.job, request_no, earlier)
            given_up = ledger.give_up(request_no, self.context.job, Outcome.ERRORED, reason)
            return [
                *(DocumentSettled(doc_id, Outcome.SUCCEEDED, None, 0) for doc_id in kept),
                *(DocumentSettled(doc_id, Outcome.ERRORED, reason, 0) for doc_id in given_up),
            ]

        for event in await self.context.writer.write(end):
            self.context.tell(event)
