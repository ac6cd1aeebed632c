"""From the results of an ended batch to outcomes in the ledger: streamed, judged and settled in groups.

A download may break anywhere and starts again from the top. A request that is settled is no longer an open member, and
its result is skipped.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from batchrun.answers.form import AnswerForm
from batchrun.answers.turns import Judges
from batchrun.batch import BatchResult, RemoteBatch
from batchrun.errors import BatchrunError
from batchrun.events import DocumentSettled
from batchrun.execution.batch.judging import NO_RESULT, BatchJudge, lost, model_health
from batchrun.execution.document_reader import DocumentReader, slices
from batchrun.execution.failure_history import FailureHistory
from batchrun.execution.failure_messages import fatal_problem
from batchrun.execution.pending_request import PendingRequest
from batchrun.execution.retry_policy import Action, FailureKind, kind_of, stops_everyone
from batchrun.execution.run_context import RunContext
from batchrun.execution.usage_doubts import UsageDoubts, fits_reservation
from batchrun.providers import BatchProvider
from batchrun.reply import Cause, Failure
from batchrun.store.ledger.batch_records import Batch, Member
from batchrun.store.ledger.batches import Batches
from batchrun.store.ledger.forms import form_of
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.records import Settlement
from batchrun.store.ledger.uploads import distrust_uploads
from batchrun.strategy.model_chain import ModelChain

GROUP, GROUP_CHARACTERS = 200, 4_000_000
"""Results settled in one transaction: at most so many, and not much more text than this."""
MOST_DOWNLOADS = 10
"""After so many downloads that ended without an error, and brought nothing new, a missing result is given up."""
MOST_SHORT = 50
"""The same for downloads that certainly ended early, because the API counts more results than came."""
RESULTS_GONE = Failure(
    cause=Cause.DROPPED,
    message="the API has deleted the results of its batch, 29 days after it was created; it was probably billed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one download of a batch's results came to."""

    foreign: bool = False
    """Whether no result carries the batch's nonce: the adopted batch is somebody else's."""
    complete: bool = False
    """Whether every member has its outcome or is pending again."""
    again: int = 0
    """Requests that are pending again."""
    odd: int = 0
    """Results that nobody waits for: without our nonce, unreadable, or more than there are members."""


