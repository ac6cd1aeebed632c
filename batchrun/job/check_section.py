"""[[check]] of the job file: what must be true of the output."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, model_validator

from batchrun.job.answer_form import has_evidence, is_quote
from batchrun.job.field_types import LARGEST, Table
from batchrun.job.gold_section import unknown_field
from batchrun.job.key_types import FieldNames, Text
from batchrun.job.output_section import OutputSection
from batchrun.job.value_errors import refusal, wrong_value

CheckType = Literal["null_rate", "unique", "in_range", "distinct_at_least", "unsupported_rate", "drift"]
Severity = Literal["error", "warn"]
Bound = int | float | date
MOST_CHECKS = 100
_SELECT = re.compile(r"(?>[\s(]|--[^\n]*(?:\n|$)|/\*.*?\*/)*+(?:select|with|from|values)\b", re.IGNORECASE | re.DOTALL)
"""The beginning of a query that may be one SELECT: whether the query is one, only DuckDB can tell."""
_ORDERED: Mapping[str, tuple[type, ...]] = {
    "integer": (int, float),
    "number": (int, float),
    "date": (date,),
    "datetime": (datetime,),
}
"""The types of field that have an order, with the types of their bounds."""
_KINDS = frozenset(_ORDERED) | {"string", "enum", "boolean", "array", "object"}


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a type of check takes."""

    bounds: Mapping[str, str] = field(default_factory=dict)
    """The bounds that the type has, with a sample of each; one of them must be given."""
    kinds: frozenset[str] = _KINDS
    lacks: str = ""
    """What fields of other kinds have not."""
    of_all: bool = False
    """Whether a check that names no field looks at all fields that suit."""


_SHARES = {"max": "0.05", "min": "0.01"}
_RULES: Mapping[CheckType, _Rule] = {
    "null_rate": _Rule(_SHARES),
    "unique": _Rule(),
    "in_range": _Rule({"min": "0", "max": "100"}, frozenset(_ORDERED), "order"),
    "distinct_at_least": _Rule({"min": "3"}),
    "unsupported_rate": _Rule(_SHARES, lacks="quote", of_all=True),
    "drift": _Rule({}, _KINDS - {"object"}, "distribution", of_all=True),
}


