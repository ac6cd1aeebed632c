"""Whether a run is better or worse than another where there are gold labels."""

import random

import pytest

from batchrun.quality.gold_change import ALPHA, GoldChange, Labelled, gold_change

RIGHT, WORSE, BETTER, WRONG = (True, True), (True, False), (False, True), (False, False)


def documents(count: int, **cells: tuple[bool, bool]) -> list[Labelled]:
    """So many documents with the same cells."""
    return [cells] * count


def judged(*labelled: list[Labelled]) -> GoldChange:
    change = gold_change([document for some in labelled for document in some])
    assert change is not None
    return change


def test_a_change_in_one_field_is_found_in_this_field() -> None:
    change = judged(documents(12, x=WORSE, y=RIGHT), documents(2, x=BETTER, y=WRONG), documents(86, x=RIGHT, y=RIGHT))

    assert change.found
    assert change.right == (196, 186)
    assert change.difference.mean == pytest.approx(-0.05)
    assert change.difference.low < -0.05 < change.difference.high < 0
    assert change.field_p["x"] < 0.05
    assert change.field_p["y"] == 1.0


@pytest.mark.parametrize("cell", [WORSE, BETTER])
def test_both_directions_are_found_alike(cell: tuple[bool, bool]) -> None:
    change = judged(documents(10, x=cell), documents(90, x=RIGHT))

    assert change.found
    assert change.field_p["x"] < 0.01


def test_a_few_changes_both_ways_are_chance() -> None:
    change = judged(documents(3, x=WORSE), documents(2, x=BETTER), documents(95, x=RIGHT))

    assert not change.found
    assert change.field_p == {}
    assert 0.02 < change.detectable < 0.2


def test_more_documents_find_a_smaller_difference() -> None:
    some, more = (judged(documents(n, x=WORSE), documents(n, x=BETTER), documents(98 * n, x=RIGHT)) for n in (1, 10))

    assert more.detectable < some.detectable / 2


def test_fields_that_change_together_count_as_fewer() -> None:
    alone = judged(documents(2, a=WORSE, b=RIGHT), documents(2, a=RIGHT, b=BETTER), documents(96, a=RIGHT, b=RIGHT))
    together = judged(documents(1, a=WORSE, b=WORSE), documents(1, a=BETTER, b=BETTER), documents(98, a=RIGHT, b=RIGHT))

    assert together.right == alone.right
    assert together.detectable > alone.detectable


def test_no_label_no_change() -> None:
    assert gold_change([]) is None


def test_chance_alone_is_called_worse_in_a_tenth_of_cases() -> None:
    drawn = random.Random(7)

    def chance() -> GoldChange:
        return judged([{"x": (drawn.random() < 0.9, drawn.random() < 0.9)} for _ in range(60)])

    worse = sum(change.found and change.difference.mean < 0 for change in (chance() for _ in range(100)))
    assert worse <= 100 * ALPHA + 5
