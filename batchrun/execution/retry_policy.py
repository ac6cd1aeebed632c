"""The decision about a retry, for both routes: what a failure is, and what is done about the failure.

No other module of the execution compares a status. Each asks `kind_of`, or `decide`.
"""

import random
import re
from dataclasses import dataclass
from enum import StrEnum

from batchrun.providers.anthropic.errors import (
    is_account_refusal,
    is_bad_key,
    is_file_gone,
    is_model_failure,
    is_not_found,
    is_of_content,
    is_outcome_unknown,
    is_overloaded,
    is_rate_limit,
    is_spend_stop,
    is_too_long,
)
from batchrun.reply import Cause, Failure

UNHURRIED_ATTEMPTS = 20
"""How many 429s one request may meet in batches for each of its attempts: a 429 says "later", not "never"."""


class Health(StrEnum):
    """What is known of the API of a model."""

    UNPROVEN = "unproven"
    """Nothing was ever answered in this run."""
    ANSWERING = "answering"
    DOWN = "down"
    """Nobody is answered just now, and everyone waits."""
    LOST = "lost"
    """Nobody has been answered for as long as the job is willing to wait."""


class FailureKind(StrEnum):
    """What a failure is, on either route and after any call."""

    NO_KEY = "no_key"
    """There is no usable key; nothing was sent."""
    BAD_KEY = "bad_key"
    FORBIDDEN = "forbidden"
    """The key may not do this."""
    ACCOUNT = "account"
    """The settings of the account refuse every request."""
    FILE_GONE = "file_gone"
    """A file that was uploaded for the request is not there any more."""
    NOT_FOUND = "not_found"
    MONEY = "money"
    """The account may not spend."""
    LATER = "later"
    """The API asks to be asked later; the request is not at fault."""
    CONFLICT = "conflict"
    """An answer that is neither a yes nor a no."""
    MISCONFIGURED = "misconfigured"
    """The address, the proxy or a certificate is wrong, or the proxy asks for credentials; no API was asked."""
    REDIRECTED = "redirected"
    """The address is not the API's: the answer names another one."""
    UNREACHABLE = "unreachable"
    """No connection was made; nothing was sent."""
    SILENT = "silent"
    """The API did not get to the request, as far as one can know, or the answer was lost."""
    UNPROCESSED = "unprocessed"
    """The batch ended before the request was processed."""
    TOO_LARGE = "too_large"
    GONE = "gone"
    """What was asked for has been deleted."""
    REJECTED = "rejected"
    """The API will not take this request."""
    ODD = "odd"
    """A status that is no error, such as 100."""


class Action(StrEnum):
    """What is done about a failed attempt."""

    RETRY = "retry"
    """Try the request again. The failed attempt counts."""
    WAIT = "wait"
    """Let every request wait while the API asks for a pause or is out, then try again. No attempt counts."""
    FAIL = "fail"
    """The document failed; the others go on."""
    STOP = "stop"
    """Stop the job: no other request could succeed either."""
    STOP_OUTAGE = "stop_outage"
    """Stop the job and leave the document pending: nobody is answered."""
    STOP_MONEY = "stop_money"
    """Stop the job: the account may not spend."""


