"""Scores against a scorer that is written another way, and the lists that are shown with the scores."""

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from batchrun.estimation.interval import Interval
from batchrun.job.field_types import ColumnFields
from batchrun.job.match_rules import default_rule
from batchrun.quality.matching.match import Matched, match
from batchrun.quality.scores import MOST_CONFUSED, Confused, confusion, score, worst
from batchrun.statistics.intervals import ratio_interval

FIELDS = TypeAdapter(ColumnFields).validate_python(
    {
        "title": "string?",
        "sum": "number?",
        "tags": {"type": "array", "items": "string"},
        "lines": {"type": "array", "items": {"type": "object", "fields": {"name": "string?", "sum": "integer?"}}},
    }
)
RULES = {name: default_rule(field) for name, field in FIELDS.items()}
WORDS = st.sampled_from([None, "", "a", "b", " a"])
NUMBERS = st.sampled_from([None, 0, 1, 2])
DOCUMENTS = st.fixed_dictionaries(
    {
        "title": WORDS,
        "sum": NUMBERS,
        "tags": st.none() | st.lists(WORDS, max_size=3),
        "lines": st.none() | st.lists(st.fixed_dictionaries({"name": WORDS, "sum": NUMBERS}), max_size=3),
    }
)
RIGHT, WRONG, NULLS = Matched(True, 1, 1, 1), Matched(False, 0, 1, 1), Matched(True, 0, 0, 0)


def values(value):
    """List the values of a field, each a bag of (member, value) pairs, without those that say nothing."""
    rows = value if isinstance(value, list) else [value]
    bags = [list(row.items()) if isinstance(row, dict) else [("", row)] for row in rows]
    plain = [[(name, one.strip() if isinstance(one, str) else one) for name, one in bag] for bag in bags]
    kept = [[pair for pair in bag if pair[1] not in ("", None)] for bag in plain]
    return [bag for bag in kept if bag]


def true_positives(gold, answer):
    """Try out every pairing of bags, and count the pairs that are in both."""
    few, many = sorted((values(gold), values(answer)), key=len)
    return max(
        sum(pair in many[at] for bag, at in zip(few, order, strict=True) for pair in bag)
        for order in permutations(range(len(many)), len(few))
    )


def scored_another_way(pairs):
    """Score pairs of a label and an answer: accuracy, precision, recall and F1, each None where nothing is counted."""
    tp = fp = fn = right = 0
    for gold, answer in pairs:
        hits = true_positives(gold, answer)
        missed = sum(map(len, values(gold))) - hits
        invented = sum(map(len, values(answer))) - hits
        tp, fp, fn, right = tp + hits, fp + invented, fn + missed, right + (not missed and not invented)
    counts = ((right, len(pairs)), (tp, tp + fp), (tp, tp + fn), (2 * tp, 2 * tp + fp + fn))
    return [float(Fraction(one, whole)) if whole else None for one, whole in counts]


def same(scored, pairs):
    expected = scored_another_way(pairs)
    found = [scored.accuracy.mean, scored.precision.mean, scored.recall.mean, scored.f1.mean]
    return found == pytest.approx([one or 0.0 for one in expected], abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(DOCUMENTS, DOCUMENTS), min_size=1, max_size=6))
def test_scores_are_those_of_another_scorer(documents):
    pairs = {name: [(gold[name], answer[name]) for gold, answer in documents] for name in RULES}
    scores = score(
        {
            f"d{number}": {name: match(RULES[name], gold[name], answer[name]) for name in RULES}
            for number, (gold, answer) in enumerate(documents)
        }
    )
    assert [scored.name for scored in scores.fields] == list(RULES)
    assert all(same(scored, pairs[scored.name]) for scored in scores.fields)
    assert same(scores.pooled, [pair for name in RULES for pair in pairs[name]])


def test_a_field_that_was_never_answered():
    scored = score({"a": {"x": Matched(False, 0, 1, 0)}, "b": {"x": NULLS}}).fields[0]
    assert (scored.documents, scored.right, scored.gold, scored.given) == (2, 1, 1, 0)
    assert scored.precision == Interval(0.0, 0.0, 1.0)
    assert scored.recall.mean == 0


def test_intervals_are_by_document():
    documents = {f"d{at}": dict.fromkeys("abcd", WRONG if at < 3 else RIGHT) for at in range(30)}
    scores = score(documents)
    assert scores.pooled.accuracy == ratio_interval([0] * 3 + [4] * 27, [4] * 30)
    assert scores.pooled.f1 == ratio_interval([0] * 3 + [8] * 27, [8] * 30)
    assert scores.pooled.documents == 30
    assert scores.pooled.right == 108


def test_only_documents_with_a_label_for_a_field_count():
    scores = score({"a": {"x": RIGHT}, "b": {"y": WRONG, "x": WRONG}, "c": {}})
    assert [(one.name, one.documents, one.right) for one in scores.fields] == [("x", 2, 1), ("y", 1, 0)]
    assert scores.documents == 3
    assert scores.pooled.accuracy.mean == pytest.approx(1 / 3)


def test_lists_that_were_paired_greedily_are_told():
    documents = {"a": {"x": Matched(False, 300, 600, 600, greedy=True), "y": RIGHT}, "b": {"x": RIGHT, "y": RIGHT}}
    assert [one.greedy for one in score(documents).fields] == [1, 0]
    assert score(documents).pooled.greedy == 1


@pytest.mark.parametrize(("documents", "enough"), [(19, False), (20, True)], ids=["19", "20"])
def test_percentages_need_20_documents(documents, enough):
    assert score({str(at): {"x": RIGHT} for at in range(documents)}).enough is enough


def test_nothing_is_scored_as_nothing():
    scores = score({})
    assert (scores.fields, scores.documents, scores.pooled.accuracy) == ((), 0, Interval(0.0, 0.0, 1.0))


def test_words_that_are_taken_for_each_other():
    pairs = [("a", "a"), ("a", "b"), ("b", None), ("b", " "), (None, "a"), ("a ", "a"), ([], "a")]
    assert confusion(pairs) == (
        Confused("a", "a", 2),
        Confused("b", None, 2),
        Confused("<list>", "a", 1),
        Confused("a", "b", 1),
        Confused(None, "a", 1),
    )


def test_rare_pairs_are_left_out():
    shown = confusion([(str(at), "a") for at in range(500)] + [("a", "a")] * 2)
    assert shown[:2] == (Confused("a", "a", 2), Confused("0", "a", 1))
    assert len(shown) == MOST_CONFUSED


def test_the_worst_documents_come_first():
    documents = {
        "fine": {"x": RIGHT, "y": RIGHT},
        "one": {"x": WRONG, "y": RIGHT},
        "long": {"x": Matched(False, 2, 9, 8), "y": RIGHT},
        "both": {"x": WRONG, "y": WRONG},
        "another": {"y": WRONG},
    }
    assert worst(documents, 9) == ["both", "long", "another", "one"]
    assert worst(dict(reversed(documents.items())), 2) == ["both", "long"]
