"""Long documents whose parts' answers are merged by one more request."""

import json
from dataclasses import replace
from typing import Any

import pytest
from scripted_models import FIRST, SECOND, models
from scripted_provider import BAD_KEY, ScriptedProvider, answer
from test_submit_splits import FIELDS, pages, reads, rows, source
from trial_project import TrialProject

from batchrun.cli.views.plan_text import parts_words
from batchrun.errors import ExitCode, Refused
from batchrun.execution import run
from batchrun.execution.failure_messages import BudgetReached
from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection
from batchrun.reply import Reply
from batchrun.request import Request

pytestmark = pytest.mark.slow

FIELDS = FIELDS.replace(', merge_key = "name"', "")
MERGES = "This document was too long to be read at once."
SOURCE = source(tokens="split_tokens = 2_000", overlap="split_overlap_tokens = 100", merge='merge = "model"')


def is_merging(request: Request) -> bool:
    return MERGES in prompt_of(request)


def prompt_of(request: Request) -> str:
    return str(json.loads(request.body)["messages"][0]["content"])


async def merges(request: Request) -> Reply:
    """Answer a part as `reads` does, and a merging request with all entries and a title of its own."""
    prompt = prompt_of(request)
    if MERGES not in prompt:
        return await reads(request)
    answers = json.loads(prompt[prompt.index("\n[\n") :])
    found = {entry["name"]: entry for one in answers for entry in one["answer"]["entries"]}
    return answer({"title": f"merged from {len(answers)}", "entries": list(found.values())})


@pytest.fixture
def long(project: TrialProject) -> TrialProject:
    project.job(source=SOURCE, output_fields=FIELDS)
    project.document("long.txt", pages(20, 100))
    project.document("short.txt", "entry 7: 49.")
    return project


def submit(project: TrialProject, default: Any = merges, **options: Any) -> list[str]:
    """Submit. Returns the prompts that were sent."""
    provider = ScriptedProvider(default=default)
    project.submit(provider, **options)
    return provider.sent


def title(project: TrialProject) -> str:
    ((found,),) = project.rows("select title from trial where doc_id = 'docs/long.txt'")
    return str(found)


def of_merging(prompts: list[str]) -> list[str]:
    return [prompt for prompt in prompts if MERGES in prompt]


def test_the_row_is_the_answer_of_one_more_request(long: TrialProject) -> None:
    provider = ScriptedProvider(default=merges)

    summary = long.submit(provider)

    parts = len(provider.sent) - 2
    assert parts > 5
    assert summary.exit_code is ExitCode.OK
    assert summary.outcomes == {Outcome.SUCCEEDED: parts + 2}
    assert long.plans[-1].in_parts == (1, parts)
    assert long.plans[-1].merging == 1
    assert MERGES in provider.sent[-1], "when all parts are answered"
    assert rows(long).keys() == {"docs/long.txt", "docs/short.txt"}
    assert title(long) == f"merged from {parts}"
    assert rows(long)["docs/long.txt"] == [{"name": f"entry {number}", "amount": number * 7} for number in range(100)]
    answers = json.loads(provider.sent[-1][provider.sent[-1].index("\n[\n") :])
    assert [one["part"] for one in answers] == list(range(1, parts + 1))
    assert {one["of"] for one in answers} == {parts}


def test_the_cost_and_the_estimate_include_it(long: TrialProject) -> None:
    provider = ScriptedProvider(default=merges)
    totals = long.submit(provider).totals
    assert totals is not None
    each = totals.cost_nusd / len(provider.sent)
    assert each == int(each)
    ((attempts, cost),) = long.ask("select count(*), sum(cost_nusd) from attempts")
    assert (attempts, cost) == (len(provider.sent), totals.cost_nusd)
    ((reserved,),) = long.ask("select reserved_nusd from attempts where doc_id = 'docs/long.txt [merged]'")
    assert reserved > each


def test_the_plan_prices_it(long: TrialProject) -> None:
    long.job("other", source=SOURCE.replace("model", "rules"), output_fields=FIELDS)
    rules, model = long.plan(job="other"), long.plan()

    assert (rules.merging, model.merging) == (0, 1)
    assert model.estimate.documents == rules.estimate.documents + 1
    assert model.estimate.upper_nusd > rules.estimate.upper_nusd
    assert model.estimate.input.mean > rules.estimate.input.mean
    assert model.to_send == rules.to_send
    assert model.affordable_count == rules.affordable_count == model.to_send


