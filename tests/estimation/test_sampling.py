"""Which documents of a large job are counted, and what that tells of the others."""

import math
import random
from collections.abc import Sequence
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.estimation.calibration import Z
from batchrun.estimation.sampling import (
    LEAST_SAMPLED,
    MOST_SAMPLED,
    SAMPLED_BYTES,
    UNKNOWN_RATIO,
    UNKNOWN_SPREAD,
    Counted,
    DocumentSize,
    Ratio,
    evenly,
    ratios,
    step_bytes,
    unsampled,
)
from batchrun.estimation.text_class import TextClass


def prose(size: int) -> DocumentSize:
    return DocumentSize(size, TextClass.PROSE)


def drawn(sizes: Sequence[int], step: float) -> list[int]:
    return list(evenly(enumerate(sizes), step))


# --- how many

STEPS: dict[str, tuple[list[int], float]] = {
    "none": ([], 1.0),
    "one": ([700], 700.0),
    "empty ones": ([0, 0], 1.0),
    "few: all, if they are of one size": ([1_000] * 40, 1_000.0),
    "small ones: the most": ([1_000] * 100_000, 100_000_000 / MOST_SAMPLED),
    "middling ones: so many bytes": ([100_000] * 10_000, 10_000 * 100_000 / (SAMPLED_BYTES / 100_000)),
    "large ones: the least": ([10_000_000] * 1_000, 10_000 * 1_000_000 / LEAST_SAMPLED),
}


@pytest.mark.parametrize(("sizes", "step"), STEPS.values(), ids=STEPS)
def test_the_step(sizes: list[int], step: float) -> None:
    assert step_bytes(len(sizes), sum(sizes), sum(size * size for size in sizes)) == pytest.approx(step)


# --- which


def test_nothing_of_nothing() -> None:
    assert drawn([], 1.0) == drawn([0, 0, 0], 1.0) == []


def test_documents_of_one_size_are_drawn_at_equal_distances() -> None:
    assert drawn([10] * 12, 40.0) == [2, 6, 10]


def test_a_document_larger_than_steps_is_drawn_once() -> None:
    assert drawn([1, 1, 1_000, 1, 1], 10.0) == [2]


@pytest.mark.slow
@given(st.lists(st.integers(0, 10_000), max_size=200), st.floats(1, 20_000))
def test_all_that_are_as_large_as_a_step_are_drawn_and_of_the_rest_its_share(sizes: list[int], step: float) -> None:
    numbers = drawn(sizes, step)

    assert numbers == sorted(set(numbers)), "in their order, and none twice"
    assert {number for number, size in enumerate(sizes) if size > step} <= set(numbers)
    assert all(sizes[number] > 0 for number in numbers)
    assert len(numbers) <= sum(sizes) / step + 1
    small = [size for size in sizes if size <= step]
    if len(small) == len(sizes):
        assert len(numbers) == pytest.approx(sum(sizes) / step, abs=1)


def test_every_document_is_drawn_as_often_as_it_is_large() -> None:
    """Over all places where the first step may fall, made by an empty beginning."""
    sizes, step, places = [3, 10, 1, 25, 7, 14], 30.0, 3_000
    times = [0] * len(sizes)
    for place in range(places):
        for number in evenly(
            enumerate([round(step * 100 * place / places), *[100 * one for one in sizes]]), 100 * step
        ):
            if number:
                times[number - 1] += 1
    for size, count in zip(sizes, times, strict=True):
        assert count / places == pytest.approx(size / step, abs=0.01)


# --- what the others have


def test_a_ratio_by_hand() -> None:
    sample = [Counted(prose(100), 30), Counted(prose(200), 40), Counted(prose(1_000), 100)]

    found = ratios(sample, 500.0)[TextClass.PROSE]

    weights = [400, 300]  # what each stands for but was not drawn itself; the largest stands for none
    mean = (400 * 0.3 + 300 * 0.2) / 700
    variance = (400 * (0.3 - mean) ** 2 + 300 * (0.2 - mean) ** 2) / 700
    number = 700**2 / sum(weight**2 for weight in weights)
    assert found.mean == pytest.approx(mean)
    assert found.error == pytest.approx(math.sqrt(variance / (number - 1)))


