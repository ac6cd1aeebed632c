"""What a cascade demands of an answer. The next model is asked when an answer does not meet the demands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNMET = "unmet"
"""How the request of a valid row ends that breaks the acceptance rules of its cascade. The last model has no rules."""


@dataclass(frozen=True, slots=True)
class AcceptanceRules:
    """What an answer needs besides being a valid row. The rules do not apply to the last model."""

    null_in: tuple[str, ...] = ()
    """Fields that must not be null."""
    evidence: tuple[str, ...] = ()
    """Fields whose text must stand in the document; null is allowed."""

    def violation(self, output: Mapping[str, Any], text: str | None) -> str | None:
        """Return the first rule that an answer breaks, or None.

        `text` is the text of the document in the request. Evidence is not looked for when `text` is None.
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
        """Every rule, in the words of `violation`."""
        return (*(f"null in {name}" for name in self.null_in), *map(no_evidence, self.evidence))


def no_evidence(name: str) -> str:
    """Say that a field's text does not stand in the document."""
    return f"no evidence for {name}"


def plain(text: str) -> str:
    """Make texts that read alike equal: white space becomes one space, and case is folded."""
    return " ".join(text.split()).casefold()
