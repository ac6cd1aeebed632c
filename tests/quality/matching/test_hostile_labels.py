"""Labels and answers that nobody would write: deep, long, enormous and strange values are values."""

from datetime import timedelta
from decimal import Decimal

import pytest

from batchrun.job.match_rules import MatchRule
from batchrun.quality.matching.match import Matched, match

TEXT = MatchRule("exact")
ENTRIES = MatchRule("entries", members=(("a", TEXT), ("b", MatchRule("number")), ("c", MatchRule("date"))))
RULES = [
    *(MatchRule(name) for name in ("exact", "casefold", "date", "datetime", "number", "tokens", "names")),
    MatchRule("number", tolerance=0.1),
    MatchRule("set", item=TEXT),
    ENTRIES,
    MatchRule("members", members=ENTRIES.members),
]


def nested(depth, leaf):
    for _ in range(depth):
        leaf = [{"a": leaf}]
    return leaf


STRANGE = [
    nested(3_000, 1),
    nested(3_000, 2),
    float("nan"),
    float("-inf"),
    Decimal("sNaN"),
    Decimal("1e999999999999"),
    Decimal("1e-999999999999"),
    10**4_000,
    "9" * 20_000,
    "\ud800",
    "\u0000\u202e",
    "\u0301" * 3_000,
    "a" + "\u0323\u0301" * 1_500,
    "\ufdfa" * 1_000,
    b"\xff",
    timedelta(1),
    object,
    {1: 2, None: 3, "a": {"b": []}},
    [[], {}, [None], {"a": None}],
    (1, 2),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}{rule.tolerance or ''}")
def test_strange_values_equal_themselves_only(rule):
    for at, value in enumerate(STRANGE):
        assert match(rule, value, value).right, at
        assert not match(rule, value, STRANGE[at - 1]).right, at
        assert not match(rule, value, "x").hits, at


def test_long_lists_end_soon():
    gold = [{"a": f"n{at % 500}", "b": at, "c": f"2024-01-{at % 28 + 1:02}"} for at in range(2_000)]
    answer = [row | {"b": -row["b"] - 1} for row in reversed(gold)]
    assert match(ENTRIES, gold, gold) == Matched(True, 6_000, 6_000, 6_000)
    matched = match(ENTRIES, gold, answer)
    assert matched.greedy
    assert matched.gold == matched.given == 6_000
    assert 3_900 <= matched.hits <= 4_000  # two cells of three are equal in the best pairing


def test_a_long_set_needs_no_pairing():
    words = [str(at) for at in range(15_000)]
    matched = match(MatchRule("set", item=TEXT), words[:10_000], words[5_000:])
    assert matched == Matched(False, 5_000, 10_000, 10_000, greedy=False)
