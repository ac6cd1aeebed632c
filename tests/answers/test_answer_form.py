from batchrun.answers.form import AnswerForm
from batchrun.answers.validation import Judge
from batchrun.outcome import Outcome
from batchrun.reply import Reply

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "boolean"}},
    "required": ["a", "b", "c"],
    "additionalProperties": False,
}
FORM = AnswerForm(full_schema={"$schema": "x", **SCHEMA}, api_schema=SCHEMA, normalise=False, null_fields=True)


def test_some_fields_of_a_form_keep_the_order_of_the_form_and_its_ways():
    form = FORM.only(["c", "a"])

    assert list(form.api_schema["properties"]) == form.api_schema["required"] == ["a", "c"]
    assert form.full_schema == {"$schema": "x", **form.api_schema}
    assert (form.mode, form.normalise, form.null_fields) == (FORM.mode, False, True)


def test_the_form_of_the_same_fields_is_made_once():
    assert FORM.only(["c", "a"]) is FORM.only(("a", "c"))


def test_a_form_without_a_schema_for_the_api_has_none_for_some_fields():
    assert AnswerForm(full_schema=SCHEMA).only(["a"]).api_schema == {}


def test_a_form_of_which_some_were_taken_is_kept_as_before():
    fresh = AnswerForm(full_schema=SCHEMA)
    fresh.only(["a"])

    assert AnswerForm.from_json(fresh.as_json) == AnswerForm(full_schema=SCHEMA)


def test_the_judge_of_some_fields_takes_only_these():
    judge = Judge(AnswerForm(full_schema=SCHEMA).only(["b"]))

    def judged(text):
        reply = Reply(text=text, stop_reason="end_turn", usage=None, model="m", api_request_id=None, raw="{}")
        return judge.judge(reply)

    assert judged('{"b": 1}').output == {"b": 1}
    assert judged('{"a": "x", "b": 1, "c": true}').outcome is Outcome.INVALID
