"""The limits of the API on one schema, and the key of the job file that is the first beyond a limit.

The API's limit on optional parameters, 24, is never met: every field is required.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from batchrun.job.answer_form import asked_for
from batchrun.job.field_types import ArrayField, FieldSpec, ObjectField
from batchrun.job.fields import OutputFields, object_schema

MAX_UNIONS = 16
"""The most nullable types that the API compiles in one schema."""
MAX_SCHEMA_BYTES = 100_000
"""The most bytes of one schema as JSON. The API names no number and refuses what is "too complex for compilation"; a
schema of this size also costs about 25,000 tokens with every request."""
MAX_DEPTH = 20
"""The most levels of lists and objects in each other. The API names no number; deeper types are a mistake or an attack,
and functions that call themselves go through the types."""

_FRAME = len(json.dumps(object_schema({})))
"""The bytes of a schema without fields."""


@dataclass(frozen=True, slots=True)
class Excess:
    """The first key that is too much for one schema."""

    way: tuple[str, ...]
    """The keys from the table of fields to the culprit."""
    sentence: str
    remedy: str


class _Node(NamedTuple):
    way: tuple[str, ...]
    field: FieldSpec
    level: int


def first_excess(fields: OutputFields, *, evidence: bool) -> Excess | None:
    """Return the first key that is too much for one schema. Returns None if the API takes the schema.

    `evidence` says, here and below, whether fields that leave it open have a quote.
    """
    return too_deep(fields) or _too_many_unions(fields) or _too_large(fields, evidence=evidence)


def too_deep(fields: OutputFields) -> Excess | None:
    """Return the first type that is nested too deeply. The other limits are found by functions that call themselves."""
    way = next((node.way for node in _nodes(fields.definitions) if node.level > MAX_DEPTH), None)
    remedy = "give the inner values names of their own, in fewer levels"
    return Excess(way, f"nested in more than {MAX_DEPTH} lists and objects", remedy) if way else None


def schema_unions(name: str, field: FieldSpec) -> int:
    """Return how many types of a field may be null, at any depth."""
    return len(_nullable({name: field}))


def schema_bytes(name: str, field: FieldSpec, *, evidence: bool) -> int:
    """Return what a field adds to the bytes of a schema, with all that is asked for beside the field."""
    properties = {asked: api for asked, api, _ in asked_for(name, field, evidence=evidence)}
    separators = 2 * len(", ")
    return len(json.dumps(object_schema(properties))) - _FRAME + separators


def fits(*, unions: int, size: int) -> bool:
    """Whether the API takes a schema whose fields have so many nullable types and add so many bytes."""
    return unions <= MAX_UNIONS and size + _FRAME <= MAX_SCHEMA_BYTES


def _too_many_unions(fields: OutputFields) -> Excess | None:
    nullable = _nullable(fields.definitions)
    if len(nullable) <= MAX_UNIONS:
        return None
    sentence = f"the {MAX_UNIONS + 1}th type that may be null, and the API allows {MAX_UNIONS} in one schema"
    return Excess(nullable[MAX_UNIONS], sentence, "drop a ?, for example by letting the model answer an empty text")


def _nullable(definitions: Mapping[str, FieldSpec]) -> list[tuple[str, ...]]:
    return [node.way for node in _nodes(definitions) if node.field.may_be_null]


def _too_large(fields: OutputFields, *, evidence: bool) -> Excess | None:
    way = _overflowing(fields.definitions, MAX_SCHEMA_BYTES - _FRAME, evidence=evidence)
    sentence = f"with this key the schema is larger than {MAX_SCHEMA_BYTES:,} bytes of JSON"
    return Excess(way, sentence, "shorten descriptions, or lists of allowed values") if way else None


def _overflowing(definitions: Mapping[str, FieldSpec], remaining: int, *, evidence: bool) -> tuple[str, ...]:
    """Return the way to the first key for which the remaining bytes are too few; an empty way if all keys fit."""
    for name, field in definitions.items():
        size = schema_bytes(name, field, evidence=evidence)
        if size > remaining:
            return (name, *_overflowing_inside(field, remaining))
        remaining -= size
    return ()


def _overflowing_inside(field: FieldSpec, remaining: int) -> tuple[str, ...]:
    match field:
        case ObjectField():
            inner = _overflowing(field.fields, remaining, evidence=False)
            return ("fields", *inner) if inner else ()
        case ArrayField():
            inner = _overflowing_inside(field.items, remaining)
            return ("items", *inner) if inner else ()
        case _:
            return ()


def _nodes(definitions: Mapping[str, FieldSpec], above: tuple[str, ...] = (), level: int = 0) -> Iterator[_Node]:
    """Walk through all types in the order of the job file."""
    for name, field in definitions.items():
        yield from _nodes_of(_Node((*above, name), field, level))


def _nodes_of(node: _Node) -> Iterator[_Node]:
    yield node
    match node.field:
        case ObjectField():
            yield from _nodes(node.field.fields, (*node.way, "fields"), node.level + 1)
        case ArrayField():
            yield from _nodes_of(_Node((*node.way, "items"), node.field.items, node.level + 1))
