# ruff: noqa: RUF001 - other scripts are what is tested
import random
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.answers.form import DEFAULT_MODE
from batchrun.answers.modes import MODES
from batchrun.catalog.price_table import load_prices
from batchrun.estimation.estimate import Estimator, RequestTokens, fixed_tokens
from batchrun.estimation.estimate_sum import EstimateSum
from batchrun.estimation.interval import CONFIDENCE, Interval
from batchrun.estimation.text_class import TextClass, factor, text_class
from batchrun.strategy.refusal import budget_left

PRICES = load_prices(today=date(2026, 11, 21))
OUTPUT = Interval(200, low=100, high=400)
Z = 1.645  # a normal variable stays within this many standard deviations nine times in ten


def estimator(model="claude-sonnet-5-5", *, fixed=0, output=OUTPUT):
    return Estimator(PRICES.model(model), fixed_tokens=fixed, output=output)


def structured_overhead(schema):
    return MODES[DEFAULT_MODE].overhead(schema, 0.0)


def summed(one, requests):
    total = EstimateSum(one)
    for request in requests:
        total.add(request)
    return total


def cost_of(one, request):
    return summed(one, [request]).estimate().cost_nusd


def test_one_request_by_hand():
    one = estimator(fixed=100)
    request = RequestTokens(1_000, TextClass.PROSE)
    prose = factor("new", TextClass.PROSE)
    assert one.input(request) == prose.times(1_100)
    assert one.document_tokens(request) == 1_000 * prose.mean
    cost = cost_of(one, request)
    assert cost.mean == pytest.approx(1_100 * prose.mean * 2_000 + 200 * 10_000)
    above = ((1_100 * (prose.high - prose.mean) * 2_000) ** 2 + (200 * 10_000) ** 2) ** 0.5
    below = ((1_100 * (prose.mean - prose.low) * 2_000) ** 2 + (100 * 10_000) ** 2) ** 0.5
    assert (cost.low, cost.high) == (pytest.approx(cost.mean - below), pytest.approx(cost.mean + above))


def test_errors_of_one_class_do_not_average_out():
    request = RequestTokens(1_000, TextClass.PROSE)
    one = summed(estimator(), [request]).estimate()
    thousand = summed(estimator(), [request] * 1_000).estimate()
    assert thousand.documents == 1_000
    for many, single in ((thousand.cost_nusd, one.cost_nusd), (thousand.input, one.input)):
        assert (many.mean, many.low, many.high) == (
            pytest.approx(single.mean * 1_000),
            pytest.approx(single.low * 1_000),
            pytest.approx(single.high * 1_000),
        )
    assert thousand.output == OUTPUT.times(1_000)
    assert thousand.cost_usd.mean == pytest.approx(thousand.cost_nusd.mean / 1e9)


def test_classes_err_independently():
    prose, digits = RequestTokens(1_000, TextClass.PROSE), RequestTokens(1_000, TextClass.DIGITS)
    silent = estimator(output=Interval(0, 0, 0))
    apart = [summed(silent, [request]).estimate().cost_nusd for request in (prose, digits)]
    both = summed(silent, [prose, digits]).estimate().cost_nusd
    above = sum((cost.high - cost.mean) ** 2 for cost in apart) ** 0.5
    assert both.high - both.mean == pytest.approx(above)


def test_an_empty_sum_is_zero():
    nothing = EstimateSum(estimator()).estimate()
    assert nothing.cost_nusd == nothing.input == nothing.output == Interval(0, 0, 0)
    assert nothing.upper_nusd == 0


def test_each_side_is_priced_in_the_band_it_reaches():
    request = RequestTokens(60_000, TextClass.PROSE)  # 92,400 tokens on average, up to 103,200
    cost = cost_of(estimator("claude-haiku-5-5", output=Interval(1_000, 1_000, 1_000)), request)
    assert cost.mean == pytest.approx(92_400 * 100 + 1_000 * 500)
    assert cost.high == pytest.approx(103_200 * 500 + 1_000 * 2_500)
    longer = cost_of(estimator("claude-haiku-5-5", output=Interval(1_000, 1_000, 3_000)), request)
    assert longer.high - longer.mean == pytest.approx(((cost.high - cost.mean) ** 2 + (2_000 * 2_500) ** 2) ** 0.5)


def drawn(interval, chance):
    """Draw from a normal distribution whose sides are such that the interval holds its confidence."""
    deviation = chance.gauss(0, 1) / Z
    width = interval.high - interval.mean if deviation > 0 else interval.mean - interval.low
    return interval.mean + deviation * width


