"""What fits a schema for certain, fits it by the validator too; the validator alone says no."""

from itertools import product

from batchrun.answers.values import checker, surely_fits

VALUES = [None, True, False, 0, 1, -1, 2**63, 0.5, 1.0, "a", "A", "", [], ["a"], [1], {}, {"x": 1}, {"x": "a", "y": 1}]
SCHEMAS = [
    *({"type": kind} for kind in ("string", "integer", "number", "boolean", "null", "object", "array")),
    {"type": ["string", "null"]},
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 5}, {"type": "null"}]},
    {"type": "string", "enum": ["a", "b"]},
    {"type": "string", "minLength": 2},
    {"type": "array", "items": {"type": "string"}},
    {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False},
    {"minimum": 1},
    {"type": "object", "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "string"}},
]


def test_what_surely_fits_is_accepted_by_the_validator() -> None:
    sure = [(value, schema) for value, schema in product(VALUES, SCHEMAS) if surely_fits(value, schema)]
    assert len(sure) > 20
    assert all(checker(schema).is_valid(value) for value, schema in sure)
