"""Parquet files, read by DuckDB. The place of a row is its number in the file: only its row group is read again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.documents.sql_column import Column
from batchrun.documents.tables import Row, Slice, TableFile
from batchrun.documents.tables.locked_duckdb import AMPLE, MODEST, in_words, locked_to, unreachable
from batchrun.errors import BatchrunError, EnvironmentProblem
from batchrun.job.table_names import is_remote

_MOST_ROWS = 16_384
"""A row group may have any number of rows. What is kept of the rows of a slice, about 10 MB, goes to one process."""
_ROWS_AT_ONCE = 32
_READ = "read_parquet($1, file_row_number = true, hive_partitioning = false)"


@dataclass(frozen=True)
class ParquetTable:
    """One Parquet file."""

    file: TableFile
    fields: tuple[Column, ...]
    unit: str = "row"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(field.name for field in self.fields)

    def slices(self) -> Iterator[Slice]:
        """Cut the file into its row groups, and large ones into several parts."""
        start = 0
        for count, size in _query(
            self.file,
            "SELECT any_value(row_group_num_rows), sum(total_compressed_size) FROM parquet_metadata($1) "
            "GROUP BY row_group_id ORDER BY row_group_id",
        ):
            for first in range(start, start + count, _MOST_ROWS):
                stop = min(first + _MOST_ROWS, start + count)
                yield Slice(first, stop, first + 1, int(size) * (stop - first) // count)
            start += count

    def rows(self, part: Slice) -> Iterator[Row]:
        """Read the rows of a slice."""
        yield from self._rows("file_row_number BETWEEN $2 AND $3", [part.start, part.stop - 1])

    def rows_at(self, places: Sequence[int]) -> Iterator[Row]:
        """Read the rows with these numbers. DuckDB skips all row groups outside of the bounds."""
        if places:
            where = "file_row_number BETWEEN $2 AND $3 AND file_row_number IN (SELECT unnest($4))"
            yield from self._rows(where, [min(places), max(places), list(places)])

    def _rows(self, where: str, values: list[Any]) -> Iterator[Row]:
        fields = ", ".join(["file_row_number", *(field.as_value for field in self.fields)])
        for place, *row in _query(self.file, f"SELECT {fields} FROM {_READ} WHERE {where}", values):
            yield Row(place, place + 1, row)


def parquet_table(file: TableFile) -> ParquetTable:
    """Find the columns of a Parquet file."""
    described = _query(file, "DESCRIBE SELECT * FROM read_parquet($1, hive_partitioning = false)")
    return ParquetTable(file, tuple(Column(name, type_) for name, type_, *_ in described))


def _query(file: TableFile, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Stream rows. DuckDB gets little memory first; long texts may need all, and what was given is then skipped."""
    import duckdb

    given = 0
    for means in (MODEST, AMPLE):
        try:
            with locked_to(file, means) as connection:
                cursor = connection.execute(sql, [file.path, *values])
                cursor.fetchmany(given)
                while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                    for row in rows:
                        given += 1
                        yield row
        except duckdb.OutOfMemoryException:
            continue
        except duckdb.Error as error:
            raise _problem(error, file) from error
        else:
            return
    raise EnvironmentProblem(
        f"{file.key}: DuckDB ran out of memory over {file.shown}",
        hint="write the file with smaller row groups, such as COPY … TO 'new.parquet' (ROW_GROUP_SIZE 10000)",
    )


def _problem(error: Exception, file: TableFile) -> BatchrunError:
    if is_remote(file.path):
        return unreachable(error, file)
    hint = "the file is damaged or no Parquet file; try to read it with duckdb, or write it again"
    return file.problem(in_words(error, file), hint=hint)
