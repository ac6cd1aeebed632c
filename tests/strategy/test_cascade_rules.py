"""A cascade before anything is sent: which answers are taken, and what all of it costs, checked by hand."""

import math
from dataclasses import replace
from datetime import date

import pytest

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.estimate import Estimate
from batchrun.estimation.interval import Interval, product
from batchrun.job.model_sections import CascadeSection, ModelSection
from batchrun.job.spec import LimitsSection
from batchrun.outcome import Outcome
from batchrun.statistics.audit import calibration_needed
from batchrun.strategy.cascade_cost import (
    GUESS,
    CascadeCost,
    Share,
    calibrating_share,
    cascaded,
    reaching,
    share,
)
from batchrun.strategy.cascade_rules import UNMET, AcceptanceRules
from batchrun.strategy.model_chain import ModelChain, make_model_chain

TODAY = date(2026, 11, 21)
PRICES = load_prices(today=TODAY)
MODELS = ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5")
TEXT = "This  Agreement is governed\nby the laws of Texas. § 5: no “oral” changes."


def cascade(*models: str, **keys: object) -> ModelChain:
    section = CascadeSection.model_validate({"models": models or MODELS, **keys})
    first, *others = section.models
    model = ModelSection(name=first, max_tokens=100).model_copy(
        update={"fallbacks": tuple(others), "fallback_on": section.escalate_on}
    )
    return make_model_chain(model, LimitsSection(), PRICES, today=TODAY, cascade=section)


# --- what an answer has to have

DEMANDS = AcceptanceRules(null_in=("day", "law"), evidence=("quote", "second"))
ANSWERS = {
    "all there": ({"day": "2026-01-01", "law": "TX", "quote": "governed by the laws of texas", "second": None}, None),
    "false is not null": ({"day": False, "law": 0, "quote": None, "second": ""}, None),
    "null": ({"day": "2026-01-01", "law": None, "quote": "governed by", "second": None}, "null in law"),
    "the first of several": ({"day": None, "law": None, "quote": "of Maine", "second": None}, "null in day"),
    "not in the document": (
        {"day": 1, "law": 1, "quote": "governed by the laws of Maine", "second": None}, "no evidence for quote"),
    "only the second is wrong": (
        {"day": 1, "law": 1, "quote": "of Texas.", "second": "governed by Texas"}, "no evidence for second"),
    "white space and case do not matter": (
        {"day": 1, "law": 1, "quote": " AGREEMENT\tis  governed by ", "second": "§ 5: no “ORAL” changes."}, None),
}  # fmt: skip


