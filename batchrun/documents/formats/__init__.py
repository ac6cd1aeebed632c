"""What turns a format into text with places: one module for each format, listed in `FORMATS`. `IMAGE` has no text.

A reader gets the bytes of one file, opens nothing, and yields the parts of the file. Most files have one part, the
whole. A reader may abort the process or hang over a hostile file, so readers run in child processes.
"""

import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from typing import Literal

from batchrun.document import NativeFile, Place, Value


class Unusable(ValueError):
    """A file or a part has no text that can be read. The message says what the file is, and what to do."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a job says about reading."""

    encoding: str = "auto"
    """The codec of texts, or "auto"."""
    attachments: bool = True
    """Whether the attachments of mail become documents of their own."""
    rows: bool = False
    """Whether each row of a sheet becomes a document of its own."""
    pdf: Literal["text", "native", "auto"] = "text"
    """What is sent of a PDF: its text, the file, or the file if there is no text. An image is sent unless "text"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a file that becomes a document."""

    name: str = ""
    """The name of the part within its file, such as a sheet's; empty for the whole file."""
    text: str
    places: tuple[Place, ...] = ()
    """The places of the text, in the order of their starts."""
    note: str | None = None
    """What had to be done to read the part; shown to people, never sent."""
    pages: int | None = None
    """The number of pages or slides; None for a format without pages."""
    columns: Mapping[str, Value] = field(default_factory=dict)
    """The cells of a row, by the names of the columns; empty if the part is no row."""
    native: NativeFile | None = None
    """As in `Document`."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file inside a file. The attached file is read by its own format, and becomes documents of its own."""

    name: str
    """The name of the attached file, unique within the outer file."""
    data: bytes


@dataclass(frozen=True, slots=True)
class UnusablePart:
    """A part without text that can be read, beside parts that have one."""

    name: str
    reason: str


Found = Part | Attached | UnusablePart
Read = Callable[[bytes, ReadOptions], Iterator[Found]]


_version = cache(version)  # several formats have the same package


@dataclass(frozen=True)
class Format:
    """One format, and the module that reads the format: `documents/formats/<module>.py` with a function `read`."""

    name: str
    """The name in a job file, and in notes."""
    module: str
    revision: int
    """The number of the reader's text: a change of any document's text needs a new number."""
    suffixes: tuple[str, ...]
    """The endings of names that this format usually has."""
    distribution: str | None = None
    """The name of the package that the reader's text depends on."""
    isolated: bool = True
    """Whether the reader must run in a child process, because a hostile file may end or occupy the process."""

    @cached_property
    def read(self) -> Read:
        """The reader, which is loaded when first needed. The reader raises Unusable."""
        read: Read = importlib.import_module(f"{__name__}.{self.module}").read
        return read

    @cached_property
    def reader(self) -> str:
        """The name and version of the reader: the same bytes and the same reader give the same text."""
        own = f"{self.name}/{self.revision}"
        return f"{own} {self.distribution}/{_version(self.distribution)}" if self.distribution else own


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format("text", "plain_text", 1, (".txt", ".text", ".md", ".markdown", ".log", ".csv", ".json"), isolated=False),
        Format("pdf", "pdf", 1, (".pdf",), "pypdfium2"),
        Format("docx", "docx", 1, (".docx", ".docm", ".dotx")),
        Format("pptx", "pptx", 1, (".pptx", ".pptm", ".ppsx")),
        Format("odt", "odt", 1, (".odt", ".ott")),
        Format("epub", "epub", 1, (".epub",), "selectolax"),
        Format("rtf", "rtf", 1, (".rtf",), "striprtf"),
        Format("html", "html", 1, (".html", ".htm", ".xhtml"), "selectolax"),
        Format("eml", "mail", 1, (".eml",), "selectolax"),
        Format("mbox", "mail_archive", 1, (".mbox",), "selectolax"),
        Format("sheets", "sheets", 1, (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"), "python-calamine"),
    )
}
IMAGE = Format("image", "image", 1, (".png", ".jpg", ".jpeg", ".gif", ".webp"), isolated=False)
"""Images, which are sent as they are or not at all: no job file calls for them."""


def all_readers() -> str:
    """Return a name for all readers in their versions: a later reader may read what none of them can."""
    readers = " ".join(one.reader for one in (*FORMATS.values(), IMAGE))
    return f"none of {hashlib.sha256(readers.encode()).hexdigest()[:16]}"
