"""Values that a person types are held against the field as the values of answers are."""

import json

import pytest
from pydantic import TypeAdapter

from batchrun.errors import UsageProblem
from batchrun.job.field_types import ColumnFields
from batchrun.quality.review.typed_value import LONGEST_VALUE, typed_value

FIELDS = TypeAdapter(ColumnFields).validate_python(
    {
        "text": "string",
        "maybe": "string?",
        "whole": {"type": "integer?", "minimum": 0},
        "share": "number",
        "day": "date?",
        "moment": "datetime",
        "yes": "boolean",
        "kind": {"enum": ["msa", "nda"]},
        "names": {"type": "array", "items": "string"},
        "rows": {"type": "array", "items": {"type": "object", "fields": {"no": "integer"}}},
    }
)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("text", "Ada", "Ada"), ("text", "12", "12"), ("text", '"12"', "12"), ("text", "null", "null"),
        ("text", '{"a": 1}', '{"a": 1}'), ("maybe", "null", None), ("maybe", "none", "none"), ("whole", "12", 12),
        ("whole", "1e3", 1000), ("whole", "null", None), ("share", "1.234,56", 1234.56),
        ("day", "3 March 2024", "2024-03-03"), ("moment", "2024-03-01T10:00:00+02:00", "2024-03-01 08:00:00"),
        ("yes", "yes", True), ("kind", "NDA", "nda"), ("names", '["a", "b"]', ["a", "b"]), ("names", "a", ["a"]),
        ("rows", '[{"no": 1}]', [{"no": 1}]),
    ],
)  # fmt: skip
def test_a_value_that_fits(name: str, typed: str, value: object) -> None:
    assert json.loads(typed_value(FIELDS[name], typed)) == value


@pytest.mark.parametrize(
    ("name", "typed", "why"),
    [
        ("whole", "-1", "-1 is less than 0"), ("whole", "twelve", "is not a whole number"),
        ("whole", "9" * 30, "64 bits"), ("whole", "[" * 50_000, "nested too deeply"), ("share", "NaN", "not a number"),
        ("share", "1e999", "too large"), ("day", "2024-02-30", "is not a date"), ("kind", "lease", "one of msa, nda"),
        ("rows", '[{"no": "x"}]', "is not a whole number"), ("rows", '[{"no": 1, "more": 2}]', "is no field"),
        ("text", "\ud800", "half a surrogate pair"), ("text", "x" * (LONGEST_VALUE + 1), "at most"),
    ],
    ids=map(str, range(12)),
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_with_the_reason(name: str, typed: str, why: str) -> None:
    with pytest.raises(UsageProblem, match=why):
        typed_value(FIELDS[name], typed)
