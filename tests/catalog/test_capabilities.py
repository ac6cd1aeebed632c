from datetime import date

import pytest

from batchrun.catalog.capabilities import model_problems, thinks
from batchrun.catalog.price_table import load_prices
from batchrun.job.model_sections import ModelSection

TODAY = date(2026, 11, 21)
PRICES = load_prices(today=TODAY)


def problems(name, *, today=TODAY, **keys):
    section = ModelSection(**{"name": name, "max_tokens": 1_024, **keys})
    return model_problems(section, PRICES.model(name), today=today)


@pytest.mark.parametrize("name", PRICES.prices)
def test_a_plain_job_suits_every_model(name):
    assert problems(name) == []


ACCEPTED = [
    ("claude-opus-5", {"thinking": "disabled", "effort": "high"}),
    ("claude-opus-5", {"thinking": "disabled"}),
    ("claude-opus-5", {"thinking": "adaptive", "effort": "max"}),
    ("claude-haiku-5-5", {"thinking": "disabled"}),
    ("claude-sonnet-5", {"thinking": "disabled", "effort": "max"}),
    ("claude-sonnet-4-5", {"thinking": "disabled"}),
    ("claude-opus-4-5", {"effort": "high", "max_tokens": 64_000}),
    ("claude-opus-4-6", {"effort": "max", "thinking": "adaptive"}),
]


@pytest.mark.parametrize(("name", "keys"), ACCEPTED)
def test_what_a_model_takes_is_no_problem(name, keys):
    assert problems(name, **keys) == []


REFUSED = [
    ("claude-sonnet-4-6", {"max_tokens": 128_001}, "max_tokens = 128,001 is more than claude-sonnet-4-6 can write"),
    ("claude-haiku-4-5", {"max_tokens": 64_001}, "at most 64,000"),
    ("claude-haiku-4-5", {"effort": "low"}, "claude-haiku-4-5 takes no effort"),
    ("claude-opus-4-5", {"effort": "max"}, 'does not take effort = "max"; it takes "low" or "medium" or "high"'),
    ("claude-sonnet-4-6", {"effort": "xhigh"}, 'does not take effort = "xhigh"'),
    ("claude-opus-5-5", {"thinking": "disabled"}, 'does not take thinking = "disabled"; it takes "adaptive"'),
    ("claude-sonnet-5-5", {"thinking": "disabled"}, 'it takes "adaptive"'),
    ("claude-fable-5", {"thinking": "disabled"}, 'it takes "adaptive"'),
    ("claude-haiku-4-5", {"thinking": "adaptive"}, 'it takes "disabled"'),
    ("claude-opus-5", {"thinking": "disabled", "effort": "xhigh"}, 'only up to effort = "high", not with "xhigh"'),
    ("claude-haiku-5-5", {"thinking": "disabled", "effort": "max"}, 'only up to effort = "high"'),
    ("claude-sonnet-4-5", {"today": date(2026, 11, 30)}, "claude-sonnet-4-5 was retired on 2026-11-30"),
]


@pytest.mark.parametrize(("name", "keys", "said"), REFUSED)
def test_what_a_model_does_not_take_is_said(name, keys, said):
    (problem,) = problems(name, **keys)
    assert said in problem


def test_all_problems_are_said_at_once():
    assert len(problems("claude-haiku-4-5", max_tokens=10**6, effort="max", thinking="adaptive")) == 3


@pytest.mark.parametrize(
    ("name", "thinking", "does"),
    [
        ("claude-sonnet-5-5", None, True),
        ("claude-opus-4-8", None, False),
        ("claude-opus-4-8", "adaptive", True),
        ("claude-haiku-5-5", "disabled", False),
        ("claude-haiku-4-5", None, False),
    ],
)
def test_whether_replies_hold_thinking(name, thinking, does):
    section = ModelSection(name=name, max_tokens=1, thinking=thinking)
    assert thinks(section, PRICES.model(name)) is does
