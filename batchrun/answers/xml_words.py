"""The words that ask for an answer in XML, and the names of the elements in such an answer."""

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from batchrun.answers.values import without_null

FIRST_WORDS = "Reply with one XML document and nothing else"
"""How the words begin."""
SCHEMA_LINE = "The answer as JSON Schema: "
"""How the line begins that ends with the schema, as compact JSON."""
LIST_ELEMENT = "item"
"""The element around each element of a list."""
_RULES = (
    "Every field is an element with the field's name, and stands there once, in this order. "
    f"A list has one <{LIST_ELEMENT}> for each of its elements, and no <{LIST_ELEMENT}> when the list is empty. "
    "A value that may be null is an empty element when the document does not say it. "
    "Numbers, dates, true and false are written as in JSON, without quotes. "
    "In values, write &amp; for & and &lt; for <."
)


def xml_words(schema: Mapping[str, Any]) -> str:
    """Write the words for a schema of an object. The same schema always gives the same words."""
    root = root_of(schema)
    example = f"<{root}>{_shape(schema)}</{root}>"
    written = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
    return f"{FIRST_WORDS}, of this form:\n{example}\n{_RULES}\n{SCHEMA_LINE}{written}"


def root_of(schema: Mapping[str, Any]) -> str:
    """Return the name of the element around the whole answer, which is the name of no field."""
    name = "answer"
    while name in schema["properties"]:
        name += "_"
    return name


def element(name: str, value: Any) -> str:
    """Write a value as an element; null and an empty list are an empty element."""
    return f"<{name}>{_inside(value)}</{name}>"


def _inside(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dict():
            return "".join(element(name, inner) for name, inner in value.items())
        case list():
            return "".join(element(LIST_ELEMENT, each) for each in value)
        case _:
            return escape(str(value))


def _shape(schema: Mapping[str, Any]) -> str:
    match without_null(schema):
        case {"properties": properties}:
            return "".join(f"<{name}>{_shape(inner)}</{name}>" for name, inner in properties.items())
        case {"items": items}:
            return f"<{LIST_ELEMENT}>{_shape(items)}</{LIST_ELEMENT}>"
        case _:
            return "…"
