from datetime import date

import pytest

from batchrun.catalog.capabilities import model_problems, suited, thinks
from batchrun.catalog.price_table import load_prices
from batchrun.job.model_sections import ModelSection

TODAY = date(2026, 11, 21)
PRICES = load_prices(today=TODAY)


def problems(name, *, today=TODAY, **keys):
    section = ModelSection(**{"name": name, "max_tokens": 1_024, **keys})
    return [problem.message for problem in model_problems(section, PRICES.model(name), today=today)]


@pytest.mark.parametrize("name", [name if name.startswith("claude") else f"openai/{name}" for name in PRICES.prices])
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
    ("claude-sonnet-5-5", {"thinking": "between_tools"}),
    ("claude-sonnet-5-5", {"thinking": "between_tools", "effort": "low"}),
    ("claude-haiku-4-5", {"thinking": "enabled", "budget_tokens": 1_024, "max_tokens": 1_025}),
    ("claude-sonnet-4-6", {"thinking": "enabled", "budget_tokens": 2_000, "max_tokens": 4_000}),
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
    ("claude-sonnet-5-5", {"thinking": "disabled"}, 'it takes "adaptive" or "between_tools"'),
    ("claude-sonnet-5-5", {"thinking": "between_tools", "effort": "xhigh"}, 'thinking = "between_tools" only up to'),
    ("claude-opus-5-5", {"thinking": "between_tools"}, 'does not take thinking = "between_tools"'),
    ("claude-opus-4-8", {"thinking": "enabled", "budget_tokens": 1_024, "max_tokens": 2_000}, 'takes "adaptive" or'),
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
        ("claude-sonnet-5-5", "between_tools", False),
        ("claude-haiku-4-5", None, False),
    ],
)
def test_whether_replies_hold_thinking(name, thinking, does):
    section = ModelSection(name=name, max_tokens=1, thinking=thinking)
    assert thinks(section, PRICES.model(name)) is does


def test_a_budget_is_thinking() -> None:
    section = ModelSection(name="claude-haiku-4-5", max_tokens=2_000, thinking="enabled", budget_tokens=1_024)
    assert thinks(section, PRICES.model("claude-haiku-4-5"))


TAKES = {
    ("opus-5-5", "fable-5", "fable-5-1", "fable-5-2", "mythos-5", "mythos-5-1", "mythos-5-2"): {"adaptive"},
    ("sonnet-5-5",): {"adaptive", "between_tools"},
    ("haiku-5-5", "opus-5", "sonnet-5", "opus-4-8", "opus-4-7"): {"adaptive", "disabled"},
    ("opus-4-6", "sonnet-4-6"): {"adaptive", "disabled", "enabled"},
    ("opus-4-5", "sonnet-4-5", "haiku-4-5"): {"disabled", "enabled"},
}
"""What a request to each model may say of thinking."""


@pytest.mark.parametrize(("names", "takes"), TAKES.items(), ids=lambda value: value[0] if type(value) is tuple else "")
def test_the_table_says_what_each_model_takes(names, takes):
    for name in names:
        assert set(PRICES.model(f"claude-{name}").thinking) == takes


def test_a_fallback_keeps_a_budget_only_below_its_own_length():
    section = ModelSection(name="claude-sonnet-4-6", max_tokens=100_000, thinking="enabled", budget_tokens=64_000)

    kept = suited(section.model_copy(update={"budget_tokens": 63_999}), PRICES.model("claude-haiku-4-5"))
    dropped, newer = (suited(section, PRICES.model(f"claude-{name}")) for name in ("haiku-4-5", "opus-5"))

    assert (kept.max_tokens, kept.thinking, kept.budget_tokens) == (64_000, "enabled", 63_999)
    assert (dropped.max_tokens, dropped.thinking, dropped.budget_tokens) == (64_000, None, None)
    assert (newer.max_tokens, newer.thinking, newer.budget_tokens) == (100_000, None, None)
