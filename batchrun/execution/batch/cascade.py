"""Answers that came in batches, held against their cascade: documents pass to the next model, which is streamed."""

from dataclasses import dataclass

from batchrun.execution.document_reader import PAGE, Reader, RunKey, slices
from batchrun.execution.halt import Halt
from batchrun.execution.ledger_writer import Recorder
from batchrun.execution.work_item import Work
from batchrun.outcome import Outcome
from batchrun.store.ledger.cascades import Answered, answered
from batchrun.store.ledger.records import Move
from batchrun.strategy.model_chain import Ladder


@dataclass(frozen=True, slots=True)
class Escalating:
    """Goes over what a run has settled; safe to do at any time and as often as one likes."""

    run: RunKey
    job: str
    ladder: Ladder
    reader: Reader
    recorder: Recorder
    halt: Halt

    async def escalate(self) -> None:
        """Let documents whose answers are not taken stand for the request to the next model, until the run halts."""
        for number, rung in enumerate(self.ladder.rungs[:-1]):
            after = 0
            while self.halt.reason is None and (page := await self._page(after, rung.price.name)):
                after = page[-1].pending.document_no
                doubtful = {one.pending.document_no: one for one in page if self._doubtful(number, one)}
                for some in slices([one.pending for one in doubtful.values()], self.reader.texts_at_once):
                    ready = [one for one in await self.reader.read(some) if isinstance(one, Work)]
                    moves = [self._move(number, one, doubtful[one.pending.document_no]) for one in ready]
                    await self._apply([move for move in moves if move])

    async def _page(self, after: int, model: str) -> list[Answered]:
        run = self.run
        return await self.recorder.write(
            lambda ledger: answered(ledger, run.run_no, since=run.since, after=after, limit=PAGE, model=model)
        )

    def _doubtful(self, number: int, one: Answered) -> bool:
        """Whether its answer is not taken, or its text has to be looked at to know."""
        answer, demands = one.answer, self.ladder.demands
        looked_at = answer.output is not None and demands is not None and bool(demands.evidence)
        return looked_at or self._why(number, one, text=None) is not None

    def _why(self, number: int, one: Answered, *, text: str | None) -> str | None:
        return self.ladder.escalated(number, one.answer.outcome, one.answer.output, text)

    def _move(self, number: int, work: Work, one: Answered) -> Move | None:
        """What is gone from the source, or has changed, keeps its answer and does not come here."""
        why = self._why(number, one, text=work.text)
        rung = self.ladder.rungs[number + 1]
        if why is None:
            return None
        return Move(
            work.pending,
            rung.request(work.request).request_id,
            rung.price.name,
            escalated=why,
            has_row=one.answer.outcome is Outcome.SUCCEEDED,
        )

    async def _apply(self, moves: list[Move]) -> None:
        await self.recorder.write(lambda ledger: [ledger.move(self.job, move) for move in moves])
