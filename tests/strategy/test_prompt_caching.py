"""Whether the prompt cache is used, and what it then costs: by hand, at the prices of 2026-11-20.

Sonnet 5.5 pays 1.25 of the input price to write for five minutes, 2 for an hour, and 0.05 to read. So caching pays from
0.25 / 1.2 = 20.8% hits on for five minutes, and from 1 / 1.95 = 51.3% for an hour.
"""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.interval import Interval
from batchrun.strategy.prompt_caching import (
    Caching,
    CachingFacts,
    Prefix,
    break_even,
    break_even_requests,
    costliest_document_ttl,
    costliest_ttl,
    decide_caching,
    document_ttl,
    if_cached,
    prefix_multiple,
)

SONNET = load_prices(today=date(2026, 11, 20)).model("claude-sonnet-5-5")
LONG = Prefix(Interval(2_000, 1_500, 2_500))
USUAL = CachingFacts(prefix=LONG, minimum=512, price=SONNET, requests=1_000, batched=False, seconds=600)
BATCHED = replace(USUAL, batched=True, seconds=3600)


def decided(wish="auto", facts=USUAL, **changes) -> Caching:
    return decide_caching(wish, replace(facts, **changes))


def between(low: float, mean: float, high: float) -> Prefix:
    return Prefix(Interval(mean, low, high))


# --- the arithmetic


def test_the_break_even_by_hand():
    assert break_even(SONNET.rates, "5m") == pytest.approx(0.25 / 1.2)
    assert break_even(SONNET.rates, "1h") == pytest.approx(1 / 1.95)
    assert [break_even_requests(SONNET.rates, ttl) for ttl in ("5m", "1h")] == [2, 3]


def test_the_price_of_a_token_by_hand():
    assert prefix_multiple(SONNET.rates, "5m", 0.9) == pytest.approx((0.9 * 100 + 0.1 * 2_500) / 2_000)
    assert prefix_multiple(SONNET.rates, "1h", 0.0) == 2.0
    assert prefix_multiple(SONNET.rates, "1h", 1.0) == 0.05


@given(requests=st.integers(1, 50), ttl=st.sampled_from(["5m", "1h"]))
def test_one_write_and_the_rest_reads_is_cheaper_from_the_break_even_on(requests, ttl):
    cached = prefix_multiple(SONNET.rates, ttl, 1 - 1 / requests)
    assert (cached < 1) == (requests >= break_even_requests(SONNET.rates, ttl))


def test_a_cache_that_costs_as_much_as_reading_never_pays():
    rates = replace(SONNET.rates, cache_read=SONNET.rates.input)
    assert (break_even(rates, "5m"), break_even_requests(rates, "5m")) == (None, None)
    refused = decided(price=replace(SONNET, rates=rates))
    assert (refused.ttl, refused.reason) == (None, "claude-sonnet-5-5 reads from its cache at no lower price")


def test_a_free_write_always_pays():
    rates = replace(SONNET.rates, cache_write_5m=SONNET.rates.input)
    assert (break_even(rates, "5m"), break_even_requests(rates, "5m")) == (0.0, 2)


def test_a_write_may_cost_as_little_as_a_read():
    rates = replace(SONNET.rates, cache_write_5m=0, cache_read=0)
    assert (break_even(rates, "5m"), break_even_requests(rates, "5m")) == (0.0, 2)


# --- the decision

