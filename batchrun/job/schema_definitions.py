"""Turns a JSON Schema into the definitions that [output.fields] has, or names every part that has no such definition.

A schema may be hostile: references can name each other so that a short text stands for millions of fields.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from batchrun.job.fields import RULES
from batchrun.job.toml_positions import KeyPath

OUTPUT: KeyPath = ("output",)
"""The table of the job file that stands for the whole schema."""
MOST_TYPES = 10_000
"""The most types of a schema after every reference is replaced by its definition."""
MOST_STEPS = 100
"""The most parts of a schema in each other, references and alternatives included."""
MOST_FAULTS = 50
"""The most faults that one report shows."""
_LONGEST_NAME = 63
"""The most characters of a name in the output, and of a word of the schema that a message repeats."""

_ANNOTATIONS = frozenset({
    "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly",
})  # fmt: skip
"""Keywords that forbid no value. Only `description` reaches the model."""
_REFERENCE = re.compile(r"#/(?P<table>\$defs|definitions)/(?P<name>[^/]{1,200})")
_WRAPPERS = ("$ref", "allOf", "anyOf", "oneOf")
"""Keywords in whose place another schema stands."""
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"format", "minLength", "maxLength", "pattern"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
_TEXT_TYPES: tuple[object, ...] = ("string", ["string"], ["string", "null"], ["null", "string"])
"""What `type` may be beside given values."""
_NULLS: tuple[object, ...] = ({"type": "null"}, {"const": None}, {"enum": [None]})
"""The schemas of null."""
_FORMATS = {"date": "date", "date-time": "datetime"}
_KEY_OF = {word: key for key, word in RULES.items()}
_WHOLE_BOUNDS = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}
"""Bounds of whole numbers, each with the bound that says the same one step further."""
_HINTS = {
    "exclusiveMinimum": "write `minimum`",
    "exclusiveMaximum": "write `maximum`",
    "patternProperties": "name every key in `properties`",
    "prefixItems": "write `items` with one type, or an object with a key for each position",
    "format": 'the formats here are "date" and "date-time"; write a `pattern`, or say the format in the description',
}
_HINT = "take it out, and say it in the description"


class NoSchemaError(Exception):
    """There is no schema where the job file says that there is one."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class _TooLargeError(Exception):
    """The schema stands for more than a walk may visit."""


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """A part of a schema that no definition can say."""

    pointer: str
    """The JSON pointer of the part, as a reference writes it."""
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class SchemaDefinitions:
    """What a schema says, in the words of the job file."""

    fields: Mapping[str, Any]
    """The table of [output.fields]; incomplete if there are faults."""
    pointers: Mapping[KeyPath, str]
    """Where each definition comes from, by the place that the definition would have in the job file."""
    faults: tuple[SchemaFault, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of the schema: where the part stands, and the place of the definition that the part becomes."""

    pointer: str
    path: KeyPath
    steps: int = 0
    references: frozenset[str] = frozenset()
    """The references that lead to the part."""

    def inside(self, *steps: str | int, path: KeyPath | None = None) -> "_Place":
        escaped = (str(step)[:_LONGEST_NAME].replace("~", "~0").replace("/", "~1") for step in steps)
        pointer = "/".join([self.pointer, *escaped])
        return replace(self, pointer=pointer, path=self.path if path is None else path, steps=self.steps + 1)


def definitions_of(schema: object) -> SchemaDefinitions:
    """Read a schema whose root is an object: every property becomes a field."""
    reading = _Reading(schema)
    place = _Place("#", OUTPUT)
    try:
        root = reading.definition(schema, place)
    except _TooLargeError:
        message = f"more than {MOST_TYPES:,} types, or more than {MOST_STEPS} of them in each other"
        reading.fault(place, message, "write a smaller schema; each use of a `$ref` counts")
        root = None
    if root and (root["type"] != "object" or root.get("nullable")):
        reading.fault(place, "an answer is an object", 'write "type": "object" with `properties`')
    return SchemaDefinitions(root.get("fields", {}) if root else {}, reading.pointers, tuple(reading.faults))


@dataclass
class _Reading:
    """The walk through one schema. A part with a fault has no definition, and the walk goes on beside the part."""

    schema: object
    faults: list[SchemaFault] = field(default_factory=list)
    pointers: dict[KeyPath, str] = field(default_factory=dict)
    types: int = 0

    def fault(self, place: _Place, message: str, hint: str) -> None:
        """Note a fault, once for a definition with many uses."""
        fault = SchemaFault(place.pointer, message, hint)
        if len(self.faults) < MOST_FAULTS and fault not in self.faults:
            self.faults.append(fault)

    def definition(self, node: object, place: _Place) -> dict[str, Any] | None:
        """Return the definition of a part, or None after the faults of the part are noted."""
        self.types += 1
        self.pointers.setdefault(place.path, place.pointer)
        if self.types > MOST_TYPES or place.steps > MOST_STEPS:
            raise _TooLargeError
        if not isinstance(node, dict):
            self.fault(place, f"a schema is an object, and here is {_shown(node)}", 'such as {"type": "string"}')
            return None
        wrapper = next((word for word in _WRAPPERS if word in node), None)
        found = self._wrapped(node, wrapper, place) if wrapper else self._plain(node, place)
        described = {"description": node["description"]} if "description" in node else {}
        return {**found, **described} if found else None

    def _wrapped(self, node: dict[str, Any], wrapper: str, place: _Place) -> dict[str, Any] | None:
        self._only(node, {wrapper}, place, what=f"beside `{wrapper}`")
        if wrapper == "$ref":
            return self._referred(node["$ref"], place)
        members = node[wrapper] if isinstance(node[wrapper], list) else []
        may_be_null = wrapper != "allOf" and any(member in _NULLS for member in members)
        kept = [number for number, member in enumerate(members) if not (may_be_null and member in _NULLS)]
        if len(kept) != 1:
            hint = "write the one type that it has" if wrapper == "allOf" else "write one type, and null beside it"
            self.fault(place.inside(wrapper), f"{len(kept)} types in one place", hint)
            return None
        found = self.definition(members[kept[0]], place.inside(wrapper, kept[0]))
        return found and _nullable(found, may_be_null=may_be_null)

    def _referred(self, reference: object, place: _Place) -> dict[str, Any] | None:
        found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
        table = self.schema.get(found["table"]) if found and isinstance(self.schema, dict) else None
        name = found["name"].replace("~1", "/").replace("~0", "~") if found else ""
        if not isinstance(table, dict) or name not in table:
            hint = 'write "#/$defs/NAME" for a definition in this schema'
            self.fault(place.inside("$ref"), f"{_shown(reference)} is no definition", hint)
            return None
        pointer = str(reference)
        if pointer in place.references:
            hint = "the API takes no recursion; write out as many levels as you need"
            self.fault(place.inside("$ref"), f"the definition {_shown(name)} contains itself", hint)
            return None
        inside = replace(place, pointer=pointer, steps=place.steps + 1, references=place.references | {pointer})
        return self.definition(table[name], inside)

    def _plain(self, node: dict[str, Any], place: _Place) -> dict[str, Any] | None:
        if "enum" in node or "const" in node:
            return self._words(node, place)
        given = node.get("type")
        types = given if isinstance(given, list) else [given]
        kinds = [kind for kind in types if kind != "null"]
        if len(kinds) != 1 or not isinstance(kinds[0], str) or kinds[0] not in _KEYWORDS:
            what = f"{_shown(given)} is no type" if "type" in node else "a schema needs a `type`"
            self.fault(place, what, f'one of {", ".join(_KEYWORDS)}; ["string", "null"] may be null')
            return None
        self._only(node, {"type", *_KEYWORDS[kinds[0]]}, place, what=f"of type {kinds[0]}")
        found = self._typed(node, kinds[0], place)
        return found and _nullable(found, may_be_null="null" in types)

    def _words(self, node: dict[str, Any], place: _Place) -> dict[str, Any] | None:
        self._only(node, {"type", "enum", "const"}, place, what="beside given values")
        values = [node["const"]] if "const" in node else node["enum"]
        listed = values if isinstance(values, list) else [values]
        words = [value for value in listed if value is not None]
        if (
            not all(isinstance(word, str) for word in words)
            or not words
            or node.get("type", "string") not in _TEXT_TYPES
        ):
            hint = "give the values as texts, or take a type with bounds"
            self.fault(place, "only texts, and null beside them, can be given values", hint)
            return None
        return _nullable({"type": "enum", "enum": words}, may_be_null=len(words) < len(listed))

    def _typed(self, node: dict[str, Any], kind: str, place: _Place) -> dict[str, Any] | None:
        match kind:
            case "array":
                return self._array(node, place)
            case "object":
                return self._object(node, place)
            case "string" if "format" in node:
                self._only(node, {"type", "format"}, place, what="beside `format`")
                return self._formatted(node["format"], place)
            case "integer":
                return {"type": kind, **self._whole_bounds(node, place)}
            case _:
                return {"type": kind, **_bounds(node)}

    def _formatted(self, given: object, place: _Place) -> dict[str, Any] | None:
        if isinstance(given, str) and given in _FORMATS:
            return {"type": _FORMATS[given]}
        self.fault(place.inside("format"), f"the format {_shown(given)} is not supported", _HINTS["format"])
        return None

    def _array(self, node: dict[str, Any], place: _Place) -> dict[str, Any] | None:
        if "items" not in node:
            self.fault(place, "an array needs `items`", 'such as "items": {"type": "string"}')
            return None
        items = self.definition(node["items"], place.inside("items", path=(*place.path, "items")))
        return {"type": "array", "items": items, **_bounds(node)} if items else None

    def _object(self, node: dict[str, Any], place: _Place) -> dict[str, Any] | None:
        properties, required = node.get("properties"), node.get("required", [])
        if node.get("additionalProperties", False) is not False:
            hint = "write false and name every key; where names vary, write a list of objects with a `name`"
            self.fault(place.inside("additionalProperties"), "an answer has no keys but those named", hint)
        if not isinstance(properties, dict) or not properties:
            self.fault(place, "an object needs `properties`", "name each key with its schema")
            return None
        if not isinstance(required, list) or not all(isinstance(name, str) and name in properties for name in required):
            self.fault(place.inside("required"), "`required` is a list of properties", "name them in `properties`")
            return None
        always = frozenset(required)
        fields = self._properties(properties, place)
        return {
            "type": "object",
            "fields": {name: _nullable(found, may_be_null=name not in always) for name, found in fields},
        }

    def _properties(self, properties: dict[str, Any], place: _Place) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, node in properties.items():
            at = place.inside("properties", name, path=(*place.path, "fields", name))
            if len(name) > _LONGEST_NAME:
                self.fault(at, f"a name of more than {_LONGEST_NAME} characters", "write a shorter name")
            elif (found := self.definition(node, at)) is not None:
                yield name, found

    def _whole_bounds(self, node: dict[str, Any], place: _Place) -> dict[str, Any]:
        bounds = _bounds(node)
        for word, (key, step) in _WHOLE_BOUNDS.items():
            bound = node.get(word)
            if isinstance(bound, int) and not isinstance(bound, bool) and key not in bounds:
                bounds[key] = bound + step
            elif word in node:
                message = f"{_shown(bound)} is no whole number, or stands beside `{key}`"
                self.fault(place.inside(word), message, _HINTS[word])
        return bounds

    def _only(self, node: dict[str, Any], known: set[str], place: _Place, *, what: str) -> None:
        for word in node:
            if word not in known and word not in _ANNOTATIONS:
                self.fault(place.inside(word), f"{_shown(word)} {what} is not supported", _HINTS.get(word, _HINT))


def _bounds(node: dict[str, Any]) -> dict[str, Any]:
    return {key: node[word] for word, key in _KEY_OF.items() if word in node}


def _nullable(definition: dict[str, Any], *, may_be_null: bool) -> dict[str, Any]:
    return {**definition, "nullable": True} if may_be_null else definition


def _shown(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            shown = json.dumps(value, ensure_ascii=False)
            return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}…"
