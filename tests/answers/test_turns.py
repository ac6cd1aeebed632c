"""What follows from a reply, turn by turn."""

import dataclasses

import pytest

from batchrun.answers.form import AnswerForm, PageRule
from batchrun.answers.progress import BEGINNING, Progress, Turn
from batchrun.answers.turns import Mending, Step, first_turn, next_step
from batchrun.answers.validation import Judgement
from batchrun.outcome import Outcome


def form(*fields: str, **more: object) -> AnswerForm:
    schema = {"type": "object", "properties": {name: {} for name in fields}, "required": list(fields)}
    return dataclasses.replace(AnswerForm(schema, schema), **more)


def answered(**output: object) -> Judgement:
    return Judgement(Outcome.SUCCEEDED, output=output)


INVALID = Judgement(Outcome.INVALID, reason="title: required")
CUT = Judgement(Outcome.TRUNCATED, reason="too long", too_few_tokens=True)


def step(given: AnswerForm, progress: Progress, judgement: Judgement, **more: object) -> Step:
    mending = Mending(max_repairs=1, most_tokens=1_000)
    chosen = {"attempt_no": 7, "max_tokens": 100, "mending": mending} | more
    return next_step(given, progress, judgement, **chosen)


def test_a_row_is_the_end() -> None:
    found = step(form("title"), BEGINNING, answered(title="t"))
    assert (found.outcome, found.output) == (Outcome.SUCCEEDED, {"title": "t"})


def test_groups_follow_each_other() -> None:
    grouped = form("a", "b", "c", groups=(("a", "b"), ("c",)))
    first = first_turn(grouped, {})
    second = step(grouped, Progress(first), answered(a=1, b=2))
    third = step(grouped, second.progress, answered(c=3))

    assert first.fields == ("a", "b")
    assert (second.outcome, second.progress.turn.fields) == (None, ("c",))
    assert third.output == {"a": 1, "b": 2, "c": 3}
    assert third.progress.findings.attempts == 2


PAGES = form("rows", "rows_complete", pages={"rows": PageRule(2, "rows_complete")})
COUNTED = form("rows", "rows_complete", "count", pages={"rows": PageRule(2, "rows_complete", "count")})


def test_a_list_goes_on_until_it_is_complete() -> None:
    first = step(PAGES, BEGINNING, answered(rows=[1, 2], rows_complete=False))
    second = step(PAGES, first.progress, answered(rows=[3], rows_complete=True), attempt_no=8)

    assert first.progress.turn.shows == 7
    assert "Go on with entry 3:" in first.progress.turn.said
    assert second.output == {"rows": [1, 2, 3]}


@pytest.mark.parametrize(
    "judgement",
    [answered(rows=[], rows_complete=False), answered(rows=None, rows_complete=False)],
    ids=["nothing new", "null"],
)
def test_a_list_to_which_nothing_new_comes_is_complete(judgement: Judgement) -> None:
    first = step(PAGES, BEGINNING, answered(rows=[1, 2], rows_complete=False))
    assert step(PAGES, first.progress, judgement).output == {"rows": [1, 2]}


def test_a_list_with_as_many_entries_as_were_counted_is_complete() -> None:
    found = step(COUNTED, BEGINNING, answered(rows=[1, 2], rows_complete=False, count=2))
    assert found.output == {"rows": [1, 2], "count": 2}


def test_two_long_lists_go_on_one_after_the_other() -> None:
    rules = {"a": PageRule(1, "a_complete"), "b": PageRule(1, "b_complete")}
    both = form("a", "a_complete", "b", "b_complete", pages=rules)
    first = step(both, BEGINNING, answered(a=[1], a_complete=False, b=[1], b_complete=False), attempt_no=1)
    second = step(both, first.progress, answered(a=[2], a_complete=True), attempt_no=2)
    third = step(both, second.progress, answered(b=[2], b_complete=True), attempt_no=3)

    assert (first.progress.turn.fields, first.progress.turn.shows) == (("a",), 1)
    assert (second.progress.turn.fields, second.progress.turn.shows) == (("b",), 2)
    assert third.output == {"a": [1, 2], "b": [1, 2]}


def test_a_repair_of_a_page_shows_the_page() -> None:
    first = step(PAGES, BEGINNING, answered(rows=[1, 2], rows_complete=False))
    second = step(PAGES, first.progress, INVALID, attempt_no=8)

    assert (second.progress.turn.shows, second.progress.turn.repairs) == (8, 1)
    assert second.progress.values == {"rows": [1, 2]}


def test_what_is_cut_short_is_asked_once_with_twice_the_tokens_as_far_as_the_model_can_write() -> None:
    twice = step(form("title"), BEGINNING, CUT)
    assert twice.progress.turn == Turn(max_tokens=200)
    assert step(form("title"), twice.progress, CUT, max_tokens=200).outcome is Outcome.TRUNCATED
    assert step(form("title"), BEGINNING, CUT, max_tokens=1_000).outcome is Outcome.TRUNCATED


def test_what_another_model_mends_is_not_mended() -> None:
    mending = Mending(max_repairs=1, most_tokens=1_000, passed_on=frozenset({"invalid"}))
    assert step(form("title"), BEGINNING, INVALID, mending=mending).outcome is Outcome.INVALID


def test_progress_is_kept_as_it_is() -> None:
    first = step(PAGES, BEGINNING, answered(rows=[{"é": 1.5}, None], rows_complete=False)).progress
    assert Progress.of(first.turn_json, first.partial_json) == first


def test_a_page_that_comes_once_more_is_no_news() -> None:
    first = step(PAGES, BEGINNING, answered(rows=[1, 2], rows_complete=False))
    second = step(PAGES, first.progress, answered(rows=[1, 2], rows_complete=False))
    assert second.output == {"rows": [1, 2]}
