"""Which JSON Schemas `output_config.format` and strict tools take: a subset, refused in the API's words."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

_UNION_LIMIT = 16
_OPTIONAL_LIMIT = 24
_DEFINITIONS = "#/$defs/"

_ANYWHERE = {"type", "title", "description", "default", "enum", "const", "anyOf", "allOf", "$ref", "$defs"}
_BY_TYPE: Mapping[str, set[str]] = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems"},
    "string": {"format"},
    **{name: set() for name in ("integer", "number", "boolean", "null")},
}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_FORM = Draft202012Validator(Draft202012Validator.META_SCHEMA)

Schema = Mapping[str, Any]


@lru_cache(maxsize=64)  # a job sends the same schema with every document
def schema_problem(written: str, place: str = "output_config.format.schema", *, strict: bool = True) -> str | None:
    """Return what the API would refuse in the schema at a place, which is written as JSON, or None.

    A schema that is not strict may be any schema by which the simulated model can answer.
    """
    try:
        schema = json.loads(written)
        for problem in _form_problems(schema, strict=strict):
            return f"{place}: {problem}"
    except RecursionError:
        return f"{place}: Invalid schema: the schema is nested too deeply."
    return next(_size_problems(schema), None) if strict else None


def _form_problems(schema: Schema, *, strict: bool) -> Iterator[str]:
    if malformed := best_match(_FORM.iter_errors(schema)):
        keyword = next((key for key in reversed(malformed.absolute_path) if isinstance(key, str)), "schema")
        if keyword == "type" and isinstance(malformed.instance, str):
            yield f"Schema type '{malformed.instance}' is not supported"
        else:
            yield f"Invalid schema: '{keyword}' does not match the expected shape."
        return
    definitions = {name: node for name, node in schema.get("$defs", {}).items() if isinstance(node, dict)}
    try:
        TopologicalSorter({name: _references(node) for name, node in definitions.items()}).prepare()
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        unsupported = "Self-referencing or mutually-referencing definitions are not supported."
        yield f"Invalid schema: Circular reference detected in schema definitions: {cycle}. {unsupported}"
    for node in nodes(schema):
        yield from _node_problems(node, definitions, strict=strict)


def _references(schema: Schema) -> list[str]:
    return [node["$ref"].removeprefix(_DEFINITIONS) for node in nodes(schema) if "$ref" in node]


def _node_problems(node: Schema, definitions: Schema, *, strict: bool) -> Iterator[str]:
    if any(not isinstance(child, dict) for child in _children(node)):
        yield "Invalid schema: a schema has to be an object."
    if node.get("enum", True) == []:
        yield "Invalid schema: 'enum' must not be empty."
    if "$ref" in node:
        if node["$ref"].removeprefix(_DEFINITIONS) not in definitions:
            yield f"Invalid schema: Reference '{node['$ref']}' not found in schema definitions."
        return
    if "oneOf" in node:
        yield "Schema type 'oneOf' is not supported"
    if not {"type", "anyOf", "allOf", "enum", "const"} & node.keys():
        yield "Schema must have a 'type', 'anyOf', 'oneOf', or 'allOf' field"
    if strict:
        yield from _keyword_problems(node)


def _keyword_problems(node: Schema) -> Iterator[str]:
    declared = node.get("type", [])
    types = declared if isinstance(declared, list) else [declared]
    main = next((name for name in types if name != "null"), "null")
    if main == "object" and node.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    unknown = sorted(node.keys() - _ANYWHERE.union(*(_BY_TYPE[name] for name in types)))
    if len(unknown) == 1:
        yield f"For '{main}' type, property '{unknown[0]}' is not supported"
    elif unknown:
        yield f"For '{main}' type, properties {', '.join(unknown)} are not supported"
    if node.get("minItems", 0) not in (0, 1):
        yield f"For 'array' type, 'minItems' values other than 0 or 1 are not supported (got: [{node['minItems']}, ∞])"
    if main == "string" and node.get("format", "date") not in _FORMATS:
        yield f"For 'string' type, format '{node['format']}' is not supported"


def _size_problems(schema: Schema) -> Iterator[str]:
    found = list(nodes(schema))
    unions = sum("anyOf" in node or (isinstance(node.get("type"), list) and len(node["type"]) > 1) for node in found)
    if unions > _UNION_LIMIT:
        yield (
            f"Schemas contains too many parameters with union types ({unions} parameters with type arrays or anyOf). "
            "This causes exponential compilation cost. Reduce the number of nullable or union-typed parameters "
            f"(limit: {_UNION_LIMIT} parameters with unions)."
        )
    optional = sum(len(node.get("properties", {}).keys() - set(node.get("required", ()))) for node in found)
    if optional > _OPTIONAL_LIMIT:
        yield (
            f"Schemas contains too many optional parameters ({optional}), which would make grammar compilation "
            "inefficient. Reduce the number of optional parameters in your tool schemas "
            f"(limit: {_OPTIONAL_LIMIT})."
        )


def nodes(schema: Schema) -> Iterator[Schema]:
    """Walk a schema and every schema inside, definitions included."""
    yield schema
    for child in _children(schema):
        if isinstance(child, dict):
            yield from nodes(child)


def _children(schema: Schema) -> Iterator[object]:
    for keyword in ("properties", "$defs"):
        yield from schema.get(keyword, {}).values()
    for keyword in ("anyOf", "allOf"):
        yield from schema.get(keyword, ())
    if "items" in schema:
        yield schema["items"]
