"""What a tune has found, and the same as JSON for programs and for the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchrun.errors import BatchrunError, ExitCode
from batchrun.estimation.interval import Interval
from batchrun.quality.tune.standing import Standing
from batchrun.quality.tune.verdict import Ending, Row, Verdict
from batchrun.workflow.tune_plan import TunePlan

PER = 1_000
"""Prices are shown for so many documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """What a tune found."""

    plan: TunePlan
    rows: Sequence[Row]
    """The frontier: the cheapest setting first, by the plan's price."""
    verdict: Verdict
    self_agreement: Interval | None
    """How often the strongest setting gives the same value twice. None if nothing is held against its answers."""
    spent_nusd: int
    halted: BatchrunError | None
    """Why the tune stopped before its verdict. None if the tune went through."""

    @property
    def to_label(self) -> tuple[str, ...]:
        """The documents without labels in which the named setting differs from the strongest one."""
        row, plan = self.verdict.row, self.plan
        standing = row.standing if row and plan.by_agreement else None
        return tuple(doc_id for doc_id in standing.differing if doc_id not in plan.labels) if standing else ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        if self.halted:
            return self.halted.exit_code
        return ExitCode.OK if self.verdict.ending is Ending.FOUND else ExitCode.SOME_FAILED


def report_fields(report: TuneReport) -> Mapping[str, Any]:
    """The report as JSON, for programs and for the ledger; accuracies are shares, and prices are those of 1,000."""
    plan, verdict = report.plan, report.verdict
    return {
        "job": plan.job,
        "simulated": plan.simulated,
        "target": plan.target,
        "documents": len(plan.documents),
        "by_agreement": plan.by_agreement,
        "labelled": sum(doc_id in plan.labels for doc_id in plan.documents),
        "ending": str(verdict.ending),
        "setting": setting_fields(verdict.row) if verdict.row else None,
        "more_documents": verdict.more,
        "self_agreement": _fields(report.self_agreement) if report.self_agreement else None,
        "to_label": list(report.to_label),
        "spent_usd": report.spent_nusd / 1e9,
        "expected_usd": plan.expected_nusd / 1e9,
        "full_usd": plan.full_nusd / 1e9,
        "cap_usd": plan.cap_nusd / 1e9,
        "frontier": [row_fields(row) for row in report.rows],
    }


def setting_fields(row: Row) -> dict[str, str | None]:
    """A setting for programs."""
    one = row.setting
    return {"model": one.model, "effort": one.effort, "thinking": one.thinking, "prompt": one.prompt}


def row_fields(row: Row) -> dict[str, Any]:
    """One setting of the frontier for programs."""
    return {
        **setting_fields(row),
        "state": str(row.state),
        "route": row.own_route,
        "usd_per_1000": {name: _fields(row.price_nusd(name).times(PER / 1e9)) for name in row.routes},
        **(standing_fields(row.standing) if row.standing else {}),
    }


def standing_fields(standing: Standing) -> dict[str, Any]:
    """What was measured of a setting, for programs."""
    optional = {"latency_s": standing.latency_s, "unsupported": standing.unsupported}
    return {
        "documents": standing.documents,
        "accuracy": _fields(standing.accuracy),
        "fields": {name: _fields(one) for name, one in standing.fields.items()},
        "failures": _fields(standing.failures),
        **{name: _fields(one) if one else None for name, one in optional.items()},
    }


def _fields(interval: Interval) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(interval).items()}