class Collector:
    """Collects the results of batches."""

    def __init__(
        self,
        context: RunContext,
        provider: BatchProvider,
        failure_history: FailureHistory[Settlement],
        *,
        chain: ModelChain | None = None,
        reader: DocumentReader | None = None,
    ) -> None:
        """With a `chain`, documents whose answer passes to the next model are announced only after the next answer.

        With a `reader`, the quotes of answers are looked for in the documents.
        """
        self._context = context
        self._writer = context.writer
        self._provider = provider
        self._failure_history = failure_history
        self._doubts = UsageDoubts(context.tell)
        self._chain = chain
        self._reader = reader
        self._models = [chain_model.price.name for chain_model in chain.models] if chain else []
        self.fatal: Failure | None = None
        """The last failure that would meet every other request too."""

    def hopeless(self) -> BatchrunError | None:
        """Return why every other request would only meet the same end, or None if another may be answered."""
        if self.fatal:
            return fatal_problem(self.fatal)
        return self._failure_history.problem()

    @property
    def holds_back(self) -> bool:
        """Whether outcomes are held back. Their requests are pending in the ledger, and must not be sent meanwhile."""
        return self._failure_history.holds_back

    async def conclude(self) -> None:
        """Give the documents of all batches that were collected the outcomes that were held back."""
        await self._record("", self._failure_history.final(at_end=True), was_held=True)

    async def collect(self, batch: Batch, remote: RemoteBatch) -> Collected:
        """Settle every member of an ended batch. Raises AttemptError when the download breaks: what came is kept."""
        schema = await self._writer.write(lambda ledger: Batches(ledger).schema(batch.batch_no))
        price = self._context.price_of(batch.model)
        batch_judge = BatchJudge(
            batch=batch,
            judges={None: Judges(AnswerForm(schema))},
            mending=self._context.mending(batch.model),
            price=price and price.in_batches,
            max_attempts=self._context.retry.max_attempts,
            health=model_health(remote, ever_answered=self._failure_history.ever_answered),
            reader=self._reader,
        )
        ours = odd = again = named = new = 0
        async with aclosing(grouped(self._provider.results(remote))) as groups:
            async for group in groups:
                self._context.halt.check()
                results = with_nonce(group, batch.nonce)
                if results and batch.adopted and not ours:
                    await self._writer.write(lambda ledger: Batches(ledger).proven(batch))
                ours += len(results)
                odd += len(group) - len(results)
                named += sum(result.is_named for result in group)
                settlements = await self._settle(batch_judge, results)
                new += len(settlements)
                again += sum(end.outcome is None for end in settlements)
        if not batch.adopted or ours:
            patience = MOST_SHORT if ours + odd < remote.requests else MOST_DOWNLOADS
            complete = await self._finish(replace(batch, adopted=False), news=new > 0, patience=patience)
            return Collected(complete=complete, again=again, odd=odd + max(0, ours - batch.requests))
        # A download that ended early proves nothing; only one that is whole, and names nothing of ours, does.
        if named and odd >= (remote.requests or batch.requests):
            return Collected(foreign=True)
        await self._writer.write(lambda ledger: Batches(ledger).downloaded(batch, news=False))
        return Collected()

    async def give_up(self, batch: Batch, failure: Failure) -> None:
        """Settle every member whose result will never be had, and close the batch."""
        while missing := await self._writer.write(
            lambda ledger: Batches(ledger).without_result(batch.batch_no, limit=GROUP)
        ):
            await self._record(batch.model, [lost(member, failure) for member in missing], batch_id=batch.batch_id)
        await self._writer.write(lambda ledger: Batches(ledger).collected(batch))

    async def _finish(self, batch: Batch, *, news: bool, patience: int) -> bool:
        """Close the batch if nothing is missing. What many downloads in a row did not bring never comes."""

        def close(ledger: Ledger) -> bool:
            batches = Batches(ledger)
            if batches.without_result(batch.batch_no, limit=1):
                batches.downloaded(batch, news=news)
                return False
            batches.collected(batch)
            return True

        complete = await self._writer.write(close)
        if complete or news or batch.downloads + 1 < patience:
            return complete
        await self.give_up(batch, NO_RESULT)
        return True

    async def _settle(self, batch_judge: BatchJudge, results: Mapping[str, BatchResult]) -> list[Settlement]:
        """Settle those of the results that are still waited for."""
        batch = batch_judge.batch
        members = await self._writer.write(lambda ledger: Batches(ledger).members(batch.batch_no, results))
        for form_no in {member.form_no for member in members.values()} - batch_judge.judges.keys():
            form = await self._writer.write(partial(form_of, form_no=form_no))
            batch_judge.judges[form_no] = Judges(form)
        found = [(member, self._believed(member, results[request_id])) for request_id, member in members.items()]
        settlements = await self._settlements(batch_judge, found)
        ends = [
            replace(end, outcome=None, reason=None) if self._remember(result, batch_judge, member, end) else end
            for (member, result), end in zip(found, settlements, strict=True)
        ]
        if any(result.failure and kind_of(result.failure) is FailureKind.FILE_GONE for _, result in found):
            await self._writer.write(lambda ledger: distrust_uploads(ledger, batch.job))
        await self._record(batch.model, ends, batch_id=batch.batch_id)
        await self._record(batch.model, self._failure_history.final(), was_held=True)
        return settlements

    async def _settlements(self, batch_judge: BatchJudge, found: list[tuple[Member, BatchResult]]) -> list[Settlement]:
        """Judge results, in order. Only as many documents are in memory as are read at once."""
        reads = any(batch_judge.searches(*one) for one in found)
        settlements: list[Settlement] = []
        for some in slices(found, self._reader.texts_at_once if self._reader and reads else GROUP):
            texts = await self._texts([member for member, result in some if batch_judge.searches(member, result)])
            settlements += await asyncio.to_thread(batch_judge.settlements, some, texts)
        return settlements

    async def _texts(self, members: list[Member]) -> dict[str, PendingRequest]:
        """Read the documents of members again. What has changed or gone, or cannot be read now, is left out."""
        if self._reader is None or not members:
            return {}
        ids = [member.request_id for member in members]
        pending = await self._writer.write(lambda ledger: ledger.documents_of(self._context.job, ids))
        found = await self._reader.read(pending)
        return {one.record.request_id: one for one in found if isinstance(one, PendingRequest)}

    def _believed(self, member: Member, result: BatchResult) -> BatchResult:
        reply = result.reply
        if reply and reply.usage and not fits_reservation(reply.usage, member.reserved_tokens):
            return replace(result, reply=self._doubts.without_usage(reply))
        return result

    async def _record(
        self, model: str, settlements: list[Settlement], *, was_held: bool = False, batch_id: str | None = None
    ) -> None:
        if not settlements:
            return
        settled = await self._writer.write(
            lambda ledger: [ledger.conclude(end) if was_held else ledger.settle(end) for end in settlements]
        )
        for end, doc_ids in zip(settlements, settled, strict=True):
            if end.outcome is None or self._passes_on(model, end):
                continue  # the document is announced when its next answer comes
            for number, doc_id in enumerate(doc_ids):  # documents of one request pay once
                cost_nusd = 0 if number else end.cost_nusd or 0
                self._context.tell(DocumentSettled(doc_id, end.outcome, end.reason, cost_nusd, batch_id))

    def _passes_on(self, model: str, end: Settlement) -> bool:
        """Return whether the next model is asked after this answer, as far as the document need not be read."""
        if self._chain is None or end.outcome is None or model not in self._models:
            return False
        output = json.loads(end.output) if end.output else None
        return self._chain.escalated(self._models.index(model), end.outcome, output, None) is not None

    def _remember(self, result: BatchResult, batch_judge: BatchJudge, member: Member, end: Settlement) -> bool:
        """Learn from a result what becomes of the others. Returns whether the outcome of its request is held back."""
        model, history = batch_judge.batch.model, self._failure_history
        if result.reply and (judged := end.judged or end.outcome):
            history.answered(model, judged, end.reason)
        elif result.failure and result.failure.cause is Cause.STATUS:
            if stops_everyone(result.failure) or batch_judge.action(member, result) is Action.STOP_OUTAGE:
                self.fatal = result.failure
            return end.outcome is not None and history.rejected(model, result.failure, end.attempt_no, held=end)
        return False


async def grouped(results: AsyncGenerator[BatchResult, None]) -> AsyncGenerator[list[BatchResult], None]:
    """Yield the results in lists of bounded size. What came before a download broke is yielded before the error."""
    group: list[BatchResult] = []
    size = 0
    try:
        async with aclosing(results):
            async for result in results:
                group.append(result)
                size += len(result.reply.raw) if result.reply else 0
                if len(group) == GROUP or size >= GROUP_CHARACTERS:
                    yield group
                    group, size = [], 0
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group


def with_nonce(group: list[BatchResult], nonce: str) -> dict[str, BatchResult]:
    """Return the results that carry the nonce, by request id. Of two results of one request the first counts."""
    found: dict[str, BatchResult] = {}
    for result in group:
        if result.nonce == nonce:
            found.setdefault(result.request_id, result)
    return found
