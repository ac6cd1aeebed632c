"""The columns `src_…` of a table of rows: columns of the source, whose types follow from the values where need be."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from batchrun.store.output.schema import literal

PREFIX = "src_"
LONG = 2**63
"""The first whole number that is too large for a BIGINT."""


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of the source that rows get."""

    name: str
    """The name in the source."""
    sql_type: str | None
    """None if the type follows from the values."""

    @property
    def column(self) -> str:
        """The name in the table."""
        return f"{PREFIX}{self.name}"

    @property
    def said(self) -> str:
        """What the comment on the column says."""
        return f"{literal(self.name)} of the document's source, when the document was read."


def values_of(columns: Sequence[SourceColumn], text: str | None) -> list[str | None]:
    """Read the values of a document from JSON, each as the text that a cast makes the value of."""
    values: Mapping[str, Any] = json.loads(text) if text and columns else {}
    return [_as_text(values.get(column.name)) for column in columns]


def fitting_types(
    columns: Iterable[SourceColumn], texts: Iterable[str | None], existing: Mapping[str, str]
) -> dict[str, str]:
    """Find types that have room for the values of documents and for the values that a table has.

    `existing` has the types of the table's columns, by names in small letters.
    """
    needed: dict[str, str | None] = {
        column.name: joined(existing.get(column.column.lower()), column.sql_type) for column in columns
    }
    open_names = [column.name for column in columns if column.sql_type is None]
    for text in texts if open_names else ():
        values: Mapping[str, Any] = json.loads(text) if text else {}
        for name in open_names:
            needed[name] = joined(needed[name], type_of(values.get(name)))
    return {f"{PREFIX}{name}": sql_type or "VARCHAR" for name, sql_type in needed.items()}


def joined(*types: str | None) -> str | None:
    """Return the narrowest type that has room for all values of the types. None stands for no value at all."""
    return reduce(_joined, types)


def _joined(one: str | None, other: str | None) -> str | None:
    if one is None or other is None or one == other:
        return one or other
    return "DOUBLE" if {one, other} == {"BIGINT", "DOUBLE"} else "VARCHAR"


def type_of(value: object) -> str | None:
    """Return the type of a value from JSON. Returns None for null."""
    match value:
        case None:
            return None
        case bool():
            return "BOOLEAN"
        case int():
            return "BIGINT" if -LONG <= value < LONG else "VARCHAR"
        case float():
            return "DOUBLE"
        case _:
            return "VARCHAR"


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int) else str(value)
