"""What the ends of a run's requests say when they are all alike: it is not the documents that are at fault.

Documents that are rejected alike, one after the other, may be the account's fault or the endpoint's. So the outcome of
each is held back until somebody is answered, or something else is refused: the documents are pending until then, also
after a crash. When too many are alike the run stops, and what is held back stays pending.
"""

import re
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from batchrun.errors import Stopped
from batchrun.execution.failure_messages import rejected_alike, rowless_alike
from batchrun.execution.retry_policy import may_be_everybodys, same_failure
from batchrun.outcome import Outcome
from batchrun.reply import Failure

FIRST_REJECTIONS, LATER_REJECTIONS = 5, 10
"""So many identical rejections in a row stop a run in which nobody was answered yet, and any other run."""
FIRST_ROWLESS = 20
"""When so many first answers of a model bring no row, all for the same reason, the run stops."""
ROWLESS = frozenset({Outcome.INVALID, Outcome.TRUNCATED})
"""The ends of answers that the endpoint or the job file may be to blame for; a refusal is about the document."""
MOST_HELD = 1_000
"""The most outcomes of one row of rejections that are held back to be final after all. A longer row stays pending."""
VALUES = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<=not JSON: ).*|[^a-zA-Z ;.]""")
"""What is left out of a reason why an answer is no row: the values of the answer, and where they are."""

Held = TypeVar("Held")
"""What the caller needs to give a document its outcome later."""


@dataclass(slots=True)
class Rejections(Generic[Held]):
    """A row of identical rejections without an answer in between."""

    failure: Failure
    count: int = 0
    held: dict[int, Held] = field(default_factory=dict)
    """What is held back, by the number of the request."""


class FailureHistory(Generic[Held]):
    """The answers and rejections of a run, each model by itself, in the order of their arrival."""

    def __init__(self, *, brakes: bool = True) -> None:
        """Without `brakes` every document may fail: nothing is held back, and nothing stops the run."""
        self.ever_answered = False
        self._brakes = brakes
        self._rejections: dict[str, Rejections[Held]] = {}
        self._rowless: dict[str, tuple[tuple[Outcome, str] | None, int]] = {}
        """How each model's answers have brought no row, and how many did so; None after any other answer."""
        self._final: list[Held] = []
        self._problem: Stopped | None = None

    def answered(self, model: str, outcome: Outcome, reason: str | None) -> None:
        """Remember that a request got a reply, and what the reply means."""
        self.ever_answered = True
        self._end_row(model)
        way = (outcome, VALUES.sub("", reason or "")) if outcome in ROWLESS else None
        first, count = self._rowless.get(model, (way, 0))
        self._rowless[model] = (way, count + 1) if way and way == first else (None, 0)
        if self._brakes and self._rowless[model][1] >= FIRST_ROWLESS:
            self._problem = self._problem or rowless_alike(model, FIRST_ROWLESS, reason or outcome)

    def rejected(self, model: str, failure: Failure, request_no: int, held: Held) -> bool:
        """Take a failure that ends its document. Returns whether the outcome is held back, and may become final."""
        if not self._brakes or not may_be_everybodys(failure):
            return False
        row = self._rejections.get(model)
        if row and same_failure(row.failure) != same_failure(failure):
            self._end_row(model)
            row = None
        row = row or self._rejections.setdefault(model, Rejections(failure))
        row.count += request_no not in row.held
        if len(row.held) < MOST_HELD:
            row.held[request_no] = held
        return True

    def problem(self) -> Stopped | None:
        """Return why the run stops, or None as long as the documents may be at fault."""
        most = LATER_REJECTIONS if self.ever_answered else FIRST_REJECTIONS
        for row in self._rejections.values():
            if row.count >= most:
                return rejected_alike(row.failure, row.count, ever_answered=self.ever_answered)
        return self._problem

    @property
    def holds_back(self) -> bool:
        """Whether outcomes are held back that may become final."""
        return any(row.held for row in self._rejections.values())

    def final(self, *, at_end: bool = False) -> list[Held]:
        """Hand over what is no longer held back. When all documents have been sent nothing is; the rows still count."""
        if at_end:
            for row in self._rejections.values():
                self._final += row.held.values()
                row.held.clear()
        final, self._final = self._final, []
        return final

    def _end_row(self, model: str) -> None:
        row = self._rejections.get(model)
        if row and row.count <= MOST_HELD:
            self._final += self._rejections.pop(model).held.values()
