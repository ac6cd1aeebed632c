"""What is known of a quote: where the quote stands in the document, and whether the quote can be believed."""

from dataclasses import dataclass
from typing import Literal

from batchrun.answers.evidence.headers import Stretch
from batchrun.answers.evidence.judging import Difference

Status = Literal["exact", "close", "differs", "missing", "no_text"]
"""The same words; the same but for harmless differences; placed, but with words that differ; nowhere in the document;
not decidable, since the text that the model saw is not at hand. A misspelt word cannot be told from a changed one:
each replaced word is a difference."""


@dataclass(frozen=True, slots=True)
class Located:
    """A quote, found or not."""

    status: Status
    spans: tuple[Stretch, ...] = ()
    """Offsets in the document's text, a stretch for each piece of a quote with ellipses; empty for a missing quote."""
    text: str = ""
    """The source's own words, never the model's. Running lines inside are left out."""
    pages: tuple[int, ...] = ()
    place: str | None = None
    """The sheet, heading, slide or chapter that the quote begins in, as people call the place."""
    quality: float = 0.0
    """The share of the quote's words that stand in the document, in their order."""
    differences: tuple[Difference, ...] = ()
    places: int = 0
    """How many times the quote stands in the document."""
    weak: bool = False
    """Whether the quote is so short that it stands in many documents."""
    cut: bool = False
    """Whether a negation touches an edge of the quote in the same sentence."""
    is_sole: bool = False
    """Whether the quote stands once in the document, or once on the page that the caller named."""

    @property
    def believed(self) -> bool:
        """Whether the document says what the quote says."""
        return self.status in ("exact", "close") and (self.is_sole or not self.weak)


NO_TEXT = Located("no_text")
"""What is known of a quote from a document whose text is not at hand."""
MISSING = Located("missing")
