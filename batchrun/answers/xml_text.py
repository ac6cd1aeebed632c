"""The XML of a reply, read without trust: what a model writes in place of clean XML is read where its sense is plain.

Only tags that the schema has a place for are tags; everything else is text. Therefore nothing is nested more deeply
than the schema, nothing is declared, and the time is linear in the length of the reply.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.entities import html5
from typing import Any

from batchrun.answers.json_text import UnusableError, exact, refuse_half_characters, shown
from batchrun.answers.values import may_be_null, without_null
from batchrun.answers.xml_words import LIST_ELEMENT, root_of

_MARKUP = re.compile(
    r"<(?:(?P<block>!--|!\[CDATA\[)"
    r"|(?P<end>/?)(?P<name>[A-Za-z_][A-Za-z0-9_]*+)(?P<more>/|\s(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+)?>)"
)
"""A tag with its attributes, or the beginning of a comment or of CDATA. No match goes beyond the next `<`."""
_CLOSED_BY = {"!--": "-->", "![CDATA[": "]]>"}
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{0,31}));")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


@dataclass(slots=True)
class _Element:
    """An element that has begun."""

    name: str
    schema: Mapping[str, Any]
    """The schema describes the value where the value is not null."""
    nullable: bool = False
    texts: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    """An object has here the values of the elements inside that have ended."""
    entries: list[Any] = field(default_factory=list)
    """A list has here the values of the elements inside that have ended."""

    def inside(self, name: str) -> Mapping[str, Any] | None:
        """Return the schema of an element inside with this name. Returns None where there is no place for one."""
        if name == LIST_ELEMENT and "items" in self.schema:
            items: Mapping[str, Any] = self.schema["items"]
            return items
        inner: Mapping[str, Any] | None = self.schema.get("properties", {}).get(name)
        return inner

    def take(self, name: str, value: Any) -> None:
        """Take the value of an element inside. A list may be written in several elements, other values may not."""
        if "items" in self.schema:
            self.entries.append(value)
        elif isinstance(value, list) and isinstance(there := self.fields.get(name), list):
            there.extend(value)
        elif self.fields.setdefault(name, value) != value:
            raise UnusableError(f"{shown(name)} appears twice")

    def value(self) -> Any:
        """Return the value, now that the element has ended."""
        text = "".join(self.texts).strip()
        if self.nullable and not (text or self.fields or self.entries):
            return None
        match self.schema:
            case {"properties": _}:
                return self.fields
            case {"items": items}:
                return self._list(items, text)
            case schema:
                return _scalar(schema, text)

    def _list(self, items: Mapping[str, Any], text: str) -> list[Any]:
        """Return the entries. A text in the place of entries is one entry, unless an entry has parts."""
        if self.entries or not text:
            return self.entries
        if {"properties", "items"} & without_null(items).keys():
            raise UnusableError(f"{shown(self.name)} has text where <{LIST_ELEMENT}> is expected")
        return [_scalar(without_null(items), text)]


class _Reader:
    """The elements that have begun and not ended, the innermost last."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._whole = _Element(root_of(schema), schema)
        self._open = [self._whole]

    def answer(self) -> dict[str, Any]:
        """Return the fields, now that the reply has ended. Only an element that holds others may still be open."""
        if self._open and not {"properties", "items"} & self._open[-1].schema.keys():
            raise UnusableError(f"the reply ends within {shown(self._open[-1].name)}")
        self._end_to(1)
        if not self._whole.fields:
            raise UnusableError("the reply has none of the elements that were asked for")
        return self._whole.fields

    def text(self, text: str) -> None:
        """Take text, which means something only within an element."""
        if self._open:
            self._open[-1].texts.append(text)

    def tag(self, tag: re.Match[str]) -> None:
        """Take a tag, or as text what has no place as a tag."""
        name, more = tag["name"], tag["more"] or ""
        if tag["end"] or (self._begin(name, tag[0]) and more.endswith("/")):
            self._end(name, tag[0])

    def _begin(self, name: str, written: str) -> bool:
        """Begin an element within the innermost element that has a place for it; those further inside have ended.

        A new beginning of the whole answer takes the place of whatever was before.
        """
        for depth in range(len(self._open), 0, -1):
            if (schema := self._open[depth - 1].inside(name)) is not None:
                self._end_to(depth)
                self._open.append(_Element(name, without_null(schema), may_be_null(schema)))
                return True
        if name == self._whole.name:
            self._whole = _Element(name, self._whole.schema)
            self._open = [self._whole]
            return True
        self.text(written)
        return False

    def _end(self, name: str, written: str) -> None:
        for depth in range(len(self._open) - 1, -1, -1):
            if self._open[depth].name == name:
                self._end_to(depth)
                return
        self.text(written)

    def _end_to(self, depth: int) -> None:
        """End the innermost elements until so many are open."""
        while len(self._open) > depth:
            ended = self._open.pop()
            if self._open:
                self._open[-1].take(ended.name, ended.value())


def parsed_xml(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Read the answer in a reply. Numbers are int and Decimal, as they are written. Raises UnusableError.

    A field whose text is not of its type stays text, about which the judge complains.
    """
    if not text.strip():
        raise UnusableError("the reply has no text")
    reader = _Reader(schema)
    for part in _parts(text):
        if isinstance(part, str):
            reader.text(part)
        else:
            reader.tag(part)
    answer = reader.answer()
    refuse_half_characters(answer)
    return answer


def _parts(text: str) -> Iterator[str | re.Match[str]]:
    """Take a reply apart: tags, and between the tags the text as it is meant."""
    last = {block: text.rfind(closed) for block, closed in _CLOSED_BY.items()}
    at = 0
    while found := _MARKUP.search(text, at):
        block = found["block"]
        yield _without_entities(text[at : found.start()])
        at = found.end()
        if not block:
            yield found
        elif last[block] >= at:
            end = text.index(_CLOSED_BY[block], at)
            if block != "!--":
                yield text[at:end]
            at = end + len(_CLOSED_BY[block])
        else:
            yield found[0]
    yield _without_entities(text[at:])


def _without_entities(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(entity: re.Match[str]) -> str:
    """Return what an entity stands for; the names of HTML are known too. What stands for nothing stays as it is."""
    digits, hexadecimal, name = entity.groups()
    if name:
        return html5.get(f"{name};", entity[0])
    code = int(digits) if digits else int(hexadecimal, 16)
    return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else entity[0]


def _scalar(schema: Mapping[str, Any], text: str) -> Any:
    match schema.get("type"):
        case "integer" | "number" if _NUMBER.fullmatch(text):
            return exact(text)
        case "boolean":
            return _BOOLEANS.get(text.lower(), text)
        case _:
            return text
