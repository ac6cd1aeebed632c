import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from anthropic.resources.messages.messages import DEPRECATED_MODELS
from hypothesis import given
from hypothesis import strategies as st

from batchrun.budget.caps import undated
from batchrun.catalog.capabilities import model_problems
from batchrun.catalog.notices import price_notices
from batchrun.catalog.price import Band, PublishedLimits, Rates
from batchrun.catalog.price_table import load_prices
from batchrun.errors import Refused, UsageProblem
from batchrun.job.model_sections import ModelSection
from batchrun.reply import Usage
from batchrun.simulator.requests.model_cards import find_model

TODAY = date(2026, 11, 21)
TABLE = load_prices(today=TODAY)

# USD per million tokens: input, output, cache write 5m, 1h, cache read; then context window, maximum output and the
# shortest prefix that is cached.
PUBLISHED = {
    "claude-fable-5-2": ("8", "40", "10", "16", "0.20", 1_000_000, 128_000, 512),
    "claude-mythos-5-2": ("8", "40", "10", "16", "0.20", 1_000_000, 128_000, 512),
    "claude-fable-5-1": ("10", "50", "12.50", "20", "0.25", 1_000_000, 128_000, 512),
    "claude-mythos-5-1": ("10", "50", "12.50", "20", "0.25", 1_000_000, 128_000, 512),
    "claude-fable-5": ("10", "50", "12.50", "20", "1.00", 1_000_000, 128_000, 512),
    "claude-mythos-5": ("10", "50", "12.50", "20", "1.00", 1_000_000, 128_000, 512),
    "claude-opus-5-5": ("4", "20", "5", "8", "0.20", 1_000_000, 128_000, 512),
    "claude-opus-5": ("5", "25", "6.25", "10", "0.50", 1_000_000, 128_000, 512),
    "claude-opus-4-8": ("5", "25", "6.25", "10", "0.50", 1_000_000, 128_000, 1_024),
    "claude-opus-4-7": ("5", "25", "6.25", "10", "0.50", 1_000_000, 128_000, 2_048),
    "claude-opus-4-6": ("5", "25", "6.25", "10", "0.50", 1_000_000, 128_000, 4_096),
    "claude-opus-4-5": ("5", "25", "6.25", "10", "0.50", 200_000, 64_000, 4_096),
    "claude-opus-4-5-20251101": ("5", "25", "6.25", "10", "0.50", 200_000, 64_000, 4_096),
    "claude-sonnet-5-5": ("2", "10", "2.50", "4", "0.10", 1_000_000, 128_000, 512),
    "claude-sonnet-5": ("2", "10", "2.50", "4", "0.20", 1_000_000, 128_000, 1_024),
    "claude-sonnet-4-6": ("3", "15", "3.75", "6", "0.30", 1_000_000, 128_000, 1_024),
    "claude-sonnet-4-5": ("3", "15", "3.75", "6", "0.30", 200_000, 64_000, 1_024),
    "claude-sonnet-4-5-20250929": ("3", "15", "3.75", "6", "0.30", 200_000, 64_000, 1_024),
    "claude-haiku-5-5": ("0.10", "0.50", "0.125", "0.20", "0.01", 1_000_000, 128_000, 512),
    "claude-haiku-4-5": ("1", "5", "1.25", "2", "0.10", 200_000, 64_000, 4_096),
    "claude-haiku-4-5-20251001": ("1", "5", "1.25", "2", "0.10", 200_000, 64_000, 4_096),
}
OLD_TOKENIZER = {name for name in PUBLISHED if "-4-5" in name or "-4-6" in name}
OWN_ROW = """
date = 2026-12-01
[[model]]
names = ["claude-haiku-5-5", "our-model"]
input = "0.05"
output = 0.25
cache_write_5m = "0.06"
cache_write_1h = "0.1"
cache_read = 0
context_window = 200_000
max_output_tokens = 8_000
tokenizer = "old"
thinking = { accepted = [], by_default = false }
limits = { requests_per_minute = 50, input_tokens_per_minute = 30_000, output_tokens_per_minute = 8_000 }
"""


