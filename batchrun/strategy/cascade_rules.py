"""What a cascade demands of an answer. When an answer does not meet the demands, the next model is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.answers.evidence.index import DocumentIndex
from batchrun.answers.evidence.locate import locate

UNMET = "unmet"
"""How a request ends whose answer is a valid row, but not good enough. No request to the last model ends so."""


@dataclass(frozen=True, slots=True)
class AcceptanceRules:
    """What an answer must have beyond being a valid row. Only the last model's answer may lack it."""

    null_in: tuple[str, ...] = ()
    """Fields that must not be null."""
    evidence: tuple[str, ...] = ()
    """Fields whose text must stand in the document. Null is accepted."""

    def violation(self, output: Mapping[str, Any], text: str | None) -> str | None:
        """Return the first demand that an answer does not meet, or None.

        `text` is what the request has of the document. Without the text no evidence is looked for.
        """
        for name in self.null_in:
            if output.get(name) is None:
                return f"null in {name}"
        if text is None or not self.evidence:
            return None
        index = DocumentIndex(text)
        missing = (name for name in self.evidence if (said := output.get(name)) and not _stands(index, str(said)))
        return next((no_evidence(name) for name in missing), None)

    @property
    def words(self) -> tuple[str, ...]:
        """Every demand, in the words of `violation`."""
        return (*(f"null in {name}" for name in self.null_in), *map(no_evidence, self.evidence))


def no_evidence(name: str) -> str:
    """Say that a field's text does not stand in the document."""
    return f"no evidence for {name}"


def _stands(index: DocumentIndex, quote: str) -> bool:
    """Whether a document says what a quote says, however often."""
    return locate(index, quote).status in {"exact", "close"}
