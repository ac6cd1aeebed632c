"""Long lists that are asked for in pages, and models that do odd things with pages."""

import json
from typing import Any

import pytest
from scripted_provider import BAD_KEY, answer
from test_submit_turns import Recording
from trial_project import TrialProject

from batchrun.outcome import Outcome
from batchrun.planning.selection import Selection

pytestmark = pytest.mark.slow

RETRY = Selection(again=frozenset({Outcome.INVALID}))
LISTED = '{ type = "array", items = "integer", page_size = 2%s }'
COUNTED = LISTED % ', count = "n"'
NULLABLE = '{ type = "array?", items = "integer", page_size = 2 }'


def listed(project: TrialProject, fields: str, output: str = "", **more: str) -> None:
    """One document, and a job that asks for these lists."""
    project.job(output=output, output_fields=fields, model='name = "claude-haiku-4-5"\nmax_tokens = 100', **more)
    project.documents(1)


def submitted(project: TrialProject, *outputs: Any) -> Recording:
    """Submit, with these answers of the model."""
    provider = Recording({"text 0": [answer(one) for one in outputs]})
    project.submit(provider)
    return provider


def row(project: TrialProject, *names: str) -> tuple[Any, ...]:
    """These fields of the only row."""
    ((*values,),) = project.rows(f"select {', '.join(names)} from trial")
    return tuple(values)


def problems(project: TrialProject) -> dict[str, Any]:
    """What the ledger knows of the problems of the only answer."""
    ((found,),) = project.ask("select findings from requests")
    return dict(json.loads(found or "{}").get("problems", {}))


def page(name: str, entries: list[Any] | None, *, complete: bool) -> dict[str, Any]:
    return {name: entries, f"{name}_complete": complete}


def test_every_one_of_several_lists_goes_on(project: TrialProject) -> None:
    listed(project, f"a = {LISTED % ''}\nb = {LISTED % ''}\nc = {LISTED % ''}")
    first = page("a", [1, 2], complete=False) | page("b", [1], complete=True) | page("c", [5, 6], complete=False)

    provider = submitted(project, first, page("a", [3, 4], complete=True), page("c", [7], complete=True))

    assert row(project, "a", "b", "c", "_attempts") == ([1, 2, 3, 4], [1], [5, 6, 7], 3)
    asked = [list(body["output_config"]["format"]["schema"]["properties"]) for body in provider.bodies[1:]]
    assert asked == [["a", "a_complete"], ["c", "c_complete"]]
    assert "entries 1 to 2 of `c`" in provider.bodies[2]["messages"][-1]["content"]
    assert problems(project) == {}


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        (page("a", [1, 2], complete=False), [1, 2]),
        (page("a", [], complete=False), [1, 2]),
        (page("a", None, complete=False), [1, 2]),
    ],
    ids=["the same page", "no entries", "null"],
)
def test_a_list_that_stops_without_an_end_says_so(
    project: TrialProject, second: dict[str, Any], kept: list[int]
) -> None:
    listed(project, f"a = {NULLABLE}")

    submitted(project, page("a", [1, 2], complete=False), second)

    assert row(project, "a", "_attempts") == (kept, 2)
    assert problems(project) == {"a": "a: 2 entries came, and the list was not called complete"}


def test_pages_of_equal_entries_are_no_repeats(project: TrialProject) -> None:
    listed(project, f"a = {LISTED % ''}")

    submitted(
        project, page("a", [7, 7], complete=False), page("a", [7, 7], complete=False), page("a", [], complete=True)
    )

    assert row(project, "a") == ([7, 7, 7, 7],)
    assert problems(project) == {}


@pytest.mark.parametrize(("count", "told"), [(2, {}), (3, {"a": "a: 2 entries came, and `n` says 3"})])
def test_a_count_that_does_not_agree_is_told(project: TrialProject, count: int, told: dict[str, str]) -> None:
    listed(project, f'n = "integer"\na = {COUNTED}')

    submitted(project, {"n": count} | page("a", [1, 2], complete=True))

    assert row(project, "a") == ([1, 2],)
    assert problems(project) == told


