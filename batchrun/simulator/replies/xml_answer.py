"""Answers as XML, as models write XML: now and then with a sentence before it and a fence around it."""

from typing import Any
from xml.sax.saxutils import escape

_WITHOUT_QUOTES = {True: "true", False: "false"}


def xml_answer(answer: Any, root: str, *, chatty: bool = False) -> str:
    """Write an answer as one element with an element for each field."""
    written = element(root, answer)
    return f"Here is the answer:\n\n```xml\n{written}\n```" if chatty else written


def element(name: str, value: Any) -> str:
    """Write a value as an element; null and an empty list are an empty element."""
    return f"<{name}>{_inside(value)}</{name}>"


def _inside(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return _WITHOUT_QUOTES[value]
        case dict():
            return "".join(element(name, inner) for name, inner in value.items())
        case list():
            return "".join(element("item", each) for each in value)
        case _:
            return escape(str(value))
