"""What a pilot tells, and what follows from it."""

import math
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from batchrun.errors import UsageProblem
from batchrun.job.spec import PilotSection
from batchrun.outcome import Outcome
from batchrun.strategy.pilot_report import (
    PilotOptions,
    PilotTerms,
    Tried,
    average,
    checks,
    drawn,
    findings,
    pilot_terms,
)
from batchrun.strategy.rate import Rate
from batchrun.strategy.routes import Route

USD = 1_000_000_000


def section(**keys: object) -> PilotSection:
    return PilotSection.model_validate(keys)


def tried(outcome: Outcome = Outcome.SUCCEEDED, *, nulls: str = "", cost: int = 100) -> Tried:
    return Tried("d", outcome, frozenset(nulls.split()), cost, 1_000, 50)


# --- whether there is one


TERMS = {
    "nothing is said": ({}, PilotOptions(), None),
    "the command asks": ({}, PilotOptions(documents=20), (20, True, False)),
    "the job file asks": ({"documents": 50}, PilotOptions(), (50, False, False)),
    "the command says how many": ({"documents": 50}, PilotOptions(documents=20), (20, True, False)),
    "thresholds alone make none": ({"max_failure_rate": 0.1}, PilotOptions(), None),
    "with a threshold the rest follows": ({"max_null_rate": 0.1}, PilotOptions(documents=20), (20, True, True)),
    "one that allows nothing is one": ({"max_refusal_rate": 0}, PilotOptions(documents=20), (20, True, True)),
    "unless the job file says no": (
        {"max_failure_rate": 0.1, "go_on": False},
        PilotOptions(documents=20),
        (20, True, False),
    ),
    "the command says yes": ({"documents": 50, "go_on": False}, PilotOptions(go_on=True), (50, False, True)),
    "the command wants none": ({"documents": 50}, PilotOptions(none=True), None),
}


@pytest.mark.parametrize(("keys", "wish", "expected"), TERMS.values(), ids=TERMS)
def test_terms(keys: dict[str, object], wish: PilotOptions, expected: tuple[int, bool, bool] | None) -> None:
    terms = pilot_terms(section(**keys), wish)
    if expected is None:
        assert terms is None
        return
    documents, asked, goes_on = expected
    assert terms == PilotTerms(documents=documents, asked=asked, goes_on=goes_on, thresholds=section(**keys))


@pytest.mark.parametrize(
    "wish", [PilotOptions(none=True, documents=5), PilotOptions(none=True, go_on=True), PilotOptions(go_on=True)]
)
def test_options_that_do_not_go_together(wish: PilotOptions) -> None:
    with pytest.raises(UsageProblem):
        pilot_terms(section(), wish)


# --- which documents


@pytest.mark.parametrize(("documents", "wanted"), [(1_200, 50), (51, 50), (1_000_000, 500), (7, 3), (100, 1)])
def test_exactly_so_many_are_drawn_evenly_and_the_same_every_time(documents: int, wanted: int) -> None:
    numbers = list(range(documents))
    chosen = drawn(numbers, wanted)
    assert len(chosen) == len(set(chosen)) == wanted
    assert chosen == drawn(numbers, wanted)
    gaps = {after - before for before, after in pairwise(chosen)}
    assert all(abs(gap - documents / wanted) <= 1 for gap in gaps)


def test_of_few_documents_all_are_drawn() -> None:
    assert drawn([4, 2, 9], 50) == [4, 2, 9]
    assert drawn([], 50) == []


def test_every_class_and_size_has_its_share() -> None:
    by_class_and_size = ["small code"] * 600 + ["large code"] * 100 + ["prose"] * 300
    chosen = Counter(by_class_and_size[number] for number in drawn(list(range(1_000)), 50))
    assert chosen == {"small code": 30, "large code": 5, "prose": 15}


# --- rates and means

WILSON = {
    "none of ten": (0, 10, 0.0, 0.2129),
    "one of ten": (1, 10, 0.0226, 0.3477),
    "half": (25, 50, 0.3868, 0.6132),
    "all": (50, 50, 0.9487, 1.0),
}
"""The textbook formula at z = 1.645, worked out by hand."""


@pytest.mark.parametrize(("count", "of", "low", "high"), WILSON.values(), ids=WILSON)
def test_the_interval_of_a_rate(count: int, of: int, low: float, high: float) -> None:
    found = Rate(count, of).interval
    assert (found.mean, found.low, found.high) == pytest.approx((count / of, low, high), abs=1e-4)


