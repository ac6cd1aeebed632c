"""Where a document says what an answer says: the quotes of an answer are located, and weighed against its values."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from batchrun.answers.evidence.index import DocumentIndex
from batchrun.answers.evidence.locate import locate
from batchrun.answers.evidence.located import MISSING, NO_TEXT, Located
from batchrun.answers.evidence.value_check import check_value
from batchrun.answers.field_problems import FieldProblem, reason
from batchrun.answers.form import AnswerForm
from batchrun.answers.json_text import cut
from batchrun.answers.validation import Judgement
from batchrun.answers.values import without_null
from batchrun.outcome import Outcome

SHOWN_QUOTE = 60
"""How many characters of a quote are shown to people and to the model."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A value with the quote that the model gave for it."""

    field: str
    entry: int | None
    """The number of the entry, from 0 on, if the entries of the field are quoted each."""
    value: Any
    quote: str

    @property
    def path(self) -> str:
        """The place of the value in the answer."""
        return self.field if self.entry is None else f"{self.field}[{self.entry}]"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A value whose quote was looked for in the document."""

    quoted: Quoted
    located: Located
    support: str
    """Whether the passage has the numbers, dates and names of the value."""

    @property
    def problem(self) -> str | None:
        """Why the value is not believed; None for a value that is, or that needs no quote, or that nobody can check."""
        quoted, located = self.quoted, self.located
        has_quote = bool(quoted.quote.strip())
        claims = not is_empty(quoted.value) or (quoted.value is False and has_quote)
        if not claims or located.status == "no_text":
            return None
        if not has_quote:
            return "no quote of the document was given for it"
        if located.status == "missing":
            return f"its quote does not stand in the document: {_shown(quoted.quote)}"
        if located.status == "differs":
            return f"its quote differs from the document: {_shown(quoted.quote)}, and there {_shown(located.text)}"
        if not located.believed:
            return f"its quote is too short to prove anything: {_shown(quoted.quote)}"
        return "its quote says something else" if self.support == "unsupported" else None

    @property
    def as_json(self) -> dict[str, Any]:
        """The evidence as the output has it; what is empty is left out."""
        located = self.located
        if not self.quoted.quote.strip() and is_empty(self.quoted.value):
            return {"status": "none"}
        told = {
            "status": located.status,
            "text": located.text,
            "spans": [list(span) for span in located.spans],
            "pages": list(located.pages),
            "place": located.place,
            "quality": round(located.quality, 3),
            "differences": [asdict(difference) for difference in located.differences],
            "places": located.places,
            "weak": located.weak,
            "cut": located.cut,
            "value": self.support,
            "problem": self.problem,
        }
        return {name: one for name, one in told.items() if one}


def with_evidence(form: AnswerForm, judgement: Judgement, index: DocumentIndex | None) -> Judgement:
    """Locate the quotes of an answer, take them out of the answer, and do to unsupported values what the form says.

    Without an `index` the text of the document is not at hand: then nothing is said against any value.
    """
    if judgement.output is None or not form.has_evidence:
        return judgement
    found = list(_located(quotes(form, judgement.output), form, index))
    output = without_quotes(form, judgement.output)
    told = replace(judgement, output=output, evidence=_by_field(form, found))
    unsupported = [one for one in found if one.problem]
    problems = [FieldProblem(path := one.quoted.path, path, f"{path}: {one.problem}") for one in unsupported]
    if not problems or form.unsupported == "keep":
        return told
    if form.unsupported == "null":
        return replace(_without_unsupported(form, told, found), problems=(*judgement.problems, *problems))
    return Judgement(Outcome.INVALID, reason=reason(problems), problems=tuple(problems), evidence=told.evidence)


def _without_unsupported(form: AnswerForm, told: Judgement, found: list[Evidence]) -> Judgement:
    """Make the values null that the document does not say, and take out such entries of lists."""
    assert told.output is not None
    output = told.output | {one.quoted.field: None for one in found if one.problem and one.quoted.entry is None}
    kept = [one for one in found if not one.problem]
    for name in form.entry_quotes:
        if output.get(name):
            numbers = {one.quoted.entry for one in kept if one.quoted.field == name}
            output[name] = [entry for number, entry in enumerate(output[name]) if number in numbers]
    evidence = {**told.evidence, **_by_field(form, kept)}
    return replace(told, output=output, evidence=evidence)


def quotes(form: AnswerForm, output: Mapping[str, Any]) -> Iterator[Quoted]:
    """Yield the values of an answer that have a quote, or should have one."""
    for name, value in output.items():
        if name in form.quoted:
            yield Quoted(name, None, value, value or "")
        elif name in form.quotes:
            yield Quoted(name, None, value, output.get(form.quotes[name]) or "")
        elif name in form.entry_quotes:
            for number, entry in enumerate(value or ()):
                yield Quoted(name, number, entry, entry.get(form.entry_quotes[name]) or "")


def without_quotes(form: AnswerForm, output: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer without what was asked only to locate it."""
    asked = set(form.quotes.values())
    kept = {name: value for name, value in output.items() if name not in asked}
    for name, quote in form.entry_quotes.items():
        if kept.get(name):
            kept[name] = [{inner: one for inner, one in entry.items() if inner != quote} for entry in kept[name]]
    return kept


def _located(found: Iterator[Quoted], form: AnswerForm, index: DocumentIndex | None) -> Iterator[Evidence]:
    near: list[tuple[int, int]] = []
    for quoted in found:
        if not quoted.quote.strip():
            yield Evidence(quoted, MISSING, "not_checkable")
            continue
        located = locate(index, quoted.quote, near=near) if index else NO_TEXT
        if located.believed:
            near += located.spans[:1]
        is_checked = quoted.field in form.quotes and not _is_enum(form, quoted.field)
        yield Evidence(quoted, located, check_value(quoted.value, located) if is_checked else "not_checkable")


def _is_enum(form: AnswerForm, name: str) -> bool:
    return "enum" in without_null(form.full_schema["properties"][name])


def _by_field(form: AnswerForm, found: list[Evidence]) -> dict[str, Any]:
    told: dict[str, Any] = {name: [] for name in form.entry_quotes if any(one.quoted.field == name for one in found)}
    for one in found:
        if one.quoted.entry is None:
            told[one.quoted.field] = one.as_json
        else:
            told[one.quoted.field].append(one.as_json)
    return told


def is_empty(value: Any) -> bool:
    """Whether a value says that the document says nothing: null, no, an empty text or an empty list."""
    return value is None or value is False or value in ("", [], {})


def _shown(text: str) -> str:
    return repr(cut(text, SHOWN_QUOTE))
