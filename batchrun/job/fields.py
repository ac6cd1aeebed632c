"""The output fields of a job: the schema that is sent, the schema that judges replies, and the DuckDB columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, assert_never

from batchrun.answers.merge import MergeRule
from batchrun.job.field_types import ArrayField, EnumField, FieldSpec, NumberField, ObjectField, PlainField, TextField

JsonStructure = str | list["JsonStructure"] | dict[str, "JsonStructure"]
Schema = dict[str, Any]

FULL_DIALECT = "https://json-schema.org/draft/2020-12/schema"
RULES = {
    "minimum": "minimum",
    "maximum": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "min_items": "minItems",
    "max_items": "maxItems",
}
"""The keys of bounds in the job file, with the words of JSON Schema for these bounds."""
_SQL_TYPES = {
    "string": "VARCHAR",
    "enum": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
}
_JSON_TYPES: dict[str, Schema] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}
_BIGINT = {"minimum": -(2**63), "maximum": 2**63 - 1}


@dataclass(frozen=True)
class Column:
    """A column of the output table."""

    name: str
    sql_type: str
    json_structure: JsonStructure
    """What DuckDB's `json_transform` takes for this type."""
    description: str | None = None


@dataclass(frozen=True)
class OutputFields:
    """What a job extracts, in the order of the job file. Every field is required; a nullable field may be null."""

    definitions: Mapping[str, FieldSpec]

    @cached_property
    def api_schema(self) -> Schema:
        """The schema that is sent, in the subset that the API takes; other rules stand in descriptions."""
        return _fields_schema(self.definitions, full=False)

    @cached_property
    def full_schema(self) -> Schema:
        """JSON Schema 2020-12 with every rule, for judging replies here."""
        return {"$schema": FULL_DIALECT, **_fields_schema(self.definitions, full=True)}

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """One typed column for each field."""
        return tuple(
            Column(
                name=name,
                sql_type=_column_type(field),
                json_structure=_json_structure(field),
                description=field.description,
            )
            for name, field in self.definitions.items()
        )

    @cached_property
    def merge_rules(self) -> dict[str, MergeRule]:
        """How the answers over the parts of a split document become one answer; no request depends on a rule."""
        return {
            name: MergeRule(field.rule, field.merge_key if isinstance(field, ArrayField) else ())
            for name, field in self.definitions.items()
        }

    def only(self, names: Iterable[str]) -> "OutputFields":
        """Return some of the fields."""
        return OutputFields({name: self.definitions[name] for name in names})


def object_schema(properties: Mapping[str, Any]) -> Schema:
    """Return the schema of an object that has all of these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _fields_schema(fields: Mapping[str, FieldSpec], *, full: bool) -> Schema:
    return object_schema({name: field_schema(field, full=full) for name, field in fields.items()})


def field_schema(field: FieldSpec, *, full: bool) -> Schema:
    """Return the schema of one field: the whole schema, or the subset that the API takes."""
    rules = {rule: getattr(field, key) for key, rule in RULES.items() if getattr(field, key, None) is not None}
    schema = _bare_schema(field, full=full)
    if full:
        schema = {**schema, **rules}
    if field.may_be_null:
        schema = {"anyOf": [schema, {"type": "null"}]}
    stated = "" if full or not rules else "{" + ", ".join(f"{rule}: {bound}" for rule, bound in rules.items()) + "}"
    description = "\n\n".join(part for part in (field.description, stated) if part)
    return {**schema, "description": description} if description else schema


def _bare_schema(field: FieldSpec, *, full: bool) -> Schema:
    match field:
        case TextField() | PlainField():
            return _JSON_TYPES[field.kind]
        case NumberField():
            bounds = _BIGINT if full and field.kind == "integer" else {}
            return {**_JSON_TYPES[field.kind], **bounds}
        case EnumField():
            return {"type": "string", "enum": list(field.enum)}
        case ArrayField():
            return {"type": "array", "items": field_schema(field.items, full=full)}
        case ObjectField():
            return _fields_schema(field.fields, full=full)
        case _:
            assert_never(field)


def _column_type(field: FieldSpec) -> str:
    """Return the type of a column. Only a column itself is an ENUM: DuckDB 1.5 cannot change one inside a list.

    A NUL keeps a value out of an ENUM, since DuckDB 1.4 takes a NUL for the end of a statement.
    """
    if not isinstance(field, EnumField) or any("\0" in value for value in field.enum):
        return _sql_type(field)
    values = (value.replace("'", "''") for value in field.enum)
    return "ENUM('" + "', '".join(values) + "')"


def _sql_type(field: FieldSpec) -> str:
    match field:
        case ArrayField():
            return f"{_sql_type(field.items)}[]"
        case ObjectField():
            members = ", ".join(f'"{name}" {_sql_type(child)}' for name, child in field.fields.items())
            return f"STRUCT({members})"
        case _:
            return _SQL_TYPES[field.kind]


def _json_structure(field: FieldSpec) -> JsonStructure:
    match field:
        case ArrayField():
            return [_json_structure(field.items)]
        case ObjectField():
            return {name: _json_structure(child) for name, child in field.fields.items()}
        case _:
            return _SQL_TYPES[field.kind]