def test_of_nothing_nothing_is_known() -> None:
    found = Rate(0, 0).interval
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 1.0)


def test_the_interval_of_a_mean_holds_nine_times_in_ten() -> None:
    rng = Random(20261127)
    samples = [[rng.gauss(100, 20) for _ in range(12)] for _ in range(2_000)]
    within = sum(found.low <= 100 <= found.high for found in map(average, samples))
    assert 0.88 <= within / 2_000 <= 0.92


def test_one_value_says_little_of_others() -> None:
    found = average([10])
    assert (found.mean, found.low, found.high) == (10, 0, 20)
    assert math.isclose(average([10] * 5).high, 10)


def test_what_is_found() -> None:
    documents = [
        tried(nulls="b", cost=100),
        tried(nulls="a b", cost=300),
        tried(Outcome.REFUSED, cost=50),
        tried(Outcome.INVALID, cost=150),
        tried(Outcome.REJECTED, cost=0),
    ]
    found = findings(documents, fields=["a", "b", "c"])
    assert found.documents == 5
    assert {outcome: rate.count for outcome, rate in found.outcomes.items()} == {
        Outcome.SUCCEEDED: 2, Outcome.INVALID: 1, Outcome.TRUNCATED: 0, Outcome.REFUSED: 1, Outcome.REJECTED: 1,
    }  # fmt: skip
    assert found.failures == Rate(3, 5)
    assert found.nulls == {"a": Rate(1, 2), "b": Rate(2, 2), "c": Rate(0, 2)}, "of the rows"
    assert found.cost_nusd.mean == 120
    assert (found.input_tokens.mean, found.output_tokens.mean) == (1_000, 50)


# --- thresholds

SAMPLE = [tried(nulls="b", cost=USD)] * 8 + [tried(Outcome.REFUSED, cost=USD), tried(Outcome.INVALID, cost=USD)]
THRESHOLDS = {
    "none": ({}, Route.STREAM, []),
    "failures": ({"max_failure_rate": 0.19}, Route.STREAM, ["max_failure_rate"]),
    "exactly as many failures": ({"max_failure_rate": 0.2}, Route.STREAM, []),
    "refusals": ({"max_refusal_rate": 0}, Route.STREAM, ["max_refusal_rate"]),
    "exactly as many refusals": ({"max_refusal_rate": 0.1}, Route.STREAM, []),
    "nulls, for every field": ({"max_null_rate": 0.5}, Route.STREAM, ["max_null_rate b"]),
    "all may be null": ({"max_null_rate": 1}, Route.STREAM, []),
    "cost": ({"max_cost_per_document_usd": 0.99}, Route.STREAM, ["max_cost_per_document_usd"]),
    "exactly that cost": ({"max_cost_per_document_usd": 1.0}, Route.STREAM, []),
    "the rest costs half in a batch": ({"max_cost_per_document_usd": 0.5}, Route.BATCH, []),
    "two": ({"max_failure_rate": 0, "max_refusal_rate": 0}, Route.STREAM, ["max_failure_rate", "max_refusal_rate"]),
}


@pytest.mark.parametrize(("keys", "route", "exceeded"), THRESHOLDS.values(), ids=THRESHOLDS)
def test_thresholds(keys: dict[str, object], route: Route, exceeded: list[str]) -> None:
    checked = checks(findings(SAMPLE, fields=["a", "b"]), section(**keys), route=route)
    assert [f"{one.key} {one.field or ''}".strip() for one in checked if not one.holds] == exceeded


def test_a_threshold_in_words() -> None:
    keys = {"max_failure_rate": 0.05, "max_null_rate": 0.5, "max_cost_per_document_usd": 0.02}
    failure, _, null, cost = checks(findings(SAMPLE, fields=["a", "b"]), section(**keys), route=Route.STREAM)
    assert failure.words == "pilot.max_failure_rate: 20.0% (90%: 6.9% to 45.9%), allowed 5.0%"
    assert null.words.startswith("pilot.max_null_rate of b: 100.0% (90%: ")
    assert cost.words == "pilot.max_cost_per_document_usd: $1.00 (90%: $1.00 to $1.00), allowed $0.0200"