DECISIONS = {
    "a stream": (USUAL, "5m", "cost 0.051 of their price when 99% of the requests read them"),
    "a batch": (BATCHED, "1h", "cost 0.64 of their price when 70% of the requests read them"),
    "one request": (replace(USUAL, requests=1, seconds=10), None, "it takes 2 requests to pay, and there is 1"),
    "two requests": (replace(USUAL, requests=2, seconds=10), "5m", "cost 0.65 of their price when 50%"),
    "no request": (replace(USUAL, requests=0, seconds=10), None, "it takes 2 requests to pay, and there are 0"),
    "a batch of two": (replace(BATCHED, requests=2), "5m", "cost 0.65 of their price when 50%"),
    "a batch of one": (replace(BATCHED, requests=1), None, "it takes 3 requests to pay, and there is 1"),
    "a short prefix": (
        replace(USUAL, prefix=between(300, 400, 511)),
        None,
        "at most 511 tokens, and claude-sonnet-5-5 caches 512 or more",
    ),
    "a prefix that may be long enough": (
        replace(USUAL, prefix=between(300, 400, 512)),
        "5m",
        "it is not certain that they are the 512 that claude-sonnet-5-5 needs, and fewer cost nothing more",
    ),
    "an unknown minimum": (replace(USUAL, minimum=None), "5m", "the least that claude-sonnet-5-5 caches is not known"),
    "an unknown minimum above all": (
        replace(USUAL, minimum=None, prefix=between(300, 400, 511)),
        None,
        "caches 512 or more",
    ),
    "nothing before the document": (
        replace(USUAL, prefix=Prefix(LONG.tokens, obstacle="there is nothing")),
        None,
        "nothing can be marked: there is nothing",
    ),
    "requests five minutes apart": (replace(USUAL, requests=12, seconds=3600), "1h", "cost 0.21 of their price"),
    "requests an hour apart": (
        replace(USUAL, requests=10, seconds=36_000),
        None,
        "requests are about 60 minutes apart, and the cache forgets within 1h",
    ),
    "batches that hit badly before": (
        replace(BATCHED, measured=0.4),
        "5m",
        "when 40% of the requests read them",
    ),
    "batches that never hit before": (
        replace(BATCHED, measured=0.1),
        None,
        "10% of the requests are expected to read it, and 51% have to",
    ),
    "batches that hit well before": (replace(BATCHED, measured=0.95), "1h", "when 95% of the requests read them"),
    "streams that never hit before": (
        replace(USUAL, measured=0.0),
        None,
        "0% of the requests are expected to read it, and 20% have to",
    ),
}


@pytest.mark.parametrize(("facts", "ttl", "words"), DECISIONS.values(), ids=DECISIONS)
def test_what_is_decided_on_its_own(facts, ttl, words):
    found = decide_caching("auto", facts)
    assert found.ttl == ttl
    assert words in found.reason


def test_off_is_off():
    assert (decided("off").ttl, decided("off").reason) == (None, "[prompt] cache is off")
    assert decided("off").multiples(SONNET.rates) == Interval(1.0, 1.0, 1.0)


@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_a_time_to_live_that_is_asked_for_is_taken_and_what_it_costs_is_said(ttl):
    assert (decided(ttl).ttl, decided(ttl).reason) == (ttl, "as [prompt] cache says")
    alone = decided(ttl, requests=1)
    assert alone.ttl == ttl
    assert "although it takes" in alone.reason
    assert "although requests are about 60 minutes apart" in decided(ttl, requests=10, seconds=36_000).reason
    assert decided(ttl, prefix=Prefix(LONG.tokens, obstacle="none")).ttl is None


# --- what is expected


def test_the_hits_of_a_stream_by_hand():
    hits = decided(requests=100, seconds=3600).hit_rate
    assert hits == Interval(pytest.approx(0.99), pytest.approx(0.96), pytest.approx(0.99))  # the first, and 3 more
    assert decided("5m", requests=3).hit_rate == Interval(pytest.approx(2 / 3), 0.0, pytest.approx(2 / 3))


def test_the_hits_of_batches():
    assert decided(facts=BATCHED).hit_rate == Interval(0.7, 0.3, 0.98)
    assert decided(facts=BATCHED, measured=0.9).hit_rate == Interval(0.9, pytest.approx(0.6), pytest.approx(0.999))


def test_what_the_prefix_costs_by_hand():
    found = decided(facts=BATCHED).multiples(SONNET.rates)
    assert found.mean == pytest.approx(0.7 * 0.05 + 0.3 * 2)
    assert found.low == pytest.approx(0.98 * 0.05 + 0.02 * 2)
    assert found.high == pytest.approx(0.3 * 0.05 + 0.7 * 2)


def test_a_prefix_that_may_be_too_short_may_cost_what_it_always_does():
    below_on_average = decided(prefix=between(300, 400, 512)).multiples(SONNET.rates)
    assert (below_on_average.mean, below_on_average.high) == (1.0, 1.0)
    assert below_on_average.low < 0.06
    too_short = decided("1h", prefix=between(100, 200, 300))
    assert too_short.multiples(SONNET.rates) == Interval(1.0, 1.0, 1.0)


