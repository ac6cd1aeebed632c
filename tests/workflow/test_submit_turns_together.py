"""Turns together with what else there is: groups, quotes, other models, other jobs, and plans that change halfway."""

import json
from typing import Any

import pytest
from scripted_provider import BAD_KEY, answer, status
from test_submit_turns import Recording
from trial_project import TrialProject

from batchrun.outcome import Outcome
from batchrun.workflow.open_job import SubmitOptions

pytestmark = pytest.mark.slow

HAIKU, SONNET = "claude-haiku-4-5", "claude-sonnet-4-6"
TERM = "The initial term of this agreement is twenty-four (24) months from its date."
PAID = "The buyer pays the instalment number {} of EUR 1,{:03}.00 to the seller."
ENTRIES = 'a = { type = "array", items = { type = "object", fields = { amount = "number" } }, page_size = 2 }'


def entry(number: int, quoted: int | None = None) -> dict[str, Any]:
    """An entry with its quote."""
    other = number if quoted is None else quoted
    return {"quote": PAID.format(other, other), "amount": 1000 + number}


def asked(provider: Recording) -> list[tuple[str, list[str]]]:
    """The model and the fields of each request."""
    return [(body["model"], list(body["output_config"]["format"]["schema"]["properties"])) for body in provider.bodies]


def test_groups_quotes_and_pages_in_one_answer(project: TrialProject) -> None:
    text = "\n".join([TERM, *(PAID.format(number, number) for number in range(1, 6))])
    project.document("a.txt", text)
    fields = f'term = "integer"\n{ENTRIES}\nn = {{ type = "integer", evidence = false }}'
    model = f'name = "{HAIKU}"\nmax_tokens = 1000'
    project.job(output="evidence = true\ngroups = 3\nmax_repairs = 1", output_fields=fields, model=model)
    steps = [
        answer({"term_quote": TERM, "term": 24}),
        answer({"a": [entry(1), entry(2)], "a_complete": False}),
        answer("nonsense"),
        answer({"a": [entry(3), entry(4, quoted=9)], "a_complete": False}),
        answer({"a": [entry(5)], "a_complete": True}),
        answer({"n": 5}),
    ]
    provider = Recording({text: steps})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    ((term, entries, n, attempts, told),) = project.rows(
        "select term, to_json(a)::varchar, n, _attempts, _evidence::varchar from trial"
    )
    assert (term, json.loads(entries), n, attempts) == (24, [{"amount": 1000 + no} for no in range(1, 6)], 5, 6)
    evidence = json.loads(told)
    assert evidence["term"]["status"] == "exact"
    assert [one["status"] for one in evidence["a"]] == ["exact", "exact", "exact", "differs", "exact"]


def test_a_model_that_refuses_a_page_leaves_the_whole_list_to_the_next_model(project: TrialProject) -> None:
    project.documents(1)
    model = f'name = "{HAIKU}"\nmax_tokens = 100\nfallbacks = ["{SONNET}"]\nfallback_on = ["refused"]'
    project.job(output="", output_fields='a = { type = "array", items = "integer", page_size = 2 }', model=model)
    steps = [
        answer({"a": [1, 2], "a_complete": False}),
        answer("", stop_reason="refusal"),
        answer({"a": [1, 2], "a_complete": False}),
        answer("nonsense"),
        answer({"a": [3], "a_complete": True}),
    ]
    provider = Recording({"text 0": steps})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert project.rows("select a from trial") == [([1, 2, 3],)]
    assert [one["model"] for one in provider.bodies] == [HAIKU, HAIKU, SONNET, SONNET, SONNET]
    assert [len(one["messages"]) for one in provider.bodies] == [1, 3, 1, 3, 3]


@pytest.mark.parametrize(
    ("escalate_on", "models"),
    [('["truncated"]', [HAIKU, HAIKU]), ('["invalid"]', [HAIKU, SONNET])],
    ids=["mended", "passed on"],
)
def test_a_cascade_mends_what_it_does_not_pass_on(project: TrialProject, escalate_on: str, models: list[str]) -> None:
    project.documents(1)
    cascade = f'models = ["{HAIKU}", "{SONNET}"]\nescalate_on = {escalate_on}'
    project.job(model="max_tokens = 100", output="max_repairs = 1", cascade=cascade)
    provider = Recording({"text 0": [answer({}), answer()]})

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert [one["model"] for one in provider.bodies] == models


def test_a_page_waits_for_a_model_that_is_overloaded(project: TrialProject) -> None:
    project.documents(1)
    project.job(output="", output_fields='a = { type = "array", items = "integer", page_size = 2 }')
    steps = [answer({"a": [1, 2], "a_complete": False}), status(529), answer({"a": [3], "a_complete": True})]
    provider = Recording({"text 0": steps})

    project.submit(provider)

    assert project.rows("select a, _attempts from trial") == [([1, 2, 3], 2)]
    assert provider.bodies[1] == provider.bodies[2]


DELTA = 'title = "string"\nday = "date?"\nplace = "string"'


def half_done(project: TrialProject) -> None:
    """Two documents are answered; of two fields that are added in two groups, one document has the first."""
    project.documents(2)
    project.job(output="", output_fields='title = "string"')
    project.submit(Recording())
    project.job(output="groups = 3", output_fields=DELTA, run="max_concurrency = 1")
    script = {"text 0": [answer({"day": "2024-03-01"}), BAD_KEY], "text 1": [BAD_KEY]}
    project.submit(Recording(script))


def test_a_half_done_addition_goes_on(project: TrialProject) -> None:
    half_done(project)
    script = {
        "text 0": [answer({"place": "here"})],
        "text 1": [answer({"day": "2024-03-02"}), answer({"place": "there"})],
    }
    provider = Recording(script)

    summary = project.submit(provider)

    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    rows = project.rows("select title, day::varchar, place from trial order by doc_id")
    assert rows == [("a title", "2024-03-01", "here"), ("a title", "2024-03-02", "there")]
    assert sorted(fields for _, (fields,) in asked(provider)) == ["day", "place", "place"]


def test_everything_can_be_asked_again_in_the_middle_of_an_addition(project: TrialProject) -> None:
    half_done(project)
    steps = [answer({"title": "anew"}), answer({"day": None}), answer({"place": "x"})]
    provider = Recording({f"text {number}": [*steps] for number in range(2)})

    summary = project.submit(provider, options=SubmitOptions(reasks_all=True))

    assert summary.outcomes == {Outcome.SUCCEEDED: 2}
    assert project.rows("select title, day, place from trial") == [("anew", None, "x")] * 2
    assert sorted(fields for _, (fields,) in asked(provider)) == ["day", "day", "place", "place", "title", "title"]


def test_two_jobs_share_a_request_that_is_half_mended(project: TrialProject) -> None:
    project.documents(1)
    project.job(output="max_repairs = 2")
    project.job(
        "other", output='max_repairs = 2\non_invalid = "null_fields"', store='database = "results/other.duckdb"'
    )
    project.submit(Recording({"text 0": [answer({}), BAD_KEY]}))
    provider = Recording({"text 0": [answer()]})

    project.submit(provider, job="other")
    again = Recording()
    project.submit(again)

    assert len(provider.bodies) == 1
    assert again.bodies == []
    assert project.statuses("trial") == project.statuses("other") == {"0000.txt": "succeeded"}