def _bound(value: object) -> Bound:
    """Take a number or a date; a time is one in UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return value
    if isinstance(value, date):
        with contextlib.suppress(OverflowError):  # at the ends of the calendar
            if isinstance(value, datetime) and value.tzinfo:
                return value.astimezone(UTC).replace(tzinfo=None)
            return value
    raise wrong_value("a number or a date")


def _select(sql: str) -> str:
    if not _SELECT.match(sql):
        raise refusal("this is no SELECT", hint="such as select doc_id, title from contracts where title = ''")
    return sql


class CheckSection(Table):
    """[[check]]: a query, or a check of some fields. Either gives a number, which has to keep within bounds."""

    name: Annotated[Text, Field(examples=['name = "every title is there"'])]
    """The name of the check, which no other check has."""
    sql: Annotated[Text, AfterValidator(_select)] | None = None
    """A query that returns the failing rows; with `min` or `max`, a query that returns one number."""
    type: CheckType | None = None
    """A ready check that stands instead of `sql`."""
    field: Text | None = None
    """The field that a ready check looks at."""
    fields: FieldNames = ()
    """The fields that a ready check looks at; without them, drift and unsupported_rate look at all fields that suit."""
    minimum: Annotated[
        Bound | None, PlainValidator(_bound, json_schema_input_type=Bound | datetime), Field(alias="min")
    ] = None
    """The least number that passes: a count, a share, or a value of the field."""
    maximum: Annotated[
        Bound | None, PlainValidator(_bound, json_schema_input_type=Bound | datetime), Field(alias="max")
    ] = None
    """The greatest number that passes: a count, a share, or a value of the field."""
    severity: Severity = "error"
    """Whether a check that fails makes the command exit with 1."""

    @property
    def named(self) -> tuple[str, ...]:
        """The fields that the check names."""
        return (self.field,) if self.field else self.fields

    @property
    def key_of_fields(self) -> str:
        """The key that names the fields."""
        return "field" if self.field else "fields"

    @property
    def bounds(self) -> dict[str, Bound]:
        """The bounds that are given, by their keys."""
        both = {"min": self.minimum, "max": self.maximum}
        return {key: bound for key, bound in both.items() if bound is not None}

    @model_validator(mode="after")
    def _is_one_check(self) -> Self:
        if self.sql and self.type:
            raise refusal("give `sql` or `type`, not both", key="type")
        if not (self.sql or self.type):
            raise refusal("a check needs `sql` or `type`", hint='such as type = "null_rate"')
        if self.field and self.fields:
            raise refusal("give `field` or `fields`, not both", key="fields")
        if self.sql and self.named:
            raise refusal("a query names its columns itself", key=self.key_of_fields, hint="take this key out")
        return self

    @model_validator(mode="after")
    def _has_sensible_bounds(self) -> Self:
        known = _RULES[self.type].bounds if self.type else {"min": "0", "max": "100"}
        for key, bound in self.bounds.items():
            if key not in known:
                raise refusal(f'"{self.type}" has no `{key}`', key=key, hint="take this key out")
            if problem := self._unusable(bound):
                raise refusal(f"input should be {problem}", key=key)
        if self.type and known and not self.bounds:
            key, sample = next(iter(known.items()))
            needs = " or ".join(f"`{one}`" for one in known)
            raise refusal(f'"{self.type}" needs {needs}', key="type", hint=f"such as {key} = {sample}")
        low, high = self.minimum, self.maximum
        with contextlib.suppress(TypeError):  # of two types, of which a field has one
            if low is not None and high is not None and low > high:  # type: ignore[operator] # perhaps of two types
                raise refusal("`min` is above `max`", key="min")
        return self

    def _unusable(self, bound: Bound) -> str | None:
        """Say what a bound should be. Returns None for a bound that can be used."""
        if self.type == "in_range":
            return None
        if not isinstance(bound, int | float):
            return "a number"
        if self.type == "distinct_at_least":
            return None if isinstance(bound, int) and bound >= 1 else "a whole number from 1 on"
        return "a share, from 0 to 1" if self.type and not 0 <= bound <= 1 else None


def checked_fields(check: CheckSection, output: OutputSection) -> tuple[str, ...]:
    """Return the fields that a ready check looks at: those that are named, or all that suit."""
    assert check.type is not None
    if check.named or not _RULES[check.type].of_all:
        return check.named
    return tuple(name for name in output.fields if _suits(check.type, name, output))


def _suits(check_type: CheckType, name: str, output: OutputSection) -> bool:
    field = output.fields[name]
    if check_type == "unsupported_rate":
        return is_quote(field) or has_evidence(field, by_default=output.evidence)
    return field.kind in _RULES[check_type].kinds


def _fits_the_fields(check: CheckSection, info: ValidationInfo) -> CheckSection:
    """Hold a check against [output]; a section with a problem of its own is not in `info`."""
    output: OutputSection | None = info.data.get("output")
    if output is None or check.type is None:
        return check
    for name in check.named:
        if name not in output.fields:
            raise unknown_field(name, output.fields, check.key_of_fields)
        kind = output.fields[name].kind
        if not _suits(check.type, name, output):
            sentence = f'"{name}" is of type {kind} and has no {_RULES[check.type].lacks}'
            raise refusal(sentence, key=check.key_of_fields)
        for key, bound in check.bounds.items():
            if check.type == "in_range" and type(bound) not in _ORDERED[kind]:
                raise refusal(f'"{name}" is of type {kind}, and this is another type', key=key)
    if not checked_fields(check, output):
        hint = "add evidence = true in [output]" if check.type == "unsupported_rate" else 'such as field = "…"'
        raise refusal(f'"{check.type}" has no field to look at', key="type", hint=hint)
    return check


def _distinct_names(checks: tuple[CheckSection, ...]) -> tuple[CheckSection, ...]:
    if len(checks) > MOST_CHECKS:
        raise refusal(f"{len(checks)} checks, and a job may have {MOST_CHECKS}")
    names = [check.name for check in checks]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise refusal(f'there is a check "{name}" already', key=(number, "name"), hint="name each check once")
    return checks


CheckSections = Annotated[
    tuple[Annotated[CheckSection, AfterValidator(_fits_the_fields)], ...],
    Field(strict=False),
    AfterValidator(_distinct_names),
]
"""The checks of a job, each with a name of its own."""
