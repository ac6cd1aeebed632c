"""CPU of `batchrun plan` for each row of a large table, beside SQLite taking in as many rows of much the same columns.

    python tests/benchmarks/planning.py [rows] [text files] [folder]

The rows have 300 bytes, in one Parquet file. The first plan finds an empty ledger, and the second one a ledger in which
every row is answered; between them the rows are admitted, as a submit would. Each runs in a process of its own, the
head, and may start others that read: their CPU is told apart. Machines are noisy: what is worth quoting is the
microseconds of the head's CPU for each row, beside those of SQLite, and that the head's memory does not grow with the
number of rows.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOB = """
[job]
name = "bench"
[source]
SOURCE
[model]
name = "claude-sonnet-5-5"
max_tokens = 512
effort = "low"
[prompt]
user = "Extract the terms of this contract.\\n{{ doc.text }}"
[output.fields]
party_a = { type = "string" }
term_months = { type = "integer?", minimum = 0 }
[budget]
max_cost_usd = 1_000_000
"""
TABLE = 'type = "table"\npath = "rows.parquet"\nid = "id"\ntext = "text"'
FILES = 'type = "files"\ninclude = ["documents/*.txt"]'
COPY = """
import duckdb
words = ", ".join(f"substr(md5((i * 40 + {n})::varchar), 1, {3 + n % 9})" for n in range(40))
rows = f"SELECT 'id-' || i AS id, substr(concat_ws(' ', {words}), 1, 300) AS text FROM range(NUMBER) t(i)"
duckdb.sql("SET enable_progress_bar = false")
duckdb.sql(f"COPY ({rows}) TO 'rows.parquet'")
"""
HEAD = """
import atexit, json, os, resource, sys, time
started = time.perf_counter()
def told():
    own, children = (sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak_mb = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
    with open("told.json", "w") as file:
        json.dump([time.perf_counter() - started, own, children, peak_mb], file)
atexit.register(told)
"""
PLAN = """
from batchrun.cli import main
main()
"""
ADMIT = """
import asyncio
from pathlib import Path
from batchrun.planning.selection import Selection
from batchrun.workflow.open_job import SubmitOptions, open_job
from batchrun.workflow.submit import admit
with open_job(Path("bench.toml"), simulated=False, to_run=True) as opened:
    planner = opened.planner(SubmitOptions(partial_answers=True))
    admit(opened, planner, asyncio.run(planner.plan(Selection())))
"""
ANSWER = """
import sqlite3
ledger = sqlite3.connect(".batchrun/ledger.sqlite3")
ledger.execute("update requests set outcome = 'succeeded', output = '{\\"party_a\\": \\"A\\", \\"term_months\\": 1}'")
ledger.execute("update documents set row_request_no = request_no")
ledger.execute("update runs set state = 'finished'")
ledger.commit()
"""
SQLITE = """
import sqlite3
ledger = sqlite3.connect("")
columns = "doc_id, source, place, content_sha, kind, request_id, model, asks_for, bytes, text_class, same_text, reader"
ledger.execute(f"create table planned (planned_no integer primary key, {columns})")
sha = "0123456789abcdef" * 4
def row(no):
    return (
        no, f"id-{no}", "rows.parquet", str(no), sha, "new", f"{no:032x}", "claude-sonnet-5-5", 512, 300, "prose", 0, ""
    )
for start in range(0, NUMBER, 10_000):
    rows = map(row, range(start, min(start + 10_000, NUMBER)))
    ledger.executemany(f"insert into planned values ({', '.join('?' * 13)})", rows)
ledger.commit()
"""


def project(folder, source):
    (folder / "pyproject.toml").touch()
    (folder / "bench.toml").write_text(JOB.replace("SOURCE", source))


def write_files(folder, number):
    (folder / "documents").mkdir()
    for no in range(number):
        text = f"Contract {no} between Alpha {no} Ltd and Beta, for {no % 60} months, law of Delaware. " * 25
        (folder / "documents" / f"{no:06}.txt").write_text(text[:2048])


def ran(folder, code, *arguments):
    """Run code in a process of its own. Returns its wall and CPU seconds, those of its children, and its peak in MB."""
    import json

    command = [sys.executable, "-c", HEAD + code, *arguments]
    environment = {**os.environ, "ANTHROPIC_API_KEY": "benchmark"}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / "told.json").read_text())


def tell(what, number, used):
    wall_s, own_s, children_s, peak_mb = used
    print(
        f"{what:14} {number:9,} {wall_s:7.1f} s wall {own_s:7.1f} s CPU {1e6 * own_s / number:6.1f} us each"
        f" {children_s:7.1f} s in children {peak_mb:6.0f} MB at most",
        flush=True,
    )


def measure(folder, number):
    """The plan of a new job, its admission, and the plan when all is answered."""
    plan = "plan", "bench.toml"
    tell("plan", number, ran(folder, PLAN, *plan))
    tell("plan and admit", number, ran(folder, ADMIT))
    subprocess.run([sys.executable, "-c", ANSWER], cwd=folder, check=True)
    tell("answered", number, ran(folder, PLAN, *plan))


def main(rows="1_000_000", files="20_000", folder=None):
    rows, files = int(rows), int(files)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        tables, texts = Path(name) / "tables", Path(name) / "texts"
        for one, source in (tables, TABLE), (texts, FILES):
            one.mkdir()
            project(one, source)
        if rows:
            subprocess.run([sys.executable, "-c", COPY.replace("NUMBER", str(rows))], cwd=tables, check=True)
            tell("sqlite", rows, ran(tables, SQLITE.replace("NUMBER", str(rows))))
            measure(tables, rows)
        if files:
            write_files(texts, files)
            time.sleep(3)  # so that the times of the files are old enough to be trusted
            measure(texts, files)


if __name__ == "__main__":
    main(*sys.argv[1:])
