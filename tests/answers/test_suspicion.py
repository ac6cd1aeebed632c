"""The score of suspicion: each signal counts, and none makes a score fall when it gets worse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.answers.suspicion import STATUS_DOUBTS, field_doubt, suspicion


def score(findings: dict[str, Any], *, tokens: int = 0, failed_checks: int = 0) -> float:
    return suspicion(findings, ("term", "law"), tokens=tokens, failed_checks=failed_checks)


WORSE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "votes": ({"agreement": {"term": 1.0}}, {"agreement": {"term": 0.67}}),
    "one field, then two": ({"agreement": {"term": 0.5}}, {"agreement": {"term": 0.5, "law": 0.5}}),
    "quote": ({"evidence": {"term": {"status": "exact"}}}, {"evidence": {"term": {"status": "missing"}}}),
    "entry": (
        {"evidence": {"term": [{"status": "exact"}, {"status": "exact"}]}},
        {"evidence": {"term": [{"status": "exact"}, {"status": "differs"}]}},
    ),
    "not believed": (
        {"evidence": {"term": {"status": "exact"}}},
        {"evidence": {"term": {"status": "exact", "problem": "it says something else"}}},
    ),
    "taken away": ({}, {"problems": {"term[2].since": "it is no date"}}),
    "spelling": ({}, {"originals": {"law": "N/A"}}),
    "repair": ({"repairs": 1}, {"repairs": 2}),
}


@pytest.mark.parametrize(("better", "worse"), WORSE.values(), ids=WORSE)
def test_each_signal_counts(better: dict[str, Any], worse: dict[str, Any]) -> None:
    assert score(better) < score(worse)


def test_length_and_checks_count_and_other_fields_do_not() -> None:
    assert score({}) < score({}, tokens=100) < score({}, tokens=100_000) < score({}, failed_checks=1)
    assert score({"problems": {"other": "why"}, "evidence": {"other": {"status": "missing"}}}) == score({})


def test_a_null_counts_where_it_is_told() -> None:
    assert suspicion({}, ("term", "law")) < suspicion({}, ("term", "law"), nulls=("law", "other"))
    assert field_doubt({"problems": {"term": "why"}}, "term", is_null=True) == field_doubt(
        {"problems": {"term": "why"}}, "term"
    )


SIGNALS = st.fixed_dictionaries(
    {"agreement": st.floats(0, 1), "status": st.sampled_from(sorted(STATUS_DOUBTS)), "repairs": st.integers(0, 3)}
)


@given(SIGNALS, SIGNALS)
def test_an_answer_that_is_worse_in_every_signal_never_has_a_lower_score(one: Any, other: Any) -> None:
    def findings(worst: Any) -> dict[str, Any]:
        return {
            "agreement": {"term": worst(one["agreement"], other["agreement"], of=lambda share: -share)},
            "evidence": {"term": {"status": worst(one["status"], other["status"], of=STATUS_DOUBTS.__getitem__)}},
            "repairs": worst(one["repairs"], other["repairs"], of=int),
        }

    best = findings(lambda *both, of: min(both, key=of))
    worst = findings(lambda *both, of: max(both, key=of))
    assert score(best) <= score(worst)
    assert 0 <= field_doubt(worst, "term") <= 1
