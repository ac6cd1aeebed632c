"""What is measured of a setting: how often its answers are right, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from batchrun.estimation.interval import Interval
from batchrun.job.match_rules import MatchRule
from batchrun.quality.matching.match import match
from batchrun.statistics.intervals import effective_needed, effective_trials, ratio_interval, wilson
from batchrun.store.ledger.tunes import TunedAnswer
from batchrun.strategy.pilot_report import average

Truth = Mapping[str, Mapping[str, Any]]
"""What answers are held against, by document and field: gold labels, or the answers of the strongest setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What some documents show of a setting; every interval is one at 90%."""

    documents: int
    """How many documents were compared."""
    accuracy: Interval
    """The share of right fields; a document without an answer is wrong in all fields."""
    fields: Mapping[str, Interval]
    """The share of documents in which a field is right, by each field that was compared."""
    trials: float
    """How many independent trials tell as much as the compared fields do; 0 if nothing was compared."""
    cost_nusd: Interval
    """The cost of a document, streamed and without the prompt cache."""
    latency_s: Interval | None
    """How long a document takes. None if nothing was streamed."""
    failures: Interval
    """The share of documents without an answer."""
    unsupported: Interval | None
    """The share of quoted values that the document does not support. None if no value was quoted."""
    differing: tuple[str, ...]
    """The documents in which a field is wrong."""

    def documents_needed(self, target: float) -> int | None:
        """Say how many documents prove the target 9 times in 10 if the measured accuracy is the truth.

        Returns None if the accuracy does not lie above the target, so that no number of documents proves the target.
        """
        needed = effective_needed(target, self.accuracy.mean) if self.trials else None
        return None if needed is None else max(self.documents + 1, round(needed * self.documents / self.trials))


def measured(
    doc_ids: Sequence[str], answers: Mapping[str, TunedAnswer], truth: Truth, rules: Mapping[str, MatchRule]
) -> Standing:
    """Measure a setting on some documents, of which those in `truth` are compared. `answers` has what was answered."""
    compared = [doc_id for doc_id in doc_ids if truth.get(doc_id)]
    right = [_right(truth[doc_id], answers.get(doc_id), rules) for doc_id in compared]
    hits, asked = [sum(one.values()) for one in right], [len(one) for one in right]
    told = [answers[doc_id] for doc_id in doc_ids if doc_id in answers]
    seconds = [one.latency_s for one in told if one.latency_s is not None]
    quoted = [one.quoted for one in told]
    return Standing(
        documents=len(compared),
        accuracy=ratio_interval(hits, asked),
        fields={name: _share(found) for name in rules if (found := [one[name] for one in right if name in one])},
        trials=effective_trials(hits, asked) if compared else 0.0,
        cost_nusd=average([one.cost_nusd for one in told if one.cost_nusd is not None] or [0]),
        latency_s=average(seconds) if seconds else None,
        failures=_share([doc_id not in answers or answers[doc_id].values is None for doc_id in doc_ids]),
        unsupported=ratio_interval([one.disbelieved for one in told], quoted) if any(quoted) else None,
        differing=tuple(doc_id for doc_id, one in zip(compared, right, strict=True) if not all(one.values())),
    )


def _right(gold: Mapping[str, Any], answer: TunedAnswer | None, rules: Mapping[str, MatchRule]) -> dict[str, bool]:
    """Say of each field that is labelled whether it is right."""
    values = answer.values if answer else None
    return {
        name: values is not None and match(rules[name], label, values.get(name)).right
        for name, label in gold.items()
        if name in rules
    }


def _share(found: Sequence[bool]) -> Interval:
    return wilson(fmean(found) if found else 0.0, len(found))
