"""Quotes that are asked for with fields: where they stand, and what becomes of values that they do not support."""

import json
from typing import Any

import pytest
from scripted_provider import ScriptedProvider, answer
from trial_project import TrialProject

from batchrun.outcome import Outcome

TEXT = (
    "MASTER AGREEMENT\n\nThis Agreement is made on 3 March 2024 between Alder Ltd and Birch plc.\n\n"
    "The initial term of this Agreement is twenty-four (24) months from the date above.\n"
)
TRUE = "The initial term of this Agreement is twenty-four (24) months from the date above."
CHANGED = "The initial term of this Agreement is thirty-six (36) months from the date above."
FIELDS = 'term = "integer?"\nsigned = { type = "date?", evidence = false }'


def given(project: TrialProject, output: str = "evidence = true", fields: str = FIELDS, text: str = TEXT) -> None:
    project.document("a.txt", text)
    model = 'name = "claude-haiku-4-5"\nmax_tokens = 1000'
    project.job(output=output, output_fields=fields, prompt='user = "Read: {{ doc.text }}"', model=model)


def said(quote: str, term: int | None = 24) -> dict[str, Any]:
    return {"term_quote": quote, "term": term, "signed": "2024-03-03"}


def evidence(project: TrialProject) -> dict[str, Any]:
    ((told,),) = project.rows("select _evidence::varchar from trial")
    return dict(json.loads(told))


def test_a_quote_is_asked_for_before_its_field_and_is_no_column(project: TrialProject) -> None:
    given(project)
    provider = ScriptedProvider(default=answer(said(TRUE)))

    project.submit(provider)

    assert project.rows("select term, signed::varchar from trial") == [(24, "2024-03-03")]
    found = evidence(project)["term"]
    assert found["status"] == "exact"
    assert found["value"] == "supported"
    assert [TEXT[start:end] for start, end in found["spans"]] == [TRUE.removesuffix(".")]
    assert set(evidence(project)) == {"term"}


@pytest.mark.parametrize(
    ("policy", "row"),
    [("keep", [(36,)]), ("null", [(None,)]), ("fail", [])],
    ids=["keep", "null", "fail"],
)
def test_what_becomes_of_a_value_that_the_document_does_not_say(
    project: TrialProject, policy: str, row: list[Any]
) -> None:
    given(project, f'evidence = true\nunsupported = "{policy}"\nmax_repairs = 0')
    summary = project.submit(ScriptedProvider(default=answer(said(CHANGED, 36))))

    assert project.rows("select term from trial") == row
    if policy == "fail":
        assert summary.outcomes == {Outcome.INVALID: 1}
        ((reason,),) = project.ask("select reason from requests")
        assert reason.startswith("term: its quote differs from the document: 'The initial term")
    else:
        assert evidence(project)["term"]["status"] == "differs"


def test_a_value_without_support_is_shown_to_the_model(project: TrialProject) -> None:
    given(project, 'evidence = true\nunsupported = "fail"')
    provider = ScriptedProvider({f"Read: {TEXT}": [answer(said(CHANGED, 36)), answer(said(TRUE))]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert project.rows("select term, _attempts from trial") == [(24, 2)]


def test_a_quote_that_says_something_else_supports_no_value(project: TrialProject) -> None:
    given(project, 'evidence = true\nunsupported = "null"')

    project.submit(ScriptedProvider(default=answer(said(TRUE, 36))))

    assert project.rows("select term from trial") == [(None,)]
    assert evidence(project)["term"]["problem"] == "its quote says something else"
    ((told,),) = project.rows("select _problems::varchar from trial")
    assert json.loads(told) == {"term": "term: its quote says something else"}


def test_null_needs_no_quote(project: TrialProject) -> None:
    given(project, 'evidence = true\nunsupported = "fail"')

    summary = project.submit(ScriptedProvider(default=answer(said("", None))))

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert evidence(project) == {"term": {"status": "none"}}


@pytest.mark.parametrize(
    ("quote", "kept"),
    [("", False), (TRUE, False), (CHANGED, None), ("The parties never agreed upon any term of this Agreement.", None)],
    ids=["none", "true", "changed", "invented"],
)
def test_a_no_needs_no_quote_and_is_not_believed_with_a_false_one(
    project: TrialProject, quote: str, kept: bool | None
) -> None:
    given(project, 'evidence = true\nunsupported = "null"', 'renews = "boolean?"')

    project.submit(ScriptedProvider(default=answer({"renews_quote": quote, "renews": False})))

    assert project.rows("select renews from trial") == [(kept,)]


def test_a_field_that_is_a_quote_itself(project: TrialProject) -> None:
    given(project, "", 'law = { type = "string?", quote_of = "document" }')

    project.submit(ScriptedProvider(default=answer({"law": TRUE})))

    assert project.rows("select law from trial") == [(TRUE,)]
    assert evidence(project)["law"]["status"] == "exact"


def test_every_entry_of_a_list_has_a_quote_of_its_own(project: TrialProject) -> None:
    fields = 'parties = { type = "array", items = { type = "object", fields = { name = "string" } } }'
    given(project, "evidence = true", fields)
    entries = [
        {"quote": "made on 3 March 2024 between Alder Ltd and Birch plc", "name": "Alder Ltd"},
        {"quote": "made on 3 March 2025 between Alder Ltd and Birch plc", "name": "Birch plc"},
    ]

    project.submit(ScriptedProvider(default=answer({"parties": entries})))

    assert project.rows("select parties from trial") == [([{"name": "Alder Ltd"}, {"name": "Birch plc"}],)]
    assert [one["status"] for one in evidence(project)["parties"]] == ["exact", "differs"]


def test_an_entry_without_support_leaves_its_list(project: TrialProject) -> None:
    fields = 'parties = { type = "array", items = { type = "object", fields = { name = "string" } } }'
    given(project, 'evidence = true\nunsupported = "null"', fields)
    entries = [
        {"quote": "made on 3 March 2025 between Alder Ltd and Birch plc", "name": "Cedar AG"},
        {"quote": "made on 3 March 2024 between Alder Ltd and Birch plc", "name": "Alder Ltd"},
    ]

    project.submit(ScriptedProvider(default=answer({"parties": entries})))

    assert project.rows("select parties from trial") == [([{"name": "Alder Ltd"}],)]
    assert [one["status"] for one in evidence(project)["parties"]] == ["exact"]
    ((told,),) = project.rows("select _problems::varchar from trial")
    assert list(json.loads(told)) == ["parties[0]"]


def test_a_reason_names_the_first_of_many_values_without_support(project: TrialProject) -> None:
    names = [f"term_{number}" for number in range(5)]
    fields = "\n".join(f'{name} = "integer?"' for name in names)
    given(project, 'evidence = true\nunsupported = "fail"\nmax_repairs = 0', fields)
    values = dict.fromkeys(names, 36) | {f"{name}_quote": CHANGED for name in names}

    project.submit(ScriptedProvider(default=answer(values)))

    ((reason,),) = project.ask("select reason from requests")
    assert reason.count("its quote differs") == 3
    assert reason.endswith("; and 2 more")
