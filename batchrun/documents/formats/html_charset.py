"""The encoding that a web page declares, and what browsers make of the declaration."""

import codecs
import re
from contextlib import suppress

from batchrun.documents.encoding import Decoded, decode

_DECLARED = re.compile(
    rb"<meta[^>]{1,500}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})|<\?xml[^>]{1,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})",
    re.IGNORECASE,
)
_DECLARED_WITHIN = 4096
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SUPERSETS = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "ascii", "us-ascii", "iso8859-1", "ansi"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk", "gb18030"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "windows-932", "ms_kanji"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "korean"), "cp949"),
    **dict.fromkeys(("big5", "x-x-big5", "big5-hkscs"), "big5hkscs"),
    **dict.fromkeys(("tis-620", "iso-8859-11"), "cp874"),
    # Bytes in which a declaration in ASCII can be read are no UTF-16; so browsers say too.
    **dict.fromkeys(("utf-16", "utf-16le", "utf-16be", "unicode", "utf8"), "utf-8"),
    "iso-8859-8-i": "iso-8859-8",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
}
"""What browsers read instead of a declared encoding, since pages use more than what they declare."""
_CHARSETS = re.compile(
    r"utf-8|iso-8859-\d{1,2}|(?:windows-|cp)(?:125\d|874|932|949|866)|koi8-[ru]|euc-jp|iso-2022-jp|mac_roman|big5hkscs"
    r"|gb18030"
)


def decode_page(data: bytes, encoding: str) -> Decoded:
    """Decode a page as the job says, else by its mark, else as the page declares, else by a guess.

    Raises Undecodable as `decode` does.
    """
    declared = _declared(data) if encoding == "auto" and not data.startswith(_MARKS) else None
    if declared is not None:
        with suppress(UnicodeDecodeError, LookupError):  # many declarations are wrong, and some name no encoding
            return Decoded(data.decode(declared))
    return decode(data, encoding)


def _declared(data: bytes) -> str | None:
    match = _DECLARED.search(data, 0, _DECLARED_WITHIN)
    if not match:
        return None
    label = (match[1] or match[2]).decode("ascii", "replace").lower()
    codec = _SUPERSETS.get(label, label)
    return codec if _CHARSETS.fullmatch(codec) else None
