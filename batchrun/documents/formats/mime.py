"""The structure of a mail: fields, parts and their contents, over bytes of any brokenness, in linear time.

The parser of the standard library ends in RecursionError at 1,000 nested parts, and asks every line for every open
boundary. Here a part is a stretch of the mail's bytes, and boundaries are found by a search in them.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from urllib.parse import unquote_to_bytes

from batchrun.documents.encoding import decode_declared
from batchrun.documents.formats import Unusable

_MAX_DEPTH = 50
_MAX_PARTS = 10_000
_MAX_CANDIDATES = 100_000
_MAX_FIELD = 10_000
_MAX_REPEATS = 10
_CUT = " …".encode()

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?")
_ENVELOPE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:>?From [^\n]*\n)?")
_KEPT = {"from", "to", "cc", "subject", "date"} | {
    f"content-{name}" for name in ("type", "disposition", "transfer-encoding", "id")
}
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)', re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*?)")
_WORDS = re.compile(r"=\?[^?]*\?[bBqQ]\?[^?]*\?=(?:\s*=\?[^?]*\?[bBqQ]\?[^?]*\?=)*")
_WORD = re.compile(r"=\?([^?*]*)(?:\*[^?]*)?\?([bBqQ])\?([^?]*)\?=")
_NOT_BASE64 = re.sub(rb"[A-Za-z0-9+/=]", b"", bytes(range(256)))
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_BLANK_LINE = re.compile(rb"[ \t]*\r?\n")
_LOOSE_BREAK = re.compile(rb"=[ \t]+(?=\r?\n)")


@dataclass(frozen=True, eq=False)
class Entity:
    """A mail or a part of a mail: its fields, and where its body stands in the bytes of the mail."""

    mail: bytes
    fields: Mapping[str, tuple[bytes, ...]]
    """The values of the fields that are of use here, by their names in lower case."""
    start: int
    end: int
    default_type: str = "text/plain"
    children: tuple["Entity", ...] = ()

    @cached_property
    def type(self) -> str:
        """The media type in lower case, such as "text/plain"."""
        found = re.match(r"[\s\"]*([-\w.+]+/[-\w.+]+)", self._text("content-type"))
        return found[1].lower() if found else self.default_type

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the field Content-Type."""
        return _parameters(self._text("content-type"))

    @cached_property
    def disposition(self) -> str:
        """The word that says how the part is shown: "attachment", "inline", or an empty string."""
        return self._text("content-disposition").partition(";")[0].strip().lower()

    @cached_property
    def filename(self) -> str:
        """The name of the part as a file; empty if the part has none."""
        of_disposition = _parameters(self._text("content-disposition"))
        return decode_words(of_disposition.get("filename") or self.parameters.get("name", "")).strip()

    @property
    def charset(self) -> str:
        """The name of the codec that the part declares; empty if the part declares none."""
        return (self.parameters.get("charset", "").split() or [""])[0].strip("'\"")

    @cached_property
    def boundary(self) -> str:
        """The line between the parts of the part; empty if the part is no multipart."""
        return self.parameters.get("boundary", "").rstrip() if self.type.startswith("multipart/") else ""

    @property
    def content_id(self) -> str:
        """The name by which an HTML part refers to this part."""
        return self._text("content-id").strip().strip("<>")

    @property
    def leaves(self) -> Iterator["Entity"]:
        """The parts without parts, in their order."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves

    def field(self, name: str) -> str:
        """Return what a person reads in a field: one line, words of RFC 2047 decoded; repeated fields are joined."""
        values = (decode_declared(value, "utf-8").text for value in self.fields.get(name, ()))
        return ", ".join(" ".join(decode_words(value).split()) for value in values)

    def content(self) -> bytes:
        """Return the body without its transfer encoding; what is broken in the encoding is left out."""
        body = self.mail[self.start : self.end]
        match self._text("content-transfer-encoding").strip().lower():
            case "base64":
                return _base64(body)
            case "quoted-printable":
                return binascii.a2b_qp(_LOOSE_BREAK.sub(b"=", body))
            case "x-uuencode" | "uuencode" | "x-uue" | "uue":
                return _uuencoded(body)
            case _:
                return body

    def _text(self, name: str) -> str:
        first = self.fields.get(name, (b"",))[0]
        return decode_declared(first.replace(b"\r", b"").replace(b"\n", b""), "utf-8").text


def parse_mail(mail: bytes) -> Entity:
    """Return the structure of a mail. Raises Unusable if the bytes are no mail, or have too many parts."""
    lines = mail if b"\n" in mail else mail.replace(b"\r", b"\n")
    envelope = _ENVELOPE.match(lines)
    start = envelope.end() if envelope else 0
    if not _FIELD.match(lines, start):
        raise Unusable("not a mail: no field such as From: stands at its start")
    return _Parser(lines).entity(start, len(lines), "text/plain", 0)


class _Parser:
    """Finds the parts of one mail, and counts them."""

    def __init__(self, mail: bytes) -> None:
        self._mail = mail
        self._parts = 0
        self._candidates = 0

    def entity(self, start: int, end: int, default_type: str, depth: int) -> Entity:
        """Return the part between two offsets."""
        self._parts += 1
        if depth > _MAX_DEPTH:
            raise Unusable(f"a mail with more than {_MAX_DEPTH} parts inside each other: save the inner ones by hand")
        if self._parts > _MAX_PARTS:
            raise Unusable(f"a mail of more than {_MAX_PARTS:,} parts: split it")
        fields, body = self._fields(start, end)
        found = Entity(self._mail, fields, body, end, default_type)
        if not found.boundary:
            return found
        return replace(found, children=tuple(self._children(found, self._lines(found), depth + 1)))

    def _fields(self, start: int, end: int) -> tuple[dict[str, tuple[bytes, ...]], int]:
        fields: dict[str, list[bytes]] = {}
        at = start
        while found := _FIELD.match(self._mail, at, end):
            at = found.end()
            name = found[1].decode("ascii").lower()
            if name in _KEPT and len(values := fields.setdefault(name, [])) < _MAX_REPEATS:
                values.append(found[2] if len(found[2]) <= _MAX_FIELD else found[2][:_MAX_FIELD] + _CUT)
        blank = _BLANK_LINE.match(self._mail, at, end)
        return {name: tuple(values) for name, values in fields.items()}, blank.end() if blank else at

    def _children(self, outer: Entity, lines: Iterator["_BoundaryLine"], depth: int) -> Iterator[Entity]:
        """Yield the parts between lines that are a boundary."""
        default_type = "message/rfc822" if outer.type == "multipart/digest" else "text/plain"
        line = next(lines, None)
        while line and not line.closes:
            following = next(lines, None)
            child = self.entity(
                line.end, max(line.end, following.begin) if following else outer.end, default_type, depth
            )
            if following and child.boundary == outer.boundary:
                # Some programs give a part the boundary of the part around it: the next lines are the inner part's.
                shared = chain([following], lines)
                child = replace(child, children=tuple(self._children(child, shared, depth + 1)))
                following = next(lines, None)
            yield child
            line = following

    def _lines(self, outer: Entity) -> Iterator["_BoundaryLine"]:
        """Yield the lines that are the boundary of a part; the line break before the boundary belongs to the line."""
        start, end = max(outer.start - 1, 0), outer.end  # the line break that ends the fields may be the first line's
        broken_line = b"\n--" + outer.boundary.encode("utf-8", "replace")
        at = self._mail.find(broken_line, start, end)
        while at >= 0:
            self._candidates += 1
            if self._candidates > _MAX_CANDIDATES:
                raise Unusable(f"a mail of more than {_MAX_CANDIDATES:,} lines that look like boundaries: split it")
            if after := _AFTER_BOUNDARY.match(self._mail, at + len(broken_line), end):
                begin = at - (self._mail[at - 1 : at] == b"\r")
                yield _BoundaryLine(begin, after.end(), closes=after[1] is not None)
            # A line break that ends one boundary may begin the next one.
            at = self._mail.find(broken_line, at + len(broken_line), end)


@dataclass(frozen=True, slots=True)
class _BoundaryLine:
    begin: int
    end: int
    closes: bool


def decode_words(value: str) -> str:
    """Decode the words of RFC 2047 in the value of a field; a word may end within a character of the next one."""
    return _WORDS.sub(lambda run: _decode_run(run[0]), value)


def _decode_run(run: str) -> str:
    pieces: list[tuple[str, bytes]] = []
    for charset, form, coded in _WORD.findall(run):
        data = _word_bytes(form, coded)
        if pieces and pieces[-1][0].lower() == charset.lower():
            data = pieces.pop()[1] + data
        pieces.append((charset, data))
    return "".join(decode_declared(data, charset).text for charset, data in pieces)


def _word_bytes(form: str, coded: str) -> bytes:
    data = coded.encode("utf-8", "replace")
    return _base64(data) if form in "bB" else binascii.a2b_qp(data, header=True)


def _parameters(value: str) -> dict[str, str]:
    """Return the parameters of a field; those of RFC 2231 are put together and decoded."""
    plain: dict[str, str] = {}
    sections: dict[str, list[tuple[int, bool, str]]] = {}
    for name, raw in _PARAMETER.findall(value):
        text = re.sub(r"\\(.)", r"\1", raw[1:].removesuffix('"')) if raw.startswith('"') else raw.strip()
        base, number, coded = found.groups() if (found := _SECTION.fullmatch(name.lower())) else (name.lower(), "", "")
        if number or coded:
            sections.setdefault(base, []).append((int(number or 0), bool(coded), text))
        else:
            plain.setdefault(base, text)
    return plain | {name: _joined(sorted(found)) for name, found in sections.items()}


def _joined(sections: list[tuple[int, bool, str]]) -> str:
    charset, data = "", b""
    for at, (_, coded, text) in enumerate(sections):
        rest = text
        if coded and not at and text.count("'") >= 2:
            charset, _, rest = text.split("'", 2)
        data += unquote_to_bytes(rest) if coded else rest.encode("utf-8", "replace")
    return decode_declared(data, charset or "utf-8").text


def _base64(body: bytes) -> bytes:
    """Decode what is base64 of a body. Padding within the body ends a piece, and a single sign too much is dropped."""
    pieces = body.translate(None, _NOT_BASE64).split(b"=")
    return b"".join(_base64_piece(piece) for piece in pieces if len(piece) > 1)


def _base64_piece(piece: bytes) -> bytes:
    whole = piece[:-1] if len(piece) % 4 == 1 else piece
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def _uuencoded(body: bytes) -> bytes:
    lines = body.splitlines()
    begin = next((at + 1 for at, line in enumerate(lines) if line.startswith(b"begin ")), 0)
    return b"".join(_uu_line(line) for line in lines[begin:] if line.strip() not in {b"end", b"`", b""})


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:  # some programs write too many signs at the end of a line
        length = (((line[0] - 32) & 63) * 4 + 5) // 3
    try:
        return binascii.a2b_uu(line[:length])
    except binascii.Error:
        return b""
