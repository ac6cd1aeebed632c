"""[output] of the job file: what is wanted from each document, in how many requests, and how it is judged."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from batchrun.answers.form import DEFAULT_MODE, ModeName, Unsupported
from batchrun.job.answer_form import companions, has_evidence, is_quote
from batchrun.job.field_groups import MAX_GROUPS, Groups, GroupSetting, field_groups
from batchrun.job.field_types import ArrayField, ColumnFields, FieldSpec, NumberField, Table, TextField
from batchrun.job.fields import OutputFields
from batchrun.job.key_types import AUTO, Text, auto_or_up_to
from batchrun.job.schema_limits import Excess, first_excess, too_deep
from batchrun.job.value_errors import held, refusal

LONGEST_PROPERTY = 64
"""The most characters of a name in a schema, by the API's own words: "Property keys should match pattern
'^[a-zA-Z0-9_.-]{1,64}$'"."""


def _is_any_text(field: FieldSpec) -> bool:
    return isinstance(field, TextField) and not field.may_be_null


class OutputSection(Table):
    """[output] and [output.fields]: what is wanted from each document, in how many requests, and how it is judged."""

    mode: ModeName = DEFAULT_MODE
    """How the answer is asked for: by a schema, as the input of a tool, in XML, or as plain text of one field."""
    normalise: bool = True
    """Whether common spellings of values, such as 3 March 2024, are rewritten before a reply is judged."""
    on_invalid: Literal["fail", "null_fields"] = "fail"
    """What becomes of a reply with fields that do not fit: no row, or a row with null in these fields."""

    fields: Annotated[ColumnFields, Field(examples=['title = { type = "string" }'])]
    """The fields, each a typed column; they are filled in if the job file names a schema or a class instead."""
    schema_file: Text | None = None
    """A file with a JSON Schema that stands instead of `fields`."""
    model: Text | None = None
    """A pydantic class that stands instead of `fields`, as `module:Class`; batchrun.toml must say allow_code = true."""
    groups: Annotated[GroupSetting, auto_or_up_to(MAX_GROUPS)] = None
    """How many requests ask for the fields: a number, or as few as the API's limits allow; the default is one."""
    evidence: bool = False
    """Whether a quote of the document is asked for with every field that does not say otherwise."""
    unsupported: Unsupported = "keep"
    """What becomes of a value whose quote is not believed."""
    max_repairs: Annotated[int, Field(ge=0, le=10)] = 1
    """How many replies that are no rows are shown to the model with their problems; 0 switches mending off."""
    votes: Annotated[int, Field(ge=1, le=9)] = 1
    """How often each document is asked at most; the row has the values that most of the answers have."""

    @property
    def field_groups(self) -> Groups:
        """The names of the fields that each request about a document asks for, in order."""
        return field_groups(OutputFields(self.fields), self.groups, evidence=self.evidence)

    @model_validator(mode="after")
    def _holds(self) -> Self:
        """Tell the problems of all checks at once."""
        return held(
            self,
            self._fits_the_api,
            self._companions_have_names,
            self._unsupported_has_quotes,
            self._votes_decide,
            self._text_is_one_column,
        )

    def _fits_the_api(self) -> None:
        fields = OutputFields(self.fields)
        if excess := too_deep(fields):
            raise self._too_much(excess, fields)
        groups = self.field_groups
        _sensible_number(groups, self.groups, fields=len(self.fields))
        for names in groups:
            if excess := first_excess(fields.only(names), evidence=self.evidence):
                raise self._too_much(excess, fields)

    def _too_much(self, excess: Excess, fields: OutputFields) -> PydanticCustomError:
        alone = first_excess(fields.only(excess.way[:1]), evidence=self.evidence)
        is_for_groups = self.groups != AUTO and alone is None
        more = 'groups = "auto" in [output] asks for the fields in several requests; or ' if is_for_groups else ""
        return refusal(excess.sentence, key=("fields", *excess.way), hint=more + excess.remedy)

    def _companions_have_names(self) -> None:
        for name, field in self.fields.items():
            for other in companions(name, field, evidence=self.evidence):
                if other in self.fields:
                    hint = f"rename {other}: the name is asked for beside {name}"
                    raise refusal(f'there is a field "{other}" already', key=("fields", name), hint=hint)
                if len(other) > LONGEST_PROPERTY:
                    sentence = f"{other} is asked for beside it, and the API takes {LONGEST_PROPERTY} characters"
                    raise refusal(sentence, key=("fields", name), hint="shorten the name of the field")
            if isinstance(field, ArrayField):
                self._check_pages(name, field)

    def _check_pages(self, name: str, field: ArrayField) -> None:
        if field.count is None:
            return
        if field.page_size is None:
            raise refusal("only a list in pages has a count", key=("fields", name, "count"), hint="add page_size = 50")
        counted = self.fields.get(field.count)
        if not isinstance(counted, NumberField) or counted.kind != "integer":
            verb = "write" if field.count in self.fields else "add"
            hint = f'{verb} {field.count} = "integer" in [output.fields]'
            raise refusal(f'"{field.count}" is no integer field', key=("fields", name, "count"), hint=hint)

    def _unsupported_has_quotes(self) -> None:
        fields, by_default = self.fields.values(), self.evidence
        has_quotes = any(is_quote(field) or has_evidence(field, by_default=by_default) for field in fields)
        if self.unsupported != "keep" and not has_quotes:
            hint = "add evidence = true, or take this key out"
            raise refusal("no field has a quote, so no value is unsupported", key="unsupported", hint=hint)

    def _votes_decide(self) -> None:
        if self.votes % 2 == 0:
            hint = f"write an odd number, such as votes = {self.votes + 1}"
            raise refusal(f"{self.votes} votes may be two halves that differ", key="votes", hint=hint)
        if self.votes > 1 and self.mode == "text":
            sentence = 'replies in mode "text" are hardly ever the same, so votes decide nothing'
            raise refusal(sentence, key="votes", hint="take `votes` out, or ask for fields in another mode")

    def _text_is_one_column(self) -> None:
        if self.mode == "text" and [*map(_is_any_text, self.fields.values())] != [True]:
            hint = 'leave one field of type "string", or ask with mode = "xml" for several'
            raise refusal('a reply in mode "text" is the value of one field of type string', key="mode", hint=hint)
        beside = (companions(name, field, evidence=self.evidence) for name, field in self.fields.items())
        if self.mode == "text" and any(beside):
            raise refusal('a reply in mode "text" has no room for quotes', key="mode", hint='ask with mode = "xml"')