def test_a_second_submit_sends_nothing(long: TrialProject) -> None:
    submit(long)
    before = title(long)

    assert submit(long) == []
    assert long.plans[-1].merging == 0
    assert title(long) == before


async def refuses_to_merge(request: Request) -> Reply:
    return await (ScriptedProvider()._follow(BAD_KEY, request) if is_merging(request) else reads(request))


async def is_killed(request: Request) -> Reply:
    if is_merging(request):
        raise KeyboardInterrupt
    return await reads(request)


def goes_on_with_the_merging_alone(project: TrialProject) -> None:
    sent = submit(project)
    assert len(sent) == 1
    assert MERGES in sent[0]
    assert project.plans[-1].merging == 1
    assert len(rows(project)["docs/long.txt"]) == 100
    assert submit(project) == []
    assert project.ask("select count(*) from runs where state != 'finished'") == [(0,)]


def test_a_run_that_stopped_before_the_merging_goes_on_with_it(long: TrialProject) -> None:
    assert long.submit(ScriptedProvider(default=refuses_to_merge)).exit_code not in {ExitCode.OK, ExitCode.SOME_FAILED}
    assert rows(long).keys() == {"docs/short.txt"}

    goes_on_with_the_merging_alone(long)
    assert len(long.ask("select distinct run_no from attempts")) == 1, "the same run"


def test_a_run_that_was_killed_at_the_merging_goes_on_with_it(long: TrialProject) -> None:
    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
        submit(long, is_killed)

    goes_on_with_the_merging_alone(long)


def test_a_run_that_was_killed_between_the_last_part_and_the_merging(
    long: TrialProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "merge_answers", killed)
        with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
            submit(long)

    goes_on_with_the_merging_alone(long)


def test_a_budget_that_is_reached_leaves_the_merging_for_later(long: TrialProject) -> None:
    async def at_length(request: Request) -> Reply:
        return await merges(request) if is_merging(request) else answer({"title": "word " * 2_000, "entries": []})

    long.job(source=SOURCE, output_fields=FIELDS, budget="max_cost_usd = 0.010\npartial = true")
    first = long.submit(ScriptedProvider(default=at_length))
    assert isinstance(first.halted, BudgetReached)
    assert first.outcomes[None] == 1
    assert first.remaining is not None
    assert first.remaining.documents == 1
    assert rows(long).keys() == {"docs/short.txt"}
    assert long.submit(ScriptedProvider()).exit_code is first.exit_code

    long.job(source=SOURCE, output_fields=FIELDS)
    assert len(of_merging(submit(long, at_length))) == 1
    assert title(long).startswith("merged from ")


def test_a_merging_request_that_fails_is_told_and_tried_again(long: TrialProject) -> None:
    async def fails(request: Request) -> Reply:
        return answer("no JSON") if is_merging(request) else await reads(request)

    provider = ScriptedProvider(default=fails)
    summary = long.submit(provider)
    assert summary.exit_code is ExitCode.SOME_FAILED
    assert summary.outcomes[Outcome.INVALID] == 1
    assert rows(long).keys() == {"docs/short.txt"}
    (found,) = long.rows("select status, reason from _batchrun.documents where doc_id = 'docs/long.txt'")
    assert found[0] == "errored"
    assert "parts have answers, and the request that merges them has none: " in found[1]
    assert submit(long) == [], "a failure is not tried again unasked"

    again = Selection(again=frozenset({Outcome.INVALID}))
    retried = ScriptedProvider(default=merges)
    assert long.submit(retried, again).exit_code is ExitCode.OK
    assert len(retried.sent) == 1
    assert len(rows(long)["docs/long.txt"]) == 100
    assert submit(long) == []
    assert submit(long, selection=again) == []


def test_a_truncated_merging_request_may_be_longer_when_tried_again(long: TrialProject) -> None:
    async def cut(request: Request) -> Reply:
        return answer("{", stop_reason="max_tokens") if is_merging(request) else await reads(request)

    submit(long, cut)
    retried = ScriptedProvider(default=merges)
    assert long.submit(retried, Selection(again=frozenset({Outcome.TRUNCATED}))).exit_code is ExitCode.OK
    assert retried.max_tokens == [200]
    assert submit(long) == []


