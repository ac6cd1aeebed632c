"""Publishing of many large answers, and the rebuilding of a deleted output, beside a plain insert of the same rows.

    python tests/benchmarks/publish.py [answers] [kilobytes]

The ledger is filled directly. Publishing, rebuilding and the plain insert run in a process each, whose peak memory is
measured. What is worth quoting is the ratio of the times, and that the peak does not grow with the number of answers.
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

from batchrun.job.fields import Column
from batchrun.store.ledger.ledger import Ledger

COLUMNS = (
    Column("summary", "VARCHAR", "VARCHAR"),
    Column("pages", "BIGINT", "BIGINT"),
    Column("clauses", "VARCHAR[]", ["VARCHAR"]),
)
WORDS = ("agreement", "between", "the", "parties", "of", "supplier", "hereby", "terms", "which", "clause")
PUBLISH = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import publish
print(publish.published(Path(sys.argv[2])))
"""
PLAIN = PUBLISH.replace("published", "inserted")


def fill(folder, answers, size):
    """A ledger with so many answers of so many bytes; half of an answer is one text, the rest is a list of texts."""
    drawn = random.Random(1)
    words = " ".join(f"{drawn.choice(WORDS)}{drawn.randrange(100)}" for _ in range(size + 1000))

    def text(length):
        at = drawn.randrange(len(words) - length)
        return words[at : at + length]

    with contextlib.closing(Ledger.open(folder / "ledger.sqlite3")) as ledger:
        run = ledger.connection.execute
        run("pragma synchronous = off")
        run(
            "insert into runs (run_no, run_id, job, job_path, fingerprint, model, simulated, state, documents, to_send,"
            " cap_nusd, estimate_nusd, estimate_low_nusd, estimate_high_nusd, pid, host, started_at)"
            " values (1, 'r1', 'bench', 'j', 'f', 'm', 0, 'finished', ?, ?, 1, 1, 1, 1, 1, 'h', 0)",
            (answers, answers),
        )
        for begin in range(0, answers, 1000):
            with ledger.transaction():
                seq = ledger.next_seq(1000)
                for number in range(begin, min(begin + 1000, answers)):
                    clauses = [text(200) for _ in range(size // 400)]
                    answer = {"summary": text(size // 2), "pages": number, "clauses": clauses}
                    key, at = number + 1, seq + number - begin
                    run(
                        "insert into requests (request_no, request_id, model, counted_tokens, text_class, outcome,"
                        " output) values (?, ?, 'm', 1, 'prose', 'succeeded', ?)",
                        (key, f"{number:032x}", json.dumps(answer)),
                    )
                    run(
                        "insert into documents (job, doc_id, source, content_sha, request_no, row_request_no, run_no,"
                        " seq, row_seq) values ('bench', ?, 's', 'c', ?, ?, 1, ?, ?)",
                        (f"docs/{number:07}.txt", key, key, at, at),
                    )
                    run(
                        "insert into attempts (attempt_no, request_no, run_no, job, doc_id, state, reserved_nusd,"
                        " cost_nusd, started_at, ended_at, outcome, model, seq)"
                        " values (?, ?, 1, 'bench', ?, 'answered', 1, 1, 0, 1, 'succeeded', 'm', ?)",
                        (key, key, f"docs/{number:07}.txt", at),
                    )
                    run("update requests set attempt_no = ? where request_no = ?", (key, key))


def published(folder):
    """Bring the ledger's rows to the output."""
    from batchrun.store.output.output_table import OutputTable
    from batchrun.store.output.publish import Output

    with contextlib.closing(Ledger.read(folder / "ledger.sqlite3")) as ledger:
        table = OutputTable(folder / "out.duckdb", "bench", COLUMNS)
        return Output(ledger, "bench", table).publish(wait_s=0)


def inserted(folder):
    """Insert the same rows plainly: 100 at a time, with DuckDB as it comes."""
    import duckdb

    with contextlib.closing(Ledger.read(folder / "ledger.sqlite3")) as ledger:
        rows = ledger.connection.execute("select doc_id, output from documents join requests using (request_no)")
        with contextlib.closing(duckdb.connect(str(folder / "plain.duckdb"))) as connection:
            connection.execute("create table bench (doc_id varchar, summary varchar, pages bigint, clauses varchar[])")
            count = 0
            while some := rows.fetchmany(100):
                values = [value for doc_id, output in some for value in (doc_id, *json.loads(output).values())]
                connection.execute(f"insert into bench values {', '.join(['(?, ?, ?, ?)'] * len(some))}", values)
                count += len(some)
    return count


def measured(script, folder):
    """The seconds by the clock and of the processor, the peak in MB and the output of a script in its own process."""
    began = time.monotonic()
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told = process.stdout.read().strip()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, told


def main(answers=10_000, kilobytes=50):
    """Print a line for each of the three; the ratio is of processor time, which other processes change little."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fill(folder, answers, kilobytes * 1000)
        print(f"{answers:,} answers of {kilobytes:,} kB, ledger {size_mb(folder / 'ledger.sqlite3'):,.0f} MB")
        plain = None
        for name, script in (("plain insert", PLAIN), ("publish", PUBLISH), ("rebuild", PUBLISH)):
            (folder / "out.duckdb").unlink(missing_ok=True)
            seconds, busy, peak, told = measured(script, folder)
            plain = plain or busy
            print(
                f"{name:13} {told:>9} rows {seconds:8.1f} s, {busy:7.1f} s of the processor ({busy / plain:.2f} x),"
                f" {peak:5.0f} MB at most"
            )
        for name in ("plain.duckdb", "out.duckdb"):
            print(f"{name:13} {size_mb(folder / name):,.0f} MB")


def size_mb(path):
    """The size of a file."""
    return path.stat().st_size / 1e6 if path.exists() else 0


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