@pytest.mark.parametrize(
    "classes",
    [[TextClass.PROSE], [TextClass.PROSE, TextClass.CODE], list(TextClass)],
    ids=["one class", "two classes", "all classes"],
)
def test_the_interval_covers_as_often_as_it_says(classes):
    chance = random.Random(20_261_120)
    requests = [RequestTokens(chance.randrange(100, 20_000), chance.choice(classes)) for _ in range(200)]
    one = estimator()
    cost = summed(one, requests).estimate().cost_nusd
    rates = one.price.rates
    trials, covered = 2_000, 0
    for _ in range(trials):
        factors = {kind: drawn(factor("new", kind), chance) for kind in classes}
        reply = drawn(OUTPUT, chance)
        prompt = sum(request.counted * factors[request.text_class] for request in requests)
        covered += cost.low <= prompt * rates.input + len(requests) * reply * rates.output <= cost.high
    assert CONFIDENCE - 0.03 < covered / trials < CONFIDENCE + 0.06


requests = st.lists(
    st.builds(RequestTokens, counted=st.integers(0, 200_000), text_class=st.sampled_from(TextClass)), max_size=30
)


@pytest.mark.slow
@given(requests, st.sampled_from(["claude-haiku-5-5", "claude-opus-4-5", "claude-fable-5-2"]))
def test_the_upper_bound_never_falls(documents, model):
    total, before = EstimateSum(estimator(model, fixed=300)), 0
    for document in documents:
        total.add(document)
        assert total.estimate().upper_nusd >= before
        before = total.estimate().upper_nusd
    estimate = total.estimate()
    assert 0 <= estimate.cost_nusd.low <= estimate.cost_nusd.mean <= estimate.cost_nusd.high
    assert estimate.upper_nusd == total.estimate().upper_nusd


def test_what_is_left_of_a_budget_or_missing():
    estimate = summed(estimator(), [RequestTokens(1_000, TextClass.PROSE)]).estimate()
    cap_nusd = estimate.upper_nusd + 10
    assert budget_left(estimate=estimate, spent_nusd=10, cap_nusd=cap_nusd) == 0
    assert budget_left(estimate=estimate, spent_nusd=11, cap_nusd=cap_nusd) == -1


def test_the_bound_of_a_prompt_is_its_count_or_its_bytes_whichever_is_less():
    one, request = estimator("claude-haiku-4-5", fixed=100), RequestTokens(1_001, TextClass.PROSE)
    assert one.most_prompt_tokens(request, body_bytes=50_000) == 1_982 + 500  # 1.8 x 1,101 is 1,981.8
    assert one.most_prompt_tokens(request, body_bytes=1_981) == 1_981 + 500
    assert one.worst_case_nusd(request, body_bytes=50_000, max_tokens=7) == 2_482 * 1_000 + 7 * 5_000
    assert one.worst_case_nusd(request, body_bytes=10, max_tokens=7) == 510 * 1_000 + 7 * 5_000


def test_only_the_marked_beginning_is_reserved_at_the_price_of_writing():
    request = RequestTokens(1_001, TextClass.PROSE)
    kept = {
        ttl: replace(estimator("claude-haiku-4-5", fixed=100), ttl=ttl).worst_case_nusd(
            request, body_bytes=50_000, max_tokens=7
        )
        for ttl in (None, "5m", "1h")
    }
    marked = 180 + 500  # 1.8 x 100, and what the API adds unseen
    assert kept["5m"] - kept[None] == marked * 250
    assert kept["1h"] - kept[None] == marked * 1_000


def test_all_of_a_prompt_whose_document_is_marked_is_reserved_at_the_price_of_writing():
    request, one = RequestTokens(1_001, TextClass.PROSE), estimator("claude-haiku-4-5", fixed=100)
    plain, marked = (
        replace(one, ttl=ttl, marks_documents=True).worst_case_nusd(request, body_bytes=50_000, max_tokens=7)
        for ttl in (None, "5m")
    )
    assert marked - plain == (1_982 + 500) * 250


@pytest.mark.slow
@given(st.integers(0, 200_000), st.sampled_from(TextClass), st.sampled_from(["claude-haiku-4-5", "claude-haiku-5-5"]))
def test_the_bound_of_a_prompt_is_above_the_interval_of_its_estimate(counted, kind, model):
    one, request = estimator(model, fixed=300), RequestTokens(counted, kind)
    assert one.most_prompt_tokens(request, body_bytes=10**9) >= one.input(request).high


@pytest.mark.parametrize(
    ("prompt", "schema", "actual"),
    # Prompt and schema in cl100k tokens, and input_tokens billed: exchanges with a 4.5 model that others recorded.
    [(4, 39, 196), (10, 40, 189), (12, 72, 263), (10, 59, 222), (59, 55, 285), (11, 149, 414)],
)
def test_the_fixed_part_of_recorded_structured_requests(prompt, schema, actual):
    one = estimator("claude-sonnet-4-5", fixed=fixed_tokens(prompt=prompt, overhead=structured_overhead(schema)))
    assert one.fixed_input.mean == pytest.approx(actual, abs=20)


