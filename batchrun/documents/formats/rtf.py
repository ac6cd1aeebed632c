"""RTF files: the text as striprtf reads the text, with tabs between cells, and without what is hidden."""

import re
from collections.abc import Iterator

from batchrun.documents.formats import Found, Part, ReadOptions, Unusable

_BINARY = re.compile(rb"\\[\\{}]|\\bin(?![a-zA-Z])(\d{1,9})?+ ?")
"""An escaped sign, or the word before so many bytes that are no text."""
_HEX_PICTURE = re.compile(rb"[0-9a-fA-F\r\n]{512,}")
"""What no text has: the digits of a picture or of an embedded file."""
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_PAIRS = re.compile(rb"[\x81-\xfe][\x40-\xfe]|[\x80-\xff]")
_EAST_ASIAN = re.compile(rb"\\ansicpg9(?:32|36|49|50)(?!\d)")
"""The code pages whose characters are pairs of bytes, of which the second may be ASCII."""
_CELL = re.compile(rb"(\\[\\{}])|\\(?:nest)?cell(?![a-zA-Z])")
_CONTROLS = rb"(?:\\\*|\\(?!v(?![a-z]))[a-zA-Z]{1,32}+(?:-?\d{1,10}+)?+ ?+)*+"
_HIDDEN = re.compile(rb"\{" + _CONTROLS + rb"\\v1?(?![a-zA-Z0-9])(?:[^{}\\]++|\\(?!v0|plain|pard)[^{}])*+\}")
"""A group that is hidden from its beginning to its end, as word processors write hidden text."""
_LINE_END = re.compile(r"[ \t]*(?:\r\n?|\n)")
_MANY_LINES = re.compile(r"\n{3,}")


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:  # noqa: ARG001 - an RTF file names its encodings itself
    """Read an RTF file as one part."""
    from striprtf.striprtf import rtf_to_text

    source = _prepared(data)
    try:
        # striprtf says that it has types; this function has none.
        text: str = rtf_to_text(source.decode("ascii"), errors="replace")  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, LookupError, OverflowError) as error:  # striprtf checks no number in the file
        raise Unusable("a broken RTF file; open it in a word processor and save it again") from error
    yield Part(text=_tidied(text))


def _prepared(data: bytes) -> bytes:
    """Return the file without pictures and hidden text, in ASCII, and with tabs after cells."""
    data = _HEX_PICTURE.sub(b"", _without_binary(data))
    beyond = _PAIRS if _EAST_ASIAN.search(data) else _BEYOND_ASCII
    data = beyond.sub(lambda match: b"".join(b"\\'%02x" % byte for byte in match[0]), data)
    data = _CELL.sub(lambda match: match[1] or b"\\tab", data)
    # striprtf looks for links within lines; with a whole hostile file on one line, the search would never end.
    return _HIDDEN.sub(b"", data).replace(b"{\\field", b"\n{\\field")


def _without_binary(data: bytes) -> bytes:
    pieces: list[bytes] = []
    start = 0
    while match := _BINARY.search(data, start):
        is_escape = match[0][1:2] in b"\\{}"
        pieces.append(data[start : match.end() if is_escape else match.start()])
        start = match.end() + int(match[1] or 0)
    return b"".join((*pieces, data[start:]))


def _tidied(text: str) -> str:
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # \u writes halves of characters
    lines = _LINE_END.sub("\n", whole.replace("\0", "").replace("\ufffe", ""))
    return _MANY_LINES.sub("\n\n", lines).strip()
