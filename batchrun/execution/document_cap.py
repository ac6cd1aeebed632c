"""The cap of a single document: a request whose next attempt might pass it ends as errored."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.budget.caps import Amount, Caps, Room
from batchrun.events import DocumentSettled, Listener
from batchrun.execution.failure_messages import document_budget_reached
from batchrun.execution.ledger_writer import Recorder
from batchrun.execution.work_item import Work
from batchrun.outcome import Outcome
from batchrun.store.ledger.cap_usage import Rooms
from batchrun.store.ledger.cascades import take_back
from batchrun.store.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class DocumentCap:
    """Ends documents that may not be tried again in one run."""

    run_no: int
    job: str
    caps: Caps
    recorder: Recorder
    tell: Listener

    async def ends(self, work: Work, amount: Amount) -> bool:
        """End the document if what the run has committed for it and one more attempt may pass the cap."""
        if self.caps.document is None:
            return False
        doc_id, request_ids = work.pending.ref.doc_id, [work.pending.request_id]
        room = await self.recorder.write(
            lambda ledger: Rooms(ledger.connection, self.caps).document_room(self.run_no, doc_id, request_ids)
        )
        if room is None or room.fits(amount):
            return False
        await self.end(work, room, amount)
        return True

    async def end(self, work: Work, room: Room, amount: Amount, *, earlier: Sequence[str] = ()) -> None:
        """Record that the document is given up, then tell it.

        `earlier` are its requests to the models before: a valid row of theirs is better than none.
        """
        reason = document_budget_reached(room, amount)
        request_no = work.pending.request_no

        def end(ledger: Ledger) -> tuple[list[str], list[str]]:
            kept = take_back(ledger, self.job, request_no, earlier)
            return kept, ledger.give_up(request_no, self.job, Outcome.ERRORED, reason)

        kept, given_up = await self.recorder.write(end)
        for doc_id in kept:
            self.tell(DocumentSettled(doc_id, Outcome.SUCCEEDED, None, 0))
        for doc_id in given_up:
            self.tell(DocumentSettled(doc_id, Outcome.ERRORED, reason, 0))
