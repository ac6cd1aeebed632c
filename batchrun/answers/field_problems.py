"""What is wrong with a reply, field by field, in few words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchrun.answers.json_text import cut, shown
from batchrun.answers.values import NULL

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_SHOWN_PROBLEMS = 3
_MOST_OF_A_FIELD = 3
"""So many problems of one field are kept: a list of a million wrong elements is one mistake."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing that is wrong with a reply."""

    field: str
    """The field of the schema that the problem is in, or a name that is no field. Empty for the whole reply."""
    path: str
    """The place in the reply, such as `parties[0].since`. Empty for the whole reply."""
    said: str
    """What is wrong, with the place first where there is a field."""


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


def of_error(error: "ValidationError") -> Iterator[FieldProblem]:
    """Say in few words what is wrong, with the place first."""
    value: Any = error.instance
    rule: Any = error.validator_value
    steps = tuple(error.absolute_path)
    path = path_of(steps)
    match error.validator:
        case "anyOf" if kinds := [inner for inner in error.context or () if inner.schema != NULL]:
            for inner in kinds:
                yield from of_error(inner)
        case "required":
            for lacking in ((*steps, name) for name in rule if name not in value):
                yield FieldProblem(_field(lacking), path_of(lacking), f"{path_of(lacking)}: required")
        case "additionalProperties":
            known: Any = error.schema
            unknown = next(name for name in value if name not in known.get("properties", {}))
            yield no_field(unknown, steps)
        case name:
            said = f"{path or 'the reply'}: {shown(value)} {_complaint(str(name), rule)}"
            yield FieldProblem(_field(steps), path, said)


def no_field(name: str, steps: Sequence[str | int] = ()) -> FieldProblem:
    """Say that a name in the object at the place of `steps` is no field."""
    path, called = path_of(steps), cut(name) or shown(name)
    return FieldProblem(_field(steps) or called, path or called, f"{path or 'the reply'}: {shown(name)} is no field")


def path_of(steps: Iterable[str | int]) -> str:
    """Write a place in a reply or a file the way people write one: `parties[0].since`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def field_of(path: str) -> str:
    """Return the field in which a place that `path_of` has written lies."""
    return path.partition(".")[0].partition("[")[0]


def _field(steps: Sequence[str | int]) -> str:
    return str(steps[0]) if steps else ""


def _complaint(name: str, rule: Any) -> str:
    match name:
        case "type" | "format":
            return f"is not {_KINDS.get(rule, rule)}"
        case "enum":
            return f"is not one of {cut(', '.join(rule))}"
        case _:
            return _RULES.get(name, "does not fit the schema").format(rule)


def reason(problems: Iterable[FieldProblem]) -> str:
    """Put problems into one sentence, the first few in full."""
    said = list(dict.fromkeys(problem.said for problem in problems))
    more = len(said) - _SHOWN_PROBLEMS
    return "; ".join(said[:_SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else []))


def first_of_each(problems: Iterable[FieldProblem]) -> tuple[FieldProblem, ...]:
    """Keep the first problems of each field, each once."""
    kept: list[FieldProblem] = []
    of_field = Counter[str]()
    for problem in dict.fromkeys(problems):
        of_field[problem.field] += 1
        if of_field[problem.field] <= _MOST_OF_A_FIELD:
            kept.append(problem)
    return tuple(kept)
