"""Parses XML of hostile origin: nothing is loaded, no entity is expanded, and nesting is bounded."""

from collections.abc import Iterator
from typing import Protocol, cast

from lxml import etree  # type: ignore[import-untyped]

_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,  # bounds the nesting at 256, a text at 10 MB and the growth by entities
    remove_comments=True,
    remove_pis=True,
)


class Element(Protocol):
    """What the readers use of an element of lxml, which has no types of its own."""

    tag: str
    text: str | None
    tail: str | None

    def __iter__(self) -> Iterator["Element"]: ...
    def get(self, key: str, default: str = ...) -> str | None:
        """Return an attribute."""

    def find(self, path: str) -> "Element | None":
        """Return the first element on a path."""

    def getparent(self) -> "Element | None":
        """Return the element around."""

    def iter(self, *tags: str) -> Iterator["Element"]:
        """Iterate over this element and all below."""

    def iterchildren(self, *tags: str) -> Iterator["Element"]:
        """Iterate over the children of some names."""


class BadXml(ValueError):
    """Bytes are no XML, or XML that is not read; the message is the reason."""


def parsed(data: bytes) -> Element:
    """Return the root of the XML. Raises BadXml; a document type is allowed, the entities that it declares are not."""
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadXml(str(error).partition(", line ")[0][:200]) from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise BadXml("it declares entities, which no such file needs and attacks use")
    return cast("Element", root)


def number(text: str | None, default: int) -> int:
    """Return the integer that an attribute has, or the default for anything else; a number has nine digits at most."""
    digits = text.strip().removeprefix("-") if text else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        return default
    return -int(digits) if "-" in (text or "") else int(digits)
