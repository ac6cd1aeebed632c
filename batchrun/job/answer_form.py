"""The form of a job's answers: the fields, and beside them what is asked to locate and to continue their values."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from batchrun.answers.form import AnswerForm, PageRule
from batchrun.job.field_types import ArrayField, FieldSpec, ObjectField, TextField
from batchrun.job.fields import FULL_DIALECT, field_schema, object_schema

if TYPE_CHECKING:
    from batchrun.job.field_groups import Groups
    from batchrun.job.output_section import OutputSection

Property = tuple[str, dict[str, Any], dict[str, Any]]
"""A name that is asked for, with its schema as it is sent and as replies are held against it."""
QUOTE = (
    "The words of the document that state {what}: copied character for character, 8 to 25 words of one sentence; no"
    " ellipsis, nothing added or corrected. An empty string if the document does not say."
)
ITSELF = "Copied character for character from the document; no ellipsis, nothing added or corrected."
PAGE = "At most {size:,} entries in one answer, in the order of the document; further entries are asked for later."
COMPLETE = "Whether `{name}` has all entries that the document has, up to its end."


def answer_form(output: "OutputSection", groups: "Groups") -> AnswerForm:
    """Return the form of the answers that a job asks for."""
    fields = output.fields
    properties = [one for name, field in fields.items() for one in asked_for(name, field, evidence=output.evidence)]
    with_quotes = [name for name, field in fields.items() if has_evidence(field, by_default=output.evidence)]
    entries = {name: quote for name in with_quotes if (quote := entry_quote(fields[name]))}
    return AnswerForm(
        full_schema={"$schema": FULL_DIALECT, **object_schema({name: full for name, _, full in properties})},
        api_schema=object_schema({name: api for name, api, _ in properties}),
        mode=output.mode,
        groups=groups if len(groups) > 1 else (),
        normalise=output.normalise,
        null_fields=output.on_invalid == "null_fields",
        quotes={name: quote_name(name) for name in with_quotes if name not in entries},
        entry_quotes=entries,
        quoted=tuple(name for name, field in fields.items() if is_quote(field)),
        unsupported=output.unsupported,
        votes=output.votes,
        pages={
            name: PageRule(field.page_size, complete_name(name), field.count)
            for name, field in fields.items()
            if isinstance(field, ArrayField) and field.page_size
        },
    )


def asked_for(name: str, field: FieldSpec, *, evidence: bool) -> Iterator[Property]:
    """Yield what is asked for the sake of a field, in order: the quote comes before the value that rests on it.

    `evidence` says whether fields that leave it open have a quote.
    """
    api, full = field_schema(field, full=False), field_schema(field, full=True)
    if has_evidence(field, by_default=evidence):
        if entry := entry_quote(field):
            api, full = (_with_entry_quote(schema, entry) for schema in (api, full))
        else:
            quote = _quote_schema(f"`{name}`")
            yield quote_name(name), quote, quote
    if is_quote(field):
        api = _said(api, ITSELF)
    if isinstance(field, ArrayField) and field.page_size:
        yield name, _said(api, PAGE.format(size=field.page_size)), _without_least(full)
        complete = {"type": "boolean", "description": COMPLETE.format(name=name)}
        yield complete_name(name), complete, complete
        return
    yield name, api, full


def companions(name: str, field: FieldSpec, *, evidence: bool) -> tuple[str, ...]:
    """Return the names that are asked for beside a field."""
    return tuple(other for other, _, _ in asked_for(name, field, evidence=evidence) if other != name)


def has_evidence(field: FieldSpec, *, by_default: bool) -> bool:
    """Whether a quote is asked for with a field. A field that is a quote needs none."""
    return not is_quote(field) and (by_default if field.evidence is None else field.evidence)


def is_quote(field: FieldSpec) -> bool:
    """Whether the value of a field is a quote itself."""
    return isinstance(field, TextField) and field.quote_of is not None


def quote_name(name: str) -> str:
    """Return the name under which the quote for a field is asked for."""
    return f"{name}_quote"


def complete_name(name: str) -> str:
    """Return the name under which a model says whether a list is complete."""
    return f"{name}_complete"


def entry_quote(field: FieldSpec) -> str | None:
    """Return the name, that of no other field, under which each object of a list has its quote.

    Returns None for a field that is no list of objects.
    """
    if not isinstance(field, ArrayField) or not isinstance(field.items, ObjectField):
        return None
    name = "quote"
    while name in field.items.fields:
        name = f"entry_{name}"
    return name


def _quote_schema(what: str) -> dict[str, Any]:
    return {"type": "string", "description": QUOTE.format(what=what)}


def _said(schema: Mapping[str, Any], words: str) -> dict[str, Any]:
    said = "\n\n".join(filter(None, [schema.get("description"), words]))
    return {**schema, "description": said}


def _with_entry_quote(schema: Mapping[str, Any], quote: str) -> dict[str, Any]:
    """Add the quote of each entry to the schema of a list of objects, which may be null."""
    if "anyOf" in schema:
        kinds = [kind if kind == {"type": "null"} else _with_entry_quote(kind, quote) for kind in schema["anyOf"]]
        return {**schema, "anyOf": kinds}
    if "items" in schema:
        return {**schema, "items": _with_entry_quote(schema["items"], quote)}
    return {**schema, **object_schema({quote: _quote_schema("this entry"), **schema["properties"]})}


def _without_least(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Take the least length out of the schema of a list that comes in pages."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_without_least(kind) for kind in schema["anyOf"]]}
    return {name: rule for name, rule in schema.items() if name != "minItems"}