@pytest.mark.slow
@given(
    requests=st.integers(0, 10_000),
    seconds=st.floats(0, 1e6),
    batched=st.booleans(),
    measured=st.none() | st.floats(0, 1),
    sizes=st.tuples(*[st.floats(0, 5_000)] * 3).map(sorted),
    minimum=st.none() | st.integers(512, 4096),
)
def test_what_is_decided_on_its_own_is_expected_to_be_no_dearer(requests, seconds, batched, measured, sizes, minimum):
    low, mean, high = sizes
    found = decide_caching(
        "auto",
        CachingFacts(
            prefix=between(low, mean, high), minimum=minimum, price=SONNET, requests=requests, batched=batched,
            seconds=seconds, measured=measured,
        ),
    )  # fmt: skip
    cost = found.multiples(SONNET.rates)
    assert cost.low <= cost.mean <= cost.high
    assert cost.mean <= 1.0
    assert 0 <= found.hit_rate.low <= found.hit_rate.mean <= found.hit_rate.high <= 1


@pytest.mark.slow
@given(
    wish=st.sampled_from(["auto", "off", "5m", "1h"]),
    requests=st.integers(0, 2_000),
    seconds=st.floats(0, 1e6),
    batched=st.booleans(),
    size=st.floats(0, 5_000),
)
def test_worst_cases_are_made_for_the_dearest_mark_that_may_be_decided_on(wish, requests, seconds, batched, size):
    prefix = between(size, size, size)
    facts = replace(USUAL, prefix=prefix, requests=requests, seconds=seconds, batched=batched)
    order = [None, "5m", "1h"]
    decided = order.index(decide_caching(wish, facts).ttl)
    assert decided <= order.index(costliest_ttl(wish, prefix, minimum=512))
    if not batched and seconds <= 240 * requests:
        assert decided <= order.index(costliest_ttl(wish, prefix, minimum=512, streams=True))


def test_no_mark_no_worse_case():
    assert costliest_ttl("off", LONG) is None
    assert costliest_ttl("1h", Prefix(LONG.tokens, obstacle="there is nothing")) is None
    assert costliest_ttl("auto", between(300, 400, 511)) is None
    assert costliest_ttl("auto", LONG, minimum=4_096) is None
    assert costliest_ttl("auto", LONG, minimum=2_500, streams=True) == "5m"


# --- documents that several turns ask about


@pytest.mark.parametrize(
    ("mode", "turns", "batched", "ttl"),
    [
        ("auto", 1, False, None),
        ("auto", 2, False, "5m"),
        ("5m", 2, False, "5m"),
        ("1h", 2, False, "5m"),
        ("off", 20, False, None),
        ("auto", 20, True, None),
        ("5m", 20, True, None),
        ("1h", 2, True, None),
        ("1h", 3, True, "1h"),
    ],
)
def test_a_document_is_marked_where_its_turns_pay_for_the_write(mode, turns, batched, ttl):
    found = decided(mode, document_turns=turns, batched=batched)
    assert found.document_ttl == ttl
    if ttl:
        assert if_cached(found, replace(USUAL, prefix=Prefix(LONG.tokens, obstacle="none"))) == found


def test_no_document_is_marked_where_a_read_costs_as_much_as_input():
    rates = replace(SONNET.rates, cache_read=SONNET.rates.input)
    assert decided(price=replace(SONNET, rates=rates), document_turns=20).document_ttl is None


def test_what_a_document_saves_by_hand():
    found = replace(decided(document_turns=20), document_hits=Interval(1.0, 0.0, 1.0))
    saving = found.document_saving(SONNET.rates, 20)
    assert saving.mean == pytest.approx(20 - 1.25 - 19 * 0.05)
    assert saving.low == pytest.approx(20 - 20 * 1.25)
    assert decided(document_turns=1).document_saving(SONNET.rates, 1) == Interval(0, 0, 0)


@given(mode=st.sampled_from(["auto", "off", "5m", "1h"]), turns=st.integers(1, 100), batched=st.booleans())
def test_no_mark_of_a_document_costs_more_than_was_planned_for(mode, turns, batched):
    order = [None, "5m", "1h"]
    found = order.index(document_ttl(mode, SONNET.rates, turns=turns, batched=batched))
    assert found <= order.index(costliest_document_ttl(mode, SONNET.rates, turns=turns, streams=False))
    if not batched:
        assert found <= order.index(costliest_document_ttl(mode, SONNET.rates, turns=turns, streams=True))
