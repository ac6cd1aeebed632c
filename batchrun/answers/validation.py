"""The judge: a reply is an output row, or there is a reason why the reply is no row."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from batchrun.outcome import Outcome
from batchrun.reply import Reply

_SHOWN_CHARACTERS = 80
_SHOWN_PROBLEMS = 3
_NULL = {"type": "null"}
_INT64 = range(-(2**63), 2**63)
_EXACT_DOUBLES = 2**53
"""Up to here every whole number is a double."""
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\r?\n(.*)\r?\n[ \t]*```\s*", re.DOTALL | re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a reply: an output that fits the columns, or the reason why there is no output."""

    outcome: Outcome
    output: dict[str, Any] | None = None
    reason: str | None = None


class Judge:
    """Judges replies by the full schema of a job's output fields.

    Whatever a judge accepts can be cast to the DuckDB columns of the same fields. A judge never raises.
    """

    def __init__(self, full_schema: Mapping[str, Any]) -> None:
        self._validator = Draft202012Validator(full_schema, format_checker=_FORMATS)
        self._schema = full_schema

    def judge(self, reply: Reply) -> Judgement:
        """Turn a reply into a row or a reason."""
        if reply.stop_reason not in {"end_turn", "stop_sequence"}:
            return _stopped(reply)
        try:
            output = _normalised(_parsed(reply.text), self._schema)
            problems = list(self._validator.iter_errors(output))
            if not problems:
                return Judgement(Outcome.SUCCEEDED, output=output)
            reasons = list(dict.fromkeys(reason for problem in problems for reason in _reasons(problem)))
        except _UnusableError as problem:
            return Judgement(Outcome.INVALID, reason=str(problem))
        except RecursionError:
            return Judgement(Outcome.INVALID, reason="the reply is nested too deeply")
        more = len(reasons) - _SHOWN_PROBLEMS
        shown = reasons[:_SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        return Judgement(Outcome.INVALID, reason="; ".join(shown))


def _stopped(reply: Reply) -> Judgement:
    """Judge a reply that did not come to its own end; the text of such a reply says nothing."""
    match reply.stop_reason:
        case "refusal":
            said = f": {reply.refusal}" if reply.refusal else ""
            return Judgement(Outcome.REFUSED, reason=f"the model refused{said}")
        case "max_tokens":
            tokens = f"{reply.usage.output_tokens} output tokens" if reply.usage else "the output tokens"
            return Judgement(Outcome.TRUNCATED, reason=f"max_tokens: {tokens} were too few")
        case "model_context_window_exceeded":
            return Judgement(Outcome.TRUNCATED, reason="the context window was full before the reply was complete")
        case None:
            return Judgement(Outcome.INVALID, reason="the reply has no stop reason")
        case other:
            return Judgement(Outcome.INVALID, reason=f"the reply stopped for {_shown(other)} before it was complete")


class _UnusableError(ValueError):
    """The text of a reply is not JSON, or has a value that no column can hold."""


def _parsed(text: str) -> Any:
    if not text.strip():
        raise _UnusableError("the reply has no text")
    fenced = _FENCE.fullmatch(text)
    body, begins = (fenced[1], fenced.start(1)) if fenced else (text, 0)
    try:
        value = _DECODER.decode(body)
    except json.JSONDecodeError as error:
        place, near = begins + error.pos, body[error.pos : error.pos + _SHOWN_CHARACTERS]
        found = _shown(near) if near else "the end"
        raise _UnusableError(
            f"not JSON: {error.msg.lower().removesuffix(' at')} at character {place}, found {found}"
        ) from error
    if not text.isascii() or "\\u" in text:
        _refuse_lone_surrogates(value)
    return value


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise _UnusableError("the reply holds half a surrogate pair, which is no character") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _UnusableError(f"{_shown(twice)} appears twice")
    return fields


def _exact(digits: str) -> int | Decimal:
    """Read a number as it is written. What the number becomes depends on the field, which is not known yet."""
    if not isfinite(float(digits)):
        raise _UnusableError(f"{_cut(digits)} is too large a number")
    try:
        return int(digits) if digits.lstrip("-").isdecimal() else Decimal(digits)
    except InvalidOperation:
        raise _UnusableError(f"{_cut(digits)} has too large an exponent") from None


def _integer(number: int | Decimal) -> int | float:
    """Return a whole number exactly, however it is written. Whatever is no whole number stays a fraction."""
    if isinstance(number, Decimal):
        whole = number.to_integral_value()
        if number != whole:
            return _fraction(number)
        number = int(whole) if whole else 0
    if number not in _INT64:
        raise _UnusableError(f"{_cut(str(number))} does not fit into 64 bits")
    return number


def _fraction(number: Decimal) -> float:
    double = float(number)
    if double.is_integer():
        raise _UnusableError(f"{_cut(str(number))} is not a whole number")
    return double


def _double(number: int | Decimal) -> int | float:
    """Return the double that is nearest to a number. A whole number that is a double stays a whole number."""
    return number if isinstance(number, int) and abs(number) <= _EXACT_DOUBLES else float(number)


def _plain(value: Any) -> Any:
    """Make doubles of the numbers in a value for which there is no field; the value will be complained about."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(element) for element in value]
        case _:
            return value


def _no_constant(name: str) -> float:
    raise _UnusableError(f"not JSON: {name} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_distinct, parse_int=_exact, parse_float=_exact, parse_constant=_no_constant
)


def _normalised(value: Any, schema: Mapping[str, Any]) -> Any:
    """Rewrite enums, numbers and times of a value, at any depth, before the value is validated.

    The API promises the schema's shape and not its spelling, so whatever means the same is made the same.
    """
    if "anyOf" in schema:
        schema = next(kind for kind in schema["anyOf"] if kind != _NULL)
    match schema:
        case {"enum": words} if isinstance(value, str) and value not in words:
            return next((word for word in words if word.casefold() == value.casefold()), value)
        case {"properties": properties} if isinstance(value, dict):
            return {name: _normalised(inner, properties.get(name, {})) for name, inner in value.items()}
        case {"items": items} if isinstance(value, list):
            return [_normalised(element, items) for element in value]
        case {"type": "integer" | "number" as kind} if _is_number(value):
            return _integer(value) if kind == "integer" else _double(value)
        case {"format": "date-time"} if isinstance(value, str):
            return _utc(value) or value
        case _:
            return _plain(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


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


_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date")(lambda value: not isinstance(value, str) or _is_day(value))
_FORMATS.checks("date-time")(lambda value: not isinstance(value, str) or _utc(value) is not None)


_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date",
    "date-time": "a date and time",
}
_RULES = {
    "minimum": "is less than {}",
    "maximum": "is more than {}",
    "minLength": "is shorter than {} characters",
    "maxLength": "is longer than {} characters",
    "pattern": "does not match {}",
    "minItems": "has fewer than {} elements",
    "maxItems": "has more than {} elements",
}


def _reasons(problem: ValidationError) -> Iterator[str]:
    """Say in few words what is wrong, with the field first."""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem.absolute_path)[1:]
    value: Any = problem.instance
    rule: Any = problem.validator_value
    match problem.validator:
        case "anyOf":
            for inner in problem.context or ():
                if inner.schema != _NULL:
                    yield from _reasons(inner)
        case "required":
            yield from (f"{place}.{name}: required".removeprefix(".") for name in rule if name not in value)
        case "additionalProperties":
            known: Any = problem.schema
            unknown = next(name for name in value if name not in known["properties"])
            yield f"{place or 'the reply'}: {_shown(unknown)} is no field"
        case name:
            yield f"{place or 'the reply'}: {_shown(value)} {_complaint(str(name), rule)}"


def _complaint(name: str, rule: Any) -> str:
    match name:
        case "type" | "format":
            return f"is not {_KINDS.get(rule, rule)}"
        case "enum":
            return f"is not one of {_cut(', '.join(rule))}"
        case _:
            return _RULES.get(name, "does not fit the schema").format(rule)


def _shown(value: object) -> str:
    """Quote a value of a reply, cut to some length, with control characters escaped."""
    return repr(_cut(value)) if isinstance(value, str) else _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
