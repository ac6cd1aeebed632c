"""PDF files: the text layer, with a place for each page, or the file itself for models that see pages."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.document import NativeFile, Place
from batchrun.documents.bounds import MAX_NATIVE_BYTES
from batchrun.documents.formats import Found, Part, ReadOptions, Unusable

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfTextPage

# Not a form feed between pages: a blank line says as much to a model, and the places keep the pages apart.
_BETWEEN_PAGES = "\n\n"
_HYPHENATED = re.compile(r"[^\W\d_]-\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_UNUSABLE_CONTROLS = 0.05
"""Fonts that do not tell their characters give control characters instead; above this share they are the text."""
_SCAN_ADVICE = 'recognise its text first (OCR), or send it as it is: [source] pdf = "native" or "auto"'
_AS_TEXT = ', or take its text: [source] pdf = "text"'
_NAMED_PAGES = 5
MEDIA_TYPE = "application/pdf"
_SENT_AS_SCAN = "sent as it is, because most of its pages have no text that can be used"
_SCANNED = 0.5
"""With a larger share of pages without text, a PDF is a scan: its text is a cover, or a stamp on the pages."""


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What has to be known of a PDF before it is sent as it is."""

    pages: int
    encrypted: bool
    """Whether the file is encrypted, be it so that everybody can open the file and only changes need a password."""
    has_text: bool
    """Whether the text layer is usable: `read` raises Unusable for a PDF without one."""


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:
    """Read a PDF as one part: the text layer, or the file with its text layer if that is usable."""
    with closing(opened(data)) as pdf:
        encrypted = _is_encrypted(pdf)
        pages = [_text_of(pdf, index) for index in range(len(pdf))]
    text, places = _joined(pages)
    problem = _textless(text)
    is_scan = bool(problem) or pages.count("") > _SCANNED * len(pages)
    if options.pdf == "native" or (options.pdf == "auto" and is_scan):
        native = _native(data, text, len(pages), encrypted=encrypted, otherwise="" if problem else _AS_TEXT)
        note = _SENT_AS_SCAN if options.pdf == "auto" else None
        yield Part(
            text="" if is_scan else text, places=() if is_scan else places, note=note, pages=len(pages), native=native
        )
        return
    if problem:
        raise Unusable(f"{problem}; {_SCAN_ADVICE}")
    yield Part(text=text, places=places, note=_note(pages), pages=len(pages))


def _textless(text: str) -> str | None:
    """Say why a text layer cannot be used. Returns None if it can."""
    if not text:
        return "a PDF without a text layer, as scans are"
    return None if _is_usable(text) else "a PDF whose fonts do not say which characters they show, so its text is lost"


def _native(data: bytes, layer: str, pages: int, *, encrypted: bool, otherwise: str) -> NativeFile:
    """Make the file that is sent. Raises Unusable for what the API never takes."""
    if encrypted:
        raise Unusable(
            "a PDF that is encrypted, although it opens without a password: the API takes no encrypted PDF;"
            f" save it without the encryption{otherwise}"
        )
    if len(data) > MAX_NATIVE_BYTES:
        raise Unusable(
            f"a PDF of {len(data) / 1e6:,.1f} MB: more than the {MAX_NATIVE_BYTES / 1e6:.0f} MB that fit into a request"
            f" as they are; split it{otherwise}"
        )
    return NativeFile(MEDIA_TYPE, data, pages=pages, layer=layer)


def count_pages(data: bytes) -> int:
    """Return the number of pages. Raises Unusable for what is no PDF, and for a PDF that needs a password."""
    with closing(opened(data)) as pdf:
        return len(pdf)


def inspect(data: bytes) -> PdfFacts:
    """Return the facts of a PDF. Raises Unusable as `count_pages` does."""
    with closing(opened(data)) as pdf:
        encrypted = _is_encrypted(pdf)
        text = "".join(_text_of(pdf, index) for index in range(len(pdf)))
        return PdfFacts(pages=len(pdf), encrypted=encrypted, has_text=_is_usable(text))


def _is_encrypted(pdf: "PdfDocument") -> bool:
    from pypdfium2 import raw

    return bool(raw.FPDF_GetSecurityHandlerRevision(pdf) != -1)


def opened(data: bytes) -> "PdfDocument":
    """Open a PDF. Raises Unusable for what is no PDF, and for a PDF that needs a password."""
    from pypdfium2 import PdfDocument, PdfiumError, raw

    try:
        return PdfDocument(data)
    except PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise Unusable("a PDF that is encrypted with a password; save it without the password") from error
        if error.err_code == raw.FPDF_ERR_SECURITY:
            raise Unusable("a PDF encrypted in a way that cannot be read; save it without the encryption") from error
        raise Unusable("a broken PDF, or none: it has no pages that can be found") from error


def _text_of(pdf: "PdfDocument", index: int) -> str:
    """Return the text of a page; a page that is broken has none."""
    from pypdfium2 import PdfiumError

    try:
        with upright_text(pdf, index) as text_page:
            return normal(text_page.get_text_range()).replace("\r\n", "\n").replace("\r", "\n").strip()
    except PdfiumError:
        return ""


@contextmanager
def upright_text(pdf: "PdfDocument", index: int) -> Iterator["PdfTextPage"]:
    """Open the text of a page. Raises PdfiumError for a page that is broken."""
    with closing(pdf.get_page(index)) as page:
        page.set_rotation(0)  # the text of a rotated page comes in reverse order otherwise
        with closing(page.get_textpage()) as text_page:
            yield text_page


def normal(characters: str) -> str:
    """Return the characters of a page as the text has them, except for the ends of lines; the length stays."""
    # U+FFFE is a hyphen at the end of a line, whose word goes on without a break.
    return characters.replace("\ufffe", "-").replace("\0", "\ufffd")


def _joined(pages: Sequence[str]) -> tuple[str, tuple[Place, ...]]:
    """Join pages. A word that is hyphenated at the end of a page goes on, as a word at the end of a line does."""
    pieces: list[str] = []
    places: list[Place] = []
    length = 0
    for number, page in enumerate(pages, 1):
        if page and pieces:
            goes_on = page[0].islower() and _HYPHENATED.search(pieces[-1])
            pieces.append("" if goes_on else _BETWEEN_PAGES)
            length += len(pieces[-1])
        places.append(Place("page", str(number), length))
        if page:
            pieces.append(page)
            length += len(page)
    return "".join(pieces), tuple(places)


def _is_usable(text: str) -> bool:
    controls = sum(1 for _ in _CONTROL.finditer(text))
    return controls < len(text) * _UNUSABLE_CONTROLS


def _note(pages: Sequence[str]) -> str | None:
    empty = [str(number) for number, page in enumerate(pages, 1) if not page]
    if not empty:
        return None
    named = ", ".join(empty[:_NAMED_PAGES]) + ", …" * (len(empty) > _NAMED_PAGES)
    return f"{len(empty):,} of {len(pages):,} pages {'has' if len(empty) == 1 else 'have'} no text ({named})"
