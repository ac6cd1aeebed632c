"""What a person reads when a request, or the whole run, ends badly."""

from collections.abc import Sequence
from datetime import UTC, datetime

from batchrun.batch import RemoteBatch
from batchrun.budget.cap_text import called, quantity, raising, renewed, said, taken, worst
from batchrun.budget.caps import Amount, Cap, CapUsage, Origin
from batchrun.catalog.money import dollars
from batchrun.errors import Ambiguous, BatchrunError, EnvironmentProblem, Stopped
from batchrun.execution.retry_policy import REFUSALS, FailureKind, Tries, kind_of
from batchrun.outcome import Outcome
from batchrun.reply import Failure
from batchrun.store.ledger.batch_records import Batch
from batchrun.store.ledger.records import CapExceeded

MAY_ALL_FAIL = "If the documents are at fault, let all of them fail: [run] max_failure_rate = 1"

SAME_AGAIN = "then run the same command: nothing is lost"
FATAL = {
    FailureKind.MONEY: (
        "the account may not spend",
        f"raise the limit or settle the bill at the provider, {SAME_AGAIN}",
    ),
    FailureKind.NO_KEY: (
        "no usable API key",
        "set ANTHROPIC_API_KEY, or mend the credentials of the model's provider: batchrun providers shows them;"
        " or rehearse without a key: add --simulate",
    ),
    FailureKind.BAD_KEY: (
        "the API refused the key",
        "check ANTHROPIC_API_KEY, or the credentials of the provider that the model names; with a base_url"
        ' in its section, name the variable with its key there: api_key_env = "NAME"',
    ),
    FailureKind.ACCOUNT: (
        "the account does not allow this",
        f"see the settings of the organization and its workspace in the Console, {SAME_AGAIN}",
    ),
    FailureKind.FORBIDDEN: ("the key may not do this", "check the key's workspace and rights"),
    FailureKind.NOT_FOUND: (
        "the API does not know the model or the endpoint",
        "check [model] name, and the address of the model's provider",
    ),
    FailureKind.MISCONFIGURED: (
        "nothing can be sent",
        f"correct the address, the proxy or the certificates, {SAME_AGAIN}",
    ),
    FailureKind.REDIRECTED: (
        "the address of the API is another one",
        f"set ANTHROPIC_BASE_URL, or the `base_url` of the section, to the address of the API itself, {SAME_AGAIN}",
    ),
    FailureKind.UNREACHABLE: (
        "the API cannot be reached",
        f"check the network, the address and the proxy, {SAME_AGAIN}",
    ),
    FailureKind.LATER: (
        "the API has asked everybody to wait for too long",
        "when the API takes requests again, run the same command: nothing is lost",
    ),
}
"""What is said of a failure that stops the whole job, before the API's words, and what to do."""
DOCTOR = "; or let `batchrun doctor` look for the cause"
LOOKED_FOR = {
    FailureKind.BAD_KEY, FailureKind.NOT_FOUND, FailureKind.MISCONFIGURED, FailureKind.REDIRECTED,
    FailureKind.UNREACHABLE,
}  # fmt: skip
"""The failures whose cause `doctor` finds."""
NO_ANSWER = ("the API does not answer", "when it does again, run the same command: nothing is lost")


def failed_outcome(failure: Failure) -> Outcome:
    """Return the outcome of a request that failed for good: rejected if the API will not take the request."""
    return Outcome.REJECTED if kind_of(failure) in REFUSALS else Outcome.ERRORED


def failed_reason(failure: Failure, tries: Tries) -> str:
    """Say why a document failed, for the line beside the document."""
    status = f"{failure.status} {failure.error_type or ''}".strip() if failure.status else failure.cause.value
    attempts = tries.attempts + tries.waits
    return f"{status}: {failure.message}" + (f" ({attempts} attempts)" if attempts > 1 else "")


def waited_for(failure: Failure) -> str:
    """Say what a wait is for, in the API's own words."""
    return f"{failure.status or failure.cause}: {failure.message}"


def fatal_problem(failure: Failure, *, model: str | None = None) -> BatchrunError:
    """Say why the whole job stops, with the API's own words and what to do; `model` is named if a job has several."""
    words = f"{failure.message} ({failure.name})" if failure.status else failure.message
    kind = kind_of(failure)
    what, hint = FATAL.get(kind, NO_ANSWER)
    hint += DOCTOR if kind in LOOKED_FOR else ""
    problem = Stopped if kind is FailureKind.MONEY else EnvironmentProblem
    return problem(f"{model}: {what}: {words}" if model else f"{what}: {words}", hint=hint)


def batch_rejected(failure: Failure) -> Stopped:
    """Say that the API will not take a batch as a whole."""
    return Stopped(
        f"the API rejected the batch: {failure.message} ({failure.name})",
        hint="the job file is probably wrong, not the documents; correct it and submit again: nothing was billed",
    )


def batch_unknown(batch: Batch, failure: Failure) -> EnvironmentProblem:
    """Say that the API goes on denying a batch that the API has created."""
    return EnvironmentProblem(
        f"the API does not know the batch {batch.name}: {failure.message}",
        hint="check that the key belongs to the workspace that created it; if it was deleted, give it up, and its"
        f" documents are paid again: batchrun batches {batch.job} --resend --pay-again --batch {batch.batch_no}",
    )


