"""How a run ended, for programs: the fields of `run_end`. Fields may be added, and none is renamed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batchrun.budget.caps import Cap, Of
from batchrun.catalog.money import dollars
from batchrun.estimation.interval import Interval
from batchrun.execution.failure_messages import BudgetReached
from batchrun.outcome import Outcome
from batchrun.quality.scores import FieldScore, Scores
from batchrun.statistics.audit import RISK
from batchrun.store.ledger.cascade_calibrations import CascadeCalibration
from batchrun.store.ledger.cascades import Escalations
from batchrun.store.ledger.run_metrics import Percentiles
from batchrun.store.reports.cache_use import CacheUse
from batchrun.store.reports.evidence import FieldEvidence, RunFindings
from batchrun.store.reports.performance import Performance
from batchrun.store.reports.utilisation import Shares
from batchrun.strategy.duration import Bound

if TYPE_CHECKING:  # its import takes longer than a table of all runs
    from batchrun.quality.evaluate import GoldScores
    from batchrun.workflow.summary import Summary

STATUSES = ("exact", "close", "differs", "missing", "none", "no_text")
"""How far quotes are found in documents."""


def verdict(summary: "Summary") -> str:
    """Say how a run ended in one line, with no word that a document or the API has chosen."""
    total, rows = sum(summary.outcomes.values()), summary.outcomes.get(Outcome.SUCCEEDED, 0)
    run, cost = (f"run {one.run_id} ", f", {dollars(one.cost_nusd)}") if (one := summary.totals) else ("", "")
    code = f"ended with exit code {int(summary.exit_code)}"
    return f"{run}{code}: {rows:,} of {total:,} documents have a row{cost}"


def summary_fields(summary: "Summary") -> dict[str, object]:
    """Return the fields of `run_end`, the last JSON line of a run."""
    totals = summary.totals
    return dict(
        run=totals.run_id if totals else None,
        job=summary.job,
        simulated=summary.simulated,
        exit_code=int(summary.exit_code),
        halted=str(summary.halted) if summary.halted else None,
        counts={str(outcome or "pending"): number for outcome, number in summary.outcomes.items()},
        sent=summary.plan.to_send,
        in_source=summary.plan.in_source,
        gone_rows=summary.plan.gone,
        cost_usd=totals.cost_nusd / 1e9 if totals else 0.0,
        held_usd=totals.held_nusd / 1e9 if totals else 0.0,
        estimate_usd=totals.estimate_nusd / 1e9 if totals else 0.0,
        estimate_low_usd=totals.estimate_low_nusd / 1e9 if totals else 0.0,
        estimate_high_usd=totals.estimate_high_nusd / 1e9 if totals else 0.0,
        estimate_input_tokens=totals.estimate_input_tokens if totals else 0,
        estimate_output_tokens=totals.estimate_output_tokens if totals else 0,
        input_tokens=totals.input_tokens if totals else 0,
        output_tokens=totals.output_tokens if totals else 0,
        thinking_tokens=totals.thinking_tokens if totals else 0,
        **cache_fields(summary.cache_use),
        route=str(summary.plan.choice.route),
        cascade=escalations_as_json(summary.escalations),
        calibration=calibration_as_json(summary.calibration) if summary.calibration else None,
        **findings_fields(summary.findings),
        open_batches=len(summary.open_batches),
        seconds=round(summary.seconds, 3),
        chain_head=totals.chain_head.digest if totals and totals.chain_head else None,
        chain_link=totals.chain_head.link_no if totals and totals.chain_head else None,
        **left_fields(summary),
        **pace_fields(summary.performance, totals.retried if totals else {}),
        published=summary.unpublished is None,
        database=str(summary.database),
        checks=[asdict(check) for check in summary.checks],
        gold=gold_scores_as_json(summary.gold),
    )


def cache_fields(use: CacheUse | None) -> dict[str, object]:
    """Return the use of the prompt cache as fields of an event."""
    return {
        "cache_read_tokens": use.read_tokens if use else 0,
        "cache_write_tokens": use.written_tokens if use else 0,
        "cache_hit_rate": round(use.hit_rate, 4) if use else None,
        "cache_saved_usd": use.saved_nusd / 1e9 if use else 0.0,
    }


def left_fields(summary: "Summary") -> dict[str, Any]:
    """Return what a reached cap leaves undone; no field if no cap was reached."""
    if summary.remaining is None or not isinstance(summary.halted, BudgetReached):
        return {}
    return {
        "left": summary.remaining.documents,
        "left_usd": interval_fields(summary.remaining.cost_usd),
        "cap": cap_as_json(summary.halted.cap, None),
    }


def cap_as_json(cap: Cap, remaining: int | None) -> dict[str, Any]:
    """Return a cap for programs, with `remaining` of what the cap counts; None if the remainder is not known."""
    unit = 1 if cap.of is Of.TOKENS else 1e9
    return {
        "per": str(cap.per), "counts": str(cap.of), "model": cap.model, "tag": cap.tag, "limit": cap.limit / unit,
        "left": None if remaining is None else remaining / unit, "key": cap.key, "of": str(cap.origin),
    }  # fmt: skip


def pace_fields(performance: Performance | None, retried: Mapping[str, int]) -> dict[str, object]:
    """Return speed, latency and waits as fields of an event."""
    latencies = performance.latencies if performance else None
    return {
        "latency_s": percentile_fields(latencies.latency_s if latencies else None),
        "first_byte_s": percentile_fields(latencies.first_byte_s if latencies else None),
        "utilisation": share_fields(performance.shares) if performance else None,
        "waits": {one.cause: round(one.seconds, 3) for one in performance.waits} if performance else {},
        "retried": dict(retried),
        "models": dict(performance.answered_by) if performance else {},
    }


def percentile_fields(percentiles: Percentiles | None) -> dict[str, float] | None:
    """Return percentiles in seconds, to the millisecond. Returns None for none."""
    if percentiles is None:
        return None
    return {name: round(seconds, 3) for name, seconds in asdict(percentiles).items()}


def share_fields(shares: Shares) -> dict[str, float | None]:
    """Return the used share of each limit: 1.0 is the whole limit, and None means that no limit is known."""
    limits = (bound for bound in Bound if bound is not Bound.LATENCY)
    return {bound.name.lower(): round(shares[bound], 4) if bound in shares else None for bound in limits}


def findings_fields(found: RunFindings | None) -> dict[str, object]:
    """Return what was found out about the answers of a run as fields of an event."""
    return {
        "evidence_answers": found.answers if found else 0,
        "evidence": {field.field: evidence_fields(field) for field in found.fields} if found else {},
        "mended": found.mended if found else 0,
        "repairs": found.repairs if found else 0,
        "repairs_usd": found.repairs_nusd / 1e9 if found else 0.0,
        "nulled": found.nulled if found else 0,
        "normalised": found.normalised if found else 0,
        "voted": found.voted if found else 0,
        "votes": found.votes if found else 0,
        "agreement": {name: round(share, 4) for name, share in found.agreement.items()} if found else {},
    }


def evidence_fields(field: FieldEvidence) -> dict[str, object]:
    """Return the number of values, the shares of their statuses, and how many values are not believed."""
    shares = {status: round(field.share(status), 4) for status in STATUSES}
    return {"values": field.values, **shares, "not_believed": field.disbelieved}


def gold_scores_as_json(gold: "GoldScores | None") -> dict[str, Any] | None:
    """Return what the summary tells of the labels. Returns None without labels."""
    if gold is None:
        return None
    return {"labels": gold.labels, **scores_as_json(gold.scores)} if gold.scores else {"problem": gold.problem}


def scores_as_json(scores: Scores) -> dict[str, Any]:
    """Return the scores of all fields together and of each field."""
    return {
        "documents": scores.documents,
        "all_fields": score_fields(scores.pooled),
        "fields": {field.name: score_fields(field) for field in scores.fields},
    }


def score_fields(field: FieldScore) -> dict[str, Any]:
    """Return the score of a field, or of all; `greedy` counts documents with lists that are paired only about best."""
    shares = {name: interval_fields(getattr(field, name)) for name in ("accuracy", "precision", "recall", "f1")}
    return {name: value for name, value in asdict(field).items() if name != "name"} | shares


def calibration_as_json(calibration: CascadeCalibration) -> dict[str, Any]:
    """Return what a calibration has found. `threshold` is None if every answer is accepted."""
    return {
        "max_difference": calibration.max_difference,
        "confidence": 1 - RISK,
        "threshold": None if calibration.below == math.inf else calibration.below,
        "documents": calibration.documents,
        "calibrated": calibration.asked,
        "accepted": calibration.accepted,
        "differing": calibration.differing,
    }


def escalations_as_json(escalations: Sequence[Escalations]) -> list[dict[str, Any]]:
    """Return what the cascade did, model by model."""
    return [
        {"model": one.model, "answers": one.answers, "escalated": one.escalated, "reasons": dict(one.reasons)}
        for one in escalations
    ]


def interval_fields(interval: Interval) -> dict[str, float]:
    """Return an interval for programs."""
    return {name: round(value, 6) for name, value in asdict(interval).items()}
