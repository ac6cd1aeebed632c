"""Output fields: the schema sent, the schema judged by, and the columns."""

import json

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.job.schema_limits import schema_unions

SENT_KEYS = {
    "type",
    "properties",
    "required",
    "additionalProperties",
    "enum",
    "anyOf",
    "format",
    "items",
    "description",
}

# name: (definition, schema sent, SQL type, structure)
KINDS = {
    "string": ("string", {"type": "string"}, "VARCHAR", "VARCHAR"),
    "nullable": ("string?", {"anyOf": [{"type": "string"}, {"type": "null"}]}, "VARCHAR", "VARCHAR"),
    "by key": (
        {"type": "boolean", "nullable": True},
        {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "BOOLEAN",
        "BOOLEAN",
    ),
    "described": (
        {"type": "string?", "description": "who"},
        {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "who"},
        "VARCHAR",
        "VARCHAR",
    ),
    "integer": ("integer", {"type": "integer"}, "BIGINT", "BIGINT"),
    "bounds": (
        {"type": "integer", "minimum": 0, "maximum": 9, "description": "how many"},
        {"type": "integer", "description": "how many\n\n{minimum: 0, maximum: 9}"},
        "BIGINT",
        "BIGINT",
    ),
    "number": (
        {"type": "number", "minimum": 0.5},
        {"type": "number", "description": "{minimum: 0.5}"},
        "DOUBLE",
        "DOUBLE",
    ),
    "date": ("date", {"type": "string", "format": "date"}, "DATE", "DATE"),
    "datetime": ("datetime", {"type": "string", "format": "date-time"}, "TIMESTAMP", "TIMESTAMP"),
    "enum": ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}, "ENUM('a', 'b')", "VARCHAR"),
    "enum or null": (
        {"type": "enum?", "enum": ["a"]},
        {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        "ENUM('a')",
        "VARCHAR",
    ),
    "text rules": (
        {"type": "string", "min_length": 1, "max_length": 2, "pattern": "^[A-Z]+$"},
        {"type": "string", "description": "{minLength: 1, maxLength: 2, pattern: ^[A-Z]+$}"},
        "VARCHAR",
        "VARCHAR",
    ),
    "array": (
        {"type": "array", "items": "integer?", "min_items": 1},
        {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "description": "{minItems: 1}",
        },
        "BIGINT[]",
        ["BIGINT"],
    ),
    "object": (
        {"type": "object", "fields": {"a": "number", "_b": {"type": "array", "items": "date"}, "doc_id": "string"}},
        {
            "type": "object",
            "properties": {
                "a": {"type": "number"},
                "_b": {"type": "array", "items": {"type": "string", "format": "date"}},
                "doc_id": {"type": "string"},
            },
            "required": ["a", "_b", "doc_id"],
            "additionalProperties": False,
        },
        'STRUCT("a" DOUBLE, "_b" DATE[], "doc_id" VARCHAR)',
        {"a": "DOUBLE", "_b": ["DATE"], "doc_id": "VARCHAR"},
    ),
}


def fields(**definitions):
    return OutputFields(TypeAdapter(ColumnFields).validate_python(definitions))


@pytest.mark.parametrize(("definition", "sent", "sql_type", "structure"), KINDS.values(), ids=KINDS)
def test_kind(definition, sent, sql_type, structure):
    output = fields(x=definition)
    assert output.api_schema["properties"] == {"x": sent}
    (column,) = output.columns
    assert (column.name, column.sql_type, column.json_structure) == ("x", sql_type, structure)
    Draft202012Validator.check_schema(output.full_schema)


def test_everything_is_required_and_nothing_else_allowed():
    schema = fields(b="string?", a="integer").api_schema
    assert schema["required"] == ["b", "a"]
    assert schema["additionalProperties"] is False


# name: (definition, values that pass, values that do not)
JUDGED = {
    "bounds": ({"type": "integer", "minimum": 0}, [0, 7], [-1, 1.5, "1", None]),
    "fits a BIGINT": ("integer", [2**63 - 1, -(2**63)], [2**63, -(2**63) - 1]),
    "nullable bounds": ({"type": "number?", "maximum": 1}, [None, 0.5], [2, "x"]),
    "text rules": ({"type": "string", "min_length": 2, "pattern": "^a"}, ["ab"], ["a", "bb", None]),
    "enum or null": ({"type": "enum?", "enum": ["a"]}, ["a", None], ["b", 1]),
    "array": (
        {"type": "array", "items": {"type": "integer", "minimum": 1}, "max_items": 2},
        [[], [1, 2]],
        [[0], [1, 1, 1]],
    ),
    "object": ({"type": "object", "fields": {"a": "string"}}, [{"a": "x"}], [{}, {"a": "x", "b": 1}, {"a": None}]),
}


@pytest.mark.parametrize(("definition", "good", "bad"), JUDGED.values(), ids=JUDGED)
def test_the_full_schema_has_every_rule(definition, good, bad):
    judge = Draft202012Validator(fields(x=definition).full_schema)
    assert all(judge.is_valid({"x": value}) for value in good)
    assert not any(judge.is_valid({"x": value}) for value in bad)


def test_a_changed_rule_changes_what_is_sent():
    assert (
        fields(x={"type": "integer", "minimum": 0}).api_schema != fields(x={"type": "integer", "minimum": 1}).api_schema
    )


def test_nullable_types_are_counted_at_every_depth():
    inner = {"type": "object?", "fields": {"a": "string?", "b": {"type": "array", "items": "date?"}, "c": "string"}}
    output = fields(x={"type": "array", "items": inner}, y="string", z={"enum": ["a"], "nullable": True})
    assert sum(schema_unions(name, field) for name, field in output.definitions.items()) == 4


plain = st.sampled_from(["string", "integer", "number", "boolean", "date", "datetime"])
definitions = st.recursive(
    st.one_of(plain, plain.map("{}?".format), st.just({"enum": ["a", "b"], "description": "d"})),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "fields": st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3),
            }
        ),
    ),
    max_leaves=5,
)


def keys_in(schema, *, is_properties=False):
    for key, value in schema.items():
        if not is_properties:
            yield key
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, dict):
                yield from keys_in(child, is_properties=key == "properties" and not is_properties)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from("wxyz"), definitions, min_size=1))
def test_any_definition_gives_valid_schemas(definition):
    output = fields(**definition)
    Draft202012Validator.check_schema(output.full_schema)
    assert set(keys_in(output.api_schema)) <= SENT_KEYS


def test_duckdb_takes_the_columns():
    output = fields(
        order="string", day="date?", at="datetime", n="integer", tags={"type": "array", "items": "string"},
        parts={"type": "array", "items": {"type": "object", "fields": {"select": "number", "ok": "boolean"}}},
    )  # fmt: skip
    structure = json.dumps({column.name: column.json_structure for column in output.columns})
    row = {
        "order": "x",
        "day": None,
        "at": "2026-01-02T03:04:05Z",
        "n": 3,
        "tags": ["a"],
        "parts": [{"select": 1.5, "ok": True}],
    }
    with duckdb.connect() as connection:
        columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in output.columns)
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.execute("INSERT INTO t SELECT unnest(json_transform(?, ?))", [json.dumps(row), structure])
        assert connection.execute('SELECT "order", "day", n, tags, parts[1]."select" FROM t').fetchone() == (
            "x", None, 3, ["a"], 1.5,
        )  # fmt: skip
