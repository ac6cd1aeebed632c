"""What is measured of a setting, which setting is named, and what a tune is expected to cost."""

from decimal import Decimal

import pytest

from batchrun.estimation.interval import Interval
from batchrun.job.match_rules import MatchRule
from batchrun.quality.tune.settings import Setting
from batchrun.quality.tune.standing import Standing, measured
from batchrun.quality.tune.verdict import Ending, Row, State, expected_nusd, too_few, verdict_of
from batchrun.statistics.intervals import wilson
from batchrun.store.ledger.tunes import TunedAnswer

RULES = {"title": MatchRule("exact"), "amount": MatchRule("number")}
GOLD = {"a": {"title": "x", "amount": 1}, "b": {"title": "y"}, "c": {"title": None, "amount": 3}}


def answered(values: object, *, cost: int | None = 10, seconds: float | None = 2.0, quotes: int = 0, bad: int = 0):
    return TunedAnswer(values, cost, seconds, quotes, bad)


def standing(mean: float, *, documents: int = 200, trials: float = 600.0) -> Standing:
    found = wilson(mean, trials)
    nothing = Interval(0, 0, 0)
    return Standing(
        documents=documents, accuracy=found, fields={}, trials=trials, cost_nusd=Interval(10, 8, 12), latency_s=None,
        failures=nothing, unsupported=None, differing=(),
    )  # fmt: skip


def row(name: str, state: State, found: Standing | None = None) -> Row:
    routes = {"stream": 1.0, "batch": 0.5}
    return Row(
        setting=Setting(name, None, None), state=state, planned_nusd=7, standing=found, own_route="batch", routes=routes
    )


# --- measured


def test_a_document_without_an_answer_is_wrong_in_all_labelled_fields():
    answers = {"a": answered({"title": "x", "amount": Decimal(1)}), "b": answered(None)}
    found = measured(["a", "b", "c"], answers, GOLD, RULES)
    assert found.accuracy.mean == pytest.approx(2 / 5)
    assert found.failures.mean == pytest.approx(2 / 3)
    assert found.documents == 3
    assert found.fields["title"].mean == pytest.approx(1 / 3)
    assert found.fields["amount"].mean == pytest.approx(1 / 2)
    assert found.differing == ("b", "c")


def test_documents_without_a_label_count_for_cost_and_failures_alone():
    answers = {"a": answered({"title": "x", "amount": 2}), "z": answered({"title": "q"}, cost=30)}
    found = measured(["a", "z"], answers, GOLD, RULES)
    assert found.documents == 1
    assert found.accuracy.mean == pytest.approx(1 / 2)
    assert found.cost_nusd.mean == pytest.approx(20)
    assert found.failures.mean == 0


def test_a_missing_value_is_right_where_the_label_says_null():
    found = measured(["c"], {"c": answered({"title": None, "amount": 3})}, GOLD, RULES)
    assert found.accuracy.mean == 1
    assert found.accuracy.low < 0.5


def test_quotes_cost_and_time():
    answers = {
        "a": answered({"title": "x"}, quotes=4, bad=1, seconds=None),
        "b": answered({"title": "y"}, quotes=4, bad=0, cost=None, seconds=4.0),
    }
    found = measured(["a", "b"], answers, GOLD, RULES)
    assert found.unsupported
    assert found.unsupported.mean == pytest.approx(1 / 8)
    assert found.latency_s
    assert found.latency_s.mean == 4.0
    assert found.cost_nusd.mean == 10


def test_how_many_documents_would_prove_the_target():
    assert standing(0.94).documents_needed(0.95) is None
    # The study's table: 3,716 trials where the truth lies a point above 0.95, and 833 where it lies two points above.
    assert standing(0.96).documents_needed(0.95) == pytest.approx(3716 / 3, abs=1)
    assert standing(0.97).documents_needed(0.95) == pytest.approx(833 / 3, abs=1)
    assert standing(0.97, trials=300).documents_needed(0.95) == pytest.approx(833 / 1.5, abs=1)
    assert standing(1.0).documents_needed(0.95) == 201


# --- the verdict


def test_the_cheapest_chosen_one_is_named():
    rows = [row("a", State.UNDECIDED, standing(0.96)), row("b", State.CHOSEN, standing(0.98)), row("c", State.PROBED)]
    found = verdict_of(rows, 0.95)
    assert (found.ending, found.row) == (Ending.FOUND, rows[1])


def test_of_undecided_settings_the_cheapest_that_more_documents_may_prove():
    rows = [
        row("a", State.DROPPED, standing(0.8)),
        row("b", State.UNDECIDED, standing(0.949)),
        row("c", State.UNDECIDED, standing(0.965)),
    ]
    found = verdict_of(rows, 0.95)
    assert (found.ending, found.row) == (Ending.UNDECIDED, rows[2])
    assert found.more
    assert found.more > 100
    assert verdict_of(rows[:2], 0.95).more is None


def test_none_names_the_best_one_and_not_the_strongest_that_it_is_compared_with():
    rows = [row("a", State.DROPPED, standing(0.8)), row("b", State.DROPPED, standing(0.7))]
    assert verdict_of(rows, 0.95).row == rows[0]
    strongest = row("c", State.STRONGEST, standing(1.0))
    assert verdict_of([*rows, strongest], 0.95).row == rows[0]
    assert verdict_of([strongest], 0.95).row is None


def test_prices_by_route():
    assert row("a", State.NOT_ASKED).price_nusd().mean == 7
    assert row("a", State.NOT_ASKED).price_nusd("stream").mean == 14
    assert row("a", State.CHOSEN, standing(1.0)).price_nusd() == Interval(5, 4, 6)


# --- the expected cost


def test_the_expected_cost_is_that_of_the_costliest_choice():
    # With 8 fields, an upper bound of 0.90 falls below the target of 0.95 at 22 documents; with one field at 75.
    assert expected_nusd([1.0], 200, 0.95, fields=8) == 200
    assert expected_nusd([1.0, 2.0], 200, 0.95, fields=8) == 22 + 400
    assert expected_nusd([1.0, 1.0, 1.0], 200, 0.95, fields=8) == 22 + 22 + 200
    assert expected_nusd([1.0, 1.0], 200, 0.95, fields=1) == 75 + 200
    assert expected_nusd([], 200, 0.95, fields=8) == 0


def test_no_target_is_offered_that_nothing_proves():
    refused = too_few(0, 0, 0.95, labelled=True)
    assert refused
    assert (
        refused.hint == "the job has 0 labelled documents to send; or compare with the strongest setting: --agreement"
    )