STOPS = {
    FailureKind.NO_KEY: Action.STOP,
    FailureKind.BAD_KEY: Action.STOP,
    FailureKind.FORBIDDEN: Action.STOP,
    FailureKind.ACCOUNT: Action.STOP,
    FailureKind.MISCONFIGURED: Action.STOP,
    FailureKind.REDIRECTED: Action.STOP,
    FailureKind.NOT_FOUND: Action.STOP,
    FailureKind.MONEY: Action.STOP_MONEY,
}
"""How the job stops on a failure that every other request would meet too."""
REFUSALS = frozenset({FailureKind.REJECTED, FailureKind.TOO_LARGE, FailureKind.GONE})
"""The failures that the same request would meet again."""
OF_EVERYBODY = frozenset({FailureKind.REJECTED, FailureKind.GONE, FailureKind.CONFLICT, FailureKind.ODD})
"""The failures that an account or an endpoint may have for everybody, although nothing in them says so."""
OF_STATUS = {
    401: FailureKind.BAD_KEY,
    403: FailureKind.FORBIDDEN,
    407: FailureKind.MISCONFIGURED,
    408: FailureKind.CONFLICT,
    409: FailureKind.CONFLICT,
    410: FailureKind.GONE,
    413: FailureKind.TOO_LARGE,
    429: FailureKind.LATER,
}
OF_CODE = (
    (is_spend_stop, FailureKind.MONEY),
    (is_account_refusal, FailureKind.ACCOUNT),
    (is_outcome_unknown, FailureKind.SILENT),
    (is_file_gone, FailureKind.FILE_GONE),
    (is_not_found, FailureKind.NOT_FOUND),
    (is_too_long, FailureKind.TOO_LARGE),
    (is_bad_key, FailureKind.BAD_KEY),
    (is_rate_limit, FailureKind.LATER),
    (is_model_failure, FailureKind.SILENT),
)
"""The conditions that say more than the status does."""


def kind_of(failure: Failure) -> FailureKind:
    """Return what a failure is. No other place knows what a status means."""
    match failure.cause:
        case Cause.STATUS:
            return _kind_of_status(failure)
        case Cause.CREDENTIALS:
            return FailureKind.NO_KEY
        case Cause.UNREACHABLE:
            return FailureKind.UNREACHABLE
        case Cause.MISCONFIGURED:
            return FailureKind.MISCONFIGURED
        case Cause.EXPIRED | Cause.CANCELED:
            return FailureKind.UNPROCESSED
        case Cause.TIMEOUT | Cause.DROPPED | Cause.MALFORMED:
            return FailureKind.SILENT


def _kind_of_status(failure: Failure) -> FailureKind:
    for says, kind in OF_CODE:
        if says(failure):
            return kind
    status = failure.status
    if status in OF_STATUS:
        return OF_STATUS[status]
    if status is None or status >= 500 or is_overloaded(failure):
        return FailureKind.SILENT
    if status >= 400:
        return FailureKind.REJECTED
    return FailureKind.REDIRECTED if status >= 300 else FailureKind.ODD


def is_no_answer(failure: Failure) -> bool:
    """Return whether the API gave neither a reply nor a refusal, as far as one can know."""
    return kind_of(failure) in {FailureKind.UNREACHABLE, FailureKind.SILENT}


def asks_to_wait(failure: Failure) -> bool:
    """Return whether the API asks to be asked later."""
    return kind_of(failure) is FailureKind.LATER


def is_unreachable(failure: Failure) -> bool:
    """Return whether no connection was made: nobody is to blame but the network, or the address."""
    return kind_of(failure) is FailureKind.UNREACHABLE


def stops_everyone(failure: Failure) -> bool:
    """Return whether every other call would meet the failure too."""
    return kind_of(failure) in STOPS


def may_be_everybodys(failure: Failure) -> bool:
    """Return whether a failure that ends a document may have another cause than the document."""
    return kind_of(failure) in OF_EVERYBODY and not is_of_content(failure)


@dataclass(frozen=True, slots=True)
class Tries:
    """The failed attempts of a request."""

    attempts: int = 0
    """The attempts that count, the latest one included."""
    waits: int = 0
    """The answers that said "later" and the connections that were not made, the latest one included."""

    def after(self, failure: Failure, *, outage: bool = False) -> "Tries":
        """Return the tries with one more failure. What stops the job, and silence in an outage, count as no attempt."""
        if stops_everyone(failure) or (outage and is_no_answer(failure)):
            return self
        later = asks_to_wait(failure) or is_unreachable(failure)
        return Tries(attempts=self.attempts + (not later), waits=self.waits + later)


