import json
from datetime import datetime, timedelta

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
from batchrun.reply import Reply, Usage

DEFINITIONS = {
    "title": {"type": "string", "min_length": 1, "max_length": 400, "pattern": "\\S"},
    "effective_date": {"type": "date?"},
    "signed_at": {"type": "datetime?"},
    "term_months": {"type": "integer", "minimum": 0},
    "fee": {"type": "number", "maximum": 1e300},
    "renews": {"type": "boolean"},
    "kind": {"type": "enum?", "enum": ["NDA", "Lease", "Ämter"]},
    "parties": {
        "type": "array",
        "max_items": 3,
        "items": {
            "type": "object",
            "fields": {"name": "string", "role": {"enum": ["buyer", "seller"]}, "since": "datetime"},
        },
    },
    "tags": {"type": "array", "items": "string"},
}
FIELDS = OutputFields(TypeAdapter(ColumnFields).validate_python(DEFINITIONS))
STRUCTURE = json.dumps({column.name: column.json_structure for column in FIELDS.columns})
JUDGE = Judge(AnswerForm(FIELDS.full_schema, normalise=False))
NORMALISING_JUDGE = Judge(AnswerForm(FIELDS.full_schema))
PARTY = {"name": "Acme", "role": "buyer", "since": "2024-01-01 00:00:00"}
GOOD = {
    "title": "Supply",
    "effective_date": "2024-02-29",
    "signed_at": "2024-02-28 09:30:00",
    "term_months": 12,
    "fee": 99.5,
    "renews": True,
    "kind": "NDA",
    "parties": [PARTY],
    "tags": [],
}


def reply(text, *, stop_reason="end_turn", usage=None):
    return Reply(text=text, stop_reason=stop_reason, usage=usage, model="m", api_request_id=None, raw="{}")


def judged(text, **more):
    return JUDGE.judge(reply(text, **more))


def with_(**values):
    return json.dumps({**GOOD, **values})


def reason(text):
    judgement = judged(text)
    assert judgement.outcome is Outcome.INVALID
    assert judgement.output is None
    return judgement.reason


def test_a_good_reply_is_the_row():
    judgement = judged(json.dumps(GOOD))
    assert judgement.outcome is Outcome.SUCCEEDED
    assert judgement.output == GOOD
    assert judgement.reason is None


STOPS = [
    ("refusal", None, Outcome.REFUSED, "refused"),
    ("max_tokens", Usage(output_tokens=64), Outcome.TRUNCATED, "max_tokens: 64 output tokens were too few"),
    ("max_tokens", None, Outcome.TRUNCATED, "max_tokens: the output tokens were too few"),
    ("model_context_window_exceeded", None, Outcome.TRUNCATED, "context window"),
    ("pause_turn", None, Outcome.INVALID, "'pause_turn'"),
    ("tool_use", None, Outcome.INVALID, "'tool_use'"),
    ("something_new\n", None, Outcome.INVALID, "'something_new\\n'"),
    ("", None, Outcome.INVALID, "''"),
    (None, None, Outcome.INVALID, "no stop reason"),
]


@pytest.mark.parametrize(("stop_reason", "usage", "outcome", "said"), STOPS)
def test_a_reply_that_did_not_end_is_no_row_even_with_a_good_text(stop_reason, usage, outcome, said):
    judgement = judged(json.dumps(GOOD), stop_reason=stop_reason, usage=usage)
    assert judgement.outcome is outcome
    assert said in judgement.reason
    assert judgement.output is None


