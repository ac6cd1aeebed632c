"""The length of a reply, guessed from the schema before any reply is known."""

import math
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from batchrun.estimation.interval import NOTHING, Interval

_FRAME = Interval(4, low=3, high=5)
"""Braces and the end of the message."""
_PUNCTUATION = Interval(2.5, low=1, high=3.5)
"""Quotes, colon, comma and space of a field."""
_CHARACTERS_PER_TOKEN = 3.5
_NULL = Interval(1, low=1, high=1)
_NULL_SHARE = 0.15
_ELEMENTS = Interval(3, low=1, high=6)
_STRING = Interval(12, low=2, high=30)
_VALUES = {
    "boolean": Interval(1, low=1, high=1),
    "null": _NULL,
    "integer": Interval(2, low=1, high=5),
    "number": Interval(4, low=2, high=7),
    "date": Interval(8, low=6, high=10),
    "date-time": Interval(16, low=12, high=20),
    "string": _STRING,
}
_THINKING = {
    "low": Interval(80, low=0, high=300),
    "medium": Interval(250, low=20, high=900),
    "high": Interval(700, low=80, high=2_200),
    "xhigh": Interval(1_600, low=200, high=5_000),
    "max": Interval(2_800, low=300, high=9_000),
}
_UNKNOWN_EFFORT = "high"


def output_prior(
    schema: Mapping[str, Any],
    *,
    max_tokens: float,
    thinks: bool,
    effort: str | None,
    budget_tokens: int | None = None,
) -> Interval:
    """Guess the average tokens of a reply that follows the schema.

    The guess is an assumption, not a measurement: typical lengths of values by type, a null now and then, a few
    elements in an array, and thinking by effort if the model thinks. A job with short texts has short texts in every
    field: the errors add up and do not average out. Six short structured replies that others recorded lie within the
    bounds. No reply can be longer than `max_tokens`, and thinking with a budget is within `budget_tokens`.
    """
    parts = [_FRAME, _value(schema)]
    if thinks:
        parts.append(_THINKING[effort or _UNKNOWN_EFFORT].capped(budget_tokens or math.inf))
    return _sum(parts).capped(max_tokens)


def _value(schema: Mapping[str, Any]) -> Interval:
    if "anyOf" in schema:
        return _one_of(schema["anyOf"])
    if "enum" in schema:
        return _words(schema["enum"])
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        return _one_of([{**schema, "type": each} for each in kind])
    if kind == "object":
        return _sum(_field(name, value) for name, value in schema.get("properties", {}).items())
    if kind == "array":
        return _elements(_value(schema.get("items", {})))
    return _VALUES.get(schema.get("format", kind), _STRING)


def _field(name: str, schema: Mapping[str, Any]) -> Interval:
    length = _tokens(name)
    return _sum([Interval(length, length, length), _PUNCTUATION, _value(schema)])


def _elements(one: Interval) -> Interval:
    """Give the length of an array; every element has a comma."""
    return Interval(_ELEMENTS.mean * (one.mean + 1), _ELEMENTS.low * (one.low + 1), _ELEMENTS.high * (one.high + 1))


def _one_of(schemas: list[Mapping[str, Any]]) -> Interval:
    values = [_value(schema) for schema in schemas if schema.get("type") != "null"] or [_NULL]
    mean = math.fsum(value.mean for value in values) / len(values)
    low, high = min(value.low for value in values), max(value.high for value in values)
    if len(values) == len(schemas):
        return Interval(mean, low, high)
    return Interval((1 - _NULL_SHARE) * mean + _NULL_SHARE * _NULL.mean, min(low, _NULL.low), high)


def _words(values: list[str | None]) -> Interval:
    lengths = [_tokens(value or "null") + 1 for value in values]
    return Interval(math.fsum(lengths) / len(lengths), min(lengths), max(lengths))


def _tokens(text: str) -> int:
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _sum(parts: Iterable[Interval]) -> Interval:
    return reduce(Interval.plus, parts, NOTHING)
