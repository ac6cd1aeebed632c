"""What has changed between two runs, from values alone."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from batchrun.job.match_rules import MatchRule
from batchrun.outcome import Outcome
from batchrun.quality.comparison import MOST_EXAMPLES, Change, Comparison
from batchrun.quality.distribution import MOST_CATEGORIES
from batchrun.statistics.drift import DriftLevel
from batchrun.store.reports.run_answers import RunAnswer

Answers = Mapping[str, Mapping[str, Any] | None]
RULES = {
    "amount": MatchRule("number"),
    "near": MatchRule("number", tolerance=0.1),
    "tags": MatchRule("set", item=MatchRule("exact")),
}


def answers(given: Answers) -> list[RunAnswer]:
    """The answers of a run by document; a document without values has failed."""
    return [
        RunAnswer(doc_id, Outcome.INVALID if values is None else Outcome.SUCCEEDED, values, 1, "r", {})
        for doc_id, values in given.items()
    ]


def compared(before: Answers, now: Answers, labels: Answers | None = None) -> tuple[Comparison, list[Change]]:
    """The comparison of two runs, and its changes."""
    comparison = Comparison(RULES, {name: one for name, one in (labels or {}).items() if one}, {})
    return comparison, list(comparison.changes(answers(before), answers(now)))


def changes_of(before: Any, now: Any, field: str = "amount") -> list[Change]:
    return compared({"a": {field: before}}, {"a": {field: now}})[1]


@pytest.mark.parametrize(
    ("field", "before", "now"),
    [
        ("amount", Decimal("1.50"), Decimal("1.5")),
        ("amount", 2, Decimal("2.0")),
        ("near", 100, 109),
        ("tags", ["a", "b"], ["b", "a"]),
        ("text", "a  b", "a b"),
        ("text", "", None),
        ("tags", [], None),
    ],
)
def test_what_a_rule_takes_as_equal_has_not_changed(field: str, before: Any, now: Any) -> None:
    assert changes_of(before, now, field) == []


@pytest.mark.parametrize(
    ("field", "before", "now"),
    [
        ("amount", Decimal("0.1"), Decimal("0.10000000000000000001")),
        ("near", 100, 111),
        ("tags", ["a", "b"], ["a", "a", "b"]),
        ("text", "a", "A"),
        ("text", False, None),
        ("amount", 0, None),
        ("text", "1", 1),
    ],
)
def test_other_values_have_changed(field: str, before: Any, now: Any) -> None:
    assert changes_of(before, now, field) == [Change("a", field, before, now)]


def test_documents_are_counted_by_the_runs_that_have_them() -> None:
    comparison, changes = compared(
        {"a": {"x": "1"}, "b": {"x": "1"}, "c": None, "d": {"x": "1"}, "only before": {"x": "1"}},
        {"a": {"x": "2"}, "b": {"x": "1"}, "c": {"x": "1"}, "d": None, "only now": {"x": "1"}, "only now 2": None},
    )

    assert [change.doc_id for change in changes] == ["a"]
    assert (comparison.both, comparison.answered, comparison.changed) == (4, 2, 1)
    assert comparison.only_answered == (1, 1)
    assert [outcomes.total() for outcomes in comparison.outcomes] == [5, 6]
    assert comparison.outcomes[1][Outcome.INVALID] == 2


def test_a_document_that_nothing_is_asked_about_does_not_count() -> None:
    comparison = Comparison({}, {}, {})
    empty = RunAnswer("empty", None, None, None, None, {})

    list(comparison.changes([*answers({"a": {"x": 1}}), empty], answers({"a": {"x": 1}})))

    assert [outcomes.total() for outcomes in comparison.outcomes] == [1, 1]


def test_fields_are_counted_by_how_they_have_changed() -> None:
    comparison, _ = compared(
        {"a": {"n": 100, "old": 1}, "b": {"n": None}, "c": {"n": 3}, "d": {"n": 0}, "e": {"n": 10}},
        {"a": {"n": 110, "new": 1}, "b": {"n": 5}, "c": {"n": None}, "d": {"n": 1}, "e": {"n": 13}},
    )

    one = comparison.fields["n"]
    assert (one.documents, one.changed, one.to_null, one.from_null) == (5, 5, 1, 1)
    assert one.median_change == pytest.approx(0.2)  # of +10% and +30%: a change from 0 or from null has no share
    assert (comparison.fields["old"].only_before, comparison.fields["new"].only_now) == (1, 1)
    assert list(comparison.drifts) == ["n"]


def test_numbers_that_no_float_can_hold_are_compared() -> None:
    comparison, changes = compared({"a": {"n": 10**400}}, {"a": {"n": Decimal("-1e999999")}})

    assert len(changes) == 1
    assert comparison.fields["n"].median_change is None
    assert comparison.drifts["n"].level is DriftLevel.NONE


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["lease"] * 150 + ["nda"] * 50, ["lease"] * 50 + ["nda"] * 150),
        (list(range(200)), list(range(100, 300))),
        (["x"] * 200, [None] * 100 + ["x"] * 100),
        (list(range(200)), [None] * 100 + list(range(100))),
        ([f"text {n}" for n in range(2 * MOST_CATEGORIES)], [None, "y"] * MOST_CATEGORIES),
        ([["a"]] * 200, [["a"], None] * 100),
    ],
    ids=["categories", "numbers", "nulls", "nulls among numbers", "free text", "lists"],
)
def test_another_distribution_is_an_alarm_and_the_same_is_none(before: list[Any], now: list[Any]) -> None:
    def level(old: list[Any], new: list[Any]) -> DriftLevel:
        sides = ({f"{n:05}": {"x": value} for n, value in enumerate(values)} for values in (old, new))
        return compared(*sides)[0].drifts["x"].level

    assert level(before, now) is DriftLevel.ALARM
    assert level(before, before[::-1]) is DriftLevel.NONE


def test_examples_take_turns_among_the_fields_that_changed_most() -> None:
    before = {f"{n:02}": {"often": n, "seldom": 0, "never": 1} for n in range(30)}
    now = {f"{n:02}": {"often": n + 1, "seldom": n // 28, "never": 1} for n in range(30)}

    comparison, changes = compared(before, now)

    assert len(changes) == 32
    assert [one.field for one in comparison.examples()] == ["often", "seldom", "often", "seldom", *["often"] * 6]
    assert len(comparison.examples()) == MOST_EXAMPLES


def test_labels_say_which_run_is_better_and_a_missing_answer_is_wrong() -> None:
    labels = {f"{n:03}": {"x": "right", "y": None} for n in range(100)}
    before = {doc_id: {"x": "right", "y": None} for doc_id in labels}
    now = {doc_id: ({"x": "wrong", "y": None} if n < 5 else None if n < 10 else before[doc_id])
           for n, doc_id in enumerate(labels)}  # fmt: skip

    gold = compared(before, now, labels)[0].gold

    assert gold is not None
    assert (gold.documents, gold.cells, gold.right) == (100, 200, (200, 190))
    assert gold.found
    assert gold.difference.mean == pytest.approx(-0.05)


def test_without_labels_nobody_says_what_is_better() -> None:
    assert compared({"a": {"x": 1}}, {"a": {"x": 2}}, {"b": {"x": 1}})[0].gold is None