def test_a_part_that_fails_leaves_nothing_to_merge(long: TrialProject) -> None:
    async def one_fails(request: Request) -> Reply:
        return answer("no JSON") if b"entry 50:" in request.body else await merges(request)

    assert of_merging(submit(long, one_fails)) == []
    assert rows(long).keys() == {"docs/short.txt"}
    assert submit(long) == []
    assert long.plans[-1].merging == 0

    sent = submit(long, selection=Selection(again=frozenset({Outcome.INVALID})))
    assert long.plans[-1].merging == 1
    assert len(of_merging(sent)) == 1
    assert len(rows(long)["docs/long.txt"]) == 100


def test_only_other_answers_are_merged_anew(long: TrialProject) -> None:
    submit(long)
    long.document("short.txt", "entry 8: 56.")
    assert of_merging(submit(long)) == []

    long.document("long.txt", pages(20, 100).replace("entry 99: 693.", "entry 99: 694."))
    sent = submit(long)
    assert len(of_merging(sent)) == 1
    assert len(sent) < 5
    assert rows(long)["docs/long.txt"][-1] == {"name": "entry 99", "amount": 694}


def test_rules_and_the_model_take_turns(long: TrialProject) -> None:
    submit(long)
    long.job(source=SOURCE.replace("model", "rules"), output_fields=FIELDS)
    assert submit(long) == []
    assert title(long).endswith(" entries")
    assert long.ask("select count(*) from documents where merges") == [(0,)]

    long.job(source=SOURCE, output_fields=FIELDS)
    assert submit(long) == []
    assert long.plans[-1].merging == 0, "the request has its answer"
    assert title(long).startswith("merged from ")


def test_two_jobs_pay_once_for_the_merging(long: TrialProject) -> None:
    submit(long)
    long.job("other", source=SOURCE, output_fields=FIELDS)

    assert submit(long, job="other") == []
    assert long.plans[-1].merging == 0
    assert len(long.rows("select doc_id from other")) == 2


def test_answers_that_are_too_long_together_are_a_failure_of_the_document(long: TrialProject) -> None:
    async def floods(request: Request) -> Reply:
        return answer({"title": "word " * 40_000, "entries": []})

    sent = submit(long, floods)
    assert of_merging(sent) == []
    (found,) = long.rows("select status, reason from _batchrun.documents where doc_id = 'docs/long.txt'")
    assert found[0] == "errored"
    assert 'too long to be merged by one request; merge = "rules"' in found[1]
    assert submit(long) == []


def test_a_merging_request_passes_to_the_next_model(long: TrialProject) -> None:
    long.job(source=SOURCE, output_fields=FIELDS, model=f'name = "{FIRST}"\nmax_tokens = 100\nfallbacks = ["{SECOND}"]')
    provider = models()

    async def refuses(request: Request) -> Reply:
        return answer("", stop_reason="refusal") if is_merging(request) else await reads(request)

    provider.answering.default = refuses
    provider.of[SECOND] = ScriptedProvider(default=merges)

    assert long.submit(provider).exit_code is ExitCode.OK
    assert provider.count[SECOND] == 1
    assert title(long).startswith("merged from ")
    assert submit(long) == []


def test_columns_in_the_prompt_are_not_repeated(project: TrialProject) -> None:
    (project.root / "mail.jsonl").write_text(json.dumps({"nr": "7", "customer": "Ann", "body": pages(20, 100)}) + "\n")
    table = 'type = "table"\npath = "mail.jsonl"\nid = "nr"\ntext = "body"\n'
    project.job(
        source=SOURCE.replace('type = "files"\ninclude = ["docs/*.txt"]\n', table),
        output_fields=FIELDS,
        prompt='user = "{{ doc.customer }} writes: {{ doc.text }}"',
    )

    sent = submit(project)
    assert all(prompt.startswith("Ann writes: ") for prompt in sent[:-1])
    assert sent[-1].startswith(f"(not repeated here) writes: {MERGES}")
    assert project.rows() == [("7",)]
    assert submit(project) == []


def test_the_row_has_the_id_of_the_request(long: TrialProject) -> None:
    submit(long)
    ((request_id,),) = long.rows("select _request_id from trial where doc_id = 'docs/long.txt'")
    attempts = "select doc_id from _batchrun.attempts where request_id = ?".replace("?", f"'{request_id}'")
    assert long.rows(attempts) == [("docs/long.txt [merged]",)]


