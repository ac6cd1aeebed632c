"""The definitions that a job file may have under [output.fields]: one class for each kind of type."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from batchrun.answers.merge import RULES_OF, RuleName
from batchrun.job.key_types import FieldNames
from batchrun.job.value_errors import matching, one_of, refusal, wrong_value

_TAG_OF = {
    "string": "<text>",
    "integer": "<number>",
    "number": "<number>",
    "boolean": "<plain>",
    "date": "<plain>",
    "datetime": "<plain>",
    "enum": "<enum>",
    "array": "<array>",
    "object": "<object>",
}
_TYPES = tuple(_TAG_OF)
SHORT_TYPES = tuple(name + end for name in _TYPES if name not in {"enum", "array", "object"} for end in ("", "?"))
"""The types that say everything about a field, and so may stand for a whole definition."""


class Table(BaseModel):
    """A table of the job file: no value is converted, no unknown key is let in, and nothing changes later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _compiling(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise refusal(f"not a regular expression: {error.msg}") from error
    return pattern


LARGEST = 1e300
"""The largest bound: a whole number that no float can hold cannot be compared with a float."""


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise wrong_value("a number")
    return value


def _repeated(words: tuple[str, ...]) -> str | None:
    """Return the first word that equals an earlier word, but for case."""
    seen: set[str] = set()
    for word in words:
        if word.casefold() in seen:
            return word
        seen.add(word.casefold())
    return None


def _distinct_values(values: tuple[str, ...]) -> tuple[str, ...]:
    if (word := _repeated(values)) is not None:
        hint = "values must differ in more than case: the API does not promise to keep capitals"
        raise refusal(f'the value "{word}" is there already', hint=hint)
    return values


def _distinct_names(fields: dict[str, "FieldSpec"]) -> dict[str, "FieldSpec"]:
    if (name := _repeated(tuple(fields))) is not None:
        hint = "names must differ in more than case: DuckDB takes both for one column"
        raise refusal("this name is there already", key=name, hint=hint)
    return fields


def _known_type(value: object) -> object:
    """Spell out the shorthand and refuse an unknown type, before `_tag` chooses the kind."""
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict):
        raise wrong_value('a type such as "string", or a table with one')
    if "type" not in value:
        if "enum" in value:
            return value
        raise refusal("a field needs a `type`", hint=f"one of {', '.join(_TYPES)}; with ? it may be null")
    given = value["type"]
    if not isinstance(given, str) or given.removesuffix("?") not in _TYPES:
        raise one_of(_TYPES, key="type")
    return value


def _tag(definition: dict[str, Any]) -> str:
    return "<enum>" if "enum" in definition else _TAG_OF[definition["type"].removesuffix("?")]


class _Definition(Table):
    limits: ClassVar[tuple[str, str] | None] = None
    """The keys of the lower and the upper bound; None for a type without bounds."""
    type: str
    """The type of the value; a type with ? may be null."""
    nullable: bool = False
    """Whether the value may be null: another way to write the ? of the type."""
    description: str | None = None
    """What the model is told of the field."""
    evidence: bool | None = None
    """Whether a quote of the document is asked for with the field; the default is what [output] says."""
    merge: RuleName | None = None
    """How the answers over the parts of a split document become one; the default follows the type of the field."""

    @model_validator(mode="after")
    def _rule_suits_the_type(self) -> Self:
        if self.merge is not None and self.merge not in (suiting := RULES_OF[self.kind]):
            hint = "one of " + ", ".join(f'"{rule}"' for rule in suiting)
            raise refusal(f'"{self.merge}" is no rule for a field of type {self.kind}', key="merge", hint=hint)
        return self

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Self:
        if self.limits is None:
            return self
        low, high = (getattr(self, key) for key in self.limits)
        if low is not None and high is not None and low > high:
            raise refusal(f"`{self.limits[0]}` is above `{self.limits[1]}`", key=self.limits[0])
        return self

    @property
    def kind(self) -> str:
        """The type without its question mark."""
        return "enum" if isinstance(self, EnumField) else self.type.removesuffix("?")

    @property
    def rule(self) -> RuleName:
        """The rule that merges the answers over the parts of a split document."""
        return self.merge or RULES_OF[self.kind][0]

    @property
    def may_be_null(self) -> bool:
        """Whether the model may answer null."""
        return self.nullable or self.type.endswith("?")


