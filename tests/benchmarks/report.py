"""The report of a run of any size: how long it takes, how much memory, and how large the page is.

    python tests/benchmarks/report.py [documents] [file for the page]

The sample contracts are run against the simulator, whose API is hostile. The run in the ledger is then multiplied:
every copy has other sizes, times and latencies. The yardstick is the plainest way to read all attempts of the run.
"""

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from batchrun import cli
from batchrun.report.collect import collect
from batchrun.report.page import html_page
from batchrun.store.ledger.ledger import Ledger

REPOSITORY = Path(__file__).parent.parent.parent
PROFILE = "hostile"
STEP = 1_000_000
"""How far the numbers of one copy are from those of the next."""
COPIES = "with recursive copy(k) as (select 1 union all select k + 1 from copy where k < :copies)"
NOISE = "(((k * 7919 + {0} * 104729) % 1000) / 1000.0)"
"""A number from 0 to 1 that is the same each time."""


def a_run(root, profile=PROFILE):
    """Run the sample contracts in a folder. Returns the ledger's file."""
    for name in ("jobs", "sample_data"):
        shutil.copytree(REPOSITORY / name, root / name)
    (root / ".batchrun").mkdir()
    here = Path.cwd()
    os.chdir(root)
    try:
        cli.run(["submit", "jobs/contracts.toml", f"--simulate={profile}", "-q"])
    finally:
        os.chdir(here)
    return root / ".batchrun" / "ledger.simulated.sqlite3"


def columns_of(connection, table, **changed):
    """The columns of a table, some of them as an expression over a row and the number `k` of a copy."""
    generated = {"counted_tokens"} if table == "attempts" else set()
    names = [name for _, name, *_ in connection.execute(f"pragma table_info({table})") if name not in generated]
    return ", ".join(names), ", ".join(changed.get(name, f"o.{name}") for name in names)


def multiply(path, documents, *, per_minute=40.0):
    """Copy the run's documents until there are about so many, at so many documents a minute. Returns how many."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        run = connection.execute
        (own,) = run("select count(*) from documents").fetchone()
        copies = {"copies": max(documents // own - 1, 0)}
        gap_s = 60 * own / per_minute
        connection.execute("pragma synchronous = off")
        for table, changed in {
            "requests": {
                "request_no": f"o.request_no + k * {STEP}",
                "request_id": "printf('%08x', k) || substr(o.request_id, 9)",
                "counted_tokens": f"cast(o.counted_tokens * (0.6 + {NOISE.format('o.request_no')}) as integer)",
                "attempt_no": f"o.attempt_no + k * {STEP}",
            },
            "documents": {
                "document_no": f"o.document_no + k * {STEP}",
                "doc_id": "printf('%06d-', k) || o.doc_id",
                "request_no": f"o.request_no + k * {STEP}",
                "row_request_no": "null",
            },
            "attempts": {
                "attempt_no": f"o.attempt_no + k * {STEP}",
                "request_no": f"o.request_no + k * {STEP}",
                "doc_id": "printf('%06d-', k) || o.doc_id",
                "started_at": f"o.started_at + {gap_s} * (k + {NOISE.format('o.attempt_no')})",
                "ended_at": f"o.ended_at + {gap_s} * (k + {NOISE.format('o.attempt_no')})",
                "latency_s": f"o.latency_s * (6 + 60 * pow({NOISE.format('o.attempt_no')}, 3))",
                "input_tokens": f"cast(o.input_tokens * (0.63 + {NOISE.format('o.request_no')}) as integer)",
            },
        }.items():
            names, values = columns_of(connection, table, **changed)
            run(f"{COPIES} insert into {table} ({names}) select {values} from {table} o, copy", copies)
        run("delete from minutes")
        run(
            "insert into minutes select run_no, model, cast(ended_at / 60 as integer), count(*), sum(input_tokens),"
            " sum(output_tokens), 60, 110000, 60000 from attempts where state = 'answered' group by 1, 2, 3"
        )
        whole = copies["copies"] + 1
        run(
            "update runs set documents = documents * :n, to_send = to_send * :n, ended_at = (select max(ended_at) from"
            " attempts), estimate_nusd = estimate_nusd * :n, estimate_low_nusd = estimate_low_nusd * :n,"
            " estimate_high_nusd = estimate_high_nusd * :n, estimate_input_tokens = estimate_input_tokens * :n,"
            " estimate_output_tokens = estimate_output_tokens * :n, cap_nusd = cap_nusd * :n / 25",
            {"n": whole},
        )
        (ending,) = run("select ending from run_plans").fetchone()
        end = json.loads(ending)
        end["outcomes"] = {name: number * whole for name, number in end["outcomes"].items()}
        run("update run_plans set ending = ?", (json.dumps(end),))
        connection.commit()
        return own * whole


def main(documents, file=None):
    """Make the report of a large run, and measure it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = a_run(root)
        number = multiply(path, documents)
        with contextlib.closing(Ledger.read(path)) as ledger:
            began = time.process_time()
            for _ in ledger.connection.execute("select * from attempts where run_no = 1"):
                pass
            yardstick = time.process_time() - began
            began = time.process_time()
            report = collect(ledger, 1, root=root)
            collected = time.process_time() - began
            again = collect(ledger, 1, root=root)
        began = time.process_time()
        page = html_page(report)
        shown = time.process_time() - began
        assert page == html_page(again), "the same run has the same page"
    if file:
        Path(file).write_text(page, encoding="utf-8")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{number:,} documents: collected in {collected:.2f} s, page in {shown:.2f} s, {len(page.encode()):,} bytes")
    print(f"{collected / yardstick:.1f} times as long as reading all attempts; peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["100000"])[0].replace("_", "")), *sys.argv[2:3])
