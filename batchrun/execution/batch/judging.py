"""What a result of a batch means for its request: an answer that is judged, a failure for good, or another attempt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from batchrun.answers.turns import Judges, Mending, next_step
from batchrun.batch import BatchResult, RemoteBatch, ResultType
from batchrun.catalog.price import ModelPrice
from batchrun.execution.document_reader import DocumentReader
from batchrun.execution.evidence import located
from batchrun.execution.failure_messages import failed_outcome
from batchrun.execution.pending_request import PendingRequest
from batchrun.execution.retry_policy import REFUSALS, Action, Health, Tries, decide, kind_of
from batchrun.execution.settlements import answered_settlement, failed_settlement
from batchrun.execution.stream.circuit_breaker import FEWEST
from batchrun.outcome import Outcome
from batchrun.reply import Cause, Failure, Reply
from batchrun.store.ledger.batch_records import Batch, Member
from batchrun.store.ledger.records import Settlement

ENDINGS = {ResultType.EXPIRED: Outcome.EXPIRED, ResultType.CANCELED: Outcome.CANCELED}
UNPROCESSED = {
    ResultType.EXPIRED: Failure(cause=Cause.EXPIRED, message="the batch expired before it was processed"),
    ResultType.CANCELED: Failure(cause=Cause.CANCELED, message="the batch was canceled before it was processed"),
}
NO_RESULT = Failure(cause=Cause.MALFORMED, message="the batch ended without a result for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJudge:
    """How results of one batch are judged and priced."""

    batch: Batch
    judges: dict[int | None, Judges]
    """The judges of forms, by number. Requests without a number have the batch's own form."""
    mending: Mending
    price: ModelPrice | None
    """The price of the model. It is None when the price table no longer has the model; the worst case is booked."""
    max_attempts: int
    health: Health
    reader: DocumentReader | None
    """Makes the boxes of passages in PDFs; None where no document can be read."""

    def settlements(
        self, found: Iterable[tuple[Member, BatchResult]], texts: Mapping[str, PendingRequest]
    ) -> list[Settlement]:
        """Judge results, in order, with the documents of `texts` by request id. The call blocks."""
        return [self.settlement(member, result, texts.get(member.request_id)) for member, result in found]

    def settlement(self, member: Member, result: BatchResult, pending: PendingRequest | None) -> Settlement:
        """Return what a member's result means for the request: an outcome, or that the request is pending again.

        Quotes are looked for in the text of `pending`; None if the text of the document is not at hand.
        """
        if result.reply:
            return self._answered(member, result.reply, pending)
        failure = failure_in(result)
        if failure.maybe_billed:
            return lost(member, failure)
        if self.action(member, result) is not Action.FAIL:
            return failed_settlement(member.attempt_no, failure)
        return failed_settlement(
            member.attempt_no,
            failure,
            outcome=ENDINGS.get(result.type or ResultType.ERRORED) or failed_outcome(failure),
            reason=f"{failure.error_type or failure.cause}: {failure.message}",
        )

    def _answered(self, member: Member, reply: Reply, pending: PendingRequest | None) -> Settlement:
        judges, progress = self.judges[member.form_no], member.progress
        judgement = located(judges.form, judges.judge(reply, progress.turn), pending, self.reader)
        step = next_step(
            judges.form,
            progress,
            judgement,
            attempt_no=member.attempt_no,
            max_tokens=member.max_tokens,
            mending=self.mending,
        )
        return answered_settlement(member.attempt_no, reply, step, judgement, self.price)

    def searches(self, member: Member, result: BatchResult) -> bool:
        """Return whether quotes of an answer are looked for in its document."""
        return result.reply is not None and self.judges[member.form_no].form.has_evidence

    def action(self, member: Member, result: BatchResult) -> Action:
        """Decide about a member without an answer. What we canceled ourselves spends no attempt.

        A refusal of a request that is sent again has stopped the job, and has spent none either.
        """
        if result.type is ResultType.CANCELED and self.batch.cancel_at is not None:
            return Action.RETRY
        failure = failure_in(result)
        earlier = [one for one in member.failures if kind_of(one) not in REFUSALS]
        tries = reduce(Tries.after, [*earlier, failure], Tries())
        return decide(failure, tries, self.health, max_attempts=self.max_attempts, in_batch=True)


def failure_in(result: BatchResult) -> Failure:
    """Return why a result is no answer."""
    return result.failure or UNPROCESSED.get(result.type or ResultType.ERRORED, NO_RESULT)


def model_health(remote: RemoteBatch, *, ever_answered: bool) -> Health:
    """Return what the counts of an ended batch say of the model: whether anybody is answered.

    A few requests may be odd themselves. If more of them errored and none was answered, the model is out.
    """
    counts = remote.counts
    silent = counts.get(ResultType.ERRORED, 0) >= FEWEST and not counts.get(ResultType.SUCCEEDED)
    return Health.UNPROVEN if silent and not ever_answered else Health.ANSWERING


def lost(member: Member, failure: Failure) -> Settlement:
    """Settle a member whose result is lost. It may have been billed, so a person decides about another attempt."""
    return failed_settlement(member.attempt_no, failure, outcome=Outcome.ERRORED, reason=failure.message)
