"""What requests are expected to count against the limits, with and without the prompt cache."""

from datetime import date

import pytest

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.interval import Interval
from batchrun.estimation.text_class import TextClass
from batchrun.execution.stream.usage_expectation import UsageExpectation
from batchrun.reply import Usage

DOCUMENT = RequestTokens(100, TextClass.PROSE)


@pytest.fixture
def estimator() -> Estimator:
    price = load_prices(today=date(2026, 11, 20)).model("claude-haiku-4-5")
    return Estimator(price, fixed_tokens=2_000, output=Interval(100, 50, 200))


@pytest.fixture
def estimated(estimator: Estimator) -> float:
    return estimator.input(DOCUMENT).mean


def test_before_the_first_answer_everything_counts(estimator: Estimator, estimated: float) -> None:
    assert UsageExpectation(estimator).input_tokens(DOCUMENT) == pytest.approx(estimated)


def test_what_one_request_has_written_the_next_ones_read(estimator: Estimator, estimated: float) -> None:
    usage_expectation = UsageExpectation(estimator)
    rest = round(estimated) - 1_900
    usage_expectation.learn(DOCUMENT, Usage(rest, cache_write_5m_tokens=1_900, output_tokens=100))
    assert usage_expectation.input_tokens(DOCUMENT) == pytest.approx(rest, rel=0.01)
    for _ in range(50):
        usage_expectation.learn(DOCUMENT, Usage(rest, cache_read_tokens=1_900, output_tokens=100))
    assert usage_expectation.input_tokens(DOCUMENT) == pytest.approx(rest, rel=0.01)


def test_a_cache_that_is_not_hit_any_more_is_not_counted_on(estimator: Estimator, estimated: float) -> None:
    usage_expectation = UsageExpectation(estimator)
    usage_expectation.learn(DOCUMENT, Usage(200, cache_read_tokens=1_900, output_tokens=100))
    for _ in range(60):
        usage_expectation.learn(DOCUMENT, Usage(round(estimated), output_tokens=100))
    assert usage_expectation.input_tokens(DOCUMENT) == pytest.approx(estimated, rel=0.01)


def test_a_request_counts_for_something_whatever_is_read(estimator: Estimator) -> None:
    usage_expectation = UsageExpectation(estimator)
    usage_expectation.learn(DOCUMENT, Usage(1, cache_read_tokens=50_000, output_tokens=100))
    for _ in range(200):
        usage_expectation.learn(DOCUMENT, Usage(1, cache_read_tokens=50_000, output_tokens=100))
    assert usage_expectation.input_tokens(RequestTokens(1, TextClass.PROSE)) >= 1.0


def test_what_a_document_has_written_is_not_expected_of_another_document(estimator: Estimator) -> None:
    own, shared = (UsageExpectation(estimator, shares_writes=shares) for shares in (False, True))
    before = own.input_tokens(DOCUMENT)
    for one in (own, shared):
        one.learn(DOCUMENT, Usage(100, cache_write_5m_tokens=round(before) - 100, output_tokens=100))
    assert own.input_tokens(DOCUMENT) == pytest.approx(before, rel=0.01)
    assert shared.input_tokens(DOCUMENT) == pytest.approx(100, rel=0.1)
