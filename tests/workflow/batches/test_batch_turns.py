"""What is mended, and what is asked field by field, goes with the next batch."""

import json
from typing import Any

import pytest
from batch_submits import COST_NUSD, again_and_again, batched, canceling, once, submit
from native_samples import page_of, pdf
from scripted_batches_memory import BatchApi
from scripted_provider import answer
from trial_project import TrialProject

from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection

TITLE = {"title": "a title"}
CUT = answer('{"title": "a', stop_reason="max_tokens")


def bodies(api: BatchApi) -> list[list[dict[str, Any]]]:
    """The requests of every batch."""
    return [list(remote.params.values()) for remote in api.batches]


def test_replies_that_are_no_rows_are_mended_in_the_next_batch(project: TrialProject, api: BatchApi) -> None:
    batched(project, output="")
    project.documents(4)
    api.script |= {"text 1": [answer({}), answer(TITLE)], "text 2": [CUT, answer(TITLE)], "text 3": [answer({})]}

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 3, Outcome.INVALID: 1}
    first, second = bodies(api)
    assert [len(one["messages"]) for one in first] == [1, 1, 1, 1]
    assert [(len(one["messages"]), one["max_tokens"]) for one in second] == [(3, 100), (1, 200), (3, 100)]
    assert "title: required" in second[0]["messages"][2]["content"]
    assert project.ask("select count(*), count(distinct request_no) from attempts") == [(7, 4)]
    assert project.ask("select sum(committed_nusd) from runs") == [(sum(api.billed.values()) * COST_NUSD,)]


def test_every_vote_goes_with_a_batch_of_its_own(project: TrialProject, api: BatchApi) -> None:
    batched(project, output="votes = 3\nmax_repairs = 0")
    project.documents(3)
    other = answer({"title": "another title"})
    api.script |= {"text 1": [answer(TITLE), other, other], "text 2": [answer({}), answer(TITLE)]}
    plan = project.plan()

    summary = submit(project, api)

    assert summary.outcomes == {Outcome.SUCCEEDED: 3}
    assert (plan.turns, plan.chosen.at_most_s) == (3, 3 * 24 * 3600)
    assert api.sizes == [3, 3, 2]
    told = "output ->> 'title', findings ->> '$.agreement.title', findings ->> 'attempts'"
    assert project.ask(f"select {told} from documents join requests using (request_no) order by doc_id") == [
        ("a title", 1.0, 2),
        ("another title", 0.6667, 3),
        ("a title", 0.6667, 3),
    ]


def test_a_command_that_does_not_wait_mends_too(project: TrialProject, api: BatchApi) -> None:
    batched(project, output="max_repairs = 2")
    project.documents(2)
    api.script["text 1"] = [answer({}), answer({}), answer(TITLE)]

    again_and_again(project, api, every_s=70)

    assert project.statuses() == {"0000.txt": "succeeded", "0001.txt": "succeeded"}
    assert api.sizes == [2, 1, 1]
    assert json.loads(project.ask("select findings from requests where findings is not null")[0][0]) == {
        "attempts": 3,
        "repairs": 2,
    }


def test_a_field_that_is_added_is_asked_alone_in_a_batch(project: TrialProject, api: BatchApi) -> None:
    batched(project, output="")
    project.documents(2)
    submit(project, api)
    batched(project, output="", output_fields='title = "string"\nday = "date?"')
    api.default = answer({"day": "2024-03-01"})

    submit(project, api)

    asked = [list(one["output_config"]["format"]["schema"]["properties"]) for one in bodies(api)[1]]
    assert asked == [["day"], ["day"]]
    outputs = [json.loads(output) for (output,) in project.ask("select output from requests where output like '%day%'")]
    assert outputs == [{"title": "a title", "day": "2024-03-01"}] * 2


def test_quotes_of_answers_in_batches_are_located(project: TrialProject, api: BatchApi) -> None:
    text = "The term of this agreement is twenty-four (24) months from the date of its signature."
    batched(project, output="evidence = true", output_fields='term = "integer?"')
    project.document("a.txt", f"Beginning.\n\n{text}\n")
    api.default = answer({"term_quote": text, "term": 24})

    submit(project, api)

    ((found,),) = project.ask("select findings from requests")
    assert json.loads(found)["evidence"]["term"]["status"] == "exact"


@pytest.mark.slow
def test_passages_of_a_pdf_that_was_answered_in_a_batch_have_boxes(project: TrialProject, api: BatchApi) -> None:
    quote = "The term of this agreement is twenty-four (24) months from its date."
    source = 'type = "files"\ninclude = ["docs/*.pdf"]'
    batched(project, source=source, output="evidence = true", output_fields='term = "integer?"')
    (project.root / "docs" / "a.pdf").write_bytes(pdf([page_of("One."), page_of("Two.", quote)]))
    api.default = answer({"term_quote": quote, "term": 24})

    submit(project, api)

    ((found,),) = project.ask("select findings from requests")
    (box,) = json.loads(found)["evidence"]["term"]["boxes"]
    assert box["page"] == 2
    assert box["bottom"] < 706 - 14 < box["top"]


def test_a_document_that_has_gone_when_its_batch_ends_proves_nothing(project: TrialProject, api: BatchApi) -> None:
    batched(project, output='evidence = true\nunsupported = "fail"', output_fields='term = "integer?"')
    project.document("a.txt", "The term is 24 months.")
    project.document("b.txt", "Another text.")
    api.default = answer({"term_quote": "The term is 24 months from the day of signature.", "term": 24})
    once(project, api)
    project.document("a.txt", "It has changed.")
    api.clock.skip(100)
    canceling(project, api)

    assert sorted(
        json.loads(found)["evidence"]["term"]["status"]
        for (found,) in project.ask("select findings from requests where findings is not null")
    ) == ["no_text", "no_text"]


def test_a_document_that_is_tried_again_is_judged_by_the_form_of_today(project: TrialProject, api: BatchApi) -> None:
    fields = 'title = "string"\nday = "date?"'
    batched(project, output="max_repairs = 0", output_fields=fields)
    project.documents(1)
    api.default = answer({"title": "a title", "day": "some day"})
    assert submit(project, api).outcomes == {Outcome.INVALID: 1}
    batched(project, output='max_repairs = 0\non_invalid = "null_fields"', output_fields=fields)

    summary = submit(project, api, Selection(again=frozenset({Outcome.INVALID})))

    assert summary.outcomes == {Outcome.SUCCEEDED: 1}
    assert project.ask("select output from requests") == [(json.dumps({"title": "a title", "day": None}),)]
