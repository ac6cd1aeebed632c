"""What counted requests tell of the others: the line, how certain it is, and what each observation weighs."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.estimation.calibration import (
    FIXED_SHARE,
    LEAST_FACTOR,
    LEAST_SCATTER,
    ROUNDING,
    SCATTER,
    SCATTER_WEIGHT,
    Calibration,
    Observation,
    Prompts,
    Z,
    calibrate,
)
from batchrun.estimation.sampling import evenly
from batchrun.estimation.text_class import TextClass, factor

FIXED = 100
"""cl100k tokens."""
PROSE = factor("new", TextClass.PROSE)


def calibrated(
    observations: Sequence[Observation], *, fixed: float = FIXED, bias: float = 0.0, step: float = 0.0
) -> Calibration:
    found = calibrate(observations, tokenizer="new", fixed_tokens=fixed, bias=bias, step=step)
    assert found
    return found


def prose(counted: int, prompt_tokens: int) -> Observation:
    return Observation(TextClass.PROSE, counted, prompt_tokens)


def width(calibration: Calibration, classes: dict[TextClass, Prompts] | None = None) -> float:
    interval = calibration.prompts(classes or {TextClass.PROSE: Prompts(100, 100_000)})
    return interval.high - interval.low


def test_nothing_observed_is_no_calibration() -> None:
    assert calibrate([], tokenizer="new", fixed_tokens=FIXED, bias=0.0) is None


def test_the_fixed_part_alone_by_hand() -> None:
    found = calibrated([prose(0, 190)], bias=0.01)

    prior = FIXED * PROSE.mean
    variance, noise = (FIXED_SHARE * prior) ** 2, ROUNDING**2
    mean = prior + variance / (variance + noise) * (190 - prior)
    quantile = Z * (1 + (Z**2 + 1) / (4 * (1 + SCATTER_WEIGHT)))
    half = math.hypot(quantile * math.sqrt(variance * noise / (variance + noise)), 0.01 * mean)
    assert found.fixed.mean == pytest.approx(mean)
    assert (found.fixed.low, found.fixed.high) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert found.factor(TextClass.PROSE) == PROSE.mean, "it says nothing of documents"
    assert (found.requests, found.scatter) == (1, SCATTER)


def test_one_document_by_hand() -> None:
    found = calibrated([prose(1_000, 1_700)], fixed=0)

    def learned(scatter: float) -> float:
        deviation = (PROSE.high - PROSE.low) / (2 * Z)
        variance = (1_000 * deviation) ** 2
        noise = (scatter * 1_000 * PROSE.mean) ** 2 + ROUNDING**2
        return PROSE.mean + (variance / (variance + noise)) * (1.7 - PROSE.mean)

    first = learned(SCATTER)
    squares = SCATTER_WEIGHT * SCATTER**2 + ((1.7 - first) / first) ** 2
    scatter = math.sqrt(squares / (SCATTER_WEIGHT + 1))
    assert found.scatter == pytest.approx(scatter)
    assert found.factor(TextClass.PROSE) == pytest.approx(learned(scatter))
    assert PROSE.mean < found.factor(TextClass.PROSE) < 1.7, "one observation is not believed outright"


def observed(number: int, *, fixed: float = 180, factor: float = 1.42, chance: random.Random) -> list[Observation]:
    """Prose documents of a tokenizer that makes so many tokens, two percent more or less."""
    counts = [chance.randrange(200, 4_000) for _ in range(number)]
    return [prose(one, round(fixed + factor * one * chance.gauss(1, 0.02))) for one in counts]


def test_it_comes_to_the_truth() -> None:
    found = calibrated([prose(0, 180), *observed(2_000, chance=random.Random(7))])

    assert found.factor(TextClass.PROSE) == pytest.approx(1.42, rel=0.002)
    assert found.fixed.mean == pytest.approx(180, abs=2)
    assert found.scatter == pytest.approx(0.02, rel=0.5)


def test_the_interval_narrows_with_every_observation() -> None:
    """The observations are exact: those that differ also teach how far they do."""
    exact = [prose(1_000, round(FIXED * PROSE.mean + 1_000 * PROSE.mean))] * 50

    widths = [width(calibrated(exact[:number])) for number in range(1, 50)]

    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.25 * widths[0]


@pytest.mark.slow
def test_what_the_evidence_itself_may_be_off_by_does_not_shrink() -> None:
    many = observed(2_000, chance=random.Random(7))

    interval = calibrated(many, bias=0.01).prompts({TextClass.PROSE: Prompts(100, 100_000)})

    assert interval.high - interval.mean >= 0.01 * interval.mean
    assert width(calibrated(many)) < 0.5 * (interval.high - interval.low)


def test_a_class_that_nobody_observed_moves_with_the_others_but_not_as_far() -> None:
    more = calibrated([prose(2_000, round(1.7 * 2_000) + 154)] * 20)

    moved = {kind: more.factor(kind) / factor("new", kind).mean for kind in TextClass}

    assert all(one > 1 for one in moved.values())
    observed_class, *others = moved
    assert observed_class is TextClass.PROSE
    for kind in others:
        wide, narrow = factor("new", kind), factor("new", TextClass.PROSE)
        step = (more.factor(kind) - wide.mean) / (wide.high - wide.low)
        assert step < (more.factor(TextClass.PROSE) - narrow.mean) / (narrow.high - narrow.low)


@pytest.mark.parametrize("kind", [kind for kind in TextClass if kind is not TextClass.PROSE])
def test_a_class_that_nobody_observed_is_believed_to_share_half_of_the_error(kind: TextClass) -> None:
    """In units of how uncertain each class was at first."""
    known = calibrated([prose(2_000, round(1.7 * 2_000) + 154)] * 500)

    def moved(one: TextClass) -> float:
        before = factor("new", one)
        return (known.factor(one) - before.mean) / (before.high - before.low)

    assert 0.4 < moved(kind) / moved(TextClass.PROSE) < 0.6


def test_a_class_that_nobody_observed_stays_less_certain() -> None:
    found = calibrated([prose(2_000, 3_234)] * 200)

    assert width(found, {TextClass.CODE: Prompts(0, 1_000)}) > 5 * width(found, {TextClass.PROSE: Prompts(0, 1_000)})


def test_nothing_takes_no_tokens() -> None:
    nothing = calibrated([prose(10, 200)]).prompts({})

    assert (nothing.mean, nothing.low, nothing.high) == (0, 0, 0)


# --- a population whose ratio depends on the size of its documents


@dataclass(frozen=True)
class Population:
    """Documents of prose, and what Claude makes of them: of small ones more than of large ones."""

    documents: Sequence[Observation]

    @classmethod
    def drawn(cls, chance: random.Random, number: int, *, spread: float) -> "Population":
        counts = sorted(int(chance.lognormvariate(6.5, spread)) + 1 for _ in range(number))
        return cls([prose(one, round(154 + one * cls._ratio(one) * chance.gauss(1, 0.02))) for one in counts])

    @staticmethod
    def _ratio(counted: int) -> float:
        return max(1.75 - 0.06 * max(math.log(counted / 30), 0), 1.2)

    @property
    def prompts(self) -> dict[TextClass, Prompts]:
        return {TextClass.PROSE: Prompts(len(self.documents), sum(one.counted for one in self.documents))}

    @property
    def truth(self) -> int:
        return sum(one.prompt_tokens for one in self.documents)

    def by_size(self, number: int) -> tuple[list[Observation], float]:
        step = sum(one.counted for one in self.documents) / number
        sizes = ((at, one.counted) for at, one in enumerate(self.documents))
        return [self.documents[at] for at in evenly(sizes, step)], step


DRAWN = {
    "by size": (300, 0.7, True),
    "by size, and some are larger than a step": (300, 1.5, True),
    "by size, and one is nearly all": (300, 2.2, True),
    "all of them": (30, 0.7, None),
    "all of them, of very different sizes": (30, 1.5, None),
    "at random": (300, 0.7, False),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", DRAWN)
def test_the_total_is_without_bias_however_documents_were_drawn(case: str) -> None:
    number, spread, sized = DRAWN[case]
    chance, errors = random.Random(20_261_127), []
    for _ in range(100):
        population = Population.drawn(chance, number, spread=spread)
        drawn, step = list(population.documents), 0.0
        if sized:
            drawn, step = population.by_size(30)
        elif sized is False:
            drawn = chance.sample(drawn, 60)
        found = calibrated([prose(0, 154), *drawn], step=step)
        errors.append(found.prompts(population.prompts).mean / population.truth - 1)
    assert sum(errors) / len(errors) == pytest.approx(0, abs=0.003)
    assert max(map(abs, errors)) < 0.03


@pytest.mark.slow
def test_the_interval_covers_about_as_often_as_it_says() -> None:
    """The truth is drawn from the priors; 30 documents are observed, as the API is asked."""
    chance, covered, draws = random.Random(20_261_127), 0, 300
    for _ in range(draws):
        truth = {kind: chance.gauss(0, 1) for kind in (TextClass.PROSE, TextClass.CODE)}
        line = {
            kind: factor("new", kind).mean + deviation * (factor("new", kind).high - factor("new", kind).low) / (2 * Z)
            for kind, deviation in truth.items()
        }
        fixed = FIXED * PROSE.mean * chance.gauss(1, FIXED_SHARE / 2)
        documents = [
            Observation(kind, counted, round(fixed + line[kind] * counted * chance.gauss(1, SCATTER)))
            for kind in line
            for counted in (int(chance.lognormvariate(6, 0.8)) + 20 for _ in range(400))
        ]
        step = sum(one.counted for one in documents) / 30
        drawn = [documents[at] for at in evenly(((at, one.counted) for at, one in enumerate(documents)), step)]
        found = calibrated(drawn, step=step)
        whole = found.prompts(
            {kind: Prompts(400, sum(one.counted for one in documents if one.text_class is kind)) for kind in line}
        )
        covered += whole.low <= sum(one.prompt_tokens for one in documents) <= whole.high
    assert 0.85 <= covered / draws <= 0.99


# --- whatever is observed


def plausible(draw: st.DrawFn) -> list[Observation]:
    """As a tokenizer might count: half as many tokens as cl100k to three times as many, over a fixed part."""
    fixed = draw(st.integers(50, 1_000))
    kinds, counts = st.sampled_from(TextClass), st.one_of(st.integers(0, 100), st.integers(0, 2_000_000))
    documents = draw(st.lists(st.tuples(kinds, counts, st.floats(0.5, 3)), min_size=1, max_size=30))
    return [Observation(kind, counted, fixed + round(ratio * counted)) for kind, counted, ratio in documents]


plausible_observations = st.composite(plausible)()
anything = st.lists(
    st.builds(
        Observation, st.sampled_from(TextClass), st.one_of(st.just(0), st.integers(0, 10**9)), st.integers(1, 2**40)
    ),
    min_size=1,
    max_size=20,
)
totals = st.dictionaries(
    st.sampled_from(TextClass), st.builds(Prompts, st.integers(0, 10**6), st.integers(0, 10**12)), max_size=5
)


@pytest.mark.slow
@given(anything, totals, st.floats(0, 10**6), st.one_of(st.just(0.0), st.floats(1, 10**9)))
def test_whatever_an_endpoint_says_bounds_are_bounds(
    observations: list[Observation], classes: dict[TextClass, Prompts], fixed: float, step: float
) -> None:
    found = calibrated(observations, fixed=fixed, bias=0.01, step=step)

    interval = found.prompts(classes)

    assert 0 <= interval.low <= interval.mean <= interval.high < math.inf
    assert LEAST_SCATTER <= found.scatter < math.inf
    assert all(found.factor(kind) >= LEAST_FACTOR for kind in TextClass)


def test_counts_that_cannot_be_true_are_not_extrapolated_below_nothing() -> None:
    found = calibrated([prose(10_000, 1)] * 30)

    assert found.prompts({TextClass.PROSE: Prompts(1, 1_000_000)}).mean > 0


def upper_bounds(found: Calibration, documents: Sequence[Observation]) -> Iterator[float]:
    requests, counted = dict.fromkeys(TextClass, 0), dict.fromkeys(TextClass, 0)
    for one in documents:
        requests[one.text_class] += 1
        counted[one.text_class] += one.counted
        yield found.prompts({kind: Prompts(requests[kind], counted[kind]) for kind in TextClass}).high


@pytest.mark.slow
@given(plausible_observations, plausible_observations, st.one_of(st.just(0.0), st.floats(1, 10**6)))
def test_more_documents_never_lower_the_upper_bound(
    seen: list[Observation], documents: list[Observation], step: float
) -> None:
    before = 0.0
    for upper in upper_bounds(calibrated(seen, bias=0.01, step=step), documents):
        assert upper >= before * (1 - 1e-12)
        before = upper
