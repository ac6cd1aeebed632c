"""The body of a mail: which parts a person reads as the letter, and the text of the letter."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.documents.encoding import decode_declared
from batchrun.documents.formats.mime import Entity

_NO_PROSE = {"text/calendar", "text/css", "text/rtf", "text/vcard", "text/x-vcard", "text/directory"}
_REPORTS = {"message/delivery-status", "message/disposition-notification", "message/feedback-report"}
_DOUBLES = {"text/x-amp-html", "text/watch-html"}
_MARKUP = (b"<!doctype html", b"<html")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([-\w]{2,40})", re.IGNORECASE)
_FEW_WORDS = 60
_MUCH_RICHER = 4


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a letter, and what had to be done to read the text."""

    text: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """Says which parts of a mail belong to the letter; every other part is a file that is sent along."""

    named: bool = False
    """Whether texts that have a file's name are the letter too, because there is no other text."""

    def has(self, leaf: Entity, *, in_alternative: bool) -> bool:
        """Whether a part without parts belongs to the letter."""
        if leaf.type in _REPORTS:
            return True
        if leaf.type == "text/calendar" and not leaf.filename:
            return self.named or in_alternative
        if leaf.type in _DOUBLES:
            return in_alternative
        if leaf.type in _NO_PROSE or not leaf.type.startswith(("text/", "multipart/")):
            return False
        return leaf.disposition != "attachment" and (self.named or in_alternative or not leaf.filename)

    def body(self, part: Entity, *, in_alternative: bool = False) -> Body:
        """Return the text of a part, and of all parts inside the part."""
        if not part.children:
            return _leaf_body(part) if self.has(part, in_alternative=in_alternative) else Body()
        if part.type == "multipart/alternative":
            return self._best(part.children)
        inside = stays_alternative(part, in_alternative=in_alternative)
        return _together([self.body(child, in_alternative=inside) for child in part.children])

    def _best(self, children: Sequence[Entity]) -> Body:
        """Return the plain one of alternatives, unless the plain one is empty, or a stub beside a much richer one."""
        plain = [child for child in children if all(leaf.type in {"text/plain", ""} for leaf in _texts(child))]
        bodies = {child: self.body(child, in_alternative=True) for child in plain}
        first = next((body for body in bodies.values() if body.text), Body())
        if _words(first) >= _FEW_WORDS:
            return first
        others = [child for child in children if child not in bodies and not _is_double(child)]
        # The last alternative is the one that the sender likes best.
        richest = max((self.body(child, in_alternative=True) for child in reversed(others)), key=_words, default=first)
        return richest if _words(richest) >= max(_MUCH_RICHER * _words(first), 1) else first


def letter_of(mail: Entity) -> tuple[Letter, Body]:
    """Return which parts of a mail are its letter, and the letter's text."""
    letter = Letter()
    body = letter.body(mail)
    if body.text:
        return letter, body
    letter = Letter(named=True)
    return letter, letter.body(mail)


def stays_alternative(part: Entity, *, in_alternative: bool) -> bool:
    """Whether the parts inside a part are alternatives of what stands beside the part."""
    return part.type == "multipart/alternative" or (in_alternative and part.type == "multipart/related")


def _texts(part: Entity) -> list[Entity]:
    return [leaf for leaf in part.leaves if leaf.type.startswith("text/") and leaf.disposition != "attachment"]


def _is_double(part: Entity) -> bool:
    return part.type in _DOUBLES


def _words(body: Body) -> int:
    return len(body.text.split())


def _together(bodies: Sequence[Body]) -> Body:
    texts = [body.text for body in bodies if body.text]
    return Body("\n\n".join(texts), tuple(note for body in bodies for note in body.notes))


def _leaf_body(leaf: Entity) -> Body:
    data = leaf.content()
    is_markup = leaf.type == "text/html" or data[:200].lstrip().lower().startswith(_MARKUP)
    declared = leaf.charset
    if is_markup and not declared and (meta := _META_CHARSET.search(data[:4_000])):
        declared = meta[1].decode("ascii", "replace")
    decoded = decode_declared(data, declared)
    return Body(_prose(leaf, decoded.text, is_markup=is_markup), (decoded.note,) if decoded.note else ())


def _prose(leaf: Entity, text: str, *, is_markup: bool) -> str:
    if is_markup:
        from batchrun.documents.formats.html import html_to_text

        return html_to_text(text).strip()
    if leaf.parameters.get("format", "").lower() == "flowed":
        text = _unflowed(text, delsp=leaf.parameters.get("delsp", "").lower() == "yes")
    return text.strip("\n").rstrip()


def _unflowed(text: str, *, delsp: bool) -> str:
    """Join the lines of each paragraph (RFC 3676): a line that ends with a space goes on in the next line."""
    paragraphs: list[list[str]] = []
    depth_before, goes_on = 0, False
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        content = line[depth:].removeprefix(" ")
        is_joined = goes_on and depth == depth_before and content != "-- "
        if not is_joined:
            paragraphs.append([f"{'>' * depth} "] if depth else [])
        depth_before, goes_on = depth, content.endswith(" ") and content != "-- "
        paragraphs[-1].append(content[:-1] if goes_on and delsp else content)
    return "\n".join("".join(pieces).rstrip() for pieces in paragraphs)
