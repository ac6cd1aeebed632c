"""Where a retry is decided: one function from what went wrong to what is done about it."""

import random
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from batchrun.execution.stream.circuit_breaker import Health
from batchrun.reply import Cause, Failure

SPEND_STOP_CODES = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached", "organization_on_hold"})
# A limit the customer set has no code; the start of the message is the only sign (Anthropic docs, rate limits).
SPEND_STOP_MESSAGES = ("you have reached your specified", "your credit balance is too low")
SAME_REJECTIONS = 5
"""When the first answers of a run are all one and the same rejection, the job file is wrong."""
REJECTIONS = frozenset({400, 413, 422})
UNHURRIED_ATTEMPTS = 20
"""How many 429s one request may meet for each attempt it is allowed: they say "later", not "never"."""


class Action(StrEnum):
    """What is done about a failed attempt."""

    RETRY = "retry"
    """Try this request again; it counts as an attempt."""
    WAIT = "wait"
    """Everyone waits while the API asks for it or is out; then it is tried again, and its attempts stay unspent."""
    FAIL = "fail"
    """The document failed; the others go on."""
    STOP = "stop"
    """Nothing else could succeed either: stop the job."""
    STOP_OUTAGE = "stop_outage"
    """Nobody is answered: stop the job, and leave the document pending."""
    STOP_MONEY = "stop_money"
    """The account may not spend: stop the job."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What a request has been through."""

    attempts: int = 0
    """Attempts that count, this one included."""
    waits: int = 0
    """Answers "later", this one included."""

    def after(self, failure: Failure, *, outage: bool = False) -> "Tries":
        """With one more failed attempt, which is not the request's fault in an outage."""
        if outage and failure.is_no_answer:
            return self
        later = failure.status == 429
        return Tries(attempts=self.attempts + (not later), waits=self.waits + later)


class FailureHistory:
    """How the answers of a run have gone: tells a wrong job file from documents that fail."""

    def __init__(self) -> None:
        self.ever_answered = False
        self._rejections: Counter[tuple[int | None, str | None, str]] = Counter()
        self.last_rejection: Failure | None = None

    def answered(self) -> None:
        """Some request got its reply."""
        self.ever_answered = True

    def failed(self, failure: Failure) -> None:
        """Some attempt did not."""
        if failure.status in REJECTIONS:
            self._rejections[same_failure(failure)] += 1
            self.last_rejection = failure

    @property
    def rejects_alike(self) -> bool:
        """Whether there was nothing but the same rejection: the job file is wrong, and not the documents."""
        return not self.ever_answered and max(self._rejections.values(), default=0) >= SAME_REJECTIONS


def decide(failure: Failure, tries: Tries, health: Health, *, max_attempts: int) -> Action:
    """Decide what a failed attempt means: a table of failures, and what it makes of a request that has had its share.

    | failure                                                   | action                                     |
    |-----------------------------------------------------------|--------------------------------------------|
    | no usable key, 401, 403, 404                              | STOP                                       |
    | spend stops (402, codes, the customer's own limit by 400) | STOP_MONEY                                 |
    | 429                                                       | WAIT, everyone                             |
    | 408, 409, 5xx, 529, timeout, dropped, unreachable, no JSON | RETRY, then FAIL                           |
    | the same in an outage                                     | WAIT, everyone, and at last STOP_OUTAGE    |
    | the same when nobody was ever answered                    | RETRY, then STOP_OUTAGE                    |
    | 400, 413, 422 and what else the API will not take         | FAIL                                       |
    """
    action = _decide(failure, tries, max_attempts)
    if action not in {Action.RETRY, Action.FAIL} or not failure.is_no_answer:
        return action
    match health:
        case Health.LOST:
            return Action.STOP_OUTAGE
        case Health.DOWN:
            return Action.WAIT
        case Health.UNPROVEN:
            return Action.STOP_OUTAGE if action is Action.FAIL else action
        case Health.ANSWERING:
            return action


def _decide(failure: Failure, tries: Tries, max_attempts: int) -> Action:
    if failure.cause is Cause.CREDENTIALS:
        return Action.STOP
    if failure.cause is Cause.STATUS:
        return _decide_status(failure, tries, max_attempts)
    return _again(tries, max_attempts)


def _decide_status(failure: Failure, tries: Tries, max_attempts: int) -> Action:
    match failure.status:
        case _ if is_spend_stop(failure):
            return Action.STOP_MONEY
        case 401 | 403 | 404:
            return Action.STOP
        case 429:
            return Action.WAIT if tries.waits < UNHURRIED_ATTEMPTS * max_attempts else Action.FAIL
        case 408 | 409:
            return _again(tries, max_attempts)
        case status if status is None or status >= 500 or failure.error_type == "overloaded_error":
            return _again(tries, max_attempts)
        case _:
            return Action.FAIL


def _again(tries: Tries, max_attempts: int) -> Action:
    return Action.RETRY if tries.attempts < max_attempts else Action.FAIL


def is_spend_stop(failure: Failure) -> bool:
    """Whether the account may not spend: by code where there is one, else by status, else by how the message begins."""
    if failure.error_code is not None:
        return failure.error_code in SPEND_STOP_CODES or failure.status == 402
    return failure.status == 402 or (
        failure.status in {400, 403} and failure.message.lower().startswith(SPEND_STOP_MESSAGES)
    )


def delay_s(failure: Failure, tries: Tries, *, initial_s: float, max_s: float, rng: random.Random) -> float:
    """How long to wait before the next try.

    What the API asked for and a little more, so that not everyone returns at once; else exponential with full jitter.
    """
    if failure.retry_after_s is not None:
        return failure.retry_after_s + rng.uniform(0, max(0.2, 0.1 * failure.retry_after_s))
    ceiling = min(max_s, initial_s * 2 ** min(tries.attempts + tries.waits - 1, 30))
    return rng.uniform(0.1 * ceiling, ceiling)


def same_failure(failure: Failure) -> tuple[int | None, str | None, str]:
    """What makes two rejections the same: digits (positions, counts) do not."""
    return failure.status, failure.error_type, "".join(c for c in failure.message if not c.isdigit())[:200]
