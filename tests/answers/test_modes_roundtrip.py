"""What is written in a mode is read back in the mode, whatever the schema; and nobody suffers from hostile XML."""

import json
from decimal import Decimal
from functools import partial
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from batchrun.answers.form import AnswerForm
from batchrun.answers.json_text import UnusableError
from batchrun.answers.modes import MODES
from batchrun.answers.validation import Judge
from batchrun.answers.values import without_null
from batchrun.answers.xml_text import parsed_xml
from batchrun.answers.xml_words import FIRST_WORDS, SCHEMA_LINE, root_of, xml_words
from batchrun.job.field_types import ColumnFields
from batchrun.job.fields import OutputFields
from batchrun.outcome import Outcome
from batchrun.reply import Reply
from batchrun.simulator.replies.xml_answer import xml_answer

pytestmark = pytest.mark.slow

NAMES = st.sampled_from(["a", "title", "item", "answer", "answer_", "List", "_x", "b2"])
SCALARS = st.sampled_from(["string", "integer", "number", "boolean", "date", "datetime"])
NULLABLE = st.sampled_from(["", "?"])
PLAIN = st.builds(lambda name, mark: {"type": name + mark}, SCALARS, NULLABLE)
ENUMS = st.builds(lambda mark: {"type": f"enum{mark}", "enum": ["x", "<b>", "a & b"]}, NULLABLE)


def lists(items):
    return st.builds(lambda item, mark: {"type": f"array{mark}", "items": item}, items, NULLABLE)


def objects(fields):
    named = st.dictionaries(NAMES, fields, min_size=1, max_size=3)
    return st.builds(lambda fields, mark: {"type": f"object{mark}", "fields": fields}, named, NULLABLE)


FIELDS = st.recursive(PLAIN | ENUMS, lambda inner: lists(inner) | objects(inner), max_leaves=5)
COLUMNS = st.dictionaries(NAMES.filter(lambda name: not name.startswith("_")), FIELDS, min_size=1, max_size=4)
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["<title>", "</answer>", "a & b &amp; c", "]]>", "<!--", " x ", "\n", "1"]
)
VALUES = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "string": TEXTS,
    "date": st.dates().map(str),
    "date-time": st.datetimes().map(str),
}


def form_of(definitions, mode="xml"):
    fields = OutputFields(TypeAdapter(ColumnFields).validate_python(definitions))
    return AnswerForm(fields.full_schema, fields.api_schema, mode=mode)


def values_for(schema):
    """Values that are valid, and that XML can tell apart: an empty element says null where null is allowed."""
    bare = without_null(schema)
    if "enum" in bare:
        values = st.sampled_from(bare["enum"])
    elif "properties" in bare:
        values = st.fixed_dictionaries({name: values_for(inner) for name, inner in bare["properties"].items()})
    elif "items" in bare:
        values = st.lists(values_for(bare["items"]), max_size=3)
    else:
        values = VALUES[bare.get("format", bare["type"])]
    values = values.map(lambda value: value.strip() if isinstance(value, str) else value)
    return values if bare is schema else values.map(lambda value: None if value in ("", []) else value) | st.none()


@st.composite
def asked(draw):
    definitions = draw(COLUMNS)
    return definitions, draw(values_for(form_of(definitions).full_schema))


def reply(text="", *, tool_input=None, stop_reason="end_turn"):
    return Reply(text, stop_reason, None, "m", None, "{}", tool_input=tool_input)


def json_reply(value, form):
    return reply(json.dumps(value))


def tool_reply(value, form):
    return reply(tool_input=json.dumps(value), stop_reason="tool_use")


def xml_reply(value, form, chatty=False):
    return reply(xml_answer(value, root_of(form.api_schema), chatty=chatty))


WRITTEN = [
    ("tool", tool_reply),
    ("tool", json_reply),
    ("xml", xml_reply),
    ("xml", partial(xml_reply, chatty=True)),
]


@pytest.mark.parametrize(("mode", "write"), WRITTEN, ids=["tool", "tool-text", "xml", "xml-fenced"])
@given(asked=asked())
def test_what_a_mode_writes_it_reads_back(mode, write, asked):
    definitions, value = asked
    form = form_of(definitions, mode)
    judged = Judge(form).judge(write(value, form))
    assert judged.reason is None
    expected = Judge(form_of(definitions, "json_schema")).judge(json_reply(value, form))
    assert judged == expected
    assert judged.outcome is Outcome.SUCCEEDED


