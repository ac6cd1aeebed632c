"""A document becomes the bytes that are sent, and the same bytes every time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.document import Document

PROMPT = 'user = "<d>{{ doc.text }}</d>"'
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "description": "{maxLength: 9}"}},
    "required": ["title"],
    "additionalProperties": False,
}
DOCUMENT = Document(doc_id="a", source="a", text="hello")


@pytest.fixture(scope="module")
def load(template_of):
    return lambda *change: template_of(PROMPT, *([change] if change else []))


def test_the_least_request(load):
    assert json.loads(load().request(DOCUMENT).body) == {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "<d>hello</d>"}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }


def test_the_optional_parts(load):
    template = load("[prompt]", 'effort = "low"\nthinking = "adaptive"\n[prompt]\nsystem = "Be brief."')
    body = json.loads(template.request(DOCUMENT, max_tokens=7).body)
    assert body["system"] == "Be brief."
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"]["effort"] == "low"
    assert body["max_tokens"] == 7


def test_a_budget_of_thinking_is_sent_beside_its_type(load):
    keys = 'max_tokens = 2000\nthinking = "enabled"\nbudget_tokens = 1024'
    body = json.loads(load("max_tokens = 100", keys).request(DOCUMENT).body)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1_024}


def test_what_is_the_same_in_every_request_is_counted_once(load):
    assert load().renderer.prompt_text == "<d>\n</d>"
    assert load().renderer.asking.rendered == json.dumps(SCHEMA, separators=(",", ":"))
    assert load("[prompt]", '[prompt]\nsystem = "Be brief."').renderer.prompt_text == "Be brief.\n<d>\n</d>"


def test_planning_twice_gives_the_same_names(load):
    assert load().request(DOCUMENT) == load().request(DOCUMENT)
    assert load().fingerprint == load().fingerprint


CHANGES = {
    "system": ("[prompt]", '[prompt]\nsystem = "x"'),
    "template": ("<d>", "<e>"),
    "model": ("haiku", "sonnet"),
    "max_tokens": ("100", "101"),
    "effort": ("[prompt]", 'effort = "low"\n[prompt]'),
    "thinking": ("[prompt]", 'thinking = "adaptive"\n[prompt]'),
    "field": ("title", "titel"),
    "rule": ("max_length = 9", "max_length = 8"),
}
NO_CHANGES = {
    "comment": ("[budget]", "# hello\n[budget]"),
    "spacing": ("{{ doc.text }}", "{{doc.text}}"),
    "name": ('"x"', '"y"'),
    "budget": ("max_cost_usd = 1", "max_cost_usd = 2"),
    "cache": ("[prompt]", '[prompt]\ncache = "1h"'),
}


@pytest.mark.parametrize(("old", "new"), CHANGES.values(), ids=CHANGES)
def test_what_changes_every_request(load, old, new):
    assert load(old, new).fingerprint != load().fingerprint
    assert load(old, new).request(DOCUMENT).request_id != load().request(DOCUMENT).request_id


@pytest.mark.parametrize(("old", "new"), NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_changes_no_request(load, old, new):
    assert load(old, new).fingerprint == load().fingerprint
    assert load(old, new).request(DOCUMENT) == load().request(DOCUMENT)


@pytest.mark.slow
@given(text=st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_can_be_sent(load, text):
    content = json.loads(load().request(Document(doc_id="a", source="a", text=text)).body)["messages"][0]["content"]
    content.encode("utf-8")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert content == f"<d>{text}</d>"


def test_half_characters_are_replaced(load):
    document = Document(doc_id="a", source="a", text="a\ud83d b\ud83d\ude00 \udc00")
    assert b"<d>a\xef\xbf\xbd b\xf0\x9f\x98\x80 \xef\xbf\xbd</d>" in load().request(document).body
