"""What a cascade demands of an answer. When an answer does not meet the demands, the next model is asked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.answers.suspicion import suspicion

CALIBRATING, SCORE = "calibrating", "score"
"""Why an answer is passed on that lacks nothing: no threshold is known yet, or its score is not below the threshold."""
UNMET = "unmet"
"""How a request ends whose answer is a valid row, but not good enough. No request to the last model ends so."""


@dataclass(frozen=True, slots=True)
class AcceptanceRules:
    """What an answer must have beyond being a valid row. Only the last model's answer may lack it."""

    null_in: tuple[str, ...] = ()
    """Fields that must not be null."""
    evidence: tuple[str, ...] = ()
    """Fields whose text must stand in the document. Null is accepted."""
    calibrate: int = 0
    """The number of documents that are asked of both models to find `below`; 0 if scores do not count."""
    below: float | None = None
    """The score that an answer must be below. While it is not known, every answer is passed on."""
    calibration_no: int | None = None
    """The number of the calibration that has found `below`."""

    @property
    def is_calibrating(self) -> bool:
        """Whether scores count, and no threshold is known yet."""
        return self.calibrate > 0 and self.below is None

    def calibration_score(
        self, output: Mapping[str, Any] | None, findings: Mapping[str, Any], escalated: str | None
    ) -> float:
        """Return the score of a calibrated answer, which is infinite if the cascade would not take the answer anyway.

        `escalated` is why the answer was passed on, where the ledger knows that: evidence was looked for then.
        """
        if output is None or escalated not in {None, CALIBRATING, SCORE} or self._missing(output, None):
            return math.inf
        return score(output, findings)

    def violation(
        self, output: Mapping[str, Any], text: str | None, findings: Mapping[str, Any] | None = None
    ) -> str | None:
        """Return the first demand that an answer does not meet, or None.

        `text` is what the request has of the document. Without the text no evidence is looked for. `findings` are what
        the ledger has of the answer: its score follows from what the ledger has, so that it is the same at any time.
        """
        if missing := self._missing(output, text):
            return missing
        if self.is_calibrating:
            return CALIBRATING
        is_above = self.below is not None and score(output, findings) >= self.below
        return SCORE if is_above else None

    def _missing(self, output: Mapping[str, Any], text: str | None) -> str | None:
        """Return the first value or evidence that an answer lacks, or None."""
        for name in self.null_in:
            if output.get(name) is None:
                return f"null in {name}"
        if text is None or not self.evidence:
            return None
        from batchrun.answers.evidence.index import DocumentIndex
        from batchrun.answers.evidence.locate import locate

        index = DocumentIndex(text)
        for name in self.evidence:
            if (said := output.get(name)) and locate(index, str(said)).status not in {"exact", "close"}:
                return no_evidence(name)
        return None

    @property
    def words(self) -> tuple[str, ...]:
        """Every demand, in the words of `violation`."""
        scored = (SCORE,) if self.calibrate else ()
        return (*(f"null in {name}" for name in self.null_in), *map(no_evidence, self.evidence), *scored)


def score(output: Mapping[str, Any], findings: Mapping[str, Any] | None) -> float:
    """Return how suspicious an answer is over all its fields."""
    return suspicion(findings or {}, output, nulls=[name for name, value in output.items() if value is None])


def no_evidence(name: str) -> str:
    """Say that a field's text does not stand in the document."""
    return f"no evidence for {name}"
