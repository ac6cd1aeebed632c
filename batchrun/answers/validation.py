"""The judge: a reply is an output row, or there is a reason why the reply is no row."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from batchrun.answers.form import AnswerForm
from batchrun.answers.json_text import UnusableError, cut, shown
from batchrun.answers.modes import is_complete, read
from batchrun.outcome import Outcome
from batchrun.reply import Reply

_SHOWN_PROBLEMS = 3
_NULL = {"type": "null"}
_INT64 = range(-(2**63), 2**63)
_EXACT_DOUBLES = 2**53
"""Up to here every whole number is a double."""
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
    """Judges replies by the form of a job's answers.

    Whatever a judge accepts can be cast to the DuckDB columns of the same fields. A judge never raises.
    """

    def __init__(self, form: AnswerForm) -> None:
        self._form = form
        self._validator = Draft202012Validator(form.full_schema, format_checker=_FORMATS)

    def judge(self, reply: Reply) -> Judgement:
        """Turn a reply into a row or a reason."""
        if not is_complete(self._form, reply):
            return _stopped(reply)
        try:
            output = _normalised(read(self._form, reply), self._form.full_schema)
            problems = list(self._validator.iter_errors(output))
            if not problems:
                return Judgement(Outcome.SUCCEEDED, output=output)
            reasons = list(dict.fromkeys(reason for problem in problems for reason in _reasons(problem)))
        except UnusableError as problem:
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
            return Judgement(Outcome.INVALID, reason=f"the reply stopped for {shown(other)} before it was complete")


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
            yield f"{place or 'the reply'}: {shown(unknown)} is no field"
        case name:
            yield f"{place or 'the reply'}: {shown(value)} {_complaint(str(name), rule)}"


def _complaint(name: str, rule: Any) -> str:
    match name:
        case "type" | "format":
            return f"is not {_KINDS.get(rule, rule)}"
        case "enum":
            return f"is not one of {cut(', '.join(rule))}"
        case _:
            return _RULES.get(name, "does not fit the schema").format(rule)
