"""The ready checks: what each measures of the output, as SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from batchrun.job.check_section import Bound, CheckSection
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


def measures(check: CheckSection, table: str, fields: Sequence[str]) -> list[Measure]:
    """Return what a ready check measures: each field by itself, or all together for a combination that is unique.

    `table` is the quoted name of the table.
    """
    match check.type:
        case "unique":
            return [unique(table, fields)]
        case "null_rate":
            return [null_rate(field, numeric_bounds(check)) for field in fields]
        case "in_range":
            return [in_range(field, check.bounds) for field in fields]
        case "distinct_at_least":
            return [distinct(field, numeric_bounds(check)) for field in fields]
        case "unsupported_rate":
            return [unsupported_rate(field, numeric_bounds(check)) for field in fields]
        case _:
            raise AssertionError(f"{check.type} is not measured in the output")


def null_rate(field: str, bounds: Bounds) -> Measure:
    """Measure the share of rows in which a field is null."""
    null = f"{quoted(field)} is null"
    return Measure([field], f"avg(cast({null} as integer))", null, "is null in {} of the rows", share, bounds)


def unique(table: str, fields: Sequence[str]) -> Measure:
    """Count the rows whose values, of all fields together, another row has too. A null is equal to nothing."""
    columns = ", ".join(map(quoted, fields))
    there = " and ".join(f"{quoted(field)} is not null" for field in fields)
    groups = f"from {table} where {there} group by {columns} having count(*) > 1"
    number = f"(select coalesce(sum(times), 0) from (select count(*) as times {groups}))"
    return Measure(
        fields, number, f"({columns}) in (select ({columns}) {groups})", "has the value of another row in {}"
    )


def in_range(field: str, bounds: Mapping[str, Bound]) -> Measure:
    """Count the rows in which a field is below `min` or above `max`."""
    signs, words = {"min": "<", "max": ">"}, {"min": "below", "max": "above"}
    outside = " or ".join(f"{quoted(field)} {signs[key]} {_literal(bound)}" for key, bound in bounds.items())
    told = " or ".join(f"{words[key]} {bound}" for key, bound in bounds.items())
    return Measure([field], f"count(*) filter ({outside})", outside, f"is {told} in {{}}")


def distinct(field: str, bounds: Bounds) -> Measure:
    """Count the different values of a field, null left out."""
    number = f"count(distinct {quoted(field)})"
    return Measure([field], number, None, "has so many different values: {}", "{:,.0f}".format, bounds)


def unsupported_rate(field: str, bounds: Bounds) -> Measure:
    """Measure the share of values whose evidence is not believed. The evidence of a list may be a list."""
    told = f"""json_extract(_evidence, '$."{field}"')"""

    def times(key: str) -> str:
        one = f"cast(json_exists({told}, '$.{key}') as integer)"
        return f"coalesce(if(json_type({told}) = 'ARRAY', len(json_extract({told}, '$[*].{key}')), {one}), 0)"

    number = f"sum({times('problem')}) / nullif(sum({times('status')}), 0)"
    return Measure([field], number, f"{times('problem')} > 0", "is not believed in {} of its values", share, bounds)


def _literal(bound: Bound) -> str:
    if isinstance(bound, datetime):
        return f"timestamp {literal(bound.isoformat(sep=' '))}"
    return f"date {literal(bound.isoformat())}" if isinstance(bound, date) else repr(bound)