def test_the_table_holds_exactly_the_published_models():
    assert set(TABLE.prices) == set(PUBLISHED)
    assert TABLE.date == date(2026, 11, 20)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_class_of_token_costs_what_is_published(name):
    *usd, window, output, cacheable = PUBLISHED[name]
    price = TABLE.model(name)
    assert price.name == name
    assert price.rates == Rates(*(int(Decimal(dollars) * 1000) for dollars in usd))
    assert (price.context_window, price.max_output_tokens) == (window, output)
    assert price.min_cacheable_tokens == cacheable
    assert price.tokenizer == ("old" if name in OLD_TOKENIZER else "new")


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_agree_with_themselves(name):
    price = TABLE.model(name)
    assert (price.default_effort is None) == (not price.effort_levels)
    assert price.default_effort is None or price.default_effort in price.effort_levels
    assert not price.thinks_by_default or "adaptive" in price.thinking
    assert (price.band is not None) == (name == "claude-haiku-5-5")
    slow = "fable" in name or "mythos" in name
    assert replace(price.limits, shared=None) == (
        PublishedLimits(1_000, 500_000, 100_000) if slow else PublishedLimits(1_000, 2_000_000, 400_000)
    )


def test_models_share_their_limits_as_they_do_at_the_simulator():
    pools: dict[str, set[str]] = {}
    for name in PUBLISHED:
        card = find_model(name)
        assert card, name
        pools.setdefault(card.pool, set()).add(undated(TABLE.model(name).bucket))

    assert all(len(buckets) == 1 for buckets in pools.values())
    assert len(set.union(*pools.values())) == len(pools)
    opus = TABLE.model("claude-opus-4-8")
    assert replace(opus, name="bedrock/claude-opus-4-8").bucket == "bedrock/claude-opus-4"
    assert replace(TABLE.model("claude-opus-5"), name="home/llama/3").bucket == "home/llama/3"


# By hand, in nano-USD.
COSTS = [
    ("plain", "claude-sonnet-5-5", Usage(input_tokens=1_000, output_tokens=200), 1_000 * 2_000 + 200 * 10_000),
    (
        "every class of token",
        "claude-opus-5-5",
        Usage(10, cache_write_5m_tokens=20, cache_write_1h_tokens=30, cache_read_tokens=40, output_tokens=50),
        10 * 4_000 + 20 * 5_000 + 30 * 8_000 + 40 * 200 + 50 * 20_000,
    ),
    ("at the band", "claude-haiku-5-5", Usage(100_000, output_tokens=1_000), 100_000 * 100 + 1_000 * 500),
    ("above the band", "claude-haiku-5-5", Usage(100_001, output_tokens=1_000), 100_001 * 500 + 1_000 * 2_500),
    (
        "cached tokens at the band",
        "claude-haiku-5-5",
        Usage(1, cache_write_5m_tokens=2, cache_write_1h_tokens=3, cache_read_tokens=99_994, output_tokens=7),
        1 * 100 + 2 * 125 + 3 * 200 + 99_994 * 10 + 7 * 500,
    ),
    (
        "cached tokens reach the band",
        "claude-haiku-5-5",
        Usage(1, cache_write_5m_tokens=2, cache_write_1h_tokens=3, cache_read_tokens=99_995, output_tokens=7),
        1 * 500 + 2 * 625 + 3 * 1_000 + 99_995 * 50 + 7 * 2_500,
    ),
    ("a long prompt of a flat model", "claude-sonnet-5-5", Usage(900_000, output_tokens=1), 900_000 * 2_000 + 10_000),
    ("nothing", "claude-fable-5-1", Usage(), 0),
]


@pytest.mark.parametrize(("name", "usage", "nusd"), [case[1:] for case in COSTS], ids=[case[0] for case in COSTS])
def test_costs_by_hand(name, usage, nusd):
    assert TABLE.model(name).cost_nusd(usage) == nusd