@pytest.mark.parametrize(("output", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_what_an_answer_leaves_to_be_desired(output: dict[str, object], reason: str | None) -> None:
    assert DEMANDS.violation(output, TEXT) == reason


SCORED = AcceptanceRules(null_in=("law",), evidence=("quote",), calibrate=300)
SURE = {"law": "TX", "quote": None}
"""An answer with a null: its score is 0.1."""


def test_without_a_threshold_every_answer_is_passed_on_and_with_one_those_above() -> None:
    assert SCORED.words == ("null in law", "no evidence for quote", "score")
    assert SCORED.is_calibrating
    assert SCORED.violation(SURE, TEXT) == "calibrating"
    assert SCORED.violation({**SURE, "law": None}, TEXT) == "null in law", "what an answer lacks is told first"
    known = replace(SCORED, below=0.4)
    assert not known.is_calibrating
    assert known.violation(SURE, TEXT) is None
    assert known.violation(SURE, TEXT, {"repairs": 1}) == "score"
    assert replace(SCORED, below=math.inf).violation(SURE, TEXT, {"repairs": 9}) is None


@pytest.mark.parametrize(
    ("output", "escalated", "expected"),
    [
        (SURE, None, 0.4), (SURE, "calibrating", 0.4), (SURE, "score", 0.4),
        (SURE, "no evidence for quote", math.inf), ({**SURE, "law": None}, None, math.inf), (None, "invalid", math.inf),
    ],
)  # fmt: skip
def test_an_answer_that_no_threshold_would_take_has_no_finite_score(
    output: dict[str, object] | None, escalated: str | None, expected: float
) -> None:
    assert SCORED.calibration_score(output, {"repairs": 1}, escalated) == expected


def test_how_many_documents_are_calibrated() -> None:
    def documents(**keys: object) -> int:
        section = CascadeSection.model_validate({"models": MODELS[:2], "accept": "calibrated", **keys})
        assert section.documents_to_calibrate >= calibration_needed(section.max_difference)
        return section.documents_to_calibrate

    asked = [documents(max_difference=share) for share in (0.005, 0.01, 0.02, 0.05, 0.2)]
    assert asked == [1_700, 1_010, 600, 300, 110]
    assert documents(calibrate=450) == 450
    assert CascadeSection.model_validate({"models": MODELS}).documents_to_calibrate == 0


def test_a_calibration_is_sure_and_the_others_are_guessed() -> None:
    assert calibrating_share(600, 6_000).expected.mean == pytest.approx(0.1 + 0.9 * GUESS.mean)
    assert calibrating_share(600, 300).expected == Interval(1.0, 1.0, 1.0)


def test_without_the_text_no_evidence_is_looked_for() -> None:
    output = {"day": 1, "law": 1, "quote": "of Maine", "second": None}
    assert DEMANDS.violation(output, None) is None
    assert DEMANDS.violation({**output, "day": None}, None) == "null in day"
    assert DEMANDS.words == ("null in day", "null in law", "no evidence for quote", "no evidence for second")


# --- who is asked next

NULL = {"day": None}


@pytest.mark.parametrize(
    ("model_no", "outcome", "output", "why"),
    [
        (0, Outcome.SUCCEEDED, {"day": "2026-01-01"}, None),
        (0, Outcome.SUCCEEDED, NULL, "null in day"),
        (1, Outcome.SUCCEEDED, NULL, "null in day"),
        (2, Outcome.SUCCEEDED, NULL, None),
        (0, Outcome.INVALID, None, "invalid"),
        (0, Outcome.TRUNCATED, None, "truncated"),
        (0, Outcome.REFUSED, None, None),
        (2, Outcome.INVALID, None, None),
    ],
)
def test_why_the_next_model_is_asked(
    model_no: int, outcome: Outcome, output: dict[str, object], why: str | None
) -> None:
    assert cascade(null_in=["day"]).escalated(model_no, outcome, output, None) == why


def test_a_ladder_that_is_no_cascade_takes_every_row() -> None:
    model = ModelSection(name=MODELS[0], fallbacks=MODELS[1:], max_tokens=100)
    chain = make_model_chain(model, LimitsSection(), PRICES, today=TODAY)
    assert chain.escalated(0, Outcome.SUCCEEDED, NULL, "") is None
    assert chain.escalated(0, Outcome.REFUSED, None, "") == "refused"


@pytest.mark.parametrize(
    ("known", "at", "model_no"),
    [
        ((None, None, None), None, 0),
        ((UNMET, None, None), 0, 1),
        ((UNMET, None, None), 1, 1),
        ((UNMET, UNMET, None), 1, 2),
        ((UNMET, "succeeded", None), 1, 1),
        ((UNMET, "invalid", None), 1, 2),
        ((UNMET, "refused", None), 1, 0),
        ((UNMET, UNMET, "invalid"), 2, 1),
        ((UNMET, "truncated", "invalid"), 2, 0),
        ((UNMET, "truncated", "invalid"), 0, 0),
        (("invalid", "truncated", "invalid"), 2, 2),
        (("succeeded", None, None), 0, 0),
    ],
)
def test_the_model_whose_request_a_document_stands_for(
    known: tuple[str | None, ...], at: int | None, model_no: int
) -> None:
    """A row that leaves something to be desired is still better than none, when the dearer models fail."""
    assert cascade(null_in=["day"]).current_model(known, at=at) == model_no


# --- what it costs


def certain(value: float) -> Interval:
    return Interval(value, value, value)


def estimate(cost: Interval, *, documents: int = 10**9) -> Estimate:
    return Estimate(documents=documents, input=certain(100), output=certain(10), cost_nusd=cost, fixed_tokens=5)


def test_few_answers_leave_the_guess() -> None:
    assert share(0, 19) == Share(GUESS, 0)
    assert share(19, 19) == Share(GUESS, 0)


def test_the_measured_share_has_wilsons_interval() -> None:
    found = share(12, 100)
    assert found.answers == 100
    assert found.expected.mean == 0.12
    assert (found.expected.low, found.expected.high) == (
        pytest.approx(0.0763, abs=5e-5),
        pytest.approx(0.1837, abs=5e-5),
    )
    assert share(0, 20).expected == Interval(0.0, 0.0, pytest.approx(0.1192, abs=5e-5))
    assert share(20, 20).expected.high == pytest.approx(1.0)


def test_the_expected_cost_by_hand() -> None:
    """One dollar for everything at the first model, three at the second, 20% (5% to 50%) of it is asked there."""
    reach = reaching([Share(GUESS, 0)], [1.0, 0.0], documents=10**9)
    assert reach[1].mean == pytest.approx(0.2)
    total = cascaded([estimate(Interval(1.0, 0.9, 1.2)), estimate(Interval(3.0, 2.4, 4.0))], reach)
    assert total.cost_nusd.mean == pytest.approx(1.0 + 0.2 * 3.0)
    assert total.cost_nusd.low == pytest.approx(1.6 - math.hypot(0.1, 3 * 0.15, 0.2 * 0.6), rel=1e-4)
    assert total.cost_nusd.high == pytest.approx(1.6 + math.hypot(0.2, 3 * 0.30, 0.2 * 1.0), rel=1e-4)
    assert (total.input.mean, total.output.mean) == (pytest.approx(120), pytest.approx(12))
    assert total.documents == 10**9


def test_each_later_model_is_asked_about_a_share_of_the_one_before() -> None:
    reach = reaching([share(50, 100), share(10, 100)], [1.0, 0.0, 0.0], documents=10**9)
    assert [one.mean for one in reach] == [1.0, pytest.approx(0.5), pytest.approx(0.05)]


def test_documents_that_stand_for_a_later_model_are_asked_there_for_certain() -> None:
    reach = reaching([Share(certain(0.2), 100)], [0.75, 0.25], documents=10**12)
    assert [one.mean for one in reach] == [0.75, pytest.approx(0.25 + 0.75 * 0.2)]
    assert reach[1].high == pytest.approx(0.4, abs=1e-5)


def test_how_many_of_a_few_documents_it_will_be_is_chance() -> None:
    few = reaching([Share(certain(0.2), 100)], [1.0, 0.0], documents=100)[1]
    assert few.high - few.mean == pytest.approx(1.645 * math.sqrt(0.2 * 0.8 / 100))
    one = reaching([Share(certain(0.9), 100)], [1.0, 0.0], documents=1)[1]
    assert one.high == 1.0, "nothing is asked twice at one model"


def test_a_product_of_what_errs_independently() -> None:
    assert product(Interval(10, 8, 13), Interval(0.5, 0.4, 0.7)) == Interval(
        5.0, 5 - math.hypot(1.0, 1.0), 5 + math.hypot(1.5, 2.0)
    )
    assert product(certain(10), certain(0.5)) == certain(5)


@pytest.mark.parametrize(("first", "second", "pays"), [(1.0, 1.24, False), (1.0, 1.26, True), (1.0, 3.0, True)])
def test_it_pays_when_more_is_accepted_than_the_ratio_of_the_costs(first: float, second: float, *, pays: bool) -> None:
    """80% are accepted: c1 + 0.2 c2 < c2 exactly when 0.8 > c1 / c2."""
    cost = CascadeCost((), certain(first + 0.2 * second), certain(second))
    assert cost.pays is pays is (first / second < 0.8)
