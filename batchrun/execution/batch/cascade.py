"""Answers from batches, checked against the rules of the cascade: documents pass to the next model by streaming."""

from dataclasses import dataclass

from batchrun.answers.form import AnswerForm
from batchrun.execution.document_reader import PAGE, DocumentReader, slices
from batchrun.execution.pending_request import PendingRequest
from batchrun.execution.run_context import RunContext
from batchrun.outcome import Outcome
from batchrun.store.ledger.cascades import Answered, answered
from batchrun.store.ledger.records import Move
from batchrun.strategy.model_chain import ModelChain


@dataclass(frozen=True, slots=True)
class BatchCascade:
    """Checks the answers that a run has settled. The check may be repeated at any time."""

    context: RunContext
    chain: ModelChain
    form: AnswerForm
    reader: DocumentReader

    async def escalate(self) -> None:
        """Let documents whose answers are not taken pass to the next model, until the run halts."""
        for number, chain_model in enumerate(self.chain.models[:-1]):
            after = 0
            while self.context.halt.reason is None and (page := await self._page(after, chain_model.price.name)):
                after = page[-1].pending.document_no
                doubtful = {one.pending.document_no: one for one in page if self._doubtful(number, one)}
                for some in slices([one.pending for one in doubtful.values()], self.reader.texts_at_once):
                    ready = [one for one in await self.reader.read(some) if isinstance(one, PendingRequest)]
                    found = [self._move(number, one, doubtful[one.record.document_no]) for one in ready]
                    await self._apply([move for move in found if move])

    async def _page(self, after: int, model: str) -> list[Answered]:
        run = self.context.key
        return await self.context.writer.write(
            lambda ledger: answered(ledger, run.run_no, since=run.since, after=after, limit=PAGE, model=model)
        )

    def _doubtful(self, number: int, one: Answered) -> bool:
        """Return whether the answer is not taken, or only the text of the document can show that."""
        answer, acceptance_rules = one.answer, self.chain.acceptance_rules
        looked_at = answer.output is not None and acceptance_rules is not None and bool(acceptance_rules.evidence)
        return looked_at or self._why(number, one, text=None) is not None

    def _why(self, number: int, one: Answered, *, text: str | None) -> str | None:
        return self.chain.escalated(number, one.answer.outcome, one.answer.output, text, one.answer.findings)

    def _move(self, number: int, pending: PendingRequest, one: Answered) -> Move | None:
        # A document that is gone from the source, or has changed, keeps its answer and does not come here.
        why = self._why(number, one, text=pending.text)
        if why is None:
            return None
        has_row = one.answer.outcome is Outcome.SUCCEEDED
        return pending.move_to(self.chain.models[number + 1], self.form, escalated=why, has_row=has_row)

    async def _apply(self, moves: list[Move]) -> None:
        await self.context.writer.write(lambda ledger: [ledger.move(self.context.job, move) for move in moves])
