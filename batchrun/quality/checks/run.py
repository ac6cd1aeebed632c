"""Runs the checks of a job: over the output, and for drift over the answers of two runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from batchrun.job.check_section import CheckSection, checked_fields
from batchrun.job.load import JobFile
from batchrun.quality.checks.drift import drift
from batchrun.quality.checks.query import MOST_COLUMNS, Answer, Ask, NoAnswer, asking
from batchrun.quality.checks.ready import Measure, measures, rows
from batchrun.quality.checks.result import CheckResult, allowed, excess, numeric_bounds
from batchrun.store.ledger.ledger import Ledger
from batchrun.store.output.schema import quoted

MOST_TOLD = 3
"""How many fields the sentence about a check names."""


def run_checks(
    job: JobFile, ledger: Ledger, database: Path, *, run_no: int | None, unpublished: str | None = None
) -> tuple[CheckResult, ...]:
    """Run all checks of a job, in their order. Nothing is sent.

    The answers of the run `run_no` are held against those of the last finished run before. `unpublished` says why the
    output lacks rows: a check of the output could not run then, because the check would tell of other rows.
    """

    def refuse(_: str) -> Answer:
        raise NoAnswer(unpublished)

    with asking(database) as ask:
        return tuple(
            drift(check, job, ledger, run_no=run_no)
            if check.type == "drift"
            else check_output(check, job, refuse if unpublished else ask)
            for check in job.spec.check
        )


def check_output(check: CheckSection, job: JobFile, ask: Ask) -> CheckResult:
    """Run one check of the output."""
    try:
        if check.sql is None:
            return _ready(check, quoted(job.spec.store.table), checked_fields(check, job.spec.output), ask)
        return _one_number(check, ask(check.sql)) if check.bounds else _failing_rows(check, ask(check.sql))
    except NoAnswer as why:
        return CheckResult.could_not_run(check, str(why))


def _failing_rows(check: CheckSection, found: Answer) -> CheckResult:
    hint = "" if found.number is None else "; a query for one number needs `min` or `max`"
    return CheckResult.of(check, found.total, f"the query returned {rows(found.total)}{hint}", (None, 0), found.rows)


def _one_number(check: CheckSection, found: Answer) -> CheckResult:
    if found.number is None:
        raise NoAnswer("with `min` or `max` a query has to return one number, in one row and one column")
    bounds, said = numeric_bounds(check), "{:,.6g}".format
    sentence = f"the query returned {said(found.number)}{allowed(bounds, said)}"
    return CheckResult.of(check, found.number, sentence, bounds)


def _ready(check: CheckSection, table: str, fields: Sequence[str], ask: Ask) -> CheckResult:
    """Measure every field. The number of the check is the number of the worst field."""
    asked = measures(check, table, fields)
    parts = (asked[start : start + MOST_COLUMNS] for start in range(0, len(asked), MOST_COLUMNS))
    told = [pair for part in parts for pair in _measured(part, table, ask)]
    if not told:
        return CheckResult.of(check, None, "there is nothing to measure yet")
    bounds = asked[0].bounds
    told.sort(key=lambda pair: excess(pair[1], bounds), reverse=True)
    failing = [pair for pair in told if excess(pair[1], bounds) > 0]
    sentences = [one.sentence(number) for one, number in failing or told]
    more = [f"and {len(sentences) - MOST_TOLD:,} more"] if len(sentences) > MOST_TOLD else []
    too_many = [one for one, number in failing if bounds[1] is not None and number > bounds[1]]
    sentence = "; ".join([*sentences[:MOST_TOLD], *more])
    return CheckResult.of(check, told[0][1], sentence, bounds, _to_blame(too_many, table, ask))


def _measured(part: Sequence[Measure], table: str, ask: Ask) -> list[tuple[Measure, float]]:
    """Ask for the numbers of so many measures at most as an answer has columns; a null is no number."""
    columns = ", ".join(f"{one.number} as n{number}" for number, one in enumerate(part))
    numbers = ask(f"select {columns} from {table}").rows[0].values()
    return [(one, float(number)) for one, number in zip(part, numbers, strict=True) if number is not None]


def _to_blame(measures: Sequence[Measure], table: str, ask: Ask) -> Sequence[Mapping[str, str | None]]:
    """Ask for the rows that are to blame for numbers above their bound; there are none if no single row is."""
    conditions = " or ".join(f"({one.failing})" for one in measures if one.failing)
    if not conditions:
        return ()
    columns = ", ".join(quoted(name) for name in ["doc_id", *(field for one in measures for field in one.fields)])
    return ask(f"select {columns} from {table} where {conditions} order by doc_id").rows