@pytest.mark.parametrize(
    ("prompt", "actual"),
    # Texts in cl100k tokens, and input_tokens billed: exchanges without a schema that others recorded.
    [(2, 9), (4, 11), (7, 15)],
)
def test_what_the_api_adds_around_a_message_is_in_the_fixed_part(prompt, actual):
    """The estimate is never below what was recorded, and hardly above; the 100 tokens are those of a schema."""
    one = estimator("claude-sonnet-4-5", fixed=fixed_tokens(prompt=prompt, overhead=structured_overhead(0)))
    assert actual <= one.fixed_input.mean - 100 <= actual + 3


PROSE = "The Supplier shall deliver the goods within thirty (30) days of the order; the Customer shall pay on receipt. "
TEXTS = [
    ("english", PROSE * 20, TextClass.PROSE),
    (
        "german",
        "Der Lieferant übernimmt die Gewähr für die Mängelfreiheit der Ware gemäß § 434 BGB. " * 20,
        TextClass.PROSE,
    ),
    (
        "vietnamese",
        "Hợp đồng này có hiệu lực kể từ ngày ký và được lập thành hai bản có giá trị như nhau. " * 20,
        TextClass.PROSE,
    ),
    (
        "curly quotes and dashes",
        "“This Agreement” — the “Lease” — binds both parties… • first • second " * 20,
        TextClass.PROSE,
    ),
    (
        "markdown",
        "## Terms of payment\n\n- **Payment** is due within thirty days of the invoice\n- Delivery by road\n\n" * 20,
        TextClass.PROSE,
    ),
    (
        "python",
        "def total(self, rows: list[Row]) -> int:\n    return sum(row.price * row.count for row in rows)\n" * 20,
        TextClass.CODE,
    ),
    (
        "json",
        '{"name": "Acme", "terms": {"days": 30, "law": "Delaware"}, "parties": ["a", "b"]}\n' * 20,
        TextClass.CODE,
    ),
    ("csv of numbers", "1024,33.5,18.25,7\n2048,34.5,19.75,8\n" * 60, TextClass.DIGITS),
    ("log", "2026-11-20T09:14:07.123Z info run 8131 docs 1200 ms 4121\n" * 40, TextClass.DIGITS),
    ("russian", "Настоящий договор вступает в силу с момента его подписания сторонами. " * 20, TextClass.OTHER_SCRIPT),
    ("chinese", "本合同自双方签字之日起生效，一式两份，双方各执一份。" * 20, TextClass.OTHER_SCRIPT),
    ("hindi", "यह अनुबंध दोनों पक्षों के हस्ताक्षर की तिथि से प्रभावी होगा। " * 20, TextClass.OTHER_SCRIPT),
    ("two languages", PROSE * 6 + "Настоящий договор вступает в силу с момента подписания. " * 4, TextClass.MIXED),
    ("empty", "", TextClass.PROSE),
    ("lone surrogate", "\ud800", TextClass.PROSE),
]


@pytest.mark.parametrize(("text", "kind"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS])
def test_texts_are_classified(text, kind):
    assert text_class(text) is kind


def test_only_the_beginning_and_the_middle_are_looked_at():
    assert text_class(PROSE * 1_000 + "0123456789" * 1_000) is TextClass.PROSE


# Claude tokens per cl100k token as measured, old and new tokenizer.
MEASURED = [
    (TextClass.PROSE, [1.08, 1.17, 1.24, 1.15, 1.17, 1.23, 1.13], [1.54, 1.60, 1.71, 1.38, 1.46, 1.66]),
    (TextClass.CODE, [1.26, 1.19, 1.22], [1.61, 1.42, 1.66]),
    (TextClass.DIGITS, [1.00, 1.10], [1.00, 1.25]),
    (TextClass.OTHER_SCRIPT, [0.80, 0.94, 0.80, 1.07, 0.93, 0.69], [0.80, 0.93, 0.80, 1.07, 0.92, 0.68]),
]


@pytest.mark.parametrize(("kind", "old", "new"), MEASURED)
def test_factors_span_what_was_measured(kind, old, new):
    for tokenizer, ratios in (("old", old), ("new", new)):
        interval = factor(tokenizer, kind)
        assert interval.low <= min(ratios)
        assert max(ratios) <= interval.high <= 1.75
        assert min(ratios) <= interval.mean <= max(ratios)


@pytest.mark.parametrize("tokenizer", ["old", "new"])
def test_mixed_texts_are_bounded_by_no_less_than_the_others(tokenizer):
    assert factor(tokenizer, TextClass.MIXED).high >= factor(tokenizer, TextClass.PROSE).high
