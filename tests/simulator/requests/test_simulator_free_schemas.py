"""Schemas of tools that are not strict: one by which the simulated model cannot answer is refused."""

import json
from functools import reduce
from typing import Any

import pytest

from batchrun.simulator.replies.schema_answer import SchemaAnswer
from batchrun.simulator.requests.schema_rules import schema_problem

DEEP: Any = reduce(lambda inner, _: {"type": "object", "properties": {"a": inner}}, range(150), {"type": "null"})
CIRCLE = {"$defs": {"x": {"type": "array", "items": {"$ref": "#/$defs/x"}}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": 5}, "'properties' does not match"),
        ({"required": [[1]]}, "'required' does not match"),
        ({"properties": {"a": True}}, "a schema has to be an object"),
        ({"properties": {"a": {}}}, "must have a 'type'"),
        ({"properties": {"a": {"enum": []}}}, "'enum' must not be empty"),
        ({"properties": {"a": {"$ref": "#"}}}, "not found"),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}} | CIRCLE, "Circular reference"),
        (DEEP, "nested too deeply"),
    ],
)
def test_what_is_refused(schema: dict[str, Any], words: str) -> None:
    assert words in (schema_problem(json.dumps({"type": "object"} | schema), strict=False) or "")


@pytest.mark.parametrize(
    "field",
    [
        {"type": "array", "minItems": 1},
        {"type": "string", "description": f"{{maxLength: {'9' * 400}}}"},
        {"type": "integer", "description": f"{{minimum: {'9' * 400}}}"},
        {"type": "string", "minLength": 3},
    ],
)
def test_what_is_answered(field: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": field}, "required": ["a"]}

    assert schema_problem(json.dumps(schema), strict=False) is None
    assert SchemaAnswer("A lease of Norway.", schema, b"seed").answer()["a"]
