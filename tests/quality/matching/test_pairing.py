"""The pairing of rows against every pairing there is, and the assignment against every assignment."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.quality.matching import pairing
from batchrun.quality.matching.pairing import MOST_PAIRED, Pairing, cheapest_assignment, pair

ROWS = st.lists(st.tuples(*[st.sampled_from([None, "a", "b", "c"])] * 3), max_size=5)


def best_of_all(gold, given):
    """Count the hits of every pairing of the rows, and return the most."""
    few, many = sorted((gold, given), key=len)
    return max(
        sum(a == b for row, at in enumerate(order) for a, b in zip(few[row], many[at], strict=True) if a is not None)
        for order in permutations(range(len(many)), len(few))
    )


@settings(max_examples=150, deadline=None)
@given(ROWS, ROWS)
def test_no_pairing_has_more_hits(gold, answer):
    assert pair(gold, answer) == Pairing(best_of_all(gold, answer), greedy=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(-9, 9), min_size=5, max_size=5), min_size=1, max_size=5))
def test_no_assignment_costs_less(costs):
    owners = cheapest_assignment(costs)
    assert sorted(row for row in owners if row >= 0) == list(range(len(costs)))
    cost = sum(costs[row][column] for column, row in enumerate(owners) if row >= 0)
    orders = permutations(range(5), len(costs))
    assert cost == min(sum(costs[row][column] for row, column in enumerate(order)) for order in orders)


@settings(max_examples=100, deadline=None)
@given(ROWS, ROWS)
def test_the_greedy_pairing_is_a_pairing(gold, answer):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "MOST_PAIRED", 0)
        greedy = pair(gold, answer)
    best = pair(gold, answer).hits
    assert best / 2 <= greedy.hits <= best


def test_a_row_whose_partner_is_taken_finds_another(monkeypatch):
    monkeypatch.setattr(pairing, "MOST_PAIRED", 0)
    gold = [("a", "x", "1"), ("a", "y", "2")]
    answer = [("a", "x", "2"), ("b", "y", "3")]  # both gold rows share most with the first
    assert pair(gold, answer) == Pairing(3, greedy=True)


@pytest.mark.parametrize(("rows", "greedy"), [(MOST_PAIRED, False), (MOST_PAIRED + 1, True)], ids=["most", "more"])
def test_rows_are_counted_once_the_equal_ones_are_paired(rows, greedy):
    equal = [("=", str(at)) for at in range(50)]
    gold, answer = ([(side, str(at)) for at in range(rows)] for side in ("gold", "answer"))
    assert pair(gold + equal, equal + answer) == Pairing(rows + 100, greedy)
