"""The tokens of files: what is estimated, and that no bill is above the worst case."""

from base64 import b64encode
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_samples import LINE, gif

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.calibration import Observation, calibrate
from batchrun.estimation.estimate import Estimator, RequestTokens
from batchrun.estimation.interval import Interval
from batchrun.estimation.native_tokens import image_tokens, layer_tokens, pdf_tokens
from batchrun.estimation.text_class import TextClass, text_class
from batchrun.estimation.tokenizer import count_tokens
from batchrun.simulator.requests.token_count import count_prompt

PRICES = load_prices(today=date(2026, 11, 20))
MODELS = ("claude-sonnet-5-5", "claude-haiku-4-5")


def estimator(model: str) -> Estimator:
    return Estimator(PRICES.model(model), fixed_tokens=100, output=Interval(10, 10, 10))


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(1000, 1000, 1_296), (200, 200, 64), (1, 1, 1), (4000, 3000, 4_784), (100, 8000, 184), (8000, 8000, 4_784)],
)
def test_an_image_is_cut_in_patches(width: int, height: int, tokens: int) -> None:
    assert image_tokens(width, height) == tokens


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 600)), min_size=1, max_size=20))
def test_the_text_of_pdfs_follows_from_their_sum(files: list[tuple[int, int]]) -> None:
    tokens, pages = sum(pdf_tokens(*one) for one in files), sum(pages for _, pages in files)

    layers = sum(layer for layer, _ in files)
    assert layers <= layer_tokens(tokens, pages) <= layers + len(files)


@pytest.mark.parametrize("model", MODELS)
@given(layer=st.integers(0, 5_000), pages=st.integers(1, 600))
def test_no_page_costs_more_than_the_worst_case(model: str, layer: int, pages: int) -> None:
    one = estimator(model)
    largest = 4_784 if one.price.tokenizer == "new" else 1_568
    billed = 1.75 * (layer + one.fixed_tokens) + largest * pages

    tokens = RequestTokens(pdf_tokens(layer, pages), TextClass.PAGES)
    assert one.most_prompt_tokens(tokens, body_bytes=1_000) >= billed


@pytest.mark.parametrize("model", MODELS)
@given(width=st.integers(1, 8_000), height=st.integers(1, 8_000))
def test_no_image_costs_more_than_the_worst_case(model: str, width: int, height: int) -> None:
    one = estimator(model)
    source = {"type": "base64", "media_type": "image/gif", "data": b64encode(gif(width, height)).decode()}
    content = [{"type": "image", "source": source}]
    billed = count_prompt({"messages": [{"role": "user", "content": content}]}, one.price.tokenizer)

    tokens = RequestTokens(image_tokens(width, height), TextClass.IMAGE)
    assert one.most_prompt_tokens(tokens, body_bytes=200) >= billed + 1.75 * one.fixed_tokens


@pytest.mark.parametrize("model", MODELS)
def test_a_page_that_was_measured_lies_within_the_estimate(model: str) -> None:
    one = estimator(model)
    text = "\n".join([LINE] * 50)
    layer = count_tokens(text)
    factor = {"new": 1_605 / 1_040, "old": 1_206 / 1_040}[one.price.tokenizer]  # of that page's text

    found = one.input(RequestTokens(pdf_tokens(layer, 1), TextClass.PAGES))

    measured = factor * layer + 1_577 + one.fixed_input.mean
    assert found.low <= measured <= found.high
    assert found.mean == pytest.approx(measured, rel=0.1)


def test_counts_of_the_api_teach_what_pages_cost() -> None:
    price = PRICES.model(MODELS[0])
    observed = [Observation(TextClass.PAGES, 3_000 * number, 200 + 4_500 * number) for number in range(1, 40)]

    learned = calibrate(observed, tokenizer=price.tokenizer, fixed_tokens=120.0, bias=0.01)

    assert learned
    assert learned.factor(TextClass.PAGES) == pytest.approx(1.5, rel=0.02)


def test_a_text_is_never_of_a_class_of_files() -> None:
    assert not any(text_class(text).is_native for text in ("", "word " * 99, "本" * 99, "1,2\n" * 99, "{}" * 99))
    assert [one for one in TextClass if one.is_native] == [TextClass.PAGES, TextClass.IMAGE]
