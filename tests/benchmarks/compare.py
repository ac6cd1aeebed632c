"""Comparing two runs over the same documents, beside reading the answers of both runs as JSON and nothing else.

    python tests/benchmarks/compare.py [documents]

The ledger is filled directly. The command, and the plain reading, run in a process each, whose peak memory is measured.
What is worth quoting is the ratio of the times, and that the peak hardly grows with the number of documents: only the
numbers among the values are kept, to compare their distributions.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from batchrun.store.ledger.ledger import Ledger

KINDS = ("lease", "nda", "invoice", "order")
WORDS = ("agreement", "between", "the", "parties", "of", "supplier", "hereby", "terms", "which", "clause")
READ = """
import json, resource, sqlite3, sys, time
began = time.perf_counter()
connection = sqlite3.connect(sys.argv[1])
read = sum(len(json.loads(output)) for (output,) in connection.execute("select output from requests"))
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
COMPARE = """
import contextlib, io, resource, sys, time
from batchrun import cli
began = time.perf_counter()
said = io.StringIO()
with contextlib.redirect_stdout(said):
    code = cli.run(["compare", "r1", "r2", *sys.argv[1:]])
assert code == 0, said.getvalue()
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(said.getvalue())
"""


def fill(ledger_path, documents):
    """Two runs with so many answers each, of eight fields; 3 of 100 fields of the second run are different."""
    drawn = random.Random(1)

    def value(number):
        return [
            f"{drawn.choice(WORDS)} {drawn.randrange(10**6)}", drawn.choice(KINDS), drawn.randrange(1000),
            round(drawn.random() * 1e5, 2), drawn.random() < 0.5, f"20{drawn.randrange(10, 30)}-03-01",
            [drawn.choice(WORDS) for _ in range(3)],
            None if drawn.random() < 0.1 else " ".join(drawn.choices(WORDS, k=8)),
        ][number]  # fmt: skip

    names = ("title", "kind", "pages", "amount", "signed", "day", "tags", "clause")
    with contextlib.closing(Ledger.open(ledger_path)) as ledger:
        run = ledger.connection.execute
        run("pragma synchronous = off")
        for run_no in (1, 2):
            run(
                "insert into runs values (?, ?, 'bench', 'jobs/bench.toml', ?, 'm', 0, 'finished', 0, null, ?, ?, 1, 1,"
                " 1, 1, 0, 1, 'h', ?, ?, 'stream', null, null, null, 0, 0, null)",
                (run_no, f"r{run_no}", f"f{run_no}", documents, documents, run_no, run_no),
            )
        with ledger.transaction():
            for number in range(1, documents + 1):
                answer = {name: value(at) for at, name in enumerate(names)}
                for run_no in (1, 2):
                    if run_no == 2:
                        changed = {name: value(at) for at, name in enumerate(names) if drawn.random() < 0.03}
                        answer |= changed
                    request_no = 2 * number + run_no
                    run(
                        "insert into requests (request_no, request_id, model, counted_tokens, text_class, outcome,"
                        " output) values (?, ?, 'm', 1, 'prose', 'succeeded', ?)",
                        (request_no, f"q{request_no}", json.dumps(answer)),
                    )
                    run(
                        "insert into attempts (request_no, run_no, job, doc_id, state, reserved_nusd, cost_nusd,"
                        " started_at, outcome, input_tokens, cache_write_5m_tokens, cache_write_1h_tokens,"
                        " cache_read_tokens, output_tokens, latency_s)"
                        " values (?, ?, 'bench', ?, 'answered', 0, ?, 1, 'succeeded', 900, 0, 0, 0, 90, ?)",
                        (request_no, run_no, f"docs/{number:07}.txt", 1000 // run_no, drawn.random()),
                    )
                    run(
                        "insert into run_answers (run_no, doc_id, request_no) values (?, ?, ?)",
                        (run_no, f"docs/{number:07}.txt", request_no),
                    )


def measured(script, *arguments, cwd):
    """Run a script in a process of its own; returns its seconds, its peak in MB, and what else it says."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    numbers, _, said = ran.stdout.partition("\n")
    seconds, peak = numbers.split()
    return float(seconds), int(peak) / 1024, said


def main():
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".git").mkdir()
        ledger = root / ".batchrun" / "ledger.sqlite3"
        ledger.parent.mkdir()
        began = time.perf_counter()
        fill(ledger, documents)
        print(f"{documents:,} documents in two runs, ledger made in {time.perf_counter() - began:.1f} s")
        plain_s, plain_mb, _ = measured(READ, str(ledger), cwd=root)
        print(f"reading all answers as JSON  {plain_s:6.2f} s  peak {plain_mb:5.0f} MB")
        for name, options in (("compare", []), ("compare -o changes.csv", ["-o", "changes.csv"])):
            seconds, peak_mb, said = measured(COMPARE, *options, cwd=root)
            print(f"{name:<28} {seconds:6.2f} s  peak {peak_mb:5.0f} MB  {seconds / plain_s:.1f} times the reading")
    print(f"\n{said}")


if __name__ == "__main__":
    main()