def test_a_class_without_a_document_in_the_sample_is_a_guess() -> None:
    found = ratios([Counted(prose(100), 30)] * 5, 500.0)

    assert found[TextClass.CODE] == Ratio(UNKNOWN_RATIO, UNKNOWN_SPREAD * UNKNOWN_RATIO)


def test_a_class_with_one_document_is_little_more() -> None:
    assert ratios([Counted(prose(100), 30)], 500.0)[TextClass.PROSE] == Ratio(0.3, UNKNOWN_SPREAD * 0.3)


def test_documents_without_text_tell_nothing() -> None:
    assert ratios([Counted(prose(0), 0)] * 3, 500.0)[TextClass.PROSE].mean == UNKNOWN_RATIO


def test_where_nothing_is_left_nothing_errs() -> None:
    found = ratios([Counted(prose(100), 30)], 500.0)

    assert unsampled({}, found) == unsampled({TextClass.PROSE: 0}, found) == {}
    assert unsampled({TextClass.PROSE: 1_000}, found) == {TextClass.PROSE: pytest.approx(1_000 * 0.3 * UNKNOWN_SPREAD)}


def estimated(documents: Sequence[Counted], step: float) -> tuple[float, float, int]:
    """The total by a sample, its standard deviation, and what it really is."""
    ordered = sorted(documents, key=lambda one: (one.size.text_class, one.size.bytes))
    numbers = set(drawn([one.size.bytes for one in ordered], step))
    sample = [one for number, one in enumerate(ordered) if number in numbers]
    found, left = ratios(sample, step), dict.fromkeys(TextClass, 0)
    for number, one in enumerate(ordered):
        left[one.size.text_class] += 0 if number in numbers else one.size.bytes
    exact = sum(one.counted for one in sample)
    total = exact + sum(found[kind].mean * size for kind, size in left.items())
    return total, math.hypot(*unsampled(left, found).values()), sum(one.counted for one in ordered)


def corpus(chance: random.Random, *, spread: float, classes: Sequence[TextClass]) -> list[Counted]:
    """Small documents have more tokens to a byte than large ones have, and every class its own."""
    documents = []
    for _ in range(chance.randrange(500, 1_500)):
        size, kind = int(chance.lognormvariate(7.5, spread)) + 1, chance.choice(classes)
        ratio = (0.32 - 0.012 * math.log(size / 100 + 1)) * (1.3 if kind is TextClass.CODE else 1)
        documents.append(Counted(DocumentSize(size, kind), round(size * ratio * chance.gauss(1, 0.08))))
    return documents


CORPORA = {
    "of much the same size": (0.3, [TextClass.PROSE]),
    "of very different sizes": (1.0, [TextClass.PROSE]),
    "with some larger than a step": (2.0, [TextClass.PROSE]),
    "of two classes": (1.0, [TextClass.PROSE, TextClass.CODE]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "classes"), CORPORA.values(), ids=CORPORA)
def test_the_total_is_without_bias_and_the_error_is_as_large_as_said(spread: float, classes: list[TextClass]) -> None:
    chance, errors, covered = random.Random(20_261_127), [], 0
    for _ in range(200):
        documents = corpus(chance, spread=spread, classes=classes)
        total, deviation, truth = estimated(documents, sum(one.size.bytes for one in documents) / 60)
        errors.append(total / truth - 1)
        covered += abs(total - truth) <= Z * deviation
    assert fmean(errors) == pytest.approx(0, abs=0.004)
    assert max(map(abs, errors)) < 0.06
    assert 0.85 <= covered / 200 <= 1.0


def test_identical_documents_are_known_from_any() -> None:
    total, deviation, truth = estimated([Counted(prose(1_000), 250)] * 500, 10_000.0)

    assert total == pytest.approx(truth)
    assert deviation == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@given(
    st.lists(
        st.builds(
            Counted,
            st.builds(DocumentSize, st.integers(0, 10**9), st.sampled_from(TextClass)),
            st.integers(0, 10**9),
        ),
        max_size=30,
    ),
    st.floats(1, 10**10),
)
def test_whatever_is_counted_ratios_are_ratios(sample: list[Counted], step: float) -> None:
    for ratio in ratios(sample, step).values():
        assert 0 <= ratio.mean < math.inf
        assert 0 <= ratio.error < math.inf
