"""Rows of a table as documents: a first reading of all of them, and reading them back as sending does.

    python tests/benchmarks/tables.py [rows]

Each kind of file is read in a process of its own, whose peak memory is measured. What is worth quoting is the rows a
second, and that reading back costs the same per row at the end of a large file as at its beginning.
"""

import os
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from subprocess import PIPE, Popen

import duckdb

from batchrun.document import DocumentRef
from batchrun.documents.tables.source import TableSource

ROWS = "SELECT 'id-' || range AS id, repeat('word ', 50) || range AS text, 'customer ' || range % 100 AS customer"
FORMATS = {
    "t.parquet": "(FORMAT parquet)",
    "t.csv": "(FORMAT csv)",
    "quoted.csv": "(FORMAT csv, FORCE_QUOTE *)",
    "t.csv.gz": "(FORMAT csv)",
    "t.jsonl": "(FORMAT json)",
}
PAGES = 20


def write(folder, rows):
    """The same rows in a file of each kind."""
    with duckdb.connect() as connection:
        for name, options in FORMATS.items():
            connection.execute(f"COPY ({ROWS} FROM range({rows})) TO '{folder / name}' {options}")


def back(source, refs):
    """The seconds for each row of some pages."""
    begin = time.perf_counter()
    for at in range(0, len(refs), source.page):
        page = refs[at : at + source.page]
        assert [document.doc_id for document in source.read(page)] == [ref.doc_id for ref in page]
    return (time.perf_counter() - begin) / len(refs)


def read(folder, name, rows):
    """Print what one file took; for a process of its own."""
    source = TableSource(root=folder, path=[name], id_column="id", text="text")
    begin = time.perf_counter()
    assert sum(1 for _ in source.scan()) == rows
    scan_s = time.perf_counter() - begin
    count = min(rows, PAGES * source.page)
    refs = [DocumentRef(one.doc_id, one.source, one.place) for one in islice(source.scan(), rows - count, None)]
    first = [DocumentRef(one.doc_id, one.source, one.place) for one in islice(source.scan(), count)]
    begin_us, end_us = back(source, first) * 1e6, back(source, refs) * 1e6
    print(f"{rows / scan_s:9,.0f} rows/s, back {begin_us:5.0f} us a row at the beginning, {end_us:5.0f} at the end")


def ran(*arguments):
    """What a process of its own printed, and the most memory that it ever held."""
    process = Popen([sys.executable, __file__, *map(str, arguments)], stdout=PIPE, text=True)
    told = process.stdout.read().strip()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return f"{told}; {used.ru_maxrss / 1024:.0f} MB at most"


def main(rows=1_000_000):
    with tempfile.TemporaryDirectory() as folder:
        ran(folder, rows)  # also writes in a process of its own: a child is charged with the memory of its parent
        for name in FORMATS:
            print(f"{name:11}{ran(folder, rows, name)}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write(Path(sys.argv[1]), int(sys.argv[2]))
    elif len(sys.argv) == 4:
        read(Path(sys.argv[1]), sys.argv[3], int(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:]))
