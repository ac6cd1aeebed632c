"""The distribution of a field's values in the answers of a run, and how far the distributions of two runs lie apart."""

import contextlib
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from batchrun.statistics.drift import Drift, kolmogorov_smirnov, population_stability

MOST_CATEGORIES = 1_000
"""A field with more different values is like free text: only its nulls are compared."""
_NUMBERS: Mapping[str, Callable[[Any], float]] = {
    "integer": float,
    "number": float,
    "date": lambda value: date.fromisoformat(value).toordinal(),
    "datetime": lambda value: datetime.fromisoformat(value).timestamp(),
    "array": len,
}
"""The types of field whose values are compared as numbers, with the number of a value; other values are categories."""


class Distribution:
    """The values of one field in the answers of one run, as far as they have been counted."""

    def __init__(self, kind: str | None) -> None:
        self.kind = kind
        """The type of the field. None leaves the type to the first value that is not null."""
        self.nulls = 0
        self.not_null = 0
        self.numbers = array("d")
        self.categories: Counter[Hashable] = Counter()

    def add(self, value: Any) -> None:
        """Count a value. Of a value that does not suit the type only counts that it is not null."""
        if value is None:
            self.nulls += 1
            return
        self.not_null += 1
        self.kind = kind = self.kind or _kind_of(value)
        if number := _NUMBERS.get(kind):
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                self.numbers.append(number(value))
        elif kind != "object":
            category = hash(value if isinstance(value, str) else repr(value))
            if category in self.categories or len(self.categories) <= MOST_CATEGORIES:
                self.categories[category] += 1

    @property
    def known_categories(self) -> Mapping[Hashable, int]:
        """How often each category occurs; empty if there are too many categories to compare."""
        return {} if len(self.categories) > MOST_CATEGORIES else self.categories


def drifts(before: Distribution, now: Distribution, *, fields: int) -> dict[str, Drift]:
    """Compare the values of a field in two runs, and how many are null, as one of `fields` fields.

    The keys are "values" and "nulls". What only one run has is not compared.
    """
    comparisons = 2 * fields
    found = {}
    if before.numbers and now.numbers:
        found["values"] = kolmogorov_smirnov(before.numbers, now.numbers, fields=comparisons)
    elif before.known_categories and now.known_categories:
        found["values"] = population_stability(before.known_categories, now.known_categories, fields=comparisons)
    counts: list[dict[Hashable, int]] = [{None: one.nulls, "": one.not_null} for one in (before, now)]
    if all(any(count.values()) for count in counts):
        found["nulls"] = population_stability(*counts, fields=comparisons)
    return found


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | Decimal():
            return "number"
        case list():
            return "array"
        case _:
            return "object" if isinstance(value, dict) else "string"
