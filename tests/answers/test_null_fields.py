"""What is wrong with a reply, by field, and `on_invalid = "null_fields"`, which keeps the fields that are right."""

import json

import pytest
from pydantic import TypeAdapter

from batchrun.answers.field_problems import FieldProblem
from batchrun.answers.form import AnswerForm
from batchrun.answers.validation import Judge, Judgement
from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.outcome import Outcome
from batchrun.reply import Reply

DEFINITIONS = {
    "title": {"type": "string", "min_length": 1},
    "day": "date?",
    "months": {"type": "integer", "minimum": 0},
    "parties": {"type": "array", "items": {"type": "object", "fields": {"name": "string", "since": "date?"}}},
}
FORM = AnswerForm(
    OutputFields(TypeAdapter(ColumnFields).validate_python(DEFINITIONS)).full_schema, normalise=False, null_fields=True
)
GOOD = {"title": "Supply", "day": "2024-01-01", "months": 12, "parties": [{"name": "A", "since": None}]}
STRICT = Judge(AnswerForm(FORM.full_schema, normalise=False))
NULLING = Judge(FORM)


def reply(text, stop_reason="end_turn"):
    return Reply(text=text, stop_reason=stop_reason, usage=None, model="m", api_request_id=None, raw="{}")


def with_(**values):
    return json.dumps({**GOOD, **values})


def without(name):
    return json.dumps({key: value for key, value in GOOD.items() if key != name})


def required(path):
    return FieldProblem(path.partition("[")[0].partition(".")[0], path, f"{path}: required")


TOO_LARGE = FieldProblem("months", "months", f"{2**63} does not fit into 64 bits")
CASES = [
    ("missing", without("title"), ["title"], [required("title")]),
    ("wrong", with_(day="soon"), ["day"], [FieldProblem("day", "day", "day: 'soon' is not a date")]),
    ("a rule", with_(months=-1), ["months"], [FieldProblem("months", "months", "months: -1 is less than 0")]),
    ("null", with_(title=None), ["title"], [FieldProblem("title", "title", "title: null is not text")]),
    ("too large", with_(months=2**63), ["months"], [TOO_LARGE]),
    ("missing inside", with_(parties=[{"name": "A"}]), ["parties"], [required("parties[0].since")]),
    (
        "unknown inside",
        with_(parties=[{"name": "A", "since": None, "x": 1}]),
        ["parties"],
        [FieldProblem("parties", "parties[0]", "parties[0]: 'x' is no field")],
    ),
    (
        "wrong inside",
        with_(parties=[GOOD["parties"][0], {"name": "A", "since": 5}]),
        ["parties"],
        [FieldProblem("parties", "parties[1].since", "parties[1].since: 5 is not text")],
    ),
    ("unknown", with_(extra=1), [], [FieldProblem("extra", "extra", "the reply: 'extra' is no field")]),
    ("unknown without a name", with_(**{"": 1}), [], [FieldProblem("''", "''", "the reply: '' is no field")]),
    (
        "two fields",
        with_(months=2**63, day="soon"),
        ["day", "months"],
        [TOO_LARGE, FieldProblem("day", "day", "day: 'soon' is not a date")],
    ),
    ("nothing", "{}", list(GOOD), [required(name) for name in GOOD]),
]


@pytest.mark.parametrize(("text", "nulls", "problems"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_fields_that_fail_become_null_and_are_named(text, nulls, problems):
    judgement = NULLING.judge(reply(text))

    assert judgement == Judgement(
        Outcome.SUCCEEDED, output=GOOD | dict.fromkeys(nulls), reason=None, problems=tuple(problems)
    )
    assert list(judgement.output) == list(GOOD)


@pytest.mark.parametrize(("text", "problems"), [(case[1], case[3]) for case in CASES], ids=[case[0] for case in CASES])
def test_by_default_the_row_is_kept_out_with_the_same_problems(text, problems):
    judgement = STRICT.judge(reply(text))

    assert (judgement.outcome, judgement.output) == (Outcome.INVALID, None)
    assert judgement.problems == tuple(problems)


def test_a_number_that_no_column_can_hold_is_the_whole_reason_and_not_the_only_problem():
    judgement = STRICT.judge(reply(with_(months=2**63, day="soon")))

    assert judgement.reason == TOO_LARGE.said
    assert {problem.field for problem in judgement.problems} == {"months", "day"}


def test_a_reply_without_a_fault_has_no_problem():
    assert NULLING.judge(reply(json.dumps(GOOD))) == Judgement(Outcome.SUCCEEDED, output=GOOD)


WHOLE = [
    "",
    "no JSON",
    "[]",
    "null",
    "5",
    '"text"',
    '{"title": ',
    '{"title": "a", "title": "b"}',
    '{"a": 1e999}',
    "[" * 9999,
]


@pytest.mark.parametrize("text", WHOLE, ids=range(len(WHOLE)))
def test_a_reply_that_is_no_object_stays_invalid(text):
    judgement = NULLING.judge(reply(text))

    assert judgement == STRICT.judge(reply(text))
    assert judgement.outcome is Outcome.INVALID
    assert judgement.problems == (FieldProblem("", "", judgement.reason),)


@pytest.mark.parametrize("stop_reason", ["max_tokens", "refusal", "pause_turn", None])
def test_a_reply_that_did_not_end_has_a_reason_and_no_field_to_blame(stop_reason):
    judgement = NULLING.judge(reply(json.dumps(GOOD), stop_reason))

    assert judgement.outcome is not Outcome.SUCCEEDED
    assert (judgement.output, judgement.problems) == (None, ())


@pytest.mark.slow
def test_names_that_are_no_field_are_all_dropped_and_the_first_are_named():
    judgement = NULLING.judge(reply(json.dumps(GOOD | {f"x{number}": 1 for number in range(50_000)})))

    assert judgement.output == GOOD
    assert [problem.field for problem in judgement.problems] == [f"x{number}" for number in range(20)]


def test_a_long_name_that_is_no_field_is_cut():
    (problem,) = NULLING.judge(reply(with_(**{"x" * 100_000: 1}))).problems

    assert len(problem.field) == 80
    assert len(problem.said) < 120


def test_a_value_that_may_only_be_null_is_a_problem_too():
    schema = {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}]}}}

    judgement = Judge(AnswerForm(schema)).judge(reply('{"a": 1}'))

    assert (judgement.outcome, judgement.reason) == (Outcome.INVALID, "a: 1 does not fit the schema")


def test_of_a_field_the_first_problems_are_named():
    parties = [{"name": number, "since": None} for number in range(1_000)]

    judgement = NULLING.judge(reply(with_(parties=parties, months=-1)))

    assert [problem.path for problem in judgement.problems] == [
        "months",
        "parties[0].name",
        "parties[1].name",
        "parties[2].name",
    ]


def test_what_normalising_mends_is_not_null_and_originals_of_nulls_are_not_kept():
    judge = Judge(AnswerForm(FORM.full_schema, null_fields=True))
    parties = [{"name": "A", "since": "3 March 2024"}, {"name": "B", "since": "soon"}]

    judgement = judge.judge(reply(with_(day="3 March 2024", parties=parties)))

    assert judgement.output == GOOD | {"day": "2024-03-03", "parties": None}
    assert judgement.originals == {"day": "3 March 2024"}
    assert [problem.path for problem in judgement.problems] == ["parties[1].since"]