def test_a_short_document_has_its_own_answer_and_nothing_is_left_of_the_merging(long: TrialProject) -> None:
    submit(long)
    long.document("long.txt", "entry 1: 7.")

    assert of_merging(submit(long)) == []
    assert long.ask("select count(*) from documents where merges") == [(0,)]
    assert rows(long)["docs/long.txt"] == [{"name": "entry 1", "amount": 7}]


def test_a_document_named_like_what_merges_is_a_second_one_of_that_name(long: TrialProject) -> None:
    long.job(source=SOURCE.replace("docs/*.txt", "docs/*"), output_fields=FIELDS)
    long.document("long.txt [merged]", "entry 1: 7.")

    with pytest.raises(Refused, match=r"more than one document: docs/long\.txt \[merged\]"):
        submit(long)

    long.document("long.txt", "entry 1: 7.")
    assert len(submit(long)) == 2
    assert long.statuses()["long.txt [merged]"] == "unreadable"


def test_only_the_selected_documents_are_merged(long: TrialProject) -> None:
    long.document("other.txt", pages(20, 90))
    submit(long, refuses_to_merge)
    assert len(long.ask("select 1 from wholes where output is null")) == 2

    assert len(submit(long, selection=Selection(ids=frozenset({"docs/other.txt"})))) == 1
    assert rows(long).keys() == {"docs/other.txt", "docs/short.txt"}
    assert len(submit(long)) == 1
    assert len(rows(long)) == 3


def test_the_plan_tells_the_requests_that_merge(long: TrialProject) -> None:
    plan = long.plan()
    assert parts_words(plan) == [
        f"1 long document is asked in {plan.in_parts[1]} parts",
        "and 1 request that merges its answers",
    ]
    assert parts_words(replace(plan, merging=2))[1] == "and 2 requests that merge their answers"
    assert parts_words(replace(plan, merging=0)) == parts_words(plan)[:1]


def test_a_retry_of_a_truncated_merging_that_is_killed_goes_on_as_a_retry(long: TrialProject) -> None:
    async def cut(request: Request) -> Reply:
        return answer("{", stop_reason="max_tokens") if is_merging(request) else await reads(request)

    submit(long, cut)
    submit(long, refuses_to_merge, selection=Selection(again=frozenset({Outcome.TRUNCATED})))
    provider = ScriptedProvider(default=merges)

    assert long.submit(provider).exit_code is ExitCode.OK
    assert provider.max_tokens == [200]


def test_a_merging_request_of_a_document_that_is_gone_is_not_waited_for(long: TrialProject) -> None:
    submit(long, refuses_to_merge)
    (long.root / "docs/long.txt").unlink()
    long.document("new.txt", "entry 8: 56.")

    assert submit(long) == ["entry 8: 56."]
    assert long.statuses()["long.txt [merged]"] == "unreadable"
    assert long.ask("select count(*) from runs where state != 'finished'") == [(0,)]


def test_a_part_that_fails_after_a_change_leaves_no_merging_request_pending(long: TrialProject) -> None:
    async def one_fails(request: Request) -> Reply:
        return answer("no JSON") if b"entry 50:" in request.body else await merges(request)

    submit(long, refuses_to_merge)
    long.document("long.txt", pages(20, 100).replace("entry 50: 350.", "entry 50: 351."))
    failed = long.submit(ScriptedProvider(default=one_fails))

    assert failed.exit_code is ExitCode.SOME_FAILED
    assert failed.outcomes.get(None, 0) == 0
    assert "long.txt [merged]" not in long.statuses()


def test_a_merging_request_that_is_tried_again_begins_anew_in_the_form_of_today(long: TrialProject) -> None:
    long.job(source=SOURCE, output_fields=FIELDS, output="max_repairs = 1")
    lengths: list[int] = []

    async def badly(request: Request) -> Reply:
        if is_merging(request):
            lengths.append(len(json.loads(request.wire)["messages"]))
            return answer({"title": None, "entries": []})
        return await merges(request)

    submit(long, badly)
    submit(long, badly, selection=Selection(again=frozenset({Outcome.INVALID})))

    assert lengths == [1, 3, 1, 3]
    assert long.ask("select count(*) from requests where form_no is null") == [(0,)]
