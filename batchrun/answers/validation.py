"""The judge: a reply is an output row, or there is a reason why the reply is no row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from batchrun.answers.field_problems import FieldProblem, first_of_each, no_field, of_error, reason
from batchrun.answers.form import AnswerForm
from batchrun.answers.json_text import UnusableError, parsed, shown, without_stray_marks
from batchrun.answers.modes import MODES, is_complete
from batchrun.answers.normalising import Normalised, Normaliser
from batchrun.answers.values import NULL, checker, formats, plain, surely_fits, uniform
from batchrun.outcome import Outcome
from batchrun.reply import Reply

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_MODES_WITHOUT_JSON = {"xml", "text"}
_MOST_ERRORS = 1_000
"""So many errors of a field are looked at: each takes time, and a long list may have an error in every element."""
_MOST_UNKNOWN = 20
"""So many names that are no fields are named where they are dropped."""


def _any_of(validator: Any, kinds: Sequence[Any], value: Any, _: Mapping[str, Any]) -> "Iterator[ValidationError]":
    """Hold a value against several schemas as `anyOf` does, but look at no more errors than are told."""
    from jsonschema.exceptions import ValidationError

    context: list[ValidationError] = []
    for number, kind in enumerate(kinds):
        errors = list(islice(validator.descend(value, kind, schema_path=number), _MOST_ERRORS))
        if not errors:
            return
        context += errors
    yield ValidationError("fits none of the schemas", context=context)


@cache
def _bounded_validator() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    return extend(Draft202012Validator, {"anyOf": _any_of})  # type: ignore[no-untyped-call]  # the stubs have no types


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a reply: an output that fits the columns, or the reason why there is no output."""

    outcome: Outcome
    output: dict[str, Any] | None = None
    reason: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Where the document says so, by field."""
    too_few_tokens: bool = False
    """Whether the reply was cut short by its `max_tokens`."""
    problems: tuple[FieldProblem, ...] = ()
    """What is wrong with the reply. Beside an output: why fields are null, and which names were dropped."""
    originals: Mapping[str, Any] = field(default_factory=dict)
    """The values that were normalised, as they came, each by the path of the value in the output."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A value as the columns take the value, and what is wrong with it."""

    value: Any
    misfits: Sequence[FieldProblem]
    """The numbers that no column can hold, by field, in the order of the reply. One is reason enough."""
    problems: Sequence[FieldProblem]
    """Everything else that is wrong."""