NORMALISED = [
    ("a fence", f"```json\n{json.dumps(GOOD)}\n```", {}),
    ("a bare fence", f"\n```\n{json.dumps(GOOD)}\n```\n", {}),
    ("space around", f"  \n{json.dumps(GOOD)}\n ", {}),
    ("enum in other capitals", with_(kind="nda"), {"kind": "NDA"}),
    ("enum with accents in other capitals", with_(kind="äMTER"), {"kind": "Ämter"}),
    ("enum inside", with_(parties=[{**PARTY, "role": "BUYER"}]), {"parties": [PARTY]}),
    (
        "null",
        with_(kind=None, effective_date=None, signed_at=None),
        dict.fromkeys(["kind", "effective_date", "signed_at"]),
    ),
    ("whole number as a fraction", with_(term_months=12.0), {"term_months": 12}),
    (
        "whole number with an exponent",
        with_().replace('"term_months": 12', '"term_months": 1.2e1'),
        {"term_months": 12},
    ),
    ("zulu", with_(signed_at="2024-02-28T09:30:00Z"), {"signed_at": "2024-02-28 09:30:00"}),
    ("offset", with_(signed_at="2024-02-28t23:30:00-01:30"), {"signed_at": "2024-02-29 01:00:00"}),
    ("no zone", with_(signed_at="2024-02-28T09:30:00"), {"signed_at": "2024-02-28 09:30:00"}),
    ("tenths", with_(signed_at="2024-02-28T09:30:00.5z"), {"signed_at": "2024-02-28 09:30:00.500000"}),
    ("nanoseconds", with_(signed_at="2024-02-28T09:30:00.123456789Z"), {"signed_at": "2024-02-28 09:30:00.123456"}),
    ("time inside", with_(parties=[{**PARTY, "since": "2024-01-01T01:00:00+01:00"}]), {"parties": [PARTY]}),
    ("first day", with_(effective_date="0001-01-01"), {"effective_date": "0001-01-01"}),
    ("astral characters", with_(title="\U0001f600"), {"title": "\U0001f600"}),
    ("NUL", with_(title="a\0b"), {"title": "a\0b"}),
    ("largest whole number", with_(term_months=2**63 - 1), {"term_months": 2**63 - 1}),
]


@pytest.mark.parametrize(("text", "changed"), [case[1:] for case in NORMALISED], ids=[case[0] for case in NORMALISED])
def test_what_means_the_same_is_made_the_same(text, changed):
    judgement = judged(text)
    assert judgement.reason is None
    assert judgement.output == {**GOOD, **changed}
    assert all(type(judgement.output[name]) is type(value) for name, value in changed.items())


def months(written):
    return with_(term_months="X").replace('"X"', written)


