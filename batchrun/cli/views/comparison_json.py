"""Two runs side by side, for programs: one JSON object, to which fields may be added and of which none is renamed."""

from dataclasses import asdict
from math import isfinite
from typing import Any

from batchrun.job.decisive_keys import changed_keys
from batchrun.quality.compared_runs import ComparedRun
from batchrun.quality.comparison import Comparison, FieldComparison
from batchrun.quality.gold_change import GoldChange
from batchrun.report.summary_json import percentile_fields
from batchrun.statistics.drift import Drift


def comparison_as_json(comparison: Comparison, runs: tuple[ComparedRun, ComparedRun]) -> dict[str, Any]:
    """The comparison as one object, in which fractions are Decimal.

    Shares are between 0 and 1; a key that is null before or now has its default.
    """
    keys, gold = changed_keys(*(run.keys for run in runs)), comparison.gold
    return {
        "v": 1,
        "before": run_fields(comparison, runs[0], 0),
        "now": run_fields(comparison, runs[1], 1),
        "documents": {
            "both": comparison.both,
            "answered": comparison.answered,
            "changed": comparison.changed,
            "answered_only_before": comparison.only_answered[0],
            "answered_only_now": comparison.only_answered[1],
        },
        "keys": None if keys is None else [asdict(key) for key in keys],
        "fields": {name: change_fields(one, comparison.drifts.get(name)) for name, one in comparison.most_changed},
        "gold": gold_fields(gold) if gold else None,
        "examples": [asdict(one) for one in comparison.examples()],
    }


def run_fields(comparison: Comparison, run: ComparedRun, side: int) -> dict[str, Any]:
    """One of the two runs; `only` counts the documents that the other run does not have."""
    outcomes, totals, rate = comparison.outcomes[side], run.totals, run.nusd_per_1000
    return {
        **{name: getattr(totals, name) for name in ("input_tokens", "output_tokens", "thinking_tokens")},
        "run": run.story.run_id,
        "job": run.story.job,
        "simulated": run.story.simulated,
        "model": run.model,
        "counts": {str(outcome or "pending"): number for outcome, number in outcomes.items()},
        "only": outcomes.total() - comparison.both,
        "asked": run.asked,
        "cost_usd": totals.cost_nusd / 1e9,
        "usd_per_1000_documents": None if rate is None else rate / 1e9,
        "latency_s": percentile_fields(run.latencies.latency_s if run.latencies else None),
    }


def change_fields(one: FieldComparison, drift: Drift | None) -> dict[str, Any]:
    """The changes of one field. `drift` is null if there is nothing to compare."""
    counts = ("documents", "changed", "to_null", "from_null", "only_before", "only_now")
    return {
        **{name: getattr(one, name) for name in counts},
        "median_relative_change": one.median_change,
        "drift": {"statistic": drift.statistic, "threshold": drift.threshold, "level": drift.level.value}
        if drift and isfinite(drift.threshold)
        else None,
    }


def gold_fields(gold: GoldChange) -> dict[str, Any]:
    """The change of accuracy on labelled documents; the bounds of a single document are null."""
    bounds = {name: bound if isfinite(bound) else None for name, bound in asdict(gold.difference).items()}
    return {**asdict(gold), "difference": bounds, "found": gold.found}
