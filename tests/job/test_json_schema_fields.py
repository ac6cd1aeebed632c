"""A JSON Schema as the definitions of [output.fields]: what each keyword becomes, and what has no definition."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.job.schema_definitions import MOST_FAULTS, definitions_of

DEFINITIONS = {
    "Money": {
        "type": "object",
        "title": "Money",
        "description": "An amount",
        "properties": {"usd": {"type": "number"}},
        "required": ["usd"],
    },
    "Old/New": {"type": "boolean"},
    "Kind": {"enum": ["a", "b"], "type": "string"},
    "Self": {"type": "array", "items": {"$ref": "#/$defs/Self"}},
    "Wrong": {"type": "object", "properties": {"x": {"type": "text"}}},
}


def schema_of(node, *, required=("x",), **more):
    return {"type": "object", "properties": {"x": node}, "required": list(required), "$defs": DEFINITIONS, **more}


MONEY = {"type": "object", "fields": {"usd": {"type": "number"}}, "description": "An amount"}
# name: (schema of the field, definition)
KINDS = {
    "string": ({"type": "string"}, {"type": "string"}),
    "bounds of a string": (
        {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a"},
        {"type": "string", "min_length": 1, "max_length": 9, "pattern": "^a"},
    ),
    "bounds of a number": (
        {"type": "number", "minimum": 0.5, "maximum": 2},
        {"type": "number", "minimum": 0.5, "maximum": 2},
    ),
    "bounds of a whole number": (
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
        {"type": "integer", "minimum": 1, "maximum": 9},
    ),
    "boolean": ({"type": "boolean"}, {"type": "boolean"}),
    "date": ({"type": "string", "format": "date"}, {"type": "date"}),
    "datetime": ({"type": "string", "format": "date-time"}, {"type": "datetime"}),
    "annotations": (
        {"type": "string", "title": "T", "description": "who", "default": "a", "examples": ["b"], "deprecated": True},
        {"type": "string", "description": "who"},
    ),
    "enum": ({"enum": ["a", "b"]}, {"type": "enum", "enum": ["a", "b"]}),
    "enum of a type": ({"type": "string", "enum": ["a"]}, {"type": "enum", "enum": ["a"]}),
    "enum or null": (
        {"type": ["string", "null"], "enum": ["a", None]},
        {"type": "enum", "enum": ["a"], "nullable": True},
    ),
    "const": ({"const": "a"}, {"type": "enum", "enum": ["a"]}),
    "types": ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    "types the other way": ({"type": ["null", "integer"]}, {"type": "integer", "nullable": True}),
    "one type in a list": ({"type": ["integer"]}, {"type": "integer"}),
    "any of": (
        {"anyOf": [{"type": "string", "description": "inner"}, {"type": "null"}], "description": "outer"},
        {"type": "string", "nullable": True, "description": "outer"},
    ),
    "one of": ({"oneOf": [{"const": None}, {"type": "boolean"}]}, {"type": "boolean", "nullable": True}),
    "any of one": ({"anyOf": [{"type": "string"}]}, {"type": "string"}),
    "all of": ({"allOf": [{"$ref": "#/$defs/Money"}], "description": "mine"}, {**MONEY, "description": "mine"}),
    "reference": ({"$ref": "#/$defs/Money"}, MONEY),
    "reference with a description": (
        {"$ref": "#/$defs/Kind", "description": "k"},
        {"type": "enum", "enum": ["a", "b"], "description": "k"},
    ),
    "reference with a slash": ({"$ref": "#/$defs/Old~1New"}, {"type": "boolean"}),
    "array": (
        {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/Money"}, {"type": "null"}]}, "minItems": 2,
         "maxItems": 3},
        {"type": "array", "items": {**MONEY, "nullable": True}, "min_items": 2, "max_items": 3},
    ),
    "optional keys": (
        {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "fields": {"b": {"type": "string", "nullable": True}, "a": {"type": "string"}}},
    ),
    "closed object": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False},
        {"type": "object", "fields": {"a": {"type": "string"}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("node", "definition"), KINDS.values(), ids=KINDS)
def test_what_a_schema_becomes(node, definition):
    found = definitions_of(schema_of(node))
    assert found.faults == ()
    assert found.fields == {"x": definition}
    TypeAdapter(ColumnFields).validate_python(found.fields)


def test_an_optional_field_may_be_null():
    assert definitions_of(schema_of({"type": "string"}, required=())).fields == {
        "x": {"type": "string", "nullable": True}
    }


def test_the_root_may_be_a_reference():
    schema = {"$ref": "#/definitions/Root", "definitions": {"Root": schema_of({"type": "string"})}}
    assert definitions_of(schema).fields == {"x": {"type": "string"}}


def test_the_order_is_that_of_the_properties():
    names = ["z", "b", "a", "c"]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": sorted(names)}
    assert list(definitions_of(schema).fields) == names


HINT = "take it out, and say it in the description"
TYPES = 'one of string, integer, number, boolean, array, object; ["string", "null"] may be null'
X = "#/properties/x"
# name: (schema of the field, the faults)
FAULTS = {
    "no schema": (True, [(X, "a schema is an object, and here is true", 'such as {"type": "string"}')]),
    "no type": ({"description": "x"}, [(X, "a schema needs a `type`", TYPES)]),
    "no such type": ({"type": "text"}, [(X, '"text" is no type', TYPES)]),
    "two types": ({"type": ["string", "integer"]}, [(X, "a list is no type", TYPES)]),
    "only null": ({"type": "null"}, [(X, '"null" is no type', TYPES)]),
    "an object as type": ({"type": {}}, [(X, "an object is no type", TYPES)]),
    "keywords": ({"type": "number", "multipleOf": 2, "exclusiveMinimum": 0, "not": {}}, [
        (f"{X}/multipleOf", '"multipleOf" of type number is not supported', HINT),
        (f"{X}/exclusiveMinimum", '"exclusiveMinimum" of type number is not supported', "write `minimum`"),
        (f"{X}/not", '"not" of type number is not supported', HINT),
    ]),
    "half a number": ({"type": "integer", "exclusiveMaximum": 0.5}, [
        (f"{X}/exclusiveMaximum", "0.5 is no whole number, or stands beside `maximum`", "write `maximum`"),
    ]),
    "true as a bound": ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, [
        (f"{X}/exclusiveMinimum", "true is no whole number, or stands beside `minimum`", "write `minimum`"),
    ]),
    "two bounds": ({"type": "integer", "minimum": 0, "exclusiveMinimum": 3}, [
        (f"{X}/exclusiveMinimum", "3 is no whole number, or stands beside `minimum`", "write `minimum`"),
    ]),
    "half of any number": ({"type": "number", "exclusiveMinimum": 0.5}, [
        (f"{X}/exclusiveMinimum", '"exclusiveMinimum" of type number is not supported', "write `minimum`"),
    ]),
    "format": ({"type": "string", "format": "email"}, [
        (f"{X}/format", 'the format "email" is not supported',
         'the formats here are "date" and "date-time"; write a `pattern`, or say the format in the description'),
    ]),
    "bounds of a date": ({"type": "string", "format": "date", "maxLength": 10}, [
        (f"{X}/maxLength", '"maxLength" beside `format` is not supported', HINT),
    ]),
    "enum of numbers": ({"enum": [1, 2]}, [
        (X, "only texts, and null beside them, can be given values",
         "give the values as texts, or take a type with bounds"),
    ]),
    "const true": ({"type": "boolean", "const": True}, [
        (X, "only texts, and null beside them, can be given values",
         "give the values as texts, or take a type with bounds"),
    ]),
    "two alternatives": ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}, [
        (f"{X}/anyOf", "2 types in one place", "write one type, and null beside it"),
    ]),
    "no alternative": ({"oneOf": []}, [(f"{X}/oneOf", "0 types in one place", "write one type, and null beside it")]),
    "two at once": ({"allOf": [{"type": "string"}, {"type": "string"}]}, [
        (f"{X}/allOf", "2 types in one place", "write the one type that it has"),
    ]),
    "beside a reference": ({"$ref": "#/$defs/Kind", "maxLength": 3}, [
        (f"{X}/maxLength", '"maxLength" beside `$ref` is not supported', HINT),
    ]),
    "another file": ({"$ref": "other.json#/$defs/Kind"}, [
        (f"{X}/$ref", '"other.json#/$defs/Kind" is no definition',
         'write "#/$defs/NAME" for a definition in this schema'),
    ]),
    "no such definition": ({"$ref": "#/$defs/kind"}, [
        (f"{X}/$ref", '"#/$defs/kind" is no definition', 'write "#/$defs/NAME" for a definition in this schema'),
    ]),
    "a definition in itself": ({"$ref": "#/$defs/Self"}, [
        ("#/$defs/Self/items/$ref", 'the definition "Self" contains itself',
         "the API takes no recursion; write out as many levels as you need"),
    ]),
    "inside a definition": ({"$ref": "#/$defs/Wrong"}, [("#/$defs/Wrong/properties/x", '"text" is no type', TYPES)]),
    "no items": ({"type": "array"}, [(X, "an array needs `items`", 'such as "items": {"type": "string"}')]),
    "a tuple": ({"type": "array", "prefixItems": [], "items": {"type": "string"}}, [
        (f"{X}/prefixItems", '"prefixItems" of type array is not supported',
         "write `items` with one type, or an object with a key for each position"),
    ]),
    "no properties": ({"type": "object"}, [(X, "an object needs `properties`", "name each key with its schema")]),
    "any keys": ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {}}, [
        (f"{X}/additionalProperties", "an answer has no keys but those named",
         "write false and name every key; where names vary, write a list of objects with a `name`"),
    ]),
    "required but unknown": ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}, [
        (f"{X}/required", "`required` is a list of properties", "name them in `properties`"),
    ]),
    "a name of a slash": ({"type": "object", "properties": {"a/b~": {"type": "x"}}}, [
        (f"{X}/properties/a~1b~0", '"x" is no type', TYPES),
    ]),
    "a long name": ({"type": "object", "properties": {"a" * 64: {"type": "string"}}}, [
        (f"{X}/properties/{'a' * 63}", "a name of more than 63 characters", "write a shorter name"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("node", "expected"), FAULTS.values(), ids=FAULTS)
def test_what_no_definition_can_say(node, expected):
    found = definitions_of(schema_of(node))
    assert [(fault.pointer, fault.message, fault.hint) for fault in found.faults] == expected


@pytest.mark.parametrize(
    "root",
    [{"type": "string"}, {"type": ["object", "null"], "properties": {"x": {"type": "string"}}}],
    ids=["text", "null"],
)
def test_an_answer_is_an_object(root):
    assert [fault.message for fault in definitions_of(root).faults] == ["an answer is an object"]


def test_every_fault_is_told_at_once():
    names = [f"f{number}" for number in range(MOST_FAULTS - 1)]
    schema = {"type": "object", "properties": {name: {"type": "text"} for name in names}, "additionalProperties": True}
    assert len(definitions_of(schema).faults) == MOST_FAULTS
    schema["properties"].update({f"g{number}": {"type": "text"} for number in range(1000)})
    assert len(definitions_of(schema).faults) == MOST_FAULTS


def test_a_fault_in_a_definition_is_told_once():
    node = {"type": "object", "properties": {name: {"$ref": "#/$defs/Wrong"} for name in "abc"}}
    assert [fault.pointer for fault in definitions_of(schema_of(node)).faults] == ["#/$defs/Wrong/properties/x"]


def doubling(levels):
    """A schema of few characters that stands for 2 to the power of `levels` fields."""
    names = [f"D{number}" for number in range(levels)]
    definitions = {
        name: {"type": "object", "properties": {key: {"$ref": f"#/$defs/{below}"} for key in ("a", "b")}}
        for name, below in zip(names, [*names[1:], "Last"], strict=True)
    }
    return {"$ref": "#/$defs/D0", "$defs": {**definitions, "Last": {"type": "string"}}}


def nested(levels):
    node = {"type": "string"}
    for _ in range(levels):
        node = {"type": "array", "items": node}
    return schema_of(node)


@pytest.mark.parametrize("schema", [doubling(40), nested(300)], ids=["doubling", "deep"])
def test_a_hostile_schema_is_one_fault(schema):
    (fault,) = definitions_of(schema).faults
    assert fault.message == "more than 10,000 types, or more than 100 of them in each other"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "enum", "const", "items", "properties", "required", "anyOf", "allOf", "$ref", "$defs",
                         "format", "minimum", "exclusiveMinimum", "description", "additionalProperties", "x"]),
        inner | st.sampled_from(["string", "object", "array", "integer", "#/$defs/x", "date"]),
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.slow
@given(JSON)
@settings(max_examples=300)
def test_any_json_is_a_schema_or_has_faults(value):
    found = definitions_of(value)
    assert bool(found.faults) or bool(found.fields)
    for fault in found.faults:
        assert fault.pointer.startswith("#")
        assert fault.message
        assert fault.hint


NAMES = st.sampled_from(["a", "b", "c"])
FIELDS = st.recursive(
    st.sampled_from([
        {"type": "string"}, {"type": "integer?", "minimum": -3}, {"type": "date?"}, {"type": "datetime"},
        {"enum": ["x", "y"]}, {"type": "enum?", "enum": ["x"]}, {"type": "number", "maximum": 2.5, "description": "d"},
    ]),
    lambda inner: st.builds(lambda items: {"type": "array?", "items": items, "max_items": 3}, inner)
    | st.builds(lambda fields: {"type": "object", "fields": fields}, st.dictionaries(NAMES, inner, min_size=1)),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.slow
@given(st.dictionaries(NAMES, FIELDS, min_size=1))
def test_the_full_schema_of_fields_read_back_gives_these_fields(definitions):
    fields = OutputFields(TypeAdapter(ColumnFields).validate_python(definitions))
    found = definitions_of(json.loads(json.dumps(fields.full_schema)))
    assert found.faults == ()
    again = OutputFields(TypeAdapter(ColumnFields).validate_python(found.fields))
    assert again.full_schema == fields.full_schema
    assert again.columns == fields.columns
