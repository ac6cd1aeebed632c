"""Any schema and any damaged reply: the judge never raises, and what the judge accepts casts to the columns."""

import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from batchrun.answers.form import AnswerForm
from batchrun.answers.validation import Judge
from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.outcome import Outcome
from batchrun.reply import Reply

NAMES = ["a", "b", "c"]
WORDS = ["NDA", "Lease", "none", "5", "a\0b", "it's"]


def some(kind, **rules):
    """Definitions of one kind, each rule there or not, null allowed or not."""
    nullable = st.sampled_from([kind, f"{kind}?"])
    return st.fixed_dictionaries({"type": nullable}, optional={key: st.just(value) for key, value in rules.items()})


leaves = st.one_of(
    some("string", min_length=1, max_length=12, pattern="[a-z]"),
    some("integer", minimum=0, maximum=5000),
    some("number", minimum=-10.5),
    some("boolean"),
    some("date"),
    some("datetime"),
    st.builds(
        lambda kind, words: {"type": kind, "enum": words},
        st.sampled_from(["enum", "enum?"]),
        st.lists(st.sampled_from(WORDS), min_size=1, unique_by=str.casefold),
    ),
)


def around(inner):
    fields = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1)
    return st.builds(
        lambda kind, items: {"type": kind, "items": items}, st.sampled_from(["array", "array?"]), inner
    ) | (
        st.builds(lambda kind, fields: {"type": kind, "fields": fields}, st.sampled_from(["object", "object?"]), fields)
    )


definitions = st.dictionaries(
    st.sampled_from(NAMES), st.recursive(leaves, around, max_leaves=4), min_size=1
)  # few leaves, for many shapes

SPELLINGS = [
    "", "N/A", "none", "yes", "False", "Y", "12", "1,234", "1.234", "1.234,56", "€1.2m", "5 thousand", "-0", "9" * 30,
    "3 March 2024", "03/04/2024", "31/12/2024", "3.4.2024", "2024-02-29", "2024-02-30", "2024-03-03T00:00:00Z",
    "2024-03-03 14:30", "March 3, 2024 at 2:30 pm", "0001-01-01T00:00:00+01:00", " nda ", "LEASE", "it's", "a; b",
]  # fmt: skip
NUMBERS = ["-0", "0.10", "1e3", "1e-400", "1e400", "1e999999999", str(2**63), "1" * 400, "2.50000000000000000001"]

spelt = st.sampled_from(SPELLINGS).map(json.dumps) | st.sampled_from(NUMBERS)
written_leaves = (
    spelt
    | st.sampled_from(["null", "true", "NaN"])
    | ((st.integers() | st.floats() | st.text(max_size=5)).map(json.dumps))
)


def list_of(written):
    return f"[{', '.join(written)}]"


def object_of(written):
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in written.items()) + "}"


written_anything = st.recursive(
    written_leaves,
    lambda inner: (
        st.lists(inner, max_size=2).map(list_of) | st.dictionaries(st.sampled_from(NAMES), inner).map(object_of)
    ),
    max_leaves=4,
)


def written(definition):
    """The JSON of values that suit a definition, mostly."""
    match definition:
        case {"enum": words}:
            near = st.sampled_from(words).map(json.dumps)
        case {"items": items}:
            near = st.lists(written(items), max_size=2).map(list_of) | written(items)
        case {"fields": fields}:
            near = written_object(fields)
        case {"type": kind}:
            near = {
                "string": st.sampled_from(["a", "abc", "N/A", "12"]).map(json.dumps) | st.integers(0, 99).map(str),
                "integer": st.integers(0, 5000).map(str),
                "number": st.floats(-10, 1e9).map(repr),
                "boolean": st.sampled_from(["true", "false"]),
                "date": st.dates().map(str).map(json.dumps),
                "datetime": st.datetimes().map(lambda time: json.dumps(time.isoformat())),
            }[kind.removesuffix("?")]
    return st.one_of(near, near, near, spelt, written_anything)


def written_object(fields):
    known = st.fixed_dictionaries({name: written(definition) for name, definition in fields.items()})
    other = st.just({}) | st.just({}) | st.dictionaries(st.sampled_from([*NAMES, "", "x"]), written_leaves, max_size=2)
    return st.builds(lambda known, other: object_of(known | other), known, other)


