"""Which JSON Schemas `output_config.format` takes: a subset, refused in the API's words."""

from collections.abc import Iterator, Mapping
from typing import Any

_UNION_LIMIT = 16
_OPTIONAL_LIMIT = 24

_ANYWHERE = {"type", "title", "description", "default", "enum", "const", "anyOf", "allOf", "$ref", "$defs"}
_BY_TYPE: Mapping[str, set[str]] = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems"},
    "string": {"format"},
    "integer": set(),
    "number": set(),
    "boolean": set(),
    "null": set(),
}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "type": (str, list),
    "properties": dict,
    "$defs": dict,
    "required": list,
    "enum": list,
    "anyOf": list,
    "allOf": list,
    "minItems": int,
    "$ref": str,
}

Schema = Mapping[str, Any]


def schema_problems(schema: Schema) -> Iterator[str]:
    """Say what the API would refuse in a schema; messages begin where the API begins them."""
    yield from (f"output_config.format.schema: {problem}" for problem in _shape_problems(schema))
    yield from _size_problems(schema)


def _shape_problems(schema: Schema) -> Iterator[str]:
    definitions = _mapping(schema, "$defs")
    for name in definitions:
        if cycle := _cycle(name, definitions, ()):
            yield (
                "Invalid schema: Circular reference detected in schema definitions: "
                f"{' -> '.join(cycle)}. Self-referencing or mutually-referencing definitions are not supported."
            )
    for node in _nodes(schema):
        yield from _node_problems(node, definitions)


def _node_problems(node: Schema, definitions: Schema) -> Iterator[str]:
    yield from _malformed(node)
    if "$ref" in node:
        if str(node["$ref"]).removeprefix("#/$defs/") not in definitions:
            yield f"Invalid schema: Reference '{node['$ref']}' not found in schema definitions."
        return
    if "oneOf" in node:
        yield "Schema type 'oneOf' is not supported"
    if not {"type", "anyOf", "allOf", "enum", "const"} & node.keys():
        yield "Schema must have a 'type', 'anyOf', 'oneOf', or 'allOf' field"
    types = _types(node)
    for name in types:
        if name not in _BY_TYPE:
            yield f"Schema type '{name}' is not supported"
    if all(name in _BY_TYPE for name in types):
        yield from _keyword_problems(node, types)


def _malformed(node: Schema) -> Iterator[str]:
    for keyword, kind in _KINDS.items():
        if keyword in node and not isinstance(node[keyword], kind):
            yield f"Invalid schema: '{keyword}' does not match the expected shape."
    if any(not isinstance(child, dict) for child in _children(node)):
        yield "Invalid schema: a schema has to be an object."
    if node.get("enum", True) == []:
        yield "Invalid schema: 'enum' must not be empty."


def _keyword_problems(node: Schema, types: list[str]) -> Iterator[str]:
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
    unions = sum(_is_union(node) for node in _nodes(schema))
    if unions > _UNION_LIMIT:
        yield (
            f"Schemas contains too many parameters with union types ({unions} parameters with type arrays or anyOf). "
            "This causes exponential compilation cost. Reduce the number of nullable or union-typed parameters "
            f"(limit: {_UNION_LIMIT} parameters with unions)."
        )
    optional = sum(len(_mapping(node, "properties").keys() - set(node.get("required", ()))) for node in _nodes(schema))
    if optional > _OPTIONAL_LIMIT:
        yield (
            f"Schemas contains too many optional parameters ({optional}), which would make grammar compilation "
            "inefficient. Reduce the number of optional parameters in your tool schemas "
            f"(limit: {_OPTIONAL_LIMIT})."
        )


def _is_union(node: Schema) -> bool:
    return "anyOf" in node or (isinstance(node.get("type"), list) and len(node["type"]) > 1)


def _types(node: Schema) -> list[str]:
    declared = node.get("type", [])
    return [str(name) for name in declared] if isinstance(declared, list) else [str(declared)]


def _nodes(schema: Schema) -> Iterator[Schema]:
    """Walk a schema and every schema inside it, definitions included."""
    yield schema
    for child in _children(schema):
        if isinstance(child, dict):
            yield from _nodes(child)


def _children(schema: Schema) -> Iterator[object]:
    for keyword in ("properties", "$defs"):
        yield from _mapping(schema, keyword).values()
    for keyword in ("anyOf", "allOf"):
        if isinstance(schema.get(keyword), list):
            yield from schema[keyword]
    if "items" in schema:
        yield schema["items"]


def _mapping(schema: Schema, keyword: str) -> Mapping[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _cycle(name: str, definitions: Schema, path: tuple[str, ...]) -> tuple[str, ...]:
    """Follow the names from a definition back to itself, or nothing."""
    if name in path:
        return (*path[path.index(name) :], name)
    for node in _nodes(_mapping(definitions, name)):
        target = str(node.get("$ref", "")).removeprefix("#/$defs/")
        if target and (found := _cycle(target, definitions, (*path, name))):
            return found
    return ()