def test_a_list_that_is_null_stays_null(project: TrialProject) -> None:
    listed(project, f"a = {NULLABLE}")

    submitted(project, page("a", None, complete=True))

    assert row(project, "a") == (None,)


def test_a_page_that_does_not_fit_leaves_no_part_of_the_list(project: TrialProject) -> None:
    listed(project, f"a = {NULLABLE}", 'on_invalid = "null_fields"')

    submitted(project, page("a", [1, 2], complete=False), page("a", ["x"], complete=False))

    assert row(project, "a") == (None,)
    assert list(problems(project)) == ["a"]


def test_values_of_later_pages_are_named_by_their_place_in_the_whole_list(project: TrialProject) -> None:
    listed(project, f"a = {LISTED % ''}")

    submitted(project, page("a", ["1", 2], complete=False), page("a", [3, "4"], complete=True))

    ((found,),) = project.ask("select findings from requests")
    assert row(project, "a") == ([1, 2, 3, 4],)
    assert json.loads(found)["originals"] == {"a[0]": "1", "a[3]": "4"}


def test_a_page_that_is_mended_says_again_where_it_begins(project: TrialProject) -> None:
    listed(project, f"a = {LISTED % ''}", "max_repairs = 2")

    provider = submitted(
        project, page("a", [1, 2], complete=False), "nonsense", "more nonsense", page("a", [3], complete=True)
    )

    assert row(project, "a", "_attempts") == ([1, 2, 3], 4)
    said = [body["messages"][-1]["content"] for body in provider.bodies]
    assert ["Go on with entry 3" in one for one in said] == [False, True, True, True]
    assert ["cannot be used" in one for one in said] == [False, False, True, True]


def test_a_list_is_continued_by_the_next_process(project: TrialProject) -> None:
    listed(project, f"a = {LISTED % ''}\nb = {LISTED % ''}")
    first = page("a", [1, 2], complete=False) | page("b", [5, 6], complete=False)
    provider = Recording({"text 0": [answer(first), BAD_KEY]})
    project.submit(provider)
    assert project.statuses() == {"0000.txt": "pending"}

    submitted(project, page("a", [3], complete=True), page("b", [7], complete=True))

    assert row(project, "a", "b", "_attempts") == ([1, 2, 3], [5, 6, 7], 3)


@pytest.mark.parametrize("others", ["", 'n = "integer"\n'], ids=["alone", "beside a field"])
def test_a_retry_of_a_list_that_broke_off_has_every_entry_once(project: TrialProject, others: str) -> None:
    listed(project, f"{others}a = {LISTED % ''}", "max_repairs = 0")
    more = {"n": 7} if others else {}
    submitted(project, page("a", [1, 2], complete=False) | more, "nonsense")
    assert project.statuses() == {"0000.txt": "invalid"}
    assert project.plan(RETRY).to_send == 1

    provider = Recording({"text 0": [answer("more nonsense")]})
    project.submit(provider, RETRY)
    project.submit(again := Recording({"text 0": [answer(page("a", [3], complete=True))]}), RETRY)

    assert row(project, "a") == ([1, 2, 3],)
    asked = [*provider.bodies, *again.bodies]
    assert ["Go on with entry 3" in body["messages"][-1]["content"] for body in asked] == [True, True]


def test_behind_a_page_that_was_cut_short_the_next_pages_have_as_many_tokens(project: TrialProject) -> None:
    listed(project, f"a = {LISTED % ''}")
    cut = answer('{"a": [1', stop_reason="max_tokens")
    pages = [page("a", [1, 2], complete=False), page("a", [3, 4], complete=False), page("a", [5], complete=True)]
    provider = Recording({"text 0": [cut, *map(answer, pages)]})

    project.submit(provider)

    assert [body["max_tokens"] for body in provider.bodies] == [100, 200, 200, 200]
    assert row(project, "a") == ([1, 2, 3, 4, 5],)