class Judge:
    """Judges replies by the form of a job's answers.

    Whatever a judge accepts can be cast to the DuckDB columns of the same fields. A judge never raises.
    """

    def __init__(self, form: AnswerForm) -> None:
        self._form = form
        self._fields: Mapping[str, Any] = form.full_schema.get("properties", {})
        self._validator = _bounded_validator()(form.full_schema, format_checker=formats())
        unseen = dict.fromkeys(self._fields, True)
        self._of_whole = self._validator.evolve(schema={**form.full_schema, "properties": unseen})
        """Says of an object which fields there are, and nothing of their values."""
        self._normaliser = Normaliser(form.full_schema)

    def judge(self, reply: Reply) -> Judgement:
        """Turn a reply into a row or a reason."""
        if not is_complete(self._form, reply):
            return _stopped(reply)
        try:
            return self._judged(self._read(reply))
        except UnusableError as problem:
            return _invalid([FieldProblem("", "", str(problem))])
        except RecursionError:
            return _invalid([FieldProblem("", "", "the reply is nested too deeply")])

    def _read(self, reply: Reply) -> Any:
        """Take the value out of a reply. Stray marks around the value are taken off only where nothing else helps."""
        mode = MODES[self._form.mode]
        try:
            return mode.read(self._form, reply)
        except UnusableError:
            if self._form.normalise and self._form.mode not in _MODES_WITHOUT_JSON:
                with suppress(UnusableError, RecursionError):  # the problem told is that of the reply as it came
                    return mode.read(self._form, _without_stray_marks(reply))
            raise

    def _judged(self, value: Any) -> Judgement:
        checked, normalised = self._checked(value), Normalised(value)
        if self._form.normalise and (checked.misfits or checked.problems):
            normalised = self._normaliser.normalised(value)
            checked = self._checked(normalised.value) if normalised.originals else checked
        problems = [*checked.misfits, *checked.problems]
        if not problems:
            return Judgement(Outcome.SUCCEEDED, output=checked.value, originals=normalised.originals)
        if self._form.null_fields and isinstance(checked.value, dict) and all(problem.field for problem in problems):
            return self._with_nulls(checked.value, problems, normalised.originals)
        return _invalid(checked.misfits[:1] or problems, problems)

    def _checked(self, value: Any) -> _Checked:
        """Hold a value against the schema. A field with a number that no column can hold is not held against more."""
        misfits = []
        if isinstance(value, dict):
            fields: dict[str, Any] = {}
            for name, inner in value.items():
                try:
                    fields[name] = uniform(inner, self._fields.get(name, {}))
                except UnusableError as problem:
                    misfits.append(FieldProblem(name, name, str(problem)))
                    fields[name] = plain(inner)
            value = fields
        else:
            value = uniform(value, self._form.full_schema)
        if not misfits and surely_fits(value, self._form.full_schema):
            return _Checked(value, (), ())
        known = {misfit.field for misfit in misfits}
        problems = (problem for error in self._errors(value) for problem in of_error(error))
        return _Checked(value, misfits, [problem for problem in problems if problem.field not in known])

    def _errors(self, value: Any) -> "Iterator[ValidationError]":
        """Yield what the schema says against a value: of each field, and of the whole, a bounded number of errors."""
        if isinstance(value, dict):
            for name, schema in self._fields.items():
                if name in value:
                    yield from islice(self._validator.descend(value[name], schema, path=name), _MOST_ERRORS)
        yield from islice(self._of_whole.iter_errors(value), _MOST_ERRORS)

    def _with_nulls(
        self, value: Mapping[str, Any], problems: Sequence[FieldProblem], originals: Mapping[str, Any]
    ) -> Judgement:
        """Accept the fields without a problem. Other fields are null, and names that are no field are dropped."""
        failed = {problem.field for problem in problems}
        output = {name: None if name in failed else value.get(name) for name in self._fields}
        unknown = (no_field(name) for name in value if name not in self._fields)
        named = first_of_each([*problems, *islice(unknown, _MOST_UNKNOWN)])
        within = tuple(f"{name}{sign}" for name in failed for sign in ".[")
        kept = {path: was for path, was in originals.items() if path not in failed and not path.startswith(within)}
        return Judgement(Outcome.SUCCEEDED, output=output, problems=named, originals=kept)


def _without_stray_marks(reply: Reply) -> Reply:
    given = reply.tool_input
    tool_input = None if given is None else without_stray_marks(given)
    return replace(reply, text=without_stray_marks(reply.text), tool_input=tool_input)


def _invalid(decisive: Sequence[FieldProblem], problems: Sequence[FieldProblem] = ()) -> Judgement:
    return Judgement(Outcome.INVALID, reason=reason(decisive), problems=first_of_each(problems or decisive))


def _stopped(reply: Reply) -> Judgement:
    """Judge a reply that did not come to its own end; the text of such a reply says nothing."""
    match reply.stop_reason:
        case "refusal":
            said = f": {reply.refusal}" if reply.refusal else ""
            return Judgement(Outcome.REFUSED, reason=f"the model refused{said}")
        case "max_tokens":
            tokens = f"{reply.usage.output_tokens} output tokens" if reply.usage else "the output tokens"
            return Judgement(Outcome.TRUNCATED, reason=f"max_tokens: {tokens} were too few", too_few_tokens=True)
        case "model_context_window_exceeded":
            return Judgement(Outcome.TRUNCATED, reason="the context window was full before the reply was complete")
        case None:
            return Judgement(Outcome.INVALID, reason="the reply has no stop reason")
        case other:
            return Judgement(Outcome.INVALID, reason=f"the reply stopped for {shown(other)} before it was complete")


def value_problems(value: Any, schema: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """Say what keeps a value from being a model answer, each problem with the way to the culprit.

    No spelling is forgiven: the API would not let a model write such a value.
    """
    try:
        uniform(parsed(json.dumps(value)), schema)
    except UnusableError as problem:
        return [((), str(problem))]
    causes = [cause for error in checker(schema).iter_errors(value) for cause in _causes(error)]
    found = [(tuple(cause.absolute_path), problem.said) for cause in causes for problem in of_error(cause)]
    return list(dict.fromkeys(found))


def _causes(error: "ValidationError") -> "Iterator[ValidationError]":
    """Look into a type that may be null for what is wrong with a value that is not null."""
    if error.validator != "anyOf":
        yield error
    for inner in error.context or ():
        if inner.schema != NULL:
            yield from _causes(inner)