@given(definitions=COLUMNS, damage=st.text(alphabet='<>/!-[]&;"abcitemtlansw =\n', max_size=200))
def test_the_judge_of_xml_never_raises(definitions, damage):
    judged = Judge(form_of(definitions)).judge(reply(damage))
    assert judged.outcome in {Outcome.SUCCEEDED, Outcome.INVALID}
    assert (judged.output is None) == (judged.outcome is Outcome.INVALID)


@given(asked=asked(), data=st.data())
def test_damaged_xml_is_judged(asked, data):
    definitions, value = asked
    form = form_of(definitions)
    text = xml_reply(value, form).text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    damaged = text[:start] + data.draw(st.sampled_from(["", "<", "</", "<title", "&#"])) + text[end:]
    judged = Judge(form).judge(reply(damaged))
    assert judged.outcome in {Outcome.SUCCEEDED, Outcome.INVALID}
    assert (judged.output is None) == bool(judged.reason)


@given(text=TEXTS.filter(str.strip))
def test_plain_text_is_the_column_as_it_is(text):
    judged = Judge(form_of({"summary": "string"}, "text")).judge(reply(text))
    assert judged.output == {"summary": text}


# --- XML as models write it

FORM = {
    "title": "string",
    "day": "date?",
    "months": "integer?",
    "fee": "number?",
    "renews": "boolean?",
    "tags": {"type": "array", "items": "string"},
    "parties": {"type": "array", "items": {"type": "object", "fields": {"name": "string", "share": "number?"}}},
}
SCHEMA = form_of(FORM).full_schema
READ = {
    "plain": ("<answer><title>Lease</title></answer>", {"title": "Lease"}),
    "no-root": ("<title>Lease</title><months>12</months>", {"title": "Lease", "months": 12}),
    "around": ("Sure!\n\n```xml\n<answer><title>Lease</title></answer>\n```\nAnything else?", {"title": "Lease"}),
    "declared": ('<?xml version="1.0"?>\n<!DOCTYPE answer>\n<answer><title>Lease</title></answer>', {"title": "Lease"}),
    "attributes": ("""<answer lang="en"><title kind='a>b' n="1">Lease</title></answer>""", {"title": "Lease"}),
    "empty": ("<answer><title/><day/><tags/><fee /></answer>", {"title": "", "day": None, "tags": [], "fee": None}),
    "entities": ("<title>A &amp; B &lt;c&gt; &#8364; &#x20AC; &euro; &apos;</title>", {"title": "A & B <c> € € € '"}),
    "unknown-entity": (
        "<title>&nothing; & C &#0; &#xD800; &amp;lt;</title>",
        {"title": "&nothing; & C &#0; &#xD800; &lt;"},
    ),
    "cdata": ("<title><![CDATA[a <b> &amp; c]]></title>", {"title": "a <b> &amp; c"}),
    "comment": ("<title>a<!-- <title>no</title> -->b</title>", {"title": "ab"}),
    "stray": ("<title>a < b <b>bold</b> <!-- x</title>", {"title": "a < b <b>bold</b> <!-- x"}),
    "unclosed": (
        "<answer><title>Lease<months>12<tags><item>a<item>b</answer>",
        {"title": "Lease", "months": 12, "tags": ["a", "b"]},
    ),
    "no-end": ("<answer><title>Lease</title>", {"title": "Lease"}),
    "repeated": ("<title>Lease</title><title>Lease</title>", {"title": "Lease"}),
    "repeated-list": ("<tags>a</tags><tags>b</tags><tags><item>c</item></tags>", {"tags": ["a", "b", "c"]}),
    "draft": (
        "<answer><title>Draft</title><months>1</months></answer>\n<answer><title>Last</title></answer>",
        {"title": "Last"},
    ),
    "behind": ("<answer><title>Lease</title></answer><title>Other</title>", {"title": "Lease"}),
    "objects": (
        "<parties>\n <item>\n <name>A</name>\n <share>0.5</share></item><item><name>B</name><share/></item></parties>",
        {"parties": [{"name": "A", "share": Decimal("0.5")}, {"name": "B", "share": None}]},
    ),
    "exact": ("<fee>1234567890.123456789</fee>", {"fee": Decimal("1234567890.123456789")}),
    "booleans": ("<renews> TRUE </renews>", {"renews": True}),
    "no-number": (
        "<months>twelve</months><fee>1,234</fee><renews>yes</renews>",
        {"months": "twelve", "fee": "1,234", "renews": "yes"},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_xml_is_read_as_it_is_meant(name):
    text, expected = READ[name]
    assert parsed_xml(text, SCHEMA) == expected


UNUSABLE = {
    "blank": (" \n", "the reply has no text"),
    "prose": ("I cannot find any contract here.", "the reply has none of the elements that were asked for"),
    "other": ("<result><titel>x</titel></result>", "the reply has none of the elements that were asked for"),
    "cut": ("<answer><title>Lease</title><day>2024-0", "the reply ends within 'day'"),
    "cut-item": ("<answer><tags><item>a</item><item>b", "the reply ends within 'item'"),
    "twice": ("<title>One</title><title>Two</title>", "'title' appears twice"),
    "no-items": ("<parties>A and B</parties>", "'parties' has text where <item> is expected"),
    "endless": ("<fee>1e999</fee>", "1e999 is too large a number"),
    "half": ("<title>\ud83d</title>", "the reply holds half a surrogate pair, which is no character"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_xml_without_a_plain_sense_is_unusable(name):
    text, reason = UNUSABLE[name]
    with pytest.raises(UnusableError) as told:
        parsed_xml(text, SCHEMA)
    assert str(told.value) == reason


def bomb(levels):
    declared = "".join(f"<!ENTITY e{level} {quoteattr(f'&e{level - 1};' * 10)}>" for level in range(1, levels))
    return f'<!DOCTYPE answer [<!ENTITY e0 "boom">{declared}<!ENTITY file SYSTEM "file:///etc/passwd">]>'


MANY = 1_000_000
HOSTILE = {
    "opening": ("<" * MANY, None),
    "comments": ("<title>x" + "<!--" * MANY + "</title>", "x" + "<!--" * MANY),
    "cdata": ("<title>" + "<![CDATA[" * MANY + "]]></title>", "<![CDATA[" * (MANY - 1)),
    "quotes": ("<title " + "\"'" * MANY + "</title>", None),
    "spaces": ("<title" + " " * MANY + "<title>x</title>", "x"),
    "entities": ("<title>" + "&" * MANY + "#" * MANY + "</title>", "&" * MANY + "#" * MANY),
    "nested": ("<title>" * 10_000 + "x" + "</title>" * 10_000, None),
    "lists": ("<parties><item>" * 10_000 + "<title>x</title>", "x"),
    "unknown": ("<a>" * MANY + "<title>x</title>", "x"),
    "ends": ("<title>x</title>" + "</answer>" * MANY, "x"),
    "bomb": (bomb(30) + "<title>&e29;&file;</title>", "&e29;&file;"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_bounded(name):
    text, title = HOSTILE[name]
    try:
        found = parsed_xml(text, SCHEMA).get("title")
    except UnusableError:
        found = None
    assert found == title


# --- the words


def test_the_words_of_xml_are_the_same_every_time():
    words = xml_words(form_of({"title": {"type": "string", "max_length": 9}, "tags": FORM["tags"]}).api_schema)
    first, example, rules, last = words.splitlines()
    assert first == f"{FIRST_WORDS}, of this form:"
    assert example == "<answer><title>…</title><tags><item>…</item></tags></answer>"
    assert "A value that may be null is an empty element" in rules
    assert json.loads(last.removeprefix(SCHEMA_LINE))["properties"]["title"]["description"] == "{maxLength: 9}"


def test_the_words_of_text_tell_the_description():
    form = form_of({"summary": {"type": "string", "description": "Two sentences"}}, "text")
    assert MODES["text"].ask(form, "forced").words == "Reply with the summary alone.\nTwo sentences"


def test_the_whole_answer_has_a_name_of_its_own():
    assert root_of(form_of({"answer": "string", "answer_": "string"}).api_schema) == "answer__"
