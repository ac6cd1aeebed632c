"""A document: one input, from a file or a row."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | bool | None

NO_COLUMNS: Mapping[str, Value] = {}
PlaceKind = Literal["page", "slide", "chapter", "sheet", "heading"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stretch of a document's text stands in its file. The stretch ends at the next place of the same kind."""

    kind: PlaceKind
    name: str
    """What a person calls the place: "3" for a page, "Prices" for a sheet, "2.1 Payment" for a heading."""
    start: int
    """The offset of the stretch's first character in the text."""


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """Enough to find a document again, without its text."""

    doc_id: str
    source: str
    """Where the document came from, as shown to people: a path below the project root, or the database's name."""
    place: str = ""
    """What else its source needs to find the document again, such as the name of a part; opaque to everybody else."""


@dataclass(frozen=True, slots=True)
class NativeFile:
    """A file that the model gets as it is: a PDF or an image."""

    media_type: str
    data: bytes = field(repr=False)
    pages: int | None = None
    """The number of pages of a PDF; None for an image."""
    layer: str = field(default="", repr=False, compare=False)
    """All text that a PDF has beside its pages, be it of use or not: the model gets it too."""
    width: int = 0
    """The pixels in a row of an image; 0 for a PDF, as the height is."""
    height: int = 0


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
    place: str = ""
    """As in `DocumentRef`."""
    places: tuple[Place, ...] = ()
    """The pages, sheets and headings of the text; empty where the format has none."""
    pages: int | None = None
    """The number of pages; None for a format without pages."""
    native: NativeFile | None = None
    """The file that is sent instead of the text; None if the text is sent. The text is then the file's text layer."""
    reader: str = field(default="", compare=False)
    """The name and version of what turned the bytes into text; empty for documents that are no files."""
    bytes_sha: str = field(default="", compare=False)
    """SHA-256 of the bytes that the reader got; empty for documents that are no files."""
    plain_sha: str = field(default="", compare=False)
    """The `content_sha` of earlier versions, which took the file as plain text; empty if that is no other."""
    start: int = field(default=0, compare=False)
    """Where the text begins in the text of the whole document; 0 unless the document is a part."""
    preface: str = ""
    """What batchrun itself says before the text, outside of any fence; empty for the documents of a source."""

    @property
    def content_sha(self) -> str:
        """SHA-256 over what is sent and the columns, which changes exactly when the document changes."""
        return bytes_sha(self.native.data, self.columns) if self.native else text_sha(self.text, self.columns)


def text_sha(text: str, columns: Mapping[str, Value] = NO_COLUMNS) -> str:
    """Return the SHA-256 over a text and columns, as hexadecimal characters."""
    return bytes_sha(text.encode("utf-8", "surrogatepass"), columns)


def bytes_sha(data: bytes, columns: Mapping[str, Value] = NO_COLUMNS) -> str:
    """Return the SHA-256 over bytes and columns, as hexadecimal characters."""
    digest = hashlib.sha256(data)
    if columns:
        digest.update(b"\0" + json.dumps(dict(columns), sort_keys=True).encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that exists but cannot be sent, with the reason."""

    doc_id: str
    source: str
    reason: str
    place: str = ""
    """As in `DocumentRef`."""
    bytes_sha: str = field(default="", compare=False)
    """SHA-256 of the bytes that a reader could not read; empty if there were no bytes to read."""
