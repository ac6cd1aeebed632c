"""Turns bytes to text: by byte-order marks, as UTF-8, by a guess as the last resort; and refuses what is no text."""

import codecs
import re
from dataclasses import dataclass

from batchrun.documents.encoding_guess import SUPERSETS, guess, is_in

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: this mark begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive (as Word and Excel files are)"),
    (b"\xd0\xcf\x11\xe0", "an old Word or Excel file"),
    (b"{\\rtf", "an RTF file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"),
)
_NO_CHARSETS = {"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SOME_CONTROLS = 8
_TERMINAL_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|[()][0AB]|[=>78MDEHc])"
)
_INVISIBLE = frozenset("\xad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff")
_ISO_2022 = re.compile(rb"\x1b\$[@AB()]")
_ISO_2022_CODECS = ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext", "iso2022_jp_2004", "iso2022_kr")
_RARELY_BAD = 1_000
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
_CUT_AT_START = re.compile("\\A[\udc80-\udcbf]{1,3}")
_CUT_AT_END = re.compile("[\udcc2-\udcf4][\udc80-\udcbf]{0,2}\\Z")
_LONGEST_SIGN = 4
_HIGH_BYTES = bytes(range(0x80, 0x100))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and what had to be done to get the text; the note is None when nothing had to be done."""

    text: str
    note: str | None = None


class Undecodable(ValueError):
    """The bytes are no text that can be read; the message is the reason."""


def decode(data: bytes, encoding: str) -> Decoded:
    """Read bytes in a named codec (strictly), or in the codec that "auto" finds. Lines end with a single LF."""
    if kind := _binary_kind(data):
        raise Undecodable(f"looks like {kind}, not text; convert it to text first")
    read = _auto(data) if encoding == "auto" else Decoded(_strict(data, encoding).removeprefix("\ufeff"))
    if _has_many_controls(read.text):
        raise Undecodable("looks like a binary file, not text: too many control characters")
    cleaned = _clean(read.text)
    notes = "; ".join(note for note in (read.note, cleaned.note) if note)
    return Decoded(cleaned.text, notes or None)


def decode_declared(data: bytes, declared: str) -> Decoded:
    """Read bytes in the codec that a mail or a page declares, or in the one that the bytes show if it is wrong.

    Whatever the bytes are, a text comes out: a mail is not refused because of one broken field.
    """
    codec = _known(declared)
    if not codec or _is_utf8_after_all(data, codec):
        return _shown_by_bytes(data)
    try:
        return _clean(data.decode(codec).removeprefix("\ufeff"))
    except (UnicodeError, LookupError):  # a LookupError is a codec of something else than text, such as base64
        return _shown_by_bytes(data)


def _has_many_controls(text: str) -> bool:
    """Whether a text has more control characters than a broken text would; colours of a terminal are none."""
    plain = _TERMINAL_SEQUENCE.sub("", text) if "\x1b" in text else text
    return sum(1 for _ in _CONTROL.finditer(plain)) > max(_SOME_CONTROLS, len(text) // 100)


def without_nuls(text: str) -> Decoded:
    """Remove NUL characters, which carry no meaning and which not every program passes on."""
    nuls = text.count("\0")
    if not nuls:
        return Decoded(text)
    return Decoded(text.replace("\0", ""), f"{nuls} NUL byte{'s' if nuls > 1 else ''} removed")


def _known(declared: str) -> str:
    """Return the codec of text that a name means, the superset where one is usual; empty if there is none."""
    name = declared.strip().lower()
    codec = _codec(name) or _codec(name.removeprefix("x-"))
    return "" if codec in _NO_CHARSETS else SUPERSETS.get(codec, codec)


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name.replace("-", "_")
    except (LookupError, ValueError):  # a ValueError is a name with NULs, or beyond ASCII
        return ""


def _is_utf8_after_all(data: bytes, codec: str) -> bool:
    """Whether bytes that are said to be in a Western or Cyrillic codec are UTF-8: by chance they hardly ever are."""
    return codec.startswith(("cp125", "iso8859", "koi8")) and not data.isascii() and is_in("utf-8", data)


def _shown_by_bytes(data: bytes) -> Decoded:
    try:
        return decode(data, "auto")
    except Undecodable as refusal:
        return Decoded(_clean(data.decode("utf-8", "replace")).text, f"read as utf-8: {refusal}")


def _clean(text: str) -> Decoded:
    cleaned = without_nuls(text)
    return Decoded(cleaned.text.replace("\r\n", "\n").replace("\r", "\n"), cleaned.note)


def _auto(data: bytes) -> Decoded:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _marked(data, codec)
    if unmarked := _utf32_by_zeros(data) or _utf16_by_zeros(data):
        return Decoded(_strict(data, unmarked), f"read as {unmarked} (no byte-order mark)")
    if escaped := _iso_2022(data):
        return Decoded(_strict(data, escaped), f"read as {_shown_name(escaped)} (by its escape sequences)")
    try:
        return Decoded(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _almost_utf8(data) or _guessed(data)


def _marked(data: bytes, codec: str) -> Decoded:
    try:
        return Decoded(_strict(data, codec).removeprefix("\ufeff"), f"read as {codec} (byte-order mark)")
    except Undecodable:
        if codec == "utf-8" and (almost := _almost_utf8(data)):
            return almost
        raise


def _guessed(data: bytes) -> Decoded:
    if found := guess(data.replace(b"\0", b"")) or _plausible_utf16(data):
        return Decoded(_strict(data, found), f"read as {_shown_name(found)} (guessed)")
    raise Undecodable('in no encoding that can be recognised; name it: [source] encoding = "…"')


def _shown_name(codec: str) -> str:
    return re.sub("^cp(?=125)", "windows-", codec).replace("_", "-")


def _almost_utf8(data: bytes) -> Decoded | None:
    """Read as UTF-8 what is UTF-8 but for a few bytes, or but for a cut at its start or end; None for other texts.

    Signs beyond ASCII that are right by the rules of UTF-8 are the evidence: other codecs hardly ever make them.
    """
    text = data.decode("utf-8", "replace")
    if (text.count("\ufffd") - data.count(b"\xef\xbf\xbd") - _LONGEST_SIGN) * _RARELY_BAD > len(data):
        return None  # most texts in other codecs, at once
    escaped = data.decode("utf-8", "surrogateescape")
    bad = [found.start() for found in _ESCAPED_BYTES.finditer(escaped)]
    cut = "".join(_CUT_AT_START.findall(escaped[:3]) + _CUT_AT_END.findall(escaped[-3:]))
    good = len(escaped) - len(bad) - len(data.translate(None, _HIGH_BYTES))
    if good <= len(bad) or (len(bad) - len(cut)) * _RARELY_BAD >= len(data):
        return None
    first = len(escaped[: bad[0]].encode())
    where = f"1 byte at {first:,}" if len(bad) == 1 else f"{len(bad):,} bytes, the first at {first:,}"
    return Decoded(text.removeprefix("\ufeff"), f"read as utf-8 but for {where}")


def _strict(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeError as error:
        where = f", at byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
        raise Undecodable(f"not {codec} text{where}: {getattr(error, 'reason', error)}") from error


def _binary_kind(data: bytes) -> str | None:
    start = data[:64].lstrip()
    return next((kind for magic, kind in _BINARY if start.startswith(magic)), None)


def _utf32_by_zeros(data: bytes) -> str | None:
    """Recognise UTF-32 by its zeros: one byte of four is always zero."""
    if len(data) % 4 or len(data) < 3 * 4:
        return None
    sides = (("utf-32-le", data[3::4]), ("utf-32-be", data[::4]))
    return next((codec for codec, high in sides if not any(high) and _is_plausible(data, codec)), None)


def _utf16_by_zeros(data: bytes) -> str | None:
    """Recognise UTF-16 by its zeros: in Western text every other byte, in any text all zeros on the same side.

    The second sign counts only when the bytes are no text in UTF-8, else a stray NUL would pass for the sign.
    """
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if not (even or odd) or len(data) % 2:
        return None
    codec = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) > 0.7 * len(data) / 2 and min(even, odd) < 0.05 * max(even, odd):
        return codec
    return codec if even != odd and not _is_utf8_text(data) and _is_plausible(data, codec) else None


def _plausible_utf16(data: bytes) -> str | None:
    """Return the UTF-16 that makes signs that exist of all bytes: the last resort, for text without a zero."""
    return next((codec for codec in ("utf-16-le", "utf-16-be") if _is_plausible(data, codec)), None)


def _is_utf8_text(data: bytes) -> bool:
    return is_in("utf-8", data) and not _has_many_controls(data.decode("utf-8"))


def _is_plausible(data: bytes, codec: str) -> bool:
    """Whether the bytes decode to characters that exist: misread bytes fall on unassigned and private characters."""
    return is_in(codec, data) and all(
        char.isprintable() or char.isspace() or char in _INVISIBLE for char in data.decode(codec)
    )


def _iso_2022(data: bytes) -> str | None:
    """Recognise what escape sequences make Japanese or Korean of ASCII."""
    if not (data.isascii() and _ISO_2022.search(data)):
        return None
    return next((codec for codec in _ISO_2022_CODECS if is_in(codec, data) and not data.decode(codec).isascii()), None)