def _sensible_number(groups: Groups, setting: GroupSetting, *, fields: int) -> None:
    if isinstance(setting, int) and setting > fields:
        has = "1 field" if fields == 1 else f"{fields} fields"
        raise refusal(f"{setting} groups, and the job has {has}", key="groups", hint='write groups = "auto"')
    if len(groups) > MAX_GROUPS:
        sentence = f"{len(groups)} groups are needed, and a job may have {MAX_GROUPS}"
        raise refusal(sentence, key="groups", hint="make two jobs of it")


def fits_the_source(output: OutputSection, info: ValidationInfo) -> OutputSection:
    """Hold the fields against [source]; a section with a problem of its own is not in `info`."""
    if (source := info.data.get("source")) is not None:
        if source.merge == "model":
            _without_rules(output.fields)
            _without_groups(output)
        taken = {f"src_{name}".lower() for name in source.columns}
        if twice := next((name for name in output.fields if name.lower() in taken), None):
            raise refusal(f"{twice} is a column of [source] in the output", key="fields", hint="rename the field")
    return output


def _without_rules(fields: Mapping[str, FieldSpec]) -> None:
    for name, field in fields.items():
        if given := [key for key in ("merge", "merge_key") if getattr(field, key, None)]:
            hint = f'take `{given[0]}` out, or write merge = "rules" in [source]'
            raise refusal('with [source] merge = "model" no rule merges', key=("fields", name, given[0]), hint=hint)


def _without_groups(output: OutputSection) -> None:
    if (count := len(output.field_groups)) > 1:
        hint = 'take `groups` out, or write merge = "rules" in [source]'
        sentence = f'with [source] merge = "model" one request merges all fields, and here are {count} groups'
        raise refusal(sentence, key="groups", hint=hint)