def test_worst_cases_by_hand():
    sonnet, haiku = TABLE.model("claude-sonnet-5-5"), TABLE.model("claude-haiku-5-5")
    assert sonnet.worst_case_nusd(prompt_tokens=10_000, max_tokens=100) == 10_000 * 2_000 + 100 * 10_000
    marked = {"prompt_tokens": 10_000, "max_tokens": 100, "prefix_tokens": 1_000}
    assert sonnet.worst_case_nusd(**marked, ttl="1h") == 1_000 * 4_000 + 9_000 * 2_000 + 100 * 10_000
    assert sonnet.worst_case_nusd(**marked, ttl="5m") == 1_000 * 2_500 + 9_000 * 2_000 + 100 * 10_000
    assert sonnet.worst_case_nusd(**marked) == 10_000 * 2_000 + 100 * 10_000
    assert haiku.worst_case_nusd(prompt_tokens=100_000, max_tokens=100) == 100_000 * 100 + 100 * 500
    assert haiku.worst_case_nusd(prompt_tokens=100_001, max_tokens=100) == 100_001 * 500 + 100 * 2_500


def test_a_cheaper_band_is_no_excuse_to_forget_the_dearer_one():
    haiku = TABLE.model("claude-haiku-5-5")
    reversed_bands = replace(haiku, rates=haiku.band.rates, band=Band(100_000, haiku.rates))
    assert reversed_bands.worst_case_nusd(prompt_tokens=200_000, max_tokens=100) == 100_000 * 500 + 100 * 2_500


counts = st.integers(0, 150_000)


@pytest.mark.slow
@given(
    name=st.sampled_from(sorted(PUBLISHED)),
    prompt=st.tuples(counts, counts, counts, counts),
    output=st.integers(0, 5_000),
    unused=st.tuples(st.integers(0, 50_000), st.integers(0, 5_000), st.integers(0, 50_000)),
    ttl=st.sampled_from([None, "5m", "1h"]),
)
def test_the_worst_case_is_never_below_the_actual_cost(name, prompt, output, unused, ttl):
    plain, written, read, rest = prompt
    marked = {"5m": (plain + rest, written, 0, read), "1h": (plain + rest, 0, written, read)}
    usage = Usage(*marked.get(ttl, (sum(prompt), 0, 0, 0)), output_tokens=output)
    price = TABLE.model(name)
    prompt_tokens, max_tokens = usage.prompt_tokens + unused[0], output + unused[1]
    prefix_tokens = usage.cache_write_tokens + usage.cache_read_tokens + unused[2]
    worst = price.worst_case_nusd(
        prompt_tokens=prompt_tokens, max_tokens=max_tokens, prefix_tokens=prefix_tokens, ttl=ttl
    )
    assert worst >= price.cost_nusd(usage)


def test_an_unknown_price_is_refused_with_what_to_do():
    with pytest.raises(Refused, match=r"no price for the model .claude-sonet-5-5") as caught:
        TABLE.model("claude-sonet-5-5")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean claude-sonnet-5-5? For a model that ")
    assert "prices_file" in caught.value.hint
    with pytest.raises(Refused, match="claude-mythos-preview"):
        TABLE.model("claude-mythos-preview")