BAD = [
    ("empty", "", "the reply has no text"),
    ("blank", " \n", "the reply has no text"),
    ("prose", "I cannot do that.", "not JSON: expecting value at character 0, found 'I cannot do that.'"),
    ("prose before", "Here: {}", "not JSON: expecting value at character 0, found 'Here: {}'"),
    ("prose after", "{} Done.", "not JSON: extra data at character 3, found 'Done.'"),
    ("prose before a fence", f"Here:\n```json\n{json.dumps(GOOD)}\n```", "not JSON: expecting value at character 0"),
    ("position within a fence", '```json\n{"a": }\n```', "not JSON: expecting value at character 14, found '}'"),
    ("cut off", '{"title": "Sup', "not JSON: unterminated string starting at character 10"),
    ("nothing after the colon", '{"title":', "not JSON: expecting value at character 9, found the end"),
    ("control character", '{"title": "\x01"}', "not JSON: invalid control character at character 11, found '\\x01\"}'"),
    ("no object", "[1, 2]", "the reply: [1, 2] is not an object"),
    ("null", "null", "the reply: null is not an object"),
    ("NaN", with_(fee=float("nan")), "not JSON: NaN is no number"),
    ("infinity", with_(fee=float("-inf")), "not JSON: -Infinity is no number"),
    ("too large", with_().replace("99.5", "1e999"), "1e999 is too large a number"),
    ("beyond int64", with_(term_months=2**63), "9223372036854775808 does not fit into 64 bits"),
    ("below int64", with_(term_months=-(2**63) - 1), "-9223372036854775809 does not fit into 64 bits"),
    (
        "beyond int64 by an exponent",
        with_(term_months=0).replace(": 0", ": 9.3e18"),
        "9300000000000000000 does not fit",
    ),
    (
        "a fraction near a whole number",
        with_(term_months=0).replace(": 0", ": 9007199254740993.5"),
        "9007199254740993.5 is not a whole number",
    ),
    (
        "a fraction of many digits",
        with_(term_months=0).replace(": 0", ": 1.00000000000000000001"),
        "1.00000000000000000001 is not a whole number",
    ),
    (
        "an exponent of many digits",
        with_().replace("99.5", "1e-" + "9" * 30),
        "1e-999999999999999999999999999999 has too large an exponent",
    ),
    ("float beyond int64", with_(term_months=1e19), "10000000000000000000 does not fit into 64 bits"),
    ("a number of 5,000 digits", '{"fee": ' + "7" * 5_000 + "}", "7" * 79 + "… is too large a number"),
    ("lone surrogate", '{"title": "\\ud83d"}', "half a surrogate pair"),
    ("raw lone surrogate", '{"title": "\ud83d"}', "half a surrogate pair"),
    ("lone surrogate in a name", '{"\\udc00": 1}', "half a surrogate pair"),
    ("duplicate", '{"title": "a", "title": "b"}', "'title' appears twice"),
    ("duplicate inside", with_().replace('"tags": []', '"tags": [{"a": 1, "a": 2}]'), "'a' appears twice"),
    ("deep", "[" * 100_000, "nested too deeply"),
    ("deep and closed", '{"tags": ' + "[" * 20_000 + "]" * 20_000 + "}", "nested too deeply"),
    ("missing", json.dumps({name: GOOD[name] for name in GOOD if name != "term_months"}), "term_months: required"),
    ("unknown", with_(extra=1), "the reply: 'extra' is no field"),
    ("missing inside", with_(parties=[{"name": "A", "role": "buyer"}]), "parties[0].since: required"),
    ("unknown inside", with_(parties=[PARTY, {**PARTY, "x\n": 1}]), "parties[1]: 'x\\n' is no field"),
    ("date", with_(effective_date="upon signature"), "effective_date: 'upon signature' is not a date"),
    ("no such day", with_(effective_date="2023-02-29"), "effective_date: '2023-02-29' is not a date"),
    ("year 0", with_(effective_date="0000-01-01"), "effective_date: '0000-01-01' is not a date"),
    ("basic format", with_(effective_date="20240101"), "effective_date: '20240101' is not a date"),
    ("other digits", with_(effective_date="\uff12\uff10\uff12\uff14-01-01"), "is not a date"),
    ("newline after", with_(effective_date="2024-01-01\n"), "effective_date: '2024-01-01\\n' is not a date"),
    (
        "time of no day",
        with_(signed_at="2024-13-01T00:00:00Z"),
        "signed_at: '2024-13-01T00:00:00Z' is not a date and time",
    ),
    ("leap second", with_(signed_at="2016-12-31T23:59:60Z"), "is not a date and time"),
    ("only a day", with_(signed_at="2024-01-01"), "signed_at: '2024-01-01' is not a date and time"),
    ("before year 1", with_(signed_at="0001-01-01T00:00:00+01:00"), "is not a date and time"),
    ("after year 9999", with_(signed_at="9999-12-31T23:59:59-01:00"), "is not a date and time"),
    ("no such offset", with_(signed_at="2024-01-01T00:00:00+25:00"), "is not a date and time"),
    ("enum", with_(kind="Loan"), "kind: 'Loan' is not one of NDA, Lease, Ämter"),
    ("text for a number", with_(term_months="12"), "term_months: '12' is not a whole number"),
    ("fraction", with_(term_months=1.5), "term_months: 1.5 is not a whole number"),
    ("true for a number", with_(term_months=True), "term_months: true is not a whole number"),
    ("null where none may be", with_(renews=None), "renews: null is not true or false"),
    ("number for a text", with_(title=5), "title: 5 is not text"),
    ("minimum", with_(term_months=-1), "term_months: -1 is less than 0"),
    ("too short", with_(title=""), "title: '' is shorter than 1 characters"),
    ("pattern", with_(title="  "), "title: '  ' does not match \\S"),
    ("too many", with_(parties=[PARTY] * 4), "has more than 3 elements"),
    ("array element", with_(tags=["a", 3]), "tags[1]: 3 is not text"),
    ("object for an array", with_(tags={}), "tags: {} is not an array"),
    ("two problems", with_(term_months=-1, renews=1), "term_months: -1 is less than 0; renews: 1 is not true or false"),
    ("many problems", "{}", "title: required; effective_date: required; signed_at: required; and 6 more"),
]


