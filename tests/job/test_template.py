"""The prompt template."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.document import Document
from batchrun.errors import UsageProblem
from batchrun.job.template import Template, TemplateError

DOCUMENT = Document(
    doc_id="a.txt",
    source="inbox",
    text="{{ doc.id }} {% if %}",
    columns={"customer": "Ana", "n": 3, "gone": None, "größe": 1.5},
)

RENDERED = {
    "text": ("<d>{{ doc.text }}</d>", "<d>{{ doc.id }} {% if %}</d>"),
    "spacing": ("{{doc.id}}|{{  doc.id\n}}", "a.txt|a.txt"),
    "columns": ("{{ doc.customer }} {{ doc.n }} [{{ doc.gone }}] {{ doc.größe }}", "Ana 3 [] 1.5"),
    "no template": ('{"a": {"b": 1}} }} %} #} {', '{"a": {"b": 1}} }} %} #} {'),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("template", "expected"), RENDERED.values(), ids=RENDERED)
def test_render(template, expected):
    assert Template.parse(template).render(DOCUMENT) == expected


LOGIC = "put logic in the source query, as a column, and write {{ doc.<column> }}"
KNOWN = "a template knows {{ doc.text }}, {{ doc.id }} and {{ doc.<column> }}"
FAULTS = {
    "filter": ("{{ doc.text | upper }}", "`{{ doc.text | upper }}` is not supported", LOGIC),
    "deeper": ("{{ doc.a.b }}", "`{{ doc.a.b }}` is not supported", LOGIC),
    "statement": ("{% for x in y %}", "`{% for x in y %}` is not supported", LOGIC),
    "comment": ("{# note #}", "`{# note #}` is not supported", LOGIC),
    "environment": ("{{ env.HOME }}", "`{{ env.HOME }}` is not supported", "secrets do not belong in prompts"),
    "bare name": ("{{ text }}", "`{{ text }}` is not supported", "did you mean {{ doc.text }}?"),
    "bare column": ("{{ customer }}", "`{{ customer }}` is not supported", "did you mean {{ doc.customer }}?"),
    "nothing": ("{{ }}", "`{{  }}` is not supported", KNOWN),
    "other object": ("{{ row.x }}", "`{{ row.x }}` is not supported", KNOWN),
    "open": ("{{ doc.text", "`{{` is never closed", f"close it with `}}}}`; {KNOWN}"),
    "open statement": ("{% if", "`{%` is never closed", f"close it with `%}}`; {KNOWN}"),
    "JSON in braces": ('{{"a": 1}}', '`{{ "a": 1 }}` is not supported', KNOWN),
}


@pytest.mark.parametrize(("template", "message", "hint"), FAULTS.values(), ids=FAULTS)
def test_fault(template, message, hint):
    with pytest.raises(TemplateError) as caught:
        Template.parse(f"before {template}")
    (fault,) = caught.value.faults
    assert (fault.message, fault.hint, fault.span.start) == (message, hint, len("before "))


def test_every_fault_is_told():
    with pytest.raises(TemplateError) as caught:
        Template.parse("{{ a b }} {{ doc.text }} {% x %} {{")
    assert [fault.span.start for fault in caught.value.faults] == [0, 25, 33]


def test_names_are_columns_only():
    assert Template.parse("{{ doc.text }}{{ doc.id }}{{ doc.b }}{{ doc.a }}{{ doc.b }}").names == {"a", "b"}


def test_a_column_that_is_not_there():
    with pytest.raises(UsageProblem, match=r"the prompt uses doc\.custmer, and inbox has no such column") as caught:
        Template.parse("{{ doc.custmer }}").render(DOCUMENT)
    assert caught.value.hint == "known here: id, text, customer, n, gone, größe"


@pytest.mark.slow
@given(st.text(), st.text(st.characters(exclude_characters="{")), st.text(st.characters(exclude_characters="{")))
def test_a_document_is_data(text, before, after):
    template = Template.parse(f"{before}{{{{ doc.text }}}}{after}")
    assert template.render(Document(doc_id="x", source="x", text=text)) == before + text + after
