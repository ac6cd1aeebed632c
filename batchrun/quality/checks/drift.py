"""Drift: whether the answers of a run are distributed as those of the last finished run before the run."""

import contextlib
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from batchrun.job.check_section import CheckSection, checked_fields
from batchrun.job.load import JobFile
from batchrun.quality.checks.query import MOST_ROWS
from batchrun.quality.checks.result import CheckResult
from batchrun.statistics.drift import Drift, DriftLevel, kolmogorov_smirnov, population_stability
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.ledger.runs import Runs
from batchrun.store.reports.run_answers import RunAnswer, run_answers

MOST_COMPARED = 100_000
"""About how many answers of a run are compared. More would show no change that an alarm takes notice of."""
NUMBERS: Mapping[str, Callable[[Any], float]] = {
    "integer": float,
    "number": float,
    "date": lambda value: date.fromisoformat(value).toordinal(),
    "datetime": lambda value: datetime.fromisoformat(value).timestamp(),
    "array": len,
}
"""The types of field whose values are compared as numbers, with the number of a value; other values are categories."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one field in the answers of one run."""

    kind: str
    """The type of the field."""
    nulls: Counter[Hashable] = field(default_factory=Counter)
    """How many answers have null in the field, and how many have a value."""
    categories: Counter[Hashable] = field(default_factory=Counter)
    numbers: list[float] = field(default_factory=list)

    def add(self, value: Any) -> None:
        """Take the value of an answer. A value that does not suit the type is left out: the job file has changed."""
        self.nulls[value is None] += 1
        if value is None:
            return
        if self.kind not in NUMBERS:
            self.categories[hash(value) if isinstance(value, str) else repr(value)] += 1
            return
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            self.numbers.append(NUMBERS[self.kind](value))


LIMIT = (None, 0)
Samples = Mapping[str, Sample]
Test = Callable[[int], Drift]
"""Compares two samples, as one of so many comparisons."""


def drift(check: CheckSection, job: JobFile, ledger: Ledger, *, run_no: int | None) -> CheckResult:
    """Hold the answers of a run against those of the last finished run of the job before it.

    Answers that the run has from the earlier run are left out of the run: they cannot differ. The number is that of the
    fields with an alarm. Fields with no more than a notice make a warning.
    """
    before = Runs(ledger).finished_before(job.spec.job.name, run_no) if run_no is not None else None
    if before is None or run_no is None:
        return CheckResult.of(check, None, "there is no finished run before this one")
    fields = checked_fields(check, job.spec.output)
    kinds = {name: job.spec.output.fields[name].kind for name in fields}
    old, new = samples(ledger, before.run_no, run_no, kinds)
    found = compared(old, new)
    drifted = {level: [row for row, found_level in found if found_level is level] for level in DriftLevel}
    rows = drifted[DriftLevel.ALARM] or drifted[DriftLevel.NOTICE]
    if not rows:
        return CheckResult.of(check, 0, f"{len(fields)} fields have the distribution of run {before.run_id}", LIMIT)
    which = "differs from" if drifted[DriftLevel.ALARM] else "differs a little, but by more than chance, from"
    told = ", ".join(f"{row['field']} ({row['compared']})" for row in rows[:MOST_ROWS])
    result = CheckResult.of(
        check, len(rows), f"the distribution {which} that of run {before.run_id}: {told}", LIMIT, rows
    )
    return result if drifted[DriftLevel.ALARM] else replace(result, severity="warn")


def samples(ledger: Ledger, before_no: int, run_no: int, kinds: Mapping[str, str]) -> tuple[Samples, Samples]:
    """Read the values of two runs, by the names of the fields: of the later run, only what the earlier run has not."""
    query = "select max(documents) from runs where run_no in (?, ?)"
    (documents,) = ledger.connection.execute(query, (before_no, run_no)).fetchone()
    every = max(1, documents // MOST_COMPARED)
    old, new = ({name: Sample(kind) for name, kind in kinds.items()} for _ in range(2))
    known: dict[str, Hashable] = {}
    for answer in _drawn(run_answers(ledger, before_no), every):
        known[answer.doc_id] = _identity(answer)
        _take(answer, old)
    for answer in _drawn(run_answers(ledger, run_no), every):
        if known.get(answer.doc_id) != _identity(answer):
            _take(answer, new)
    return old, new


def compared(old: Samples, new: Samples) -> list[tuple[Mapping[str, str | None], DriftLevel]]:
    """Compare every field that both runs have values of: how many are null, if any is, and the values themselves."""
    tests = [(name, what, test) for name in old for what, test in _tests(old[name], new[name])]
    drifts = [(name, what, test(len(tests))) for name, what, test in tests]
    return [
        (
            {"field": name, "compared": what, "distance": f"{one.statistic:.3f}", "alarm": f"{one.threshold:.3f}"},
            one.level,
        )
        for name, what, one in drifts
    ]


def _tests(old: Sample, new: Sample) -> Iterator[tuple[str, Test]]:
    if old.nulls[True] + new.nulls[True]:
        yield "nulls", lambda fields: population_stability(old.nulls, new.nulls, fields=fields)
    if old.numbers and new.numbers:
        yield "values", lambda fields: kolmogorov_smirnov(old.numbers, new.numbers, fields=fields)
    elif old.categories and new.categories:
        yield "values", lambda fields: population_stability(old.categories, new.categories, fields=fields)


def _drawn(answers: Iterable[RunAnswer], every: int) -> Iterator[RunAnswer]:
    """Leave out documents without an answer, and all but every n-th document: of both runs the same documents."""
    for answer in answers:
        if answer.values is not None and zlib.crc32(answer.doc_id.encode()) % every == 0:
            yield answer


def _identity(answer: RunAnswer) -> Hashable:
    """Return what two runs have in common that have one answer: a request, or for a document in parts the values."""
    return answer.request_no if answer.request_no is not None else hash(repr(answer.values))


def _take(answer: RunAnswer, samples: Samples) -> None:
    for name, sample in samples.items():
        if answer.values is not None and name in answer.values:
            sample.add(answer.values[name])
