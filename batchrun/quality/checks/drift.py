"""Drift: whether the answers of a run are distributed as those of the last finished run before the run."""

from collections.abc import Mapping
from dataclasses import replace

from batchrun.job.check_section import CheckSection, checked_fields
from batchrun.job.load import JobFile
from batchrun.quality.checks.query import MOST_ROWS
from batchrun.quality.checks.result import CheckResult
from batchrun.quality.distribution import Distribution, drifts
from batchrun.statistics.drift import DriftLevel
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.run_answers import RunAnswer, run_answers, side_by_side

NO_FIELD = (None, 0)
"""The bounds of how many fields may drift."""
Distributions = Mapping[str, Distribution]
"""The distributions of a run, by the names of the fields."""


def drift(check: CheckSection, job: JobFile, ledger: Ledger, *, run_no: int | None) -> CheckResult:
    """Hold the answers of a run against those of the last finished run of the job before it.

    Answers that the run has from the earlier run are left out of the run: they cannot differ. The number counts the
    comparisons with an alarm. Without any, it counts those with a notice, which are no more than a warning.
    """
    before = Runs(ledger).finished_before(job.spec.job.name, run_no) if run_no is not None else None
    if before is None or run_no is None:
        return CheckResult.of(check, None, "there is no finished run before this one")
    fields = checked_fields(check, job.spec.output)
    kinds = {name: job.spec.output.fields[name].kind for name in fields}
    old, new = distributions(ledger, before.run_no, run_no, kinds)
    found = compared(old, new)
    alarms, notices = ([row for row, one in found if one is level] for level in (DriftLevel.ALARM, DriftLevel.NOTICE))
    rows = alarms or notices
    if not rows:
        none = f"no drift of {len(fields)} fields from run {before.run_id}"
        sentence = none if found else f"there is nothing new to hold against run {before.run_id}"
        return CheckResult.of(check, 0, sentence, NO_FIELD)
    told = ", ".join(f"{row['field']} ({row['compared']})" for row in rows[:MOST_ROWS])
    sentence = f"{'' if alarms else 'small '}drift from run {before.run_id}: {told}"
    result = CheckResult.of(check, len(rows), sentence, NO_FIELD, rows)
    return result if alarms else replace(result, severity="warn")


def distributions(
    ledger: Ledger, before_no: int, run_no: int, kinds: Mapping[str, str]
) -> tuple[Distributions, Distributions]:
    """Read the values of two runs, by the names of the fields: of the later run, only what the earlier run has not."""
    old, new = ({name: Distribution(kind) for name, kind in kinds.items()} for _ in range(2))
    for before, now in side_by_side(run_answers(ledger, before_no), run_answers(ledger, run_no)):
        _count(before, old)
        if before is None or now is None or not _is_same(before, now):
            _count(now, new)
    return old, new


def _is_same(before: RunAnswer, now: RunAnswer) -> bool:
    """Whether two runs have one answer: to one request, or for a document in parts with the same values."""
    return before.request_no == now.request_no and (now.request_no is not None or before.values == now.values)


def _count(answer: RunAnswer | None, distributions: Distributions) -> None:
    values = answer.values if answer and answer.values else {}
    for name, distribution in distributions.items():
        if name in values:
            distribution.add(values[name])


def compared(old: Distributions, new: Distributions) -> list[tuple[Mapping[str, str | None], DriftLevel]]:
    """Compare every field that both runs have values of, twice: the values, and how many are null."""
    return [
        (
            {"field": name, "compared": what, "distance": f"{one.statistic:.3f}", "alarm": f"{one.threshold:.3f}"},
            one.level,
        )
        for name in old
        for what, one in drifts(old[name], new[name], fields=len(old)).items()
    ]
