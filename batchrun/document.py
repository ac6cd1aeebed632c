"""A document: one input, from a file or a row."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """Enough to find a document again, without its text."""

    doc_id: str
    source: str
    """Where the document came from, as shown to people: a path below the project root, or the database's name."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that could be read."""

    doc_id: str
    source: str
    text: str
    columns: Mapping[str, Value] = field(default_factory=dict)
    """The other columns of the document's row, for the prompt; empty for files."""
    note: str | None = None
    """What had to be done to read the document, such as guessing an encoding; shown, never sent."""

    @property
    def content_sha(self) -> str:
        """SHA-256 over text and columns, which changes exactly when the document changes."""
        digest = hashlib.sha256(self.text.encode("utf-8", "surrogatepass"))
        if self.columns:
            digest.update(b"\0" + json.dumps(dict(self.columns), sort_keys=True).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that exists but cannot be sent, with the reason."""

    doc_id: str
    source: str
    reason: str
