"""The ready checks: what each measures of the output, as SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from batchrun.job.check_section import Bound, CheckSection, CheckType
from batchrun.quality.checks.result import Bounds, allowed, numeric_bounds
from batchrun.store.output.schema import literal, quoted


def share(number: float) -> str:
    """`34.8%`."""
    return f"{100 * number:.4g}%"


def rows(number: float) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,.0f} row{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that is asked of the table of rows, and the rows that are to blame for the number."""

    fields: Sequence[str]
    number: str
    """The number, as an expression over all rows; null if there is nothing to measure."""
    failing: str | None
    """The condition of the rows that are to blame. None if no single row is."""
    words: str
    """What is measured, as the end of a sentence about the fields; {} stands for the number."""
    said: Callable[[float], str] = rows
    """How the number is said."""
    bounds: Bounds = (None, 0)

    def sentence(self, number: float) -> str:
        """Say what was measured, and what is allowed."""
        return f"{', '.join(self.fields)} {self.words.format(self.said(number))}{allowed(self.bounds, self.said)}"


def null_rate(check: CheckSection, _: str, fields: Sequence[str]) -> Measure:
    """Measure the share of rows in which a field is null."""
    null = f"{quoted(fields[0])} is null"
    number = f"avg(cast({null} as integer))"
    return Measure(fields, number, null, "is null in {} of the rows", share, numeric_bounds(check))


def unique(_: CheckSection, table: str, fields: Sequence[str]) -> Measure:
    """Count the rows whose values, of all fields together, another row has too. A null is equal to nothing."""
    columns = ", ".join(map(quoted, fields))
    there = " and ".join(f"{quoted(field)} is not null" for field in fields)
    groups = f"from {table} where {there} group by {columns} having count(*) > 1"
    number = f"(select coalesce(sum(times), 0) from (select count(*) as times {groups}))"
    failing = f"({columns}) in (select ({columns}) {groups})"
    return Measure(fields, number, failing, "has the value of another row in {}")


def in_range(check: CheckSection, _: str, fields: Sequence[str]) -> Measure:
    """Count the rows in which a field is below `min` or above `max`."""
    column, signs, words = quoted(fields[0]), {"min": "<", "max": ">"}, {"min": "below", "max": "above"}
    outside = " or ".join(f"{column} {signs[key]} {_literal(bound)}" for key, bound in check.bounds.items())
    told = " or ".join(f"{words[key]} {bound}" for key, bound in check.bounds.items())
    return Measure(fields, f"count(*) filter ({outside})", outside, f"is {told} in {{}}")


def distinct_at_least(check: CheckSection, _: str, fields: Sequence[str]) -> Measure:
    """Count the different values of a field, null left out."""
    number = f"count(distinct {quoted(fields[0])})"
    return Measure(fields, number, None, "has so many different values: {}", "{:,.0f}".format, numeric_bounds(check))


def unsupported_rate(check: CheckSection, _: str, fields: Sequence[str]) -> Measure:
    """Measure the share of values whose evidence is not believed. The evidence of a list may be a list."""
    told = f"""json_extract(_evidence, '$."{fields[0]}"')"""

    def times(key: str) -> str:
        one = f"cast(json_exists({told}, '$.{key}') as integer)"
        return f"coalesce(if(json_type({told}) = 'ARRAY', len(json_extract({told}, '$[*].{key}')), {one}), 0)"

    number = f"sum({times('problem')}) / nullif(sum({times('status')}), 0)"
    words = "is not believed in {} of its values"
    return Measure(fields, number, f"{times('problem')} > 0", words, share, numeric_bounds(check))


READY: Mapping[CheckType, Callable[[CheckSection, str, Sequence[str]], Measure]] = {
    "null_rate": null_rate,
    "unique": unique,
    "in_range": in_range,
    "distinct_at_least": distinct_at_least,
    "unsupported_rate": unsupported_rate,
}
"""What is measured of the output by each type of check, given the quoted name of the table, and the fields."""


def measures(check: CheckSection, table: str, fields: Sequence[str]) -> list[Measure]:
    """Return what a ready check measures: each field by itself, or all together for a combination that is unique."""
    assert check.type is not None
    groups = [fields] if check.type == "unique" else [[field] for field in fields]
    return [READY[check.type](check, table, group) for group in groups]


def _literal(bound: Bound) -> str:
    if isinstance(bound, datetime):
        return f"timestamp {literal(bound.isoformat(sep=' '))}"
    return f"date {literal(bound.isoformat())}" if isinstance(bound, date) else repr(bound)
