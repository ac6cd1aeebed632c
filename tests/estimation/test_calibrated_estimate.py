"""The estimate once something was learnt: groups, scatter, the band of long prompts, and upper bounds."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.calibration import Observation, Prompts, Z, calibrate
from batchrun.estimation.estimate import ENDLESS, Estimate, Estimator, RequestTokens
from batchrun.estimation.estimate_sum import EstimateSum, Group
from batchrun.estimation.interval import Interval
from batchrun.estimation.reply_length import ReplyLength
from batchrun.estimation.text_class import TextClass, factor

PRICES = load_prices(today=date(2026, 11, 21))
OUTPUT = Interval(200, low=150, high=260)
BANDED, PLAIN = "claude-haiku-5-5", "claude-sonnet-5-5"
ABOVE = 100_000
"""Prompt tokens from which the first is dearer."""


def estimator(
    model: str = PLAIN, *, observations: Sequence[Observation] = (), scatter: float = 40.0, output: Interval = OUTPUT
) -> Estimator:
    """One that has learnt what the observations tell, and how long replies are."""
    price = PRICES.model(model)
    calibration = calibrate(observations, tokenizer=price.tokenizer, fixed_tokens=100, bias=0.01)
    return Estimator(price, fixed_tokens=100, output=output, output_scatter=scatter, calibration=calibration)


def prose(*pairs: tuple[int, int]) -> list[Observation]:
    return [Observation(TextClass.PROSE, counted, prompt) for counted, prompt in pairs]


LEARNT = prose((0, 150), *[(1_000 * n, 150 + round(1_500 * n * (1.02 if n % 2 else 0.98))) for n in range(1, 31)])


def summed(one: Estimator, requests: Iterable[RequestTokens]) -> Estimate:
    total = EstimateSum(one)
    for request in requests:
        total.add(request)
    return total.estimate()


def grouped(one: Estimator, requests: Sequence[RequestTokens]) -> Estimate:
    """As the planner does it: by class, and one by one what may be dearer."""
    total = EstimateSum(one)
    for kind in TextClass:
        counts = [
            request.counted for request in requests if request.text_class is kind and not one.reaches_band(request)
        ]
        if counts:
            total.add_group(Group(kind, len(counts), sum(counts), sum(count**2 for count in counts)))
    for request in requests:
        if one.reaches_band(request):
            total.add(request)
    return total.estimate()


def numbers(estimate: Estimate) -> list[float]:
    intervals = (estimate.input, estimate.output, estimate.cost_nusd)
    return [value for one in intervals for value in (one.mean, one.low, one.high)]


requests = st.lists(
    st.builds(RequestTokens, counted=st.integers(0, 200_000), text_class=st.sampled_from(TextClass)), max_size=30
)
estimators = st.builds(
    estimator,
    st.sampled_from([BANDED, PLAIN, "claude-haiku-4-5", "claude-fable-5-2"]),
    observations=st.sampled_from([(), LEARNT[:1], LEARNT[:2], LEARNT]),
    scatter=st.sampled_from([0.0, 40.0, 2_000.0]),
)


@pytest.mark.slow
@given(estimators, requests)
def test_together_they_are_what_they_are_one_by_one(one: Estimator, some: list[RequestTokens]) -> None:
    assert numbers(grouped(one, some)) == pytest.approx(numbers(summed(one, some)))


@pytest.mark.slow
@given(estimators, requests)
def test_the_upper_bound_never_falls(one: Estimator, some: list[RequestTokens]) -> None:
    total, before = EstimateSum(one), 0
    for request in some:
        total.add(request)
        assert total.estimate().upper_nusd >= before
        before = total.estimate().upper_nusd
    estimate = total.estimate()
    for interval in (estimate.input, estimate.output, estimate.cost_nusd):
        assert 0 <= interval.low <= interval.mean <= interval.high
    assert estimate.upper_nusd == total.estimate().upper_nusd


@pytest.mark.slow
@given(st.sampled_from([BANDED, PLAIN]), st.integers(0, 300_000), st.sampled_from(TextClass))
def test_what_is_set_aside_is_above_what_is_estimated(model: str, counted: int, kind: TextClass) -> None:
    """Also when the API has counted far more tokens than any text measured has."""
    request = RequestTokens(counted, kind)
    for ratio in (0.3, 1.5, 4.0):
        one = estimator(model, observations=prose(*[(5_000, round(5_000 * ratio) + 150)] * 30))
        assert one.most_prompt_tokens(request, body_bytes=10**9) >= one.input(request).high


def test_what_is_only_guessed_is_bounded_by_its_bytes() -> None:
    guessed = RequestTokens(1_000, TextClass.PROSE, guessed=True)

    assert estimator().most_prompt_tokens(guessed, body_bytes=70_000) == 70_000 + 500


# --- scatter


def test_one_calibrated_request_by_hand() -> None:
    one, request = estimator(observations=LEARNT), RequestTokens(2_000, TextClass.PROSE)
    assert one.calibration

    cost = summed(one, [request]).cost_nusd

    prompt = one.calibration.prompts({TextClass.PROSE: Prompts(1, 2_000)})
    assert cost.mean == pytest.approx(prompt.mean * 2_000 + 200 * 10_000)
    text = one.scatter * 2_000 * one.factor(TextClass.PROSE) * 2_000
    parts = [(prompt.high - prompt.mean) * 2_000, (260 - 200) * 10_000, Z * math.hypot(text, 40 * 10_000)]
    assert cost.high - cost.mean == pytest.approx(math.hypot(*parts))
    parts = [(prompt.mean - prompt.low) * 2_000, (200 - 150) * 10_000, Z * math.hypot(text, 40 * 10_000)]
    assert cost.mean - cost.low == pytest.approx(math.hypot(*parts))


@pytest.mark.slow
def test_how_single_requests_differ_averages_out() -> None:
    certain = Interval(200, 200, 200)
    one = estimator(observations=prose((0, 150), *[(10_000, 15_150)] * 2_000), scatter=100.0, output=certain)
    request = RequestTokens(1_000, TextClass.PROSE)

    single, many = (summed(one, [request] * number).output for number in (1, 10_000))

    assert (many.high - many.mean) / many.mean == pytest.approx((single.high - single.mean) / single.mean / 100)


def test_what_was_guessed_from_a_sample_widens_both_sides() -> None:
    some = [RequestTokens(1_000, TextClass.PROSE)] * 100
    one = estimator(observations=LEARNT)
    total = EstimateSum(one, unsampled={TextClass.PROSE: 3_000.0, TextClass.CODE: 4_000.0})
    for request in some:
        total.add(request)

    sampled, counted = total.estimate(), summed(one, some)

    tokens = math.hypot(3_000 * one.factor(TextClass.PROSE), 4_000 * one.factor(TextClass.CODE))
    assert sampled.input.mean == counted.input.mean
    assert sampled.input.high - sampled.input.mean == pytest.approx(
        math.hypot(Z * tokens, counted.input.high - counted.input.mean)
    )
    assert sampled.cost_nusd.mean - sampled.cost_nusd.low == pytest.approx(
        math.hypot(Z * tokens * 2_000, counted.cost_nusd.mean - counted.cost_nusd.low)
    )


@pytest.mark.slow
def test_the_bill_is_covered_about_as_often_as_said() -> None:
    """Documents scatter, replies scatter, and some prompts are just below where they become dearer."""
    chance, covered, draws = random.Random(20_261_127), 0, 300
    price, band = PRICES.model(BANDED), PRICES.model(BANDED).band
    assert band
    for _ in range(draws):
        ratio = factor("new", TextClass.PROSE).mean * chance.gauss(1, 0.05)
        counts = [int(chance.lognormvariate(10.8, 0.4)) for _ in range(150)]
        prompts = [round(150 + ratio * count * chance.gauss(1, 0.05)) for count in counts]
        seen = chance.sample(list(zip(counts, prompts, strict=True)), 30)
        certain = Interval(200, 200, 200)
        one = estimator(BANDED, observations=prose((0, 150), *seen), scatter=80.0, output=certain)
        cost = summed(one, [RequestTokens(count, TextClass.PROSE) for count in counts]).cost_nusd
        bill = 0.0
        for prompt in prompts:
            rates = band.rates if prompt > ABOVE else price.rates
            bill += prompt * rates.input + chance.gauss(200, 80) * rates.output
        covered += cost.low <= bill <= cost.high
    assert 0.85 <= covered / draws <= 1.0


# --- no reply is longer than max_tokens


@pytest.mark.parametrize("model", [PLAIN, BANDED])
@pytest.mark.parametrize("counted", [1_000, 90_000])
@pytest.mark.parametrize("number", [1, 7])
def test_the_upper_bound_is_below_what_is_possible(model: str, counted: int, number: int) -> None:
    wide = replace(estimator(model, observations=LEARNT, scatter=900.0), most_output=270)
    some = [RequestTokens(counted, TextClass.PROSE)] * number

    bounded, free = summed(wide, some), summed(replace(wide, most_output=math.inf), some)

    assert free.output.high > number * 270
    assert bounded.output == replace(free.output, high=number * 270)
    assert (bounded.cost_nusd.mean, bounded.cost_nusd.low) == (free.cost_nusd.mean, free.cost_nusd.low)
    assert bounded.cost_nusd.high < free.cost_nusd.high
    without = summed(replace(wide, output=Interval(270, 270, 270), output_scatter=0.0), some)
    assert bounded.cost_nusd.high <= without.cost_nusd.high


def test_a_reply_that_reaches_max_tokens_has_no_upper_side() -> None:
    full = replace(estimator(output=Interval(270, 150, 270), scatter=900.0), most_output=270)

    two = summed(full, [RequestTokens(10, TextClass.PROSE)] * 2)

    assert (two.output.mean, two.output.high) == (540, 540)
    assert two.plus(two).output.high == 1_080
    assert EstimateSum(full).estimate().output == Interval(0, 0, 0)


# --- the band of long prompts


def learnt_exactly(*, scatter: float) -> Estimator:
    """Prose is one and a half tokens to one; documents differ by about so much."""
    swing = [1 + scatter, 1 - scatter]
    seen = prose((0, 150), *[(20_000, 150 + round(30_000 * swing[n % 2])) for n in range(400)])
    return estimator(BANDED, observations=seen, output=Interval(0, 0, 0), scatter=0.0)


def price_per_token(one: Estimator, prompt_tokens: float) -> float:
    counted = (prompt_tokens - one.fixed_input.mean) / one.factor(TextClass.PROSE)
    return summed(one, [RequestTokens(round(counted), TextClass.PROSE)]).cost_nusd.mean / prompt_tokens


def test_near_the_band_the_mean_lies_between_both_prices() -> None:
    one = learnt_exactly(scatter=0.05)
    assert one.price.band
    low, high = one.price.rates.input, one.price.band.rates.input

    assert price_per_token(one, ABOVE) == pytest.approx((low + high) / 2, rel=0.01)
    shares = [(price_per_token(one, ABOVE * at) - low) / (high - low) for at in (0.9, 0.95, 1.0, 1.05, 1.1)]
    assert shares == sorted(shares)
    deviations = (0.05 / one.scatter) * 1 / 0.95  # of a prompt of 95,000
    assert shares[1] == pytest.approx(0.5 * math.erfc(deviations / math.sqrt(2)), abs=0.01)


@pytest.mark.parametrize("scatter", [0.01, 0.05])
def test_far_from_the_band_it_is_one_price_or_the_other(scatter: float) -> None:
    one = learnt_exactly(scatter=scatter)
    assert one.price.band

    assert price_per_token(one, 0.5 * ABOVE) == pytest.approx(one.price.rates.input, rel=1e-4)
    assert price_per_token(one, 1.6 * ABOVE) == pytest.approx(one.price.band.rates.input, rel=1e-4)


def test_near_the_band_the_interval_holds_the_jump() -> None:
    one = learnt_exactly(scatter=0.05)
    assert one.price.band

    cost = summed(one, [RequestTokens(66_600, TextClass.PROSE)]).cost_nusd

    assert cost.low < 95_000 * one.price.rates.input
    assert cost.high > 105_000 * one.price.band.rates.input


def test_a_request_is_priced_alone_when_four_deviations_reach_the_band() -> None:
    one = learnt_exactly(scatter=0.05)

    bound = one.long[TextClass.PROSE]

    room = ABOVE / (1 + 4 * one.scatter)
    assert one.input(RequestTokens(bound, TextClass.PROSE)).high >= room
    assert one.input(RequestTokens(bound - 1, TextClass.PROSE)).high < room
    assert not one.reaches_band(RequestTokens(bound - 1, TextClass.PROSE))


def test_a_model_of_one_price_has_no_band_to_reach() -> None:
    assert set(estimator(PLAIN, observations=LEARNT).long.values()) == {ENDLESS}


# --- another model


def test_what_was_learnt_holds_for_models_of_the_same_tokenizer_only() -> None:
    one, reply = estimator(PLAIN, observations=LEARNT), ReplyLength(Interval(50, 40, 60), 7.0)

    akin, other = one.of(PRICES.model(BANDED), reply), one.of(PRICES.model("claude-haiku-4-5"), reply)

    assert akin.calibration is one.calibration
    assert other.calibration is None
    assert (akin.output, akin.output_scatter) == (other.output, other.output_scatter) == (reply.average, 7.0)


def test_the_fixed_part_is_shown_as_it_was_learnt() -> None:
    guess, learned = estimator(), estimator(observations=prose(*[(0, 190)] * 30))
    request = [RequestTokens(1_000, TextClass.PROSE)]

    assert summed(guess, request).fixed_tokens == pytest.approx(100 * factor("new", TextClass.PROSE).mean)
    assert summed(learned, request).fixed_tokens == pytest.approx(190, abs=0.1)
    assert summed(replace(guess, fixed_tokens=0), request).fixed_tokens == 0