def decide(failure: Failure, tries: Tries, health: Health, *, max_attempts: int, in_batch: bool = False) -> Action:
    """Decide what follows from a failed attempt, streamed or in a batch; `tries` include the attempt.

    | failure                                                          | action                                  |
    |------------------------------------------------------------------|-----------------------------------------|
    | no usable key, 401, 403, 404                                     | STOP                                    |
    | address, proxy or certificate is wrong, 407, a redirect          | STOP                                    |
    | 404 of a model that has answered in this run                     | WAIT, everyone, and at last STOP_OUTAGE |
    | 400, 403 of the account (`workspace_`, `organization_`, `cmek_`) | STOP                                    |
    | spend stops (402, 412, types, codes, the customer's own limit)   | STOP_MONEY                              |
    | 429                                                              | WAIT, everyone                          |
    | 429 in an outage that lasts too long; in batches after very many | STOP_OUTAGE                             |
    | 408, 409, expired, canceled by others                            | RETRY, then FAIL                        |
    | 404, 400 of a file that was uploaded: it is uploaded again       | RETRY, then FAIL                        |
    | 5xx and above, timeout, dropped, no JSON, an unknown type        | RETRY, then FAIL                        |
    | the same in an outage                                            | WAIT, everyone, and at last STOP_OUTAGE |
    | the same when nobody was ever answered                           | RETRY, then STOP_OUTAGE                 |
    | unreachable                                                      | RETRY without end; WAIT in an outage    |
    | unreachable when nobody was ever answered                        | STOP_OUTAGE                             |
    | a result of a batch that cannot be read: it was billed           | FAIL                                    |
    | 400, 413, 422 and every other 4xx                                | FAIL, unless many fail alike in a row   |
    | a status below 300                                               | FAIL                                    |

    What is tried again or fails spends an attempt. WAIT spends none, and neither does what stops the job. What many
    documents in a row are refused for alike stops the job too: `execution/failure_history.py` counts them.
    """
    kind = kind_of(failure)
    if in_batch and failure.maybe_billed:
        return Action.FAIL
    doubted = kind is FailureKind.NOT_FOUND and health is not Health.UNPROVEN and not in_batch
    if kind in STOPS and not doubted:
        return STOPS[kind]
    again = Action.RETRY if tries.attempts < max_attempts else Action.FAIL
    if kind is FailureKind.UNREACHABLE:  # no document is to blame, and no next attempt could be its last
        again = Action.FAIL if health is Health.UNPROVEN else Action.RETRY
    match kind:
        case FailureKind.LATER:
            endless = tries.waits >= UNHURRIED_ATTEMPTS * max_attempts if in_batch else health is Health.LOST
            return Action.STOP_OUTAGE if endless else Action.WAIT
        case FailureKind.CONFLICT | FailureKind.UNPROCESSED | FailureKind.FILE_GONE:
            return again
        case FailureKind.UNREACHABLE | FailureKind.SILENT | FailureKind.NOT_FOUND:
            return _unanswered(Action.WAIT if doubted else again, health)
        case _:
            return Action.FAIL


def _unanswered(action: Action, health: Health) -> Action:
    match health:
        case Health.LOST:
            return Action.STOP_OUTAGE
        case Health.DOWN:
            return Action.WAIT
        case Health.UNPROVEN:
            return Action.STOP_OUTAGE if action is Action.FAIL else action
        case Health.ANSWERING:
            return action


def delay_s(failure: Failure, tries: Tries, *, initial_s: float, max_s: float, rng: random.Random) -> float:
    """Return how long to wait before the next try.

    The delay is what the API asked for and a little more, so that not everyone returns at once. Where the API asked
    for nothing, the delay grows exponentially with the tries, under jitter.
    """
    if failure.retry_after_s is not None:
        return failure.retry_after_s + rng.uniform(0, max(0.2, 0.1 * failure.retry_after_s))
    ceiling = min(max_s, initial_s * 2 ** min(tries.attempts + tries.waits - 1, 30))
    return rng.uniform(0.1 * ceiling, ceiling)


def same_failure(failure: Failure) -> tuple[int | None, str | None, str]:
    """Return what makes two rejections the same. Words with digits are left out: positions, counts and ids."""
    return failure.status, failure.error_type, re.sub(r"\S*\d\S*", "", failure.message)[:200]
