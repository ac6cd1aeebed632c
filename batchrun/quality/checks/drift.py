"""Drift: whether the answers of a run are distributed as those of the last finished run before the run."""

import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace

from batchrun.job.check_section import CheckSection, checked_fields
from batchrun.job.load import JobFile
from batchrun.quality.checks.query import MOST_ROWS
from batchrun.quality.checks.result import CheckResult
from batchrun.quality.distribution import Distribution, drifts
from batchrun.statistics.drift import DriftLevel
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.run_answers import RunAnswer, run_answers

NO_FIELD = (None, 0)
"""The bounds of how many fields may drift."""
MOST_COMPARED = 100_000
"""About how many answers of a run are compared. More would show no change that an alarm takes notice of."""

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
    query = "select max(documents) from runs where run_no in (?, ?)"
    (documents,) = ledger.connection.execute(query, (before_no, run_no)).fetchone()
    every = max(1, documents // MOST_COMPARED)
    old, new = ({name: Distribution(kind) for name, kind in kinds.items()} for _ in range(2))
    known: dict[str, Hashable] = {}
    for answer in _drawn(run_answers(ledger, before_no), every):
        known[answer.doc_id] = _identity(answer)
        _count(answer, old)
    for answer in _drawn(run_answers(ledger, run_no), every):
        if known.get(answer.doc_id) != _identity(answer):
            _count(answer, new)
    return old, new


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


def _drawn(answers: Iterable[RunAnswer], every: int) -> Iterator[RunAnswer]:
    """Leave out documents without an answer, and all but every n-th document: of both runs the same documents."""
    for answer in answers:
        if answer.values is not None and zlib.crc32(answer.doc_id.encode()) % every == 0:
            yield answer


def _identity(answer: RunAnswer) -> Hashable:
    """Return what two runs have in common that have one answer: a request, or for a document in parts the values."""
    return answer.request_no if answer.request_no is not None else hash(repr(answer.values))


def _count(answer: RunAnswer, distributions: Distributions) -> None:
    for name, distribution in distributions.items():
        if answer.values is not None and name in answer.values:
            distribution.add(answer.values[name])
