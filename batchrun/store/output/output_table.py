"""The table of a job's rows: its columns, and how answers become rows of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.job.fields import Column
from batchrun.store.output.changes import Row
from batchrun.store.output.corrections import corrected
from batchrun.store.output.schema import FINDING_COLUMNS, OWN_COLUMNS, literal, quoted
from batchrun.store.output.source_columns import SourceColumn, values_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

GIVEN = ("doc_id", "answer", "request_id", "run_id", "finished_at", "model", "attempts")
"""What is given of a row, before its findings and the columns of the source."""
OWN_VALUES = {
    "_request_id": "request_id",
    "_run_id": "run_id",
    "_finished_at": "finished_at::timestamptz",
    "_model": "model",
    "_attempts": "attempts",
}
"""The values of batchrun's own columns."""
INSERT = """
insert into {table} ({columns}) select {values} from (
    select *, json_transform(answer, {structure}) as output from (
        select * replace (answer::json as answer) from (select {given})
    )
) where {fits}
"""
# The transform is not strict: one answer from before the fields were changed must not keep the others out. Such an
# answer has null in a field that was added since. With a value that does not fit its column it is left out.
FITS = """(output.{column} is not null or json_extract(answer, '$.{name}') is null
    or json_type(answer, '$.{name}') = 'NULL')"""


@dataclass(frozen=True, slots=True)
class OutputTable:
    """The table of a job's rows."""

    database: Path
    name: str
    columns: tuple[Column, ...]
    source_columns: tuple[SourceColumn, ...] = ()
    findings: tuple[str, ...] = ()
    """Which of FINDING_COLUMNS the table has."""

    @property
    def own_columns(self) -> dict[str, tuple[str, str]]:
        """The columns besides the fields and those of the source: their types, and what they tell."""
        return OWN_COLUMNS | {name: FINDING_COLUMNS[name] for name in self.findings}

    def corrected(self, results: Iterable[Row]) -> list[Row]:
        """Put into rows what people have corrected, if the table has a column that tells so."""
        return [corrected(row, is_told="_corrections" in self.findings) for row in results]

    @property
    def types(self) -> dict[str, str]:
        """The types of the columns besides those of the source, in order."""
        fields = {column.name: column.sql_type for column in self.columns}
        own = {name: sql_type for name, (sql_type, _) in self.own_columns.items()}
        return {"doc_id": own["doc_id"], **fields, **own}

    def insert(self, connection: "DuckDBPyConnection", results: Sequence[Row], existing: Mapping[str, str]) -> None:
        """Insert rows. `existing` has the types of the table's columns, by names in small letters."""
        fields = {column.name: quoted(column.name) for column in self.columns}
        casts = {
            f"source_{number}": f"try_cast(source_{number} as {existing[column.column.lower()]})"
            for number, column in enumerate(self.source_columns)
        }
        given = [*GIVEN, *self.findings, *casts]
        of_source = [quoted(column.column) for column in self.source_columns]
        values = [f"output.{column}" for column in fields.values()]
        structure = json.dumps({column.name: column.json_structure for column in self.columns})
        statement = INSERT.format(
            table=quoted(self.name),
            columns=", ".join(["doc_id", *fields.values(), *OWN_VALUES, *self.findings, *of_source]),
            values=", ".join(["doc_id", *values, *OWN_VALUES.values(), *self.findings, *casts.values()]),
            structure=literal(structure),
            given=", ".join(f"unnest(${number}) as {name}" for number, name in enumerate(given, start=1)),
            fits=" and ".join(FITS.format(column=column, name=name) for name, column in fields.items()),
        )
        connection.execute(statement, turned([self._values(row) for row in results]))

    def _values(self, row: Row) -> list[object]:
        """Return the values of a row, in the order in which they are given."""
        *first, source_columns, found = row
        findings = json.loads(found) if found else {}
        told = [findings.get(name.removeprefix("_")) for name in self.findings]
        as_json = [json.dumps(one, ensure_ascii=False) if one else None for one in told]
        of_source = values_of(self.source_columns, source_columns)
        return [*first, findings.get("attempts", 1), *as_json, *of_source]


def turned(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """Turn rows into columns, for `unnest`: a parameter for each column is read faster than one for each value."""
    return [list(column) for column in zip(*rows, strict=True)]