def several_found(batch: Batch, candidates: Sequence[RemoteBatch]) -> Ambiguous:
    """Say that more than one batch may be the one whose create call got no answer."""
    listed = "\n".join(f"    {one.batch_id}  {one.status}, created {utc(one.created_at)}" for one in candidates)
    return Ambiguous(
        f"{lost_creation(batch)}, and it may be any of these:\n{listed}",
        hint=f"look at them in the Console (custom_ids of ours begin with {batch.nonce}), then: batchrun batches"
        f" {batch.job} --adopt ID, or if it is none of them: --resend --pay-again",
    )


def nowhere_found(batch: Batch) -> Ambiguous:
    """Say that a batch in doubt is not in the list, and that the job file forbids to send the batch again unasked."""
    return Ambiguous(
        f'{lost_creation(batch)}, and it is not in the list of batches; [batch] on_ambiguous = "hold" keeps it from'
        " being sent again.",
        hint=f"if the Console does not show it either: batchrun batches {batch.job} --resend; if it does: --adopt ID",
    )


def nowhere_proven(batch: Batch) -> Ambiguous:
    """Say that a batch in doubt is not in the list, and that the list proves nothing."""
    return Ambiguous(
        f"{lost_creation(batch)}, and it is not in the list of batches, which shows no batch of ours or nothing that"
        " happened since. It may exist: its worst case stays reserved, and it is not sent again.",
        hint=f"look in the Console (names of our requests begin with {batch.nonce}); if it is there: batchrun batches"
        f" {batch.job} --adopt ID; if it is not: batchrun batches {batch.job} --resend --pay-again",
    )


def another_list(batch: Batch) -> Ambiguous:
    """Say that the API's list lacks a batch that was in the list before the creation of a batch in doubt."""
    return Ambiguous(
        f"{lost_creation(batch)}, and the list of batches cannot tell: it lacks {batch.newest_before}, which was there"
        " before.",
        hint="is the key of another workspace? If that batch was deleted, look in the Console, then: batchrun batches"
        f" {batch.job} --adopt ID, or --resend --pay-again",
    )


def never_proven(batch: Batch) -> Ambiguous:
    """Say that the results of a batch found in the list prove neither that the batch is ours nor that it is not."""
    return Ambiguous(
        f"the batch {batch.name} was found in the list and taken for ours, and no custom_id of its results proves it.",
        hint="look at it in the Console; if it is not ours, or empty, its documents are sent again after: batchrun"
        f" batches {batch.job} --resend --pay-again --batch {batch.batch_no}",
    )


def lost_creation(batch: Batch) -> str:
    """Begin a message about a batch whose create call got no answer."""
    created = f"{batch.requests:,} requests, {utc(batch.prepared_at)}"
    return f"the answer to the creation of batch {batch.name} ({created}) was lost"


def utc(seconds: float) -> str:
    """Return a time in words that people read."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


class BudgetReached(Stopped):
    """The worst case of the next request would pass a cap."""

    def __init__(self, cap: Cap, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.cap = cap


def budget_reached(refusal: CapExceeded, amount: Amount) -> BudgetReached:
    """Say which cap would be passed, and how to go on."""
    cap = refusal.cap
    used, limit = quantity(cap, refusal.used), quantity(cap, cap.limit)
    spent = f"{used} of {limit}{said(cap)} is {taken(cap, held=' for lost answers')}"
    message = f"{called(cap)} is reached: {spent}, and the next request {worst(cap, amount)}."
    return BudgetReached(cap, message, hint=f"{to_finish(cap)}: what is done is not paid twice")


def to_finish(cap: Cap, *, needed: int | None = None) -> str:
    """Say what to do for the rest of a run that has reached a cap. The rest needs `needed`, in what the cap counts."""
    if when := renewed(cap):
        return f"submit again {when}, or {raising(cap)}"
    where = " in the job file" if cap.origin is Origin.JOB else ""
    return f"{raising(cap, to=needed)}{where} and submit again"


def document_budget_reached(cap_usage: CapUsage, amount: Amount) -> str:
    """Say why a document may not be tried again, for the line beside the document."""
    return (
        f"another attempt may cost up to {dollars(amount.nusd)}, and {dollars(cap_usage.used)} of"
        f" {dollars(cap_usage.cap.limit)} ({cap_usage.cap.name}) is spent or reserved for it"
    )


def rejected_alike(failure: Failure, count: int, *, ever_answered: bool) -> Stopped:
    """Say that so many documents in a row met one and the same rejection, which may be anybody's fault but theirs."""
    words = f"{failure.message} ({failure.name})"
    if not ever_answered:
        return Stopped(
            f"the first {count} documents were all rejected in the same way: {words}",
            hint=f"the job file is probably wrong, not the documents; correct it and submit again. {MAY_ALL_FAIL}",
        )
    return Stopped(
        f"{count} documents in a row were rejected in the same way, and none was answered in between: {words}",
        hint="the account or the endpoint probably refuses everybody now; see to it, then run the same command: these"
        f" documents are still pending. {MAY_ALL_FAIL}",
    )


def rowless_alike(model: str, count: int, reason: str) -> Stopped:
    """Say that the first answers of a model have brought no row, all for the same reason, and that all were paid."""
    return Stopped(
        f"the first {count} answers of {model} have all brought no row, for the same reason: {reason}",
        hint="look at one of them. An endpoint that is not the API's own may ignore structured output. What was"
        f" answered is recorded. {MAY_ALL_FAIL}",
    )