def test_an_override_replaces_rows_by_name_and_adds_new_ones(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(OWN_ROW)
    table = load_prices(path, today=TODAY)
    assert table.date == date(2026, 12, 1)
    assert str(path) in table.source
    assert "2026-11-20" in table.source
    assert table.model("our-model").rates == Rates(50, 250, 60, 100, 0)
    assert table.model("claude-haiku-5-5").band is None
    assert table.model("claude-haiku-5-5").table_date == date(2026, 12, 1)
    assert table.model("claude-opus-5") == TABLE.model("claude-opus-5")


WRONG = [
    ("no toml", "date = ", "cannot be read"),
    ("too large", "#" * 10_000_001, "is larger than 10,000,000 bytes"),
    ("too deep", "date = " + "[" * 100_000, "cannot be read"),
    ("missing price", OWN_ROW.replace('cache_write_1h = "0.1"', ""), r"model\[1\]\.cache_write_1h"),
    ("unknown key", OWN_ROW + "currency = 1\n", r"model\[1\]\.currency"),
    ("negative price", OWN_ROW.replace('"0.05"', '"-1"'), r"model\[1\]\.input"),
    ("finer than a nano-dollar a token", OWN_ROW.replace('"0.05"', '"0.0005"'), r"model\[1\]\.input.*3 decimal"),
    ("no number", OWN_ROW.replace('"0.05"', '"cheap"'), r"model\[1\]\.input"),
    ("infinite", OWN_ROW.replace('"0.05"', "inf"), r"model\[1\]\.input"),
    ("unknown tokenizer", OWN_ROW.replace('"old"', '"older"'), r"model\[1\]\.tokenizer"),
    ("no window", OWN_ROW.replace("200_000", "0"), r"model\[1\]\.context_window"),
    ("half a band", OWN_ROW + "above = { input = 1 }\n", r"model\[1\]\.above\.prompt_tokens"),
    ("no date", OWN_ROW.replace("date = 2026-12-01", ""), "date"),
    ("nothing is too short", OWN_ROW + "min_cacheable_tokens = 0\n", r"model\[1\]\.min_cacheable_tokens"),
    (
        "two rows of one day",
        OWN_ROW.replace("[[model]]", "[[model]]\nvalid_from = 2027-01-01")
        + OWN_ROW.partition("\n[[")[2].join(("[[", "valid_from = 2027-01-01\n")),
        "our-model has more than one row valid from 2027-01-01",
    ),
    ("named twice", OWN_ROW.replace('"our-model"', '"claude-haiku-5-5"'), "claude-haiku-5-5 has more than one row"),
]


@pytest.mark.parametrize(("text", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_override_names_the_file_and_the_key(tmp_path, text, said):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(UsageProblem, match=said) as caught:
        load_prices(path, today=TODAY)
    assert str(path) in str(caught.value)


def test_a_missing_override_is_said(tmp_path):
    with pytest.raises(UsageProblem, match=r"nowhere\.toml cannot be read"):
        load_prices(tmp_path / "nowhere.toml", today=TODAY)


# --- rows with days


def dated(*days: str | None, name: str = "our-model", price: int = 1) -> str:
    """A file with one row of the model for each day, each a dollar dearer than the one before."""
    _, _, row = OWN_ROW.replace('"claude-haiku-5-5", "our-model"', f'"{name}"').partition("[[model]]\n")
    rows = [
        "[[model]]\n"
        + row.replace('input = "0.05"', f"input = {price + number}")
        + (f"valid_from = {day}\n" if day else "")
        for number, day in enumerate(days)
    ]
    return "date = 2026-12-01\n" + "".join(rows)


DAYS = [
    ("a row without a day is ever", [None], "2020-01-01", 1, []),
    ("the day before", [None, "2027-01-01"], "2026-12-31", 1, ["2027-01-01"]),
    ("on the day", [None, "2027-01-01"], "2027-01-01", 2, []),
    ("the day after", [None, "2027-01-01"], "2027-01-02", 2, []),
    ("the latest that has come", [None, "2026-01-01", "2026-06-01", "2027-01-01"], "2026-11-21", 3, ["2027-01-01"]),
    ("in whatever order", ["2026-06-01", "2027-01-01", "2026-01-01"], "2026-11-21", 1, ["2027-01-01"]),
    ("several to come", ["2026-01-01", "2028-01-01", "2027-01-01"], "2026-11-21", 1, ["2027-01-01", "2028-01-01"]),
    ("only of the future", ["2028-01-01", "2027-01-01"], "2026-11-21", 2, ["2028-01-01"]),
]


@pytest.mark.parametrize(("days", "today", "usd", "later"), [one[1:] for one in DAYS], ids=[one[0] for one in DAYS])
def test_the_row_in_force_is_the_latest_that_has_come(tmp_path, days, today, usd, later):
    path = tmp_path / "prices.toml"
    path.write_text(dated(*days))
    table = load_prices(path, today=date.fromisoformat(today))
    assert table.model("our-model").rates.input == usd * 1_000
    assert [str(row.valid_from) for row in table.upcoming.get("our-model", ())] == later


def test_a_model_whose_prices_are_all_of_the_future_is_not_used_yet(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(dated("2027-01-01"))
    section = ModelSection(name="our-model", max_tokens=10)
    for today, said in ((date(2026, 12, 31), ["valid from 2027-01-01 on"]), (date(2027, 1, 1), [])):
        problems = model_problems(section, load_prices(path, today=today).model("our-model"), today=today)
        assert [word in problem.message for word, problem in zip(said, problems, strict=True)] == [True] * len(said)


def test_an_override_replaces_all_rows_of_a_model(tmp_path, monkeypatch):
    own, theirs = tmp_path / "prices.toml", tmp_path / "theirs.toml"
    own.write_text(dated("2026-01-01", "2027-01-01") + dated(None, "2027-01-01", name="other").partition("\n")[2])
    theirs.write_text(dated("2026-02-02", price=7))
    monkeypatch.setattr("batchrun.catalog.price_table.files", lambda _: tmp_path)
    table = load_prices(theirs, today=TODAY)
    assert table.model("our-model").rates.input == 7_000
    assert table.model("our-model").source == str(theirs)
    assert list(table.upcoming) == ["other"], "the row of 2027 was the built-in table's"


# --- what a request was priced by


def test_a_request_names_the_rates_that_priced_it():
    haiku = TABLE.model("claude-haiku-5-5")
    short, long = haiku.row(Usage(100_000, output_tokens=9)), haiku.in_batches.row(Usage(1, cache_read_tokens=100_000))
    assert (short.rates, short.above_tokens, short.divisor) == (haiku.rates, None, 1)
    assert (long.rates, long.above_tokens, long.divisor) == (haiku.band.rates, 100_000, 2)
    assert (short.model, short.table_date, short.valid_from) == ("claude-haiku-5-5", date(2026, 11, 20), None)
    assert short.source == "the package's own table"


@pytest.mark.slow
@given(
    name=st.sampled_from(sorted(PUBLISHED)),
    tokens=st.tuples(counts, counts, counts, counts, counts),
    batch=st.booleans(),
)
def test_the_row_prices_the_request_as_it_was_priced(name, tokens, batch):
    price, usage = TABLE.model(name), Usage(*tokens)
    price = price.in_batches if batch else price
    row = price.row(usage)
    assert -(-row.rates.cost_nusd(usage) // row.divisor) == price.cost_nusd(usage)


def test_days_of_retirement_are_those_that_the_sdk_knows() -> None:
    """A newer SDK knows of more: then the table has to be mended."""
    today = date(2026, 11, 30)
    table = load_prices(today=today)
    known = {name: table.prices[name].retires for name in DEPRECATED_MODELS if name in table.prices}
    told = {name: day_of(DEPRECATED_MODELS[name]) for name in known}
    assert known == told
    assert "claude-sonnet-4-5" in known


def day_of(words: str) -> date:
    """`January 22nd, 2027` as a day."""
    plain = re.sub(r"(?<=\d)(st|nd|rd|th)", "", words)
    return datetime.strptime(plain, "%B %d, %Y").date()  # noqa: DTZ007 - a day has no zone


def test_a_model_that_retires_within_two_months_is_warned_of() -> None:
    price = load_prices(today=date(2026, 11, 30)).prices["claude-opus-4-5"]
    assert price.retires == date(2027, 1, 22)
    (notice,) = price_notices([price], today=date(2026, 11, 30))
    assert notice == "claude-opus-4-5 retires on 2027-01-22, in 53 days: choose another model for what runs later"
