"""Values of a reply as the columns take them: enums, numbers and times that mean the same are made the same."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from batchrun.answers.json_text import UnusableError, cut

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, FormatChecker

Schema = Mapping[str, Any]

NULL = {"type": "null"}
_INT64 = range(-(2**63), 2**63)
_EXACT_DOUBLES = 2**53
"""Up to here every whole number is a double."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None), "object": dict,
          "array": list}  # fmt: skip
_SURELY: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": lambda value, told: type(value) is _TYPES.get(str(told)),
    "anyOf": lambda value, told: any(surely_fits(value, kind) for kind in told),
    "enum": lambda value, told: type(value) is str and value in told,
    "minimum": lambda value, told: type(value) in {int, float} and value >= told,
    "maximum": lambda value, told: type(value) in {int, float} and value <= told,
    "items": lambda value, told: type(value) is list and all(surely_fits(element, told) for element in value),
    "properties": lambda value, told: (
        type(value) is dict
        and value.keys() <= told.keys()
        and all(surely_fits(value[name], told[name]) for name in value)
    ),
    "required": lambda value, told: type(value) is dict and all(name in value for name in told),
    **dict.fromkeys(("$schema", "description"), lambda *_: True),
}
"""What keywords say, where that is quickly said. Names beside the `properties` never fit surely."""


def surely_fits(value: Any, schema: Schema) -> bool:
    """Whether a value fits a schema for certain. The validator, which takes twenty times as long, knows of the rest."""
    return isinstance(schema, Mapping) and all(
        _SURELY[name](value, told) if name in _SURELY else name == "additionalProperties" and "properties" in schema
        for name, told in schema.items()
    )


def without_null(schema: Schema) -> Schema:
    """Return the schema of a value that is not null."""
    kinds = (kind for kind in schema.get("anyOf", ()) if kind != NULL)
    return next(kinds, schema)


def may_be_null(schema: Schema) -> bool:
    """Whether a value may be null."""
    return NULL in schema.get("anyOf", ())


def uniform(value: Any, schema: Schema) -> Any:
    """Rewrite enums, numbers and times of a value, at any depth. Raises UnusableError.

    The API promises the schema's shape and not its spelling, so whatever means the same is made the same.
    """
    match without_null(schema):
        case {"enum": words} if isinstance(value, str) and value not in words:
            return same_word(value, words)
        case {"properties": properties} if isinstance(value, dict):
            return {name: uniform(inner, properties.get(name, {})) for name, inner in value.items()}
        case {"items": items} if isinstance(value, list):
            return [uniform(element, items) for element in value]
        case {"type": "integer" | "number" as kind} if is_number(value):
            return _integer(value) if kind == "integer" else _double(value)
        case {"format": "date-time"} if isinstance(value, str):
            return _utc(value) or value
        case _:
            return plain(value)


def same_word(text: str, words: list[Any]) -> str:
    """Return the word of an enum that differs from a text in case only, or the text itself."""
    folded = text.casefold()
    return next((word for word in words if isinstance(word, str) and word.casefold() == folded), text)


def plain(value: Any) -> Any:
    """Make doubles of the numbers in a value for which there is no field; the value will be complained about."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case list():
            return [plain(element) for element in value]
        case _:
            return value


def is_number(value: Any) -> bool:
    """Return whether a value is a number; true and false are none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _integer(number: int | Decimal) -> int | float:
    """Return a whole number exactly, however it is written. Whatever is no whole number stays a fraction."""
    if isinstance(number, Decimal):
        whole = number.to_integral_value()
        if number != whole:
            return _fraction(number)
        number = int(whole) if whole else 0
    if number not in _INT64:
        raise UnusableError(f"{cut(str(number))} does not fit into 64 bits")
    return number


def _fraction(number: Decimal) -> float:
    double = float(number)
    if double.is_integer():
        raise UnusableError(f"{cut(str(number))} is not a whole number")
    return double


def _double(number: int | Decimal) -> int | float:
    """Return the double that is nearest to a number. A whole number that is a double stays a whole number."""
    return number if isinstance(number, int) and abs(number) <= _EXACT_DOUBLES else float(number)


def _utc(text: str) -> str | None:
    """Return an RFC 3339 time as DuckDB's TIMESTAMP takes it, in UTC without a zone. No zone in `text` means UTC."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups("")
    zone = "+00:00" if zone in {"", "Z", "z"} else zone
    try:
        # Like TIMESTAMP, this keeps microseconds and drops whatever is finer.
        time = datetime.fromisoformat(f"{day}T{clock}{fraction}{zone}")
        return time.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    except (ValueError, OverflowError):
        return None


def _is_day(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@cache
def formats() -> "FormatChecker":
    """Return the formats of texts that replies are held against."""
    from jsonschema import FormatChecker

    known = FormatChecker(formats=())
    known.checks("date")(lambda value: not isinstance(value, str) or _is_day(value))
    known.checks("date-time")(lambda value: not isinstance(value, str) or _utc(value) is not None)
    return known


def checker(schema: Schema) -> "Draft202012Validator":
    """Make what holds values against a schema."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema, format_checker=formats())