@st.composite
def damaged(draw, text):
    """A reply with marks around it, something cut out of it, or something put into it."""
    for before, after in draw(
        st.lists(st.sampled_from([("```json\n", ""), ("", "\n```"), ("[", "]"), ("", ",")]), max_size=1)
    ):
        text = before + text + after
    for place in draw(st.lists(st.integers(0, len(text)), max_size=1)):
        put = draw(st.sampled_from([",", "]", "}", '"', "\\", "\ud800", "\0", ""]))
        text = text[:place] + put + text[place + draw(st.integers(0, 2)) :]
    return draw(st.sampled_from([text, text, text.replace("}", ",}")]))


@st.composite
def cases(draw):
    definition = draw(definitions)
    text = draw(written_object(definition))
    return OutputFields(TypeAdapter(ColumnFields).validate_python(definition)), draw(st.just(text) | damaged(text))


def judged(form, text):
    reply = Reply(text=text, stop_reason="end_turn", usage=None, model="m", api_request_id=None, raw="{}")
    return Judge(form).judge(reply)


def form_of(fields, *, normalise=True, null_fields=False):
    return AnswerForm(fields.full_schema, normalise=normalise, null_fields=null_fields)


def cast(fields, output):
    """What the columns of the output table make of a row."""
    structure = json.dumps({column.name: column.json_structure for column in fields.columns})
    columns = ", ".join(f'cast(row."{column.name}" as {column.sql_type})' for column in fields.columns)
    query = f"select {columns} from (select json_transform_strict(?::json, ?) as row)"
    return duckdb.execute(query, [json.dumps(output), structure]).fetchall()[0]


@pytest.mark.slow
@pytest.mark.parametrize("normalise", [True, False], ids=["normalised", "as it is"])
@pytest.mark.parametrize("null_fields", [True, False], ids=["nulls", "no nulls"])
@given(cases())
@settings(max_examples=150, deadline=None)
def test_the_judge_never_raises_and_what_it_accepts_casts_to_the_columns(normalise, null_fields, case):
    fields, text = case
    judgement = judged(form_of(fields, normalise=normalise, null_fields=null_fields), text)

    if judgement.outcome is Outcome.SUCCEEDED:
        values = cast(fields, judgement.output)
        assert [value is None for value in values] == [judgement.output[name] is None for name in fields.definitions]
        assert null_fields or not judgement.problems
    else:
        assert judgement.outcome is Outcome.INVALID
        assert judgement.reason
        assert judgement.problems
    assert json.dumps([dict(judgement.originals), [problem.said for problem in judgement.problems]])


@pytest.mark.slow
@given(cases())
@settings(max_examples=300, deadline=None)
def test_normalising_changes_no_field_that_is_valid(case):
    fields, text = case
    bare, normalised = (judged(form_of(fields, normalise=on, null_fields=True), text) for on in (False, True))

    if bare.outcome is Outcome.SUCCEEDED:
        failed = {problem.field for problem in bare.problems}
        for name in fields.definitions.keys() - failed:
            assert repr(normalised.output[name]) == repr(bare.output[name])
        assert {problem.field for problem in normalised.problems} <= failed


@pytest.mark.slow
@given(cases())
@settings(max_examples=300, deadline=None)
def test_what_was_normalised_stays_as_it_is(case):
    fields, text = case
    form = form_of(fields)
    judgement = judged(form, text)

    if judgement.outcome is Outcome.SUCCEEDED:
        again = judged(form, json.dumps(judgement.output))
        assert repr(again.output) == repr(judgement.output)
        assert not again.originals


@pytest.mark.slow
def test_the_damaged_replies_are_of_every_kind():
    """The properties above say something: of these replies some are accepted, some after normalising, some never."""
    found = set()

    @given(cases())
    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    def look(case):
        judgement = judged(form_of(case[0]), case[1])
        found.add((judgement.outcome, bool(judgement.originals)))

    look()
    assert found == {(Outcome.SUCCEEDED, False), (Outcome.SUCCEEDED, True), (Outcome.INVALID, False)}
