"""A value that a person types for a field, held against the field as the values of answers are."""

import json
from typing import Any

from batchrun.answers.field_problems import path_of
from batchrun.answers.json_text import UnusableError, parsed, refuse_half_characters
from batchrun.answers.normalising import Normaliser
from batchrun.answers.validation import value_problems
from batchrun.answers.values import uniform
from batchrun.errors import UsageProblem
from batchrun.job.field_types import FieldSpec
from batchrun.job.fields import field_schema, object_schema

LONGEST_VALUE = 100_000
"""The most characters of a value that is typed."""


def typed_value(field: FieldSpec, typed: str) -> str:
    """Return the JSON of a typed value: JSON itself, or plain text such as a name or `3 March 2024`.

    Raises UsageProblem, with the reason, for a value that the field cannot have.
    """
    if len(typed) > LONGEST_VALUE:
        raise UsageProblem(f"the value has {len(typed):,} characters, and a typed value has {LONGEST_VALUE:,} at most.")
    reasons = list[str]()
    for read in (parsed, str):  # a number in a text field is no JSON text, but a text
        try:
            return json.dumps(_fitted(field, read(typed)), ensure_ascii=False)
        except RecursionError:
            reasons.append("it is nested too deeply")
        except UnusableError as problem:
            reasons.append(str(problem))
    is_json = not reasons[0].startswith(("not JSON", "the reply has no text"))
    raise UsageProblem(f"the field cannot have this value: {reasons[0 if is_json else 1]}.", hint="type another value")


def _fitted(field: FieldSpec, value: Any) -> Any:
    """Return a value as its column takes the value. Raises UnusableError."""
    refuse_half_characters(value)
    schema = field_schema(field, full=True)
    read = Normaliser(object_schema({"value": schema})).normalised({"value": value}).value["value"]
    fitted = uniform(read, schema)
    if problems := value_problems(fitted, schema):
        steps, said = problems[0]
        raise UnusableError(said.removeprefix(f"{path_of(steps) or 'the reply'}: "))
    return fitted