@pytest.mark.parametrize(("text", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_wrong_is_said_in_few_words(text, said):
    assert said in reason(text)


MENDED = {"newline after", "text for a number", "number for a text", "array element"}
"""The faults above that normalising mends."""


@pytest.mark.parametrize(("name", "text"), [case[:2] for case in BAD], ids=[case[0] for case in BAD])
def test_normalising_keeps_the_words_for_all_that_stays_invalid(name, text):
    judgement = NORMALISING_JUDGE.judge(reply(text))
    assert judgement.reason == (None if name in MENDED else reason(text))


@pytest.mark.parametrize("text", [case[1] for case in NORMALISED], ids=[case[0] for case in NORMALISED])
def test_normalising_changes_no_reply_that_is_valid_without_it(text):
    assert NORMALISING_JUDGE.judge(reply(text)) == judged(text)


@pytest.mark.parametrize(
    "text", ["x" * 10_000, with_(effective_date="\x1b[31m" + "x" * 10_000), with_(tags={"a": "é" * 10_000})]
)
def test_reasons_are_short_and_printable(text):
    said = reason(text)
    assert len(said) < 200
    assert said.isprintable()


def test_an_enum_that_differs_in_more_than_case_is_not_guessed():
    assert "not one of" in reason(with_(kind="N.D.A."))


def cast(output):
    """What the output table's columns make of a row."""
    return duckdb.execute("SELECT json_transform_strict(?::JSON, ?)", [json.dumps(output), STRUCTURE]).fetchall()[0][0]


def test_accepted_rows_mean_in_duckdb_what_they_meant_in_the_reply():
    row = cast(judged(with_(signed_at="2024-02-28T23:30:00-01:30", kind="lease")).output)
    assert row["signed_at"] == datetime(2024, 2, 29, 1, 0)  # noqa: DTZ001 - a TIMESTAMP has no zone
    assert row["effective_date"].isoformat() == "2024-02-29"
    assert row["kind"] == "Lease"


NUMBERS = OutputFields(
    TypeAdapter(ColumnFields).validate_python(
        {
            "whole": "integer",
            "number": "number?",
            "wholes": {"type": "array", "items": {"type": "integer", "maximum": 1e30}},
            "deep": {
                "type": "object",
                "fields": {"whole": "integer?", "numbers": {"type": "array", "items": "number"}},
            },
        }
    )
)


def kept(whole, number):
    """The values of these spellings in the columns, after the ledger's JSON and DuckDB's own; None if invalid."""
    text = '{"whole": W, "number": N, "wholes": [W], "deep": {"whole": W, "numbers": [N, 0]}}'
    judgement = Judge(AnswerForm(NUMBERS.full_schema)).judge(reply(text.replace("W", whole).replace("N", number)))
    if judgement.outcome is not Outcome.SUCCEEDED:
        return None
    structure = json.dumps({column.name: column.json_structure for column in NUMBERS.columns})
    query = "select unnest(json_transform_strict($1::json, $2))"
    found = duckdb.sql(query, params=[json.dumps(judgement.output), structure]).fetchall()[0]
    row = dict(zip(("whole", "number", "wholes", "deep"), found, strict=True))
    assert row["whole"] == row["deep"]["whole"] == row["wholes"][0]
    assert repr(row["number"]) == repr(row["deep"]["numbers"][0])
    return row["whole"], row["number"]


WHOLE = {
    "0": 0, "-0": 0, "-0.0": 0, "0e999999999999": 0, "1e3": 1000, "1.0": 1, "-1E+2": -100, "1230e-1": 123,
    "9007199254740993": 2**53 + 1, "9007199254740993.0": 2**53 + 1, "9.007199254740993e15": 2**53 + 1,
    "9223372036854775807": 2**63 - 1, "-9223372036854775808.00": -(2**63), "92233720368547758070e-1": 2**63 - 1,
    "9223372036854775808": None, "12345678901234567890": None, "1e19": None, "1e308": None, "1e400": None,
    "1" * 400: None, "0.5": None, "9007199254740993.5": None, "1e-3": None, "NaN": None, "Infinity": None,
}  # fmt: skip


@pytest.mark.parametrize("written", WHOLE, ids=lambda written: written[:30])
def test_a_whole_number_is_stored_exactly_or_is_invalid_however_it_is_written(written):
    assert kept(written, "1") == (None if WHOLE[written] is None else (WHOLE[written], 1.0))


DOUBLES = ["12345678901234567890", "9007199254740993", "-" + "7" * 300, "1" + "0" * 308, "18446744073709551616",
           "1e308", "-0.0", "5e-324", "1e-400", "0.1", "1" * 20 + ".5"]  # fmt: skip


@pytest.mark.parametrize("written", DOUBLES, ids=lambda written: written[:30])
def test_a_number_is_the_nearest_double_however_it_is_written(written):
    assert repr(kept("1", written)[1]) == repr(float(written))


@pytest.mark.parametrize("written", ["1" * 310, "1e309", "NaN", "-Infinity", "1" * 5_000])
def test_what_no_double_can_hold_is_invalid(written):
    assert kept("1", written) is None


@st.composite
def spellings(draw):
    """A whole number of 64 bits, and one of the ways to write it in JSON."""
    whole = draw(st.integers(-(2**63), 2**63 - 1))
    digits, sign = str(abs(whole)), "-" * (whole < 0)
    point = draw(st.integers(1, len(digits)))
    fraction, exponent = digits[point:] + "0" * draw(st.integers(0, 3)), len(digits) - point
    if not exponent:
        return whole, sign + digits + (f".{fraction}" if fraction else "")
    return (
        whole,
        f"{sign}{digits[:point]}.{fraction}{draw(st.sampled_from('eE'))}{draw(st.sampled_from(['', '+']))}{exponent}",
    )


@pytest.mark.slow
@given(
    spellings(), st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-(10**300), 10**300).map(str)
)
@settings(deadline=None)
def test_numbers_stay_what_they_were(spelling, number):
    whole, written = spelling

    assert repr(kept(written, number)) == repr((whole, float(number)))


text = st.text(max_size=20) | st.sampled_from(["2024-01-01", "NDA", "nda", "12", "2024-01-01T00:00:00Z"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text | st.sampled_from(list(GOOD)), inner, max_size=3),
    max_leaves=8,
)
moments = st.datetimes(timezones=st.timezones()).filter(lambda moment: not moment.utcoffset() % timedelta(minutes=1))
parties = st.fixed_dictionaries(
    {
        "name": st.text(),
        "role": st.sampled_from(["buyer", "SELLER", "Seller"]),
        "since": st.datetimes().map(datetime.isoformat),
    }
)
good_replies = st.fixed_dictionaries(
    {
        "title": st.text(min_size=1),
        "effective_date": st.none() | st.dates().map(str),
        "signed_at": st.none() | moments.map(datetime.isoformat) | st.datetimes().map(str),
        "term_months": st.integers(0, 2**63 - 1) | st.integers(0, 2**53).map(float),
        "fee": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
        "renews": st.booleans(),
        "kind": st.sampled_from([None, "NDA", "lease", "äMTER"]),
        "parties": st.lists(parties, max_size=3),
        "tags": st.lists(st.text(), max_size=3),
    }
)
near_replies = st.builds(
    lambda reply, changes: {**reply, **changes},
    good_replies,
    st.dictionaries(st.sampled_from(list(GOOD)), json_values, max_size=2),
)


@pytest.mark.slow
@given(near_replies)
@settings(max_examples=200, deadline=None)
def test_whatever_is_accepted_can_be_cast_to_the_columns(value):
    judgement = judged(json.dumps(value))
    if judgement.outcome is Outcome.SUCCEEDED:
        assert cast(judgement.output) is not None
    else:
        assert judgement.outcome is Outcome.INVALID
        assert judgement.reason


@pytest.mark.slow
@given(good_replies.filter(lambda reply: reply["title"].strip() and abs(reply["fee"]) < 1e300))
@settings(max_examples=100, deadline=None)
def test_good_replies_are_accepted(value):
    judgement = judged(json.dumps(value))
    if judgement.outcome is not Outcome.SUCCEEDED:
        # A time near the edge of the calendar may have no day in UTC.
        assert "is not a date and time" in judgement.reason
    else:
        assert judged(json.dumps(judgement.output)) == judgement


@pytest.mark.slow
@given(
    st.text(st.characters(exclude_categories=[])) | json_values.map(json.dumps),
    st.sampled_from(["end_turn", "stop_sequence", "max_tokens", "refusal", None]) | st.text(),
)
def test_it_never_raises(text, stop_reason):
    judgement = judged(text, stop_reason=stop_reason)
    assert (judgement.output is None) == (judgement.outcome is not Outcome.SUCCEEDED)
    assert (judgement.reason is None) == (judgement.outcome is Outcome.SUCCEEDED)


def test_a_refusal_keeps_the_apis_words():
    refused = Reply("", "refusal", None, "m", None, "{}", refusal="cyber: It asks for malware.")

    assert JUDGE.judge(refused).reason == "the model refused: cyber: It asks for malware."


@pytest.mark.parametrize("nullable", [False, True], ids=["required", "nullable"])
@pytest.mark.parametrize("null_fields", [False, True], ids=["whole", "by field"])
def test_of_a_list_with_an_error_in_every_element_a_thousand_are_looked_at(nullable, null_fields):
    entries = {"type": "array", "items": {"type": "integer"}}
    numbers = {"anyOf": [entries, {"type": "null"}]} if nullable else entries
    fields = {"n": numbers, "day": {"type": "string", "format": "date"}}
    schema = {"type": "object", "properties": fields, "required": ["n", "day"], "additionalProperties": False}
    judge = Judge(AnswerForm(schema, normalise=False, null_fields=null_fields))

    judgement = judge.judge(reply(json.dumps({"n": ["zz"] * 5_000, "day": "x", "z": 1})))

    assert {problem.field for problem in judgement.problems} == {"n", "day", "z"}
    if null_fields:
        assert judgement.output == {"n": None, "day": None}
    else:
        assert judgement.reason is not None
        assert judgement.reason.endswith("and 999 more"), "1,000 of the list, one of the day, one of the whole"
