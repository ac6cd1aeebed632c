"""An outcome: what became of a document."""

from collections.abc import Sequence
from enum import StrEnum

from batchrun.errors import UsageProblem


class Outcome(StrEnum):
    """The end of a document's story in a run. A document without an outcome is pending."""

    SUCCEEDED = "succeeded"
    """A valid row."""
    INVALID = "invalid"
    """A reply that is empty, not JSON, or not of the asked form."""
    TRUNCATED = "truncated"
    """The reply reached `max_tokens` or the context window."""
    REFUSED = "refused"
    """The model refused (`stop_reason` refusal, with HTTP 200)."""
    REJECTED = "rejected"
    """The API would not take the request (400, 413, 422)."""
    ERRORED = "errored"
    """No answer came after every allowed attempt."""
    EXPIRED = "expired"
    """A batch ended before the request was processed."""
    CANCELED = "canceled"
    """A batch was canceled before the request was processed."""
    UNREADABLE = "unreadable"
    """The document could not be read, or changed after planning; nothing was sent."""
    SKIPPED = "skipped"
    """The document was left out because the job file says so (too large, empty); nothing was sent."""

    @property
    def failed(self) -> bool:
        """Whether a person has to look at the document."""
        return self not in {Outcome.SUCCEEDED, Outcome.SKIPPED}


RETRIED = (Outcome.ERRORED, Outcome.EXPIRED, Outcome.INVALID, Outcome.TRUNCATED)
"""The outcomes that `batchrun retry` tries again unasked: another attempt may well end better."""


def statuses(words: Sequence[str]) -> list[str]:
    """Return the statuses that the words name: outcomes, `pending`, `failed` or `all`. Raises UsageProblem."""
    every = [*map(str, Outcome), "pending"]
    groups = {"all": every, "failed": [str(outcome) for outcome in Outcome if outcome.failed]}
    if unknown := [word for word in words if word not in {*every, *groups}]:
        raise UsageProblem(f"{', '.join(unknown)} is no outcome.", hint=f"choose from {', '.join([*groups, *every])}")
    return [status for word in words for status in groups.get(word, [word])]
