"""Several heads on one organisation's rate limit: the share of the limit that they use, and how many are turned away.

    python tests/benchmarks/heads.py [heads] [requests a minute] [seconds] [seconds' worth that the bucket holds]

Each head is a `batchrun submit` in a process of its own, with a job, a ledger and an output of its own. The heads know
nothing of each other: they share the pace by the headers of one simulator with one limit. The seconds are counted from
when every head has sent for ten seconds. `least` and `most` are the requests of the slowest and the fastest head, over
an equal share.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from throughput import JOB

from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

PLENTY = 10**9
SETTLES_S = 10.0
LONGEST_START_S = 300.0
ATTEMPTS = "select count(*), coalesce(sum(state = 'answered'), 0) from attempts where started_at between ? and ?"


def write_job(folder, number, documents):
    """A project with documents that no other head has, and a job that does not state the limit."""
    (folder / "documents").mkdir(parents=True)
    for count in range(documents):
        text = f"Contract {number}-{count} between Alpha {count} Ltd and Beta, for {count % 60} months. "
        (folder / "documents" / f"{count:06}.txt").write_text((text * 12)[:1024])
    (folder / "batchrun.toml").touch()
    without_limits = JOB.partition("[limits]")[0] + "[budget]" + JOB.partition("[budget]")[2]
    (folder / "bench.toml").write_text(without_limits.replace("CONCURRENCY", '"auto"'))


def started(folder, url):
    """The process of a head."""
    environment = {**os.environ, "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "benchmark"}
    command = [sys.executable, "-m", "batchrun", "-q", "submit", str(folder / "bench.toml")]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def attempts(folder, begin=0.0, end=1e12):
    """How many attempts a head has begun between two moments, and how many of these were answered."""
    path = folder / ".batchrun" / "ledger.sqlite3"
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro",
                                                                                           uri=True)) as ledger:  # fmt: skip
        return ledger.execute(ATTEMPTS, (begin, end)).fetchone()
    return 0, 0


def wait_for_all(folders, processes):
    """Wait until every head sends."""
    until = time.monotonic() + LONGEST_START_S
    while not all(attempts(folder)[1] for folder in folders):
        assert time.monotonic() < until, "a head does not begin"
        for process in processes:
            assert process.poll() is None, process.stderr.read()
        time.sleep(0.5)


def measured(server, folders, processes, seconds):
    """The entries of the server within the measured time, and the answered requests of each head."""
    wait_for_all(folders, processes)
    time.sleep(SETTLES_S)
    begin, first = time.time(), len(server.books.entries)
    time.sleep(seconds)
    end, last = time.time(), len(server.books.entries)
    for process in processes:
        assert process.poll() is None, "a head has ended: it needs more documents"
        process.send_signal(signal.SIGINT)
    for process in processes:
        process.wait(60)
    return server.books.entries[first:last], end - begin, [attempts(folder, begin, end)[1] for folder in folders]


def main(heads=10, per_minute=9_000, seconds=120, burst_s=1):
    limits = Limits(per_minute, PLENTY, PLENTY)
    server = SimulatorServer(Simulator(PROFILES["calm"], limits=limits, burst_s=burst_s))
    url = server.start_in_thread()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as ends:
        folders = [Path(temporary) / str(number) for number in range(heads)]
        for number, folder in enumerate(folders):
            write_job(folder, number, int(2.5 * per_minute * (seconds + 60 + burst_s) / 60 / heads) + 100)
        processes = [started(folder, url) for folder in folders]
        for process in processes:
            ends.callback(process.kill)
        entries, took_s, answered = measured(server, folders, processes, seconds)
    server.stop()
    granted = sum(entry.status == 200 for entry in entries)
    turned_away = sum(entry.status == 429 for entry in entries)
    fair = sum(answered) / heads
    print(
        f"{heads} heads, {per_minute:,} requests a minute, a bucket of {burst_s} s, {took_s:.0f} s:"
        f" {granted / (per_minute / 60 * took_s):.1%} of the limit; {turned_away:,} of {len(entries):,} answered 429"
        f" ({turned_away / len(entries):.2%}); least {min(answered) / fair:.2f}, most {max(answered) / fair:.2f}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
