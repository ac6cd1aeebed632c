"""What a cascade demands of an answer: one that leaves something to be desired is asked for at the next model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNMET = "unmet"
"""How an answer that is a valid row, and not good enough for its cascade, ends on a rung that is not the last."""


@dataclass(frozen=True, slots=True)
class AcceptanceRules:
    """What an answer has to have beyond being a valid row. Only the last model may leave it out."""

    null_in: tuple[str, ...] = ()
    """Fields that are not null."""
    evidence: tuple[str, ...] = ()
    """Fields whose text stands in the document; null passes."""

    def violation(self, output: Mapping[str, Any], text: str | None) -> str | None:
        """Give the first demand that an answer does not meet, or None.

        `text` is what the request has of the document; None: it is not at hand, and no evidence is looked for.
        """
        for name in self.null_in:
            if output.get(name) is None:
                return f"null in {name}"
        if text is None or not self.evidence:
            return None
        read = plain(text)
        missing = (name for name in self.evidence if plain(str(output.get(name) or "")) not in read)
        return next((no_evidence(name) for name in missing), None)

    @property
    def words(self) -> tuple[str, ...]:
        """Every one of them, as `violation` says it."""
        return (*(f"null in {name}" for name in self.null_in), *map(no_evidence, self.evidence))


def no_evidence(name: str) -> str:
    """Say that a field's text does not stand in the document."""
    return f"no evidence for {name}"


def plain(text: str) -> str:
    """Make what reads alike the same: white space is one space, and case does not matter."""
    return " ".join(text.split()).casefold()