def _without_rule(field: "FieldSpec") -> "FieldSpec":
    for key in ("merge", "merge_key"):
        if key in field.model_fields_set:
            raise refusal("only a whole column has a rule", key=key, hint="take it out, or give the column a rule")
    for key in ("evidence", "quote_of", "page_size", "count"):
        if key in field.model_fields_set:
            raise refusal("only a whole column has this key", key=key, hint="take it out, or give it to the column")
    return field


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Count = Annotated[int, Field(ge=0)]
_Bound = Annotated[int | float, BeforeValidator(_number)]


class TextField(_Definition):
    """Any text."""

    limits = ("min_length", "max_length")
    type: Literal["string", "string?"]
    min_length: _Count | None = None
    """The fewest characters of the text."""
    max_length: _Count | None = None
    """The most characters of the text."""
    pattern: Annotated[str, AfterValidator(_compiling)] | None = None
    """A regular expression that is found in the text."""
    quote_of: Literal["document"] | None = None
    """Says that the value is a quote, which is looked for in the document."""


class NumberField(_Definition):
    """A whole number or any number."""

    limits = ("minimum", "maximum")
    type: Literal["integer", "integer?", "number", "number?"]
    minimum: _Bound | None = None
    """The least value."""
    maximum: _Bound | None = None
    """The greatest value."""


class PlainField(_Definition):
    """A type without rules of its own."""

    type: Literal["boolean", "boolean?", "date", "date?", "datetime", "datetime?"]


class EnumField(_Definition):
    """One of the given words."""

    type: Literal["enum", "enum?", "string", "string?"] = "enum"
    enum: Annotated[tuple[str, ...], Field(strict=False, min_length=1), AfterValidator(_distinct_values)]
    """The words of which the value is one."""


class ArrayField(_Definition):
    """A list of values of one type."""

    limits = ("min_items", "max_items")
    type: Literal["array", "array?"]
    items: Annotated["FieldSpec", AfterValidator(_without_rule), Field(examples=['items = "string"'])]
    """The type of each entry, or a table with the type and its rules."""
    min_items: _Count | None = None
    """The fewest entries of the list."""
    max_items: _Count | None = None
    """The most entries of the list."""
    page_size: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """How many entries one answer has at most: a longer list is asked for in pages, without the key as a whole."""
    count: str | None = None
    """The field that has the number of entries: a list of so many is complete."""
    merge_key: Annotated[FieldNames, BeforeValidator(_as_list, json_schema_input_type=str | FieldNames)] = ()
    """The fields of the items that name an entry: entries of several parts with one name are one entry."""

    @model_validator(mode="after")
    def _key_names_entries(self) -> Self:
        if not self.merge_key:
            return self
        if not isinstance(self.items, ObjectField):
            raise refusal("only the items of a list of objects have keys", key="merge_key", hint="take it out")
        if self.rule != "all":
            hint = 'write merge = "all", or take `merge_key` out'
            raise refusal(f'merge = "{self.rule}" unites no entries', key="merge_key", hint=hint)
        if missing := [name for name in self.merge_key if name not in self.items.fields]:
            hint = f"fields: {', '.join(self.items.fields)}"
            raise refusal(f'the items have no field "{missing[0]}"', key="merge_key", hint=hint)
        return self


class ObjectField(_Definition):
    """A table of named values."""

    type: Literal["object", "object?"]
    fields: Annotated["NestedFields", Field(examples=['fields = { amount = "number" }'])]
    """The named values of the object, each with its type."""


FieldSpec = Annotated[
    Annotated[TextField, Tag("<text>")]
    | Annotated[NumberField, Tag("<number>")]
    | Annotated[PlainField, Tag("<plain>")]
    | Annotated[EnumField, Tag("<enum>")]
    | Annotated[ArrayField, Tag("<array>")]
    | Annotated[ObjectField, Tag("<object>")],
    Discriminator(_tag),
    BeforeValidator(_known_type),
]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_COLUMN_NAME = re.compile(r"(?![dD][oO][cC]_[iI][dD]$)[A-Za-z][A-Za-z0-9_]{0,62}")
_NAME_RULE = "a name of letters, digits and _, at most 63, that does not start with a digit"


_NestedName = Annotated[str, AfterValidator(matching(_NAME.fullmatch, _NAME_RULE))]
_ColumnName = Annotated[str, AfterValidator(matching(_COLUMN_NAME.fullmatch, f"{_NAME_RULE} or _, and is not doc_id"))]
_NestedField = Annotated[FieldSpec, AfterValidator(_without_rule)]
NestedFields = Annotated[dict[_NestedName, _NestedField], Field(min_length=1), AfterValidator(_distinct_names)]
ColumnFields = Annotated[dict[_ColumnName, FieldSpec], Field(min_length=1), AfterValidator(_distinct_names)]

ArrayField.model_rebuild()
ObjectField.model_rebuild()
