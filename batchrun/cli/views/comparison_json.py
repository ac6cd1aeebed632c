"""Two runs side by side, for programs: one JSON object, to which fields may be added and of which none is renamed."""

from dataclasses import asdict
from typing import Any

from batchrun.cli.export_changes import plain
from batchrun.cli.views.metrics_text import percentile_fields
from batchrun.quality.compared_runs import ComparedRun, changed_keys_of
from batchrun.quality.comparison import Comparison, FieldComparison
from batchrun.quality.gold_change import GoldChange
from batchrun.statistics.drift import Drift


def comparison_as_json(comparison: Comparison, runs: tuple[ComparedRun, ComparedRun]) -> dict[str, Any]:
    """The comparison as one object. Shares are between 0 and 1; a key that is null before or now has its default."""
    keys, drifts = changed_keys_of(*runs), comparison.drifts
    return {
        "v": 1,
        "before": run_fields(comparison, runs, 0),
        "now": run_fields(comparison, runs, 1),
        "documents": {
            "both": comparison.both,
            "answered": comparison.answered,
            "changed": comparison.changed,
            "answered_only_before": comparison.only_answered[0],
            "answered_only_now": comparison.only_answered[1],
        },
        "keys": None if keys is None else [asdict(key) for key in keys],
        "fields": {name: field_fields(one, drifts.get(name)) for name, one in comparison.most_changed},
        "gold": gold_fields(comparison.gold) if comparison.gold else None,
        "examples": [
            {**asdict(one), "before": plain(one.before), "now": plain(one.now)} for one in comparison.examples()
        ],
    }


def run_fields(comparison: Comparison, runs: tuple[ComparedRun, ComparedRun], side: int) -> dict[str, Any]:
    """One of the two runs; `only` counts the documents that the other run does not have."""
    run, outcomes = runs[side], comparison.outcomes[side]
    rate = run.nusd_per_1000
    return {
        "run": run.story.run_id,
        "job": run.story.job,
        "simulated": run.story.simulated,
        "model": run.model,
        "counts": {str(outcome or "pending"): number for outcome, number in outcomes.items()},
        "only": outcomes.total() - comparison.both,
        "cost_usd": run.totals.cost_nusd / 1e9,
        "usd_per_1000_documents": None if rate is None else rate / 1e9,
        "asked": run.asked,
        "input_tokens": run.totals.input_tokens,
        "output_tokens": run.totals.output_tokens,
        "thinking_tokens": run.totals.thinking_tokens,
        "latency_s": percentile_fields(run.latencies.latency_s if run.latencies else None),
    }


def field_fields(one: FieldComparison, drift: Drift | None) -> dict[str, Any]:
    """The changes of one field. `drift` is null if no document of both runs has the field."""
    known = drift is not None and drift.threshold != float("inf")
    return {
        "documents": one.documents,
        "changed": one.changed,
        "only_before": one.only_before,
        "only_now": one.only_now,
        "to_null": one.to_null,
        "from_null": one.from_null,
        "median_relative_change": one.median_change,
        "drift": {"statistic": drift.statistic, "threshold": drift.threshold, "level": drift.level.value}
        if drift and known
        else None,
    }


def gold_fields(gold: GoldChange) -> dict[str, Any]:
    """The change of accuracy on labelled documents; bounds of a single document are null."""
    low, high = (None if abs(bound) == float("inf") else bound for bound in (gold.difference.low, gold.difference.high))
    return {
        "documents": gold.documents,
        "values": gold.cells,
        "right_before": gold.right[0],
        "right_now": gold.right[1],
        "difference": gold.difference.mean,
        "low": low,
        "high": high,
        "p": gold.p,
        "found": gold.found,
        "fields": dict(gold.field_p),
        "detectable": gold.detectable,
    }
