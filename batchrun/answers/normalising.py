"""Common spellings of values, rewritten so that the values fit the schema. A value that fits is never changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from batchrun.answers import spellings
from batchrun.answers.field_problems import path_of
from batchrun.answers.json_text import UnusableError
from batchrun.answers.values import Schema, checker, is_number, may_be_null, plain, same_word, uniform, without_null

Steps = tuple[str | int, ...]

_NOTHING_STATED = {"", "n/a", "none", "null", "not stated", "not specified", "not available", "not applicable"}
_TRUTH = {"yes": True, "true": True, "no": False, "false": False}
_MOST_DECIMALS = 30
"""A number with more decimals has an exponent, and its text would not be as it is written."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """A value, and what parts of the value were before they were rewritten."""

    value: Any
    originals: Mapping[str, Any] = field(default_factory=dict)
    """Each by its path, such as `parties[0].since`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a value means in another spelling. The meaning may be null."""

    value: Any


def _word_of_enum(value: Any, schema: Schema) -> Reading | None:
    return Reading(same_word(value.strip(), schema["enum"])) if isinstance(value, str) else None


def _null_in_words(value: Any, _: Schema) -> Reading | None:
    return Reading(None) if isinstance(value, str) and value.strip().casefold() in _NOTHING_STATED else None


def _truth_in_words(value: Any, _: Schema) -> Reading | None:
    truth = _TRUTH.get(value.strip().casefold()) if isinstance(value, str) else None
    return None if truth is None else Reading(truth)


def _number_in_text(value: Any, schema: Schema) -> Reading | None:
    found = spellings.number(value, whole=schema["type"] == "integer") if isinstance(value, str) else None
    return None if found is None else Reading(found)


def _text_of_number(value: Any, _: Schema) -> Reading | None:
    if not is_number(value) or (isinstance(value, Decimal) and not _is_written_out(value)):
        return None
    return Reading(f"{value:f}" if isinstance(value, Decimal) else str(value))


def _is_written_out(number: Decimal) -> bool:
    """Return whether a number has no exponent in its usual spelling."""
    return -_MOST_DECIMALS <= int(number.as_tuple().exponent) <= 0


def _day_in_words(value: Any, _: Schema) -> Reading | None:
    found = spellings.day(value) if isinstance(value, str) else None
    return None if found is None else Reading(found)


def _moment_in_words(value: Any, _: Schema) -> Reading | None:
    found = spellings.moment(value) if isinstance(value, str) else None
    return None if found is None else Reading(found)


def _list_of_one(value: Any, _: Schema) -> Reading | None:
    """Read a single entry as a list of one. A text that may hold several entries, or none, is no single entry."""
    is_one = not isinstance(value, list) and value is not None
    if isinstance(value, str):
        is_one = not any(sign in value for sign in ",;\n") and value.strip().casefold() not in _NOTHING_STATED
    return Reading([value]) if is_one else None


def _only_one_of_list(value: Any, _: Schema) -> Reading | None:
    return Reading(value[0]) if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else None


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to rewrite a value."""

    said: str
    """What the rule does, in people's words."""
    kinds: frozenset[str]
    """The kinds of fields that the rule is for; "nullable" stands for every kind that may be null."""
    read: Callable[[Any, Schema], Reading | None]


NORMALISERS: Mapping[str, Rule] = {
    "enum": Rule("the case of an enum's value, and space around the value", frozenset({"enum"}), _word_of_enum),
    "null": Rule(
        '"", "N/A", "none", "not stated" and the like are null, where the field may be null',
        frozenset({"nullable"}),
        _null_in_words,
    ),
    "boolean": Rule("yes, no, true and false in words", frozenset({"boolean"}), _truth_in_words),
    "number": Rule("numbers such as 1.234,56 and €1.2m", frozenset({"integer", "number"}), _number_in_text),
    "text": Rule("a number in a text field is text", frozenset({"string", "enum"}), _text_of_number),
    "date": Rule("days such as 3 March 2024", frozenset({"date"}), _day_in_words),
    "datetime": Rule("times such as 3 March 2024, 2:30 pm", frozenset({"date-time"}), _moment_in_words),
    "list": Rule("one entry is a list of one", frozenset({"array"}), _list_of_one),
    "object": Rule("a list of one object is the object", frozenset({"object"}), _only_one_of_list),
}
"""Every rule, in the order in which they are tried. A reading that does not fit the schema is not taken."""


def _kinds(schema: Schema) -> set[str]:
    bare = without_null(schema)
    kind = "enum" if "enum" in bare else bare.get("format") or bare.get("type", "")
    return {str(kind), "nullable"} if may_be_null(schema) else {str(kind)}


class Normaliser:
    """Rewrites values by a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._validator = checker(schema)
        self._inner: dict[int, Any] = {}
        """The validators of the schemas inside, by the `id` of the schema: making one takes longer than using one."""

    def normalised(self, value: Any) -> Normalised:
        """Rewrite those parts of a value that do not fit the schema, and that can mean one thing only."""
        originals: dict[str, Any] = {}
        return Normalised(self._rewritten(value, self._schema, (), originals), originals)

    def _rewritten(self, value: Any, schema: Schema, steps: Steps, originals: dict[str, Any]) -> Any:
        if _has_shape(value, schema):
            return self._inside(value, schema, steps, originals)
        if self._fits(value, schema):
            return value
        kinds = _kinds(schema)
        for rule in NORMALISERS.values():
            reading = rule.read(value, without_null(schema)) if kinds & rule.kinds else None
            if reading is None:
                continue
            within: dict[str, Any] = {}
            candidate = self._inside(reading.value, schema, steps, within)
            if self._fits(candidate, schema):
                originals |= {path_of(steps): plain(value)} | within
                return candidate
        return value

    def _inside(self, value: Any, schema: Schema, steps: Steps, originals: dict[str, Any]) -> Any:
        """Rewrite the fields of an object, or the elements of a list."""
        match value, without_null(schema):
            case dict(), {"properties": fields}:
                return {
                    name: self._rewritten(inner, fields[name], (*steps, name), originals) if name in fields else inner
                    for name, inner in value.items()
                }
            case list(), {"items": items}:
                return [self._rewritten(one, items, (*steps, number), originals) for number, one in enumerate(value)]
            case _:
                return value

    def _fits(self, value: Any, schema: Schema) -> bool:
        try:
            return bool(self._validator_of(schema).is_valid(uniform(value, schema)))
        except UnusableError:
            return False

    def _validator_of(self, schema: Schema) -> Any:
        if id(schema) not in self._inner:
            self._inner[id(schema)] = self._validator.evolve(schema=schema)
        return self._inner[id(schema)]


def _has_shape(value: Any, schema: Schema) -> bool:
    """Return whether a value is the object or the list that is wanted, whatever is in the value."""
    bare = without_null(schema)
    return isinstance(value, dict) if "properties" in bare else isinstance(value, list) and "items" in bare
