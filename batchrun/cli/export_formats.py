"""The formats of exported rows, by name: text that is written part by part, and files of a kind of their own."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace

from batchrun.cli.export_rows import ExportRows, as_cell
from batchrun.cli.export_xlsx import write_workbook
from batchrun.errors import EnvironmentProblem, UsageProblem
from batchrun.escaping import readable_json

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet runs instead of showing it."""
ENDINGS = {
    ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet",
    ".arrow": "arrow", ".xlsx": "xlsx",
}  # fmt: skip
KNOWN = f"endings: {', '.join(ENDINGS)}"
PARQUET_ROWS = 8_192
"""How many rows a group of a Parquet file has. DuckDB keeps a whole group in memory."""
Cells = Iterable[Sequence[object]]


def chosen_format(output: Path | None, named: str | None) -> str | None:
    """Return the format of a file: the one that is named, or the one of the file's ending, in upper or lower case.

    Returns None without a file and a name. Raises UsageProblem for a file whose ending would lie, or says nothing.
    """
    ending = output.suffix.lower() if output else ""
    by_ending = ENDINGS.get(ending)
    if ending and not by_ending and named != "table":
        raise UsageProblem(f"{output}: rows are not written as {ending}.", hint=KNOWN)
    if named and by_ending and named != by_ending:
        raise UsageProblem(f"{output} ends like {by_ending}, and --format says {named}.", hint="leave one of them out")
    if output and not (named or by_ending):
        raise UsageProblem(f"{output}: no ending says the format.", hint=f"{KNOWN}; or --format csv")
    if output is None and named in FILES:
        raise UsageProblem(f"{named} is not text.", hint=f"name a file: -o rows.{named}")
    return named or by_ending


def delimited(separator: str, names: Sequence[str], rows: Cells, raw_cells: bool) -> Iterator[str]:
    """Yield lines of csv or tsv: UTF-8 without a mark in front, which many programs take for a part of the first name.

    A spreadsheet gets xlsx.
    """
    import csv
    import io

    for row in itertools.chain([names], rows):
        cells, line = map(as_cell, row), io.StringIO()
        # Told that lines end with CR LF, the writer puts a lone CR in quotes, which many readers take for a line's end.
        target = SimpleNamespace(write=lambda text, line=line: line.write(text.removesuffix("\r\n") + "\n"))
        csv.writer(target, delimiter=separator).writerow(cells if raw_cells else map(inert, cells))
        yield line.getvalue()


def json_lines(names: Sequence[str], rows: Cells, _: bool) -> Iterator[str]:
    """Yield a JSON object on a line for each row."""
    return (f"{readable_json(dict(zip(names, row, strict=True)))}\n" for row in rows)


def json_array(names: Sequence[str], rows: Cells, _: bool) -> Iterator[str]:
    """Yield one JSON array of objects."""
    before = "["
    for row in rows:
        yield before + "\n" + indent(readable_json(dict(zip(names, row, strict=True)), indent=2), "  ")
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def inert(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: such text gets an apostrophe; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def write_parquet(rows: ExportRows, output: Path) -> int:
    """Write a Parquet file. Returns the number of rows."""
    from batchrun.store.output.schema import literal

    marked = ", kv_metadata {simulated: 'true'}" if rows.simulated else ""
    options = f"format parquet, row_group_size {PARQUET_ROWS}{marked}"
    return rows.number(f"copy ({rows.query()}) to {literal(str(output))} ({options})")


def write_arrow(rows: ExportRows, output: Path) -> int:
    """Write an Arrow IPC file, page by page. Returns the number of rows. Raises EnvironmentProblem without pyarrow."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise EnvironmentProblem(
            "Arrow files need the package pyarrow, which is not installed.",
            hint="pip install 'batchrun-documents[arrow]', or name a file that ends in .parquet",
        ) from error
    found = rows.connection.sql(rows.query(), params=rows.values)
    reader, written = pa.RecordBatchReader.from_stream(found), 0
    schema = reader.schema.with_metadata({"simulated": "true"} if rows.simulated else None)
    with pa.ipc.new_file(str(output), schema) as file:
        for batch in reader:
            file.write_batch(batch)
            written += batch.num_rows
    return written


TEXTS: Mapping[str, Callable[[Sequence[str], Cells, bool], Iterator[str]]] = {
    "csv": partial(delimited, ","),
    "tsv": partial(delimited, "\t"),
    "jsonl": json_lines,
    "json": json_array,
}
"""Formats of text, which a pipe takes too."""
FILES: Mapping[str, Callable[[ExportRows, Path], int]] = {
    "parquet": write_parquet,
    "arrow": write_arrow,
    "xlsx": write_workbook,
}
"""Formats of files."""
