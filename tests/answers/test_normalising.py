"""Common spellings that a judge rewrites, and spellings that may mean several things, which the judge leaves alone."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import batchrun
from batchrun.answers.form import AnswerForm
from batchrun.answers.normalising import NORMALISERS
from batchrun.answers.validation import Judge
from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.outcome import Outcome
from batchrun.reply import Reply


def form_of(definition, **more):
    fields = OutputFields(TypeAdapter(ColumnFields).validate_python({"field": definition}))
    return AnswerForm(fields.full_schema, **more)


def judged(form, text):
    return Judge(form).judge(
        Reply(text=text, stop_reason="end_turn", usage=None, model="m", api_request_id=None, raw="{}")
    )


def judged_value(definition, value, **more):
    return judged(form_of(definition, **more), json.dumps({"field": value}))


ENUM = {"enum": ["NDA", "Lease", "5"]}
NULLABLE_ENUM = {"type": "enum?", "enum": ["NDA", "None"]}
TEXTS = {"type": "array", "items": "string"}
NUMBERS = {"type": "array", "items": "integer"}
PARTY = {"type": "object", "fields": {"name": "string", "since": "date?"}}
PARTIES = {"type": "array", "items": PARTY}

READ = [
    ("enum", ENUM, " nda\n", "NDA"),
    ("enum", NULLABLE_ENUM, " none ", "None"),
    ("null", "date?", "", None),
    ("null", "date?", " N/A ", None),
    ("null", "integer?", "n/a", None),
    ("null", "number?", "None", None),
    ("null", "boolean?", "null", None),
    ("null", "datetime?", "Not stated", None),
    ("null", {"type": "array?", "items": "string"}, "N/A", None),
    ("null", {**PARTY, "type": "object?"}, "not specified", None),
    ("null", {"type": "string?", "min_length": 1}, "", None),
    ("null", {"type": "enum?", "enum": ["NDA"]}, "N/A", None),
    ("boolean", "boolean", "yes", True),
    ("boolean", "boolean", " True", True),
    ("boolean", "boolean", "NO", False),
    ("boolean", "boolean?", "false", False),
    ("number", "integer", "12", 12),
    ("number", "integer", "-12", -12),
    ("number", "integer", "\u221212", -12),
    ("number", "integer", "+12", 12),
    ("number", "integer", "0", 0),
    ("number", "integer", "12.0", 12),
    ("number", "integer", "1,234", 1234),
    ("number", "integer", "1.234.567", 1234567),
    ("number", "integer", "1 234 567", 1234567),
    ("number", "integer", "1\u00a0234", 1234),
    ("number", "integer", "1\u202f234\u202f567", 1234567),
    ("number", "integer", "1'234", 1234),
    ("number", "integer", "1.5 million", 1500000),
    ("number", "integer", "2 Thousand", 2000),
    ("number", "integer", "9223372036854775807", 2**63 - 1),
    ("number", "number", "1.234,56", 1234.56),
    ("number", "number", "1,234.56", 1234.56),
    ("number", "number", "1,234,567", 1234567),
    ("number", "number", "1.234.567,8", 1234567.8),
    ("number", "number", "1,234.567", 1234.567),
    ("number", "number", "1 234,567", 1234.567),
    ("number", "number", "1234.567", 1234.567),
    ("number", "number", "0.125", 0.125),
    ("number", "number", "0,125", 0.125),
    ("number", "number", "1,5", 1.5),
    ("number", "number", "€1.2m", 1200000),
    ("number", "number", "-€1.2bn", -1200000000),
    ("number", "number", "$250,000", 250000),
    ("number", "number", "US$ 250,000", 250000),
    ("number", "number", "USD 5k", 5000),
    ("number", "number", "1.500,00 €", 1500),
    ("number", "number", "$5,000.00 USD", 5000),
    ("number", "number", "0.1 billion", 100000000),
    ("number", "number?", "1.10", 1.1),
    ("text", "string", 5, "5"),
    ("text", "string", -12, "-12"),
    ("text", "string", 1.5, "1.5"),
    ("text", ENUM, 5, "5"),
    ("text", "string", 12345678901234567890, "12345678901234567890"),
    ("date", "date", " 2024-03-03\n", "2024-03-03"),
    ("date", "date", "2024/03/03", "2024-03-03"),
    ("date", "date", "2024.3.12", "2024-03-12"),
    ("date", "date", "2024-3-9", "2024-03-09"),
    ("date", "date", "03.04.2024", "2024-04-03"),
    ("date", "date", "3.4.2024", "2024-04-03"),
    ("date", "date", "31/12/2024", "2024-12-31"),
    ("date", "date", "12/31/2024", "2024-12-31"),
    ("date", "date", "31-12-2024", "2024-12-31"),
    ("date", "date", "03/03/2024", "2024-03-03"),
    ("date", "date", "3 March 2024", "2024-03-03"),
    ("date", "date", "3rd of March, 2024", "2024-03-03"),
    ("date", "date", "3. March 2024", "2024-03-03"),
    ("date", "date", "March 3, 2024", "2024-03-03"),
    ("date", "date", "MARCH  3RD 2024", "2024-03-03"),
    ("date", "date", "Mar. 3,2024", "2024-03-03"),
    ("date", "date", "14-MAR-2024", "2024-03-14"),
    ("date", "date", "1 Sept. 2024", "2024-09-01"),
    ("date", "date", "5th day of January, 2012", "2012-01-05"),
    ("date", "date", "this 5th day of January 2012", "2012-01-05"),
    ("date", "date", "29 February 2024", "2024-02-29"),
    ("date", "date", "2024-03-03T00:00:00Z", "2024-03-03"),
    ("date", "date?", "3 March 2024", "2024-03-03"),
    ("datetime", "datetime", "2024-03-03T14:30Z", "2024-03-03 14:30:00"),
    ("datetime", "datetime", "2024-03-03 14:30", "2024-03-03 14:30:00"),
    ("datetime", "datetime", "3 March 2024, 14:30:05.5", "2024-03-03 14:30:05.500000"),
    ("datetime", "datetime", "March 3, 2024 at 2:30 pm", "2024-03-03 14:30:00"),
    ("datetime", "datetime", "March 3, 2024 12:05 A.M. UTC", "2024-03-03 00:05:00"),
    ("datetime", "datetime", "03.04.2024 09:30 +0200", "2024-04-03 07:30:00"),
    ("datetime", "datetime?", "August 1, 2024 14:30 GMT", "2024-08-01 14:30:00"),
    ("list", TEXTS, "one", ["one"]),
    ("list", TEXTS, 5, ["5"]),
    ("list", NUMBERS, 5, [5]),
    ("list", NUMBERS, "12", [12]),
    ("list", PARTIES, {"name": "A", "since": None}, [{"name": "A", "since": None}]),
    ("list", PARTIES, {"name": "A", "since": "3 March 2024"}, [{"name": "A", "since": "2024-03-03"}]),
    ("object", PARTY, [{"name": "A", "since": "N/A"}], {"name": "A", "since": None}),
]  # fmt: skip


def ids(cases):
    return [f"{number} {case[0]}" for number, case in enumerate(cases)]


@pytest.mark.parametrize(("definition", "given", "meant"), [case[1:] for case in READ], ids=ids(READ))
def test_a_common_spelling_is_read_and_the_original_is_kept(definition, given, meant):
    judgement = judged_value(definition, given)

    assert judgement.reason is None
    assert judgement.output == {"field": meant}
    assert type(judgement.output["field"]) is type(meant)
    assert judgement.originals["field"] == given


@pytest.mark.parametrize(("definition", "given"), [case[1:3] for case in READ], ids=ids(READ))
def test_without_normalising_none_of_them_is_read(definition, given):
    assert judged_value(definition, given, normalise=False).outcome is Outcome.INVALID


def test_the_documentation_lists_every_rule():
    page = (Path(batchrun.__file__).parent / "docs" / "job-file.md").read_text()
    rules = [f"| `{name}` | {rule.said} |\n" for name, rule in NORMALISERS.items()]

    assert "|---|---|\n" + "".join(rules) + "\n" in page


def test_every_rule_has_cases():
    assert {case[0] for case in READ} == {case[0] for case in NOT_GUESSED} == set(NORMALISERS)


NOT_GUESSED = [
    ("enum", ENUM, "N.D.A."),
    ("enum", ENUM, "NDA (mutual)"),
    ("null", "date", "N/A"),
    ("null", "date?", "unknown"),
    ("null", "integer?", "-"),
    ("null", "number?", "nil"),
    ("boolean", "boolean", "Y"),
    ("boolean", "boolean", "n"),
    ("boolean", "boolean", 1),
    ("boolean", "boolean", "1"),
    ("boolean", "boolean", "yes, if renewed"),
    ("number", "number", "1.234"),
    ("number", "number", "1,234"),
    ("number", "integer", "1.234"),
    ("number", "number", "€1,459"),
    ("number", "number", "$3.459"),
    ("number", "integer", "1,234 million"),
    ("number", "number", "1.234 million"),
    ("number", "integer", "1.5"),
    ("number", "number", "12%"),
    ("number", "number", "(500)"),
    ("number", "number", "1.2m"),
    ("number", "number", "5k"),
    ("number", "number", "12 months"),
    ("number", "integer", "twenty-four (24)"),
    ("number", "integer", "twenty-four"),
    ("number", "integer", "24 (twenty-four)"),
    ("number", "integer", "12,34,567"),
    ("number", "integer", "1.23.456"),
    ("number", "number", "1,234,56"),
    ("number", "integer", "007"),
    ("number", "integer", "10-12"),
    ("number", "number", "about 5"),
    ("number", "number", "~5"),
    ("number", "number", ">5"),
    ("number", "number", "1/2"),
    ("number", "number", "1e5"),
    ("number", "number", "NaN"),
    ("number", "integer", "\uff11\uff12"),
    ("number", "integer", "9223372036854775808"),
    ("number", "integer", True),
    ("text", "string", True),
    ("text", "string", None),
    ("text", "string", ["a"]),
    ("text", {"type": "string", "max_length": 1}, 12),
    ("text", ENUM, 6),
    ("date", "date", "03/04/2024"),
    ("date", "date", "3-4-2024"),
    ("date", "date", "12.31.2024"),
    ("date", "date", "3/31/24"),
    ("date", "date", "20240303"),
    ("date", "date", "March 2024"),
    ("date", "date", "2024"),
    ("date", "date", "30 February 2024"),
    ("date", "date", "29 February 2023"),
    ("date", "date", "3 Marsh 2024"),
    ("date", "date", "as of March 3, 2024"),
    ("date", "date", "March 3, 2024 or later"),
    ("date", "date", "fifth day of January, 2012"),
    ("date", "date", "2024-03-03T15:30:00Z"),
    ("date", "date", "0000/01/01"),
    ("date", "date", "2024/03-03"),
    ("date", "date", 20240303),
    ("datetime", "datetime", "2024-03-03"),
    ("datetime", "datetime", "3 March 2024"),
    ("datetime", "datetime", "03/04/2024 14:30"),
    ("datetime", "datetime", "2024-03-03 9:30"),
    ("datetime", "datetime", "2024-03-03 13:30 pm"),
    ("datetime", "datetime", "2024-03-03 24:30"),
    ("datetime", "datetime", "2024-03-03 14:30 EST"),
    ("datetime", "datetime", "2024-03-03 noon"),
    ("list", TEXTS, "Smith, Jones"),
    ("list", TEXTS, "Smith; Jones"),
    ("list", TEXTS, "Smith\nJones"),
    ("list", TEXTS, ""),
    ("list", TEXTS, "N/A"),
    ("list", TEXTS, None),
    ("list", TEXTS, {"name": "A"}),
    ("list", {**TEXTS, "min_items": 2}, "one"),
    ("object", PARTY, [{"name": "A", "since": None}] * 2),
    ("object", PARTY, []),
    ("object", PARTY, ["A"]),
    ("object", PARTY, [[{"name": "A", "since": None}]]),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "given"), [case[1:] for case in NOT_GUESSED], ids=ids(NOT_GUESSED))
def test_what_may_mean_several_things_is_not_guessed(definition, given):
    judgement = judged_value(definition, given)

    assert judgement.outcome is Outcome.INVALID
    assert judgement == judged_value(definition, given, normalise=False)


VALID = [
    ("a text field may say N/A", "string?", "N/A"),
    ("a text field may be empty", "string?", ""),
    ("a text field may have a day", "string", "3 March 2024"),
    ("a text may have space around", "string", " a "),
    ("a list of a word", TEXTS, ["N/A"]),
    ("a fraction that is a number", "number", 1.234),
]


@pytest.mark.parametrize(("definition", "given"), [case[1:] for case in VALID], ids=[case[0] for case in VALID])
def test_a_valid_value_stays_as_it_is_beside_one_that_is_rewritten(definition, given):
    fields = {"field": definition, "day": "date"}
    form = AnswerForm(OutputFields(TypeAdapter(ColumnFields).validate_python(fields)).full_schema)
    judgement = judged(form, json.dumps({"field": given, "day": "3 March 2024"}))

    assert judgement.output == {"field": given, "day": "2024-03-03"}
    assert judgement.originals == {"day": "3 March 2024"}


def test_originals_are_named_by_their_place_at_any_depth():
    reply = {"field": [{"name": "A", "since": "2024-01-01"}, {"name": 7, "since": "N/A"}]}

    judgement = judged(form_of(PARTIES), json.dumps(reply))

    assert judgement.originals == {"field[1].name": 7, "field[1].since": "N/A"}
    assert judgement.output == {"field": [reply["field"][0], {"name": "7", "since": None}]}


def test_an_entry_that_became_a_list_is_kept_whole_beside_its_parts():
    entry = {"name": "A", "since": "3 March 2024"}

    judgement = judged_value(PARTIES, entry)

    assert judgement.originals == {"field": entry, "field[0].since": "3 March 2024"}


def test_one_object_in_a_list_is_the_reply():
    judgement = judged(form_of("string"), '[{"field": "a"}]')

    assert (judgement.output, judgement.originals) == ({"field": "a"}, {"": [{"field": "a"}]})


def test_a_missing_field_is_not_made_up():
    judgement = judged(form_of("date?"), "{}")

    assert judgement.reason == "field: required"


WRITTEN = {
    "0.10": "0.10", "100.00": "100.00", "-0.5": "-0.5", "0.0000001": "0.0000001",
    "1e3": None, "1e999999999999": None, "1e-200": None, "2.5E2": None,
}  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_a_number_in_a_text_field_keeps_its_digits(written):
    judgement = judged(form_of("string"), f'{{"field": {written}}}')

    assert (judgement.output or {}).get("field") == WRITTEN[written]


MENDED = [
    ("a fence that never ends", '```json\n{"field": ["a"]}'),
    ("a fence that never began", '{"field": ["a"]}\n```\n'),
    ("a fence on the same line", '```{"field": ["a"]}```'),
    ("a fence of another language", '\n```javascript\n{"field": ["a"]}\n```'),
    ("a comma before a bracket", '{"field": ["a", ]}'),
    ("a comma before a brace", '{"field": ["a"],\n}'),
    ("commas in a fence", '```json\n{"field": ["a",],}\n```'),
]


@pytest.mark.parametrize("text", [case[1] for case in MENDED], ids=[case[0] for case in MENDED])
def test_stray_marks_around_json_are_taken_off(text):
    form = form_of(TEXTS)

    assert judged(form, text).output == {"field": ["a"]}
    assert judged(form_of(TEXTS, normalise=False), text).outcome is Outcome.INVALID


@pytest.mark.parametrize("text", [case[1] for case in MENDED], ids=[case[0] for case in MENDED])
def test_stray_marks_around_the_input_of_a_tool_are_taken_off(text):
    form = form_of(TEXTS, mode="tool")
    reply = Reply("", "tool_use", None, "m", None, "{}", tool_input=text)

    assert Judge(form).judge(reply).output == {"field": ["a"]}


def test_marks_inside_of_texts_stay():
    text = '{"field": ["a,]", "b\\",}", "```", "\\\\",],}'

    assert judged(form_of(TEXTS), text).output == {"field": ["a,]", 'b",}', "```", "\\"]}


UNMENDED = [
    ("two commas", '{"field": ["a",,]}'),
    ("a comma without a value", '{"field": [,]}'),
    ("a comma in an empty object", "{,}"),
    ("a comma at the end", '{"field": ["a"]},'),
    ("words before a fence", 'Here:\n```json\n{"field": ["a"]}\n```'),
    ("words after a fence", '```json\n{"field": ["a"]}\n```\nDone.'),
    ("two fences", '```json\n{"field": ["a"]}\n```\n```json\n{"field": ["b"]}\n```'),
    ("cut off", '{"field": ["a",'),
    ("a name twice", '{"field": ["a"], "field": ["b"],}'),
    ("single quotes", "{'field': ['a'],}"),
]


@pytest.mark.parametrize("text", [case[1] for case in UNMENDED], ids=[case[0] for case in UNMENDED])
def test_other_faults_of_json_stay_and_are_told_as_before(text):
    judgement = judged(form_of(TEXTS), text)

    assert judgement.outcome is Outcome.INVALID
    assert judgement == judged(form_of(TEXTS, normalise=False), text)


MEGABYTE = 1_000_000
HOSTILE = {
    "brackets": "[" * MEGABYTE,
    "brackets with commas": "[," * (MEGABYTE // 2),
    "commas": "{" + "," * MEGABYTE,
    "commas and space": "[1" + " , " * (MEGABYTE // 3),
    "one comma before much space": "[1," + " " * MEGABYTE + "x",
    "an open string of quotes": '{"field": "' + '\\"' * (MEGABYTE // 2),
    "backslashes": '"' + "\\" * MEGABYTE,
    "fences": "```" * (MEGABYTE // 3),
    "fences on lines": "```\n" * (MEGABYTE // 4),
    "space after a fence": "```" + " " * MEGABYTE + "x",
    "names": "{" + ",".join(f'"{number}":1' for number in range(80_000)) + ',"79999":2}',
    "digits": '{"field": ' + "7" * 10_000 + "}",
}
HOSTILE_TEXTS = {
    "digits in a text": '{"field": "' + "7" * MEGABYTE + '"}',
    "groups in a text": '{"field": "' + "1," * (MEGABYTE // 2) + '"}',
    "space in a text": '{"field": "3' + " " * MEGABYTE + '"}',
    "a long day": '{"field": "' + "March " * (MEGABYTE // 6) + '"}',
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [pytest.param("integer", text, id=name) for name, text in HOSTILE.items()]
    + [
        pytest.param(kind, text, id=f"{kind} {name}")
        for name, text in HOSTILE_TEXTS.items()
        for kind in ("integer", "number?", "date", "datetime?")
    ],
)
def test_a_hostile_megabyte_is_judged(kind, text):
    judgement = judged(form_of(kind), text)

    assert judgement.outcome is Outcome.INVALID
    assert len(judgement.reason) < 400
