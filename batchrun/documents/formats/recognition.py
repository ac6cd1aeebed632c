"""Tells the format of a file: by what the file holds first, by its name second. What has no text is refused by name."""

import codecs
import re
from os.path import splitext  # a Path takes ten times as long, for each file

from batchrun.documents.formats import Unusable
from batchrun.documents.formats.containers import ole_format, zip_format
from batchrun.documents.formats.magic import OLE, ZIP, refuse_textless

_HEAD = 4096
_PDF_WITHIN = 1024

_NEVER_TEXT = {
    ".pdf": "a PDF",
    **dict.fromkeys((".doc", ".docx", ".docm", ".dotx"), "a Word file"),
    **dict.fromkeys((".ppt", ".pptx", ".pptm", ".ppsx"), "a PowerPoint file"),
    **dict.fromkeys((".xls", ".xlsx", ".xlsm", ".xlsb"), "an Excel file"),
    **dict.fromkeys((".odt", ".ott", ".ods"), "an OpenDocument file"),
    ".epub": "an EPUB",
    ".msg": "an Outlook message",
    **dict.fromkeys((".zip", ".gz", ".7z", ".rar"), "an archive"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff"), "an image"),
}
"""What a file of such a name is, unless the name is false. A text under such a name is what was left of a file."""
_TEXT_NAMES = frozenset(
    (".txt", ".text", ".md", ".markdown", ".rst", ".log", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml")
)

_PROLOGUE = re.compile(rb"(?:\s++|<\?xml[^>]{0,1000}+>|<!--(?:(?!-->).){0,4000}+-->)*+", re.DOTALL)
_DOCTYPE = re.compile(rb"<!doctype\s+html\b", re.IGNORECASE)
_HTML = re.compile(rb"<(?:html|head|body)[\s>]", re.IGNORECASE)
_HTML_NAMES = frozenset((".html", ".htm", ".xhtml"))
_HTML_TAG = re.compile(rb"</?[a-z][a-z0-9]{0,20}(?:\s[^<>]{0,1000})?/?>", re.IGNORECASE)

_MAIL_NAMES = frozenset((".eml", ".mht", ".mhtml"))
_ENVELOPE = re.compile(rb"From [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n")
_HEADER = re.compile(rb"([!-9;-~]{1,80}):[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+(?:\r?\n|\Z)")
_HEADERS = 200
_WRITTEN = frozenset((b"from", b"to", b"cc", b"subject", b"sender", b"reply-to"))
"""Headers that people write at the top of a text as well."""
_SENT = frozenset((b"received", b"return-path", b"message-id", b"delivered-to", b"newsgroups", b"mime-version"))
"""Headers that only programs write."""
_FURTHER = frozenset((b"date", b"content-type", b"content-transfer-encoding", b"in-reply-to", b"references"))


def recognise(data: bytes, name: str) -> str:
    """Return the name of the format in FORMATS. Raises Unusable for what has no text, and for a false name."""
    suffix = splitext(name)[1].lower()  # noqa: PTH122 (for the same reason)
    start = _start(data)
    if data.startswith(OLE):
        return ole_format(data)
    if start.startswith(ZIP):
        return zip_format(data)
    refuse_textless(data)
    if _is_pdf(data, suffix):
        return "pdf"
    if start.startswith(b"{\\rtf"):
        return "rtf"
    found = "html" if _is_html(start, suffix) else _mail_format(start, suffix)
    if not found and (kind := _NEVER_TEXT.get(suffix)):
        what = kind if data else f"{kind} but an empty file"
        raise Unusable(f"called {suffix}, and is not {what}: get the file again, or give the file its true name")
    return found or "text"


def _start(data: bytes) -> bytes:
    """Return the beginning of a file, without what may stand before the first sign."""
    start = data[:_HEAD]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        start = start.decode("utf-16", "ignore").encode("utf-8", "ignore")
    return start.removeprefix(codecs.BOM_UTF8).lstrip()


def _is_pdf(data: bytes, suffix: str) -> bool:
    """Whether a file is a PDF. Other programs open PDFs with junk before the header, and those without a header."""
    at = data.find(b"%PDF-", 0, _PDF_WITHIN + len(b"%PDF-"))
    if suffix == ".pdf":
        return at >= 0 or (b" obj" in data and (b"startxref" in data or b"%%EOF" in data))
    if at > 0 and data[:at].strip():  # a text may speak of PDFs
        return suffix not in _TEXT_NAMES and data[at - 1 : at] in b"\r\n" and b" obj" in data
    return at >= 0


def _is_html(start: bytes, suffix: str) -> bool:
    prologue = _PROLOGUE.match(start)
    at = prologue.end() if prologue else 0
    if _DOCTYPE.match(start, at):
        return True
    if suffix in _HTML_NAMES:
        return _HTML_TAG.search(start) is not None
    begins = _HTML.match(start, at)
    # A text about web pages may begin with a tag; a web page has more of them.
    return begins is not None and (suffix not in _TEXT_NAMES or _HTML.search(start, begins.end()) is not None)


def _mail_format(start: bytes, suffix: str) -> str | None:
    envelope = _ENVELOPE.match(start)
    headers = _header_names(start, envelope.end() if envelope else 0)
    if suffix in _MAIL_NAMES:
        return "eml" if headers else None
    if envelope:
        return "mbox" if headers & (_WRITTEN | _SENT | _FURTHER) else None
    known = headers & (_WRITTEN | _SENT | _FURTHER)
    is_mail = len(known) >= 2 and bool(headers & (_SENT if suffix in _TEXT_NAMES else _SENT | _WRITTEN))
    return "eml" if is_mail else None


def _header_names(start: bytes, at: int) -> frozenset[bytes]:
    """Return the names of the headers with which a file begins, in small letters."""
    names: list[bytes] = []
    while len(names) < _HEADERS and (match := _HEADER.match(start, at)):
        names.append(match[1].lower())
        at = match.end()
    return frozenset(names)
