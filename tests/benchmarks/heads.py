"""Several heads on one organisation's rate limit: the share of the limit that they use, and how many are turned away.

    python tests/benchmarks/heads.py [heads] [requests a minute] [seconds] [seconds' worth that the bucket holds]
    python tests/benchmarks/heads.py --real …     a `batchrun submit` in a process of its own for each head, over HTTP

Each head has a job, a ledger and documents of its own, and knows nothing of the others: the heads share the pace by the
headers of one simulator with one limit. By default whole submits run in one process in virtual time, so that no other
program on the machine changes the figures; with `--real` the machine has to have time for that many processes. The
seconds are counted from when every head has sent for twenty seconds. `least` and `most` are the requests of the slowest
and the fastest head over an equal share.
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path
from unittest import mock

import _paths  # noqa: F401 - finds the tests' own modules
from pacing import in_virtual_time, shared_memory
from simulated_provider import SimulatedProvider
from throughput import JOB

from batchrun.execution.run import Caller
from batchrun.execution.stop_conditions import Tolerance
from batchrun.planning.selection import Selection
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits
from batchrun.workflow.open_job import open_job
from batchrun.workflow.submit import submit

PLENTY = 10**9
SETTLES_S = 20.0
LONGEST_START_S = 300.0
ATTEMPTS = "select count(*) from attempts where state = 'answered' and started_at between ? and ?"


def write_job(folder, number, documents):
    """A project with documents that no other head has, and a job that does not state the limit."""
    (folder / "documents").mkdir(parents=True)
    for count in range(documents):
        text = f"Contract {number}-{count} between Alpha {count} Ltd and Beta, for {count % 60} months. "
        (folder / "documents" / f"{count:06}.txt").write_text((text * 12)[:1024])
    (folder / "batchrun.toml").touch()
    without_limits = JOB.partition("[limits]")[0] + "[budget]" + JOB.partition("[budget]")[2]
    (folder / "bench.toml").write_text(without_limits.replace("CONCURRENCY", '"auto"'))


# --- in virtual time


def in_one_process(simulator, folders, seconds):
    """The statuses of all answers within the measured time, and the answered requests of each head."""
    providers = [SimulatedProvider(simulator) for _ in folders]
    tolerance = Tolerance(max_run_time_s=seconds + SETTLES_S)

    async def all_heads(opened):
        callers = [Caller(provider=provider, listener=lambda _: None) for provider in providers]
        heads = [submit(job, Selection(), who, show=lambda _: None) for job, who in zip(opened, callers, strict=True)]
        await asyncio.gather(*heads)

    with (
        contextlib.ExitStack() as open_jobs,
        in_virtual_time(),
        mock.patch("batchrun.workflow.submit.tolerance_of", return_value=tolerance),
    ):
        jobs = [open_job(folder / "bench.toml", simulated=False, to_run=True) for folder in folders]
        asyncio.run(all_heads([open_jobs.enter_context(job) for job in jobs]))
    begin = max(provider.arrivals[0].at_s for provider in providers) + SETTLES_S
    end = min(provider.arrivals[-1].at_s for provider in providers)
    arrived = [[one.status for one in provider.arrivals if begin <= one.at_s < end] for provider in providers]
    return list(chain(*arrived)), end - begin, [statuses.count(200) for statuses in arrived]


# --- in processes, over HTTP


def in_processes(simulator, folders, seconds):
    """What `in_one_process` returns, of a process for each head."""
    server = SimulatorServer(simulator)
    url = server.start_in_thread()
    with contextlib.ExitStack() as ends:
        ends.callback(server.stop)
        processes = [started(folder, url) for folder in folders]
        for process in processes:
            ends.callback(process.kill)
        return measured(server, folders, processes, seconds)


def started(folder, url):
    """The process of a head."""
    environment = {**os.environ, "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "benchmark"}
    command = [sys.executable, "-m", "batchrun", "-q", "submit", str(folder / "bench.toml")]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def answered(folder, begin=0.0, end=1e12):
    """How many attempts that a head has begun between two moments were answered."""
    uri = f"file:{folder / '.batchrun' / 'ledger.sqlite3'}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as ledger:
            return ledger.execute(ATTEMPTS, (begin, end)).fetchone()[0]
    except sqlite3.OperationalError:  # the head has not made its ledger yet
        return 0


def wait_for_all(folders, processes):
    """Wait until every head sends."""
    until = time.monotonic() + LONGEST_START_S
    while not all(answered(folder) for folder in folders):
        assert time.monotonic() < until, "a head does not begin"
        for process in processes:
            assert process.poll() is None, process.stderr.read()
        time.sleep(0.5)


def measured(server, folders, processes, seconds):
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
    statuses = [entry.status for entry in server.books.entries[first:last]]
    return statuses, end - begin, [answered(folder, begin, end) for folder in folders]


def main(run, heads=10, per_minute=9_000, seconds=120, burst_s=1):
    simulator = Simulator(PROFILES["calm"], limits=Limits(per_minute, PLENTY, PLENTY), burst_s=burst_s)
    with tempfile.TemporaryDirectory(dir=shared_memory()) as temporary:
        folders = [Path(temporary) / str(number) for number in range(heads)]
        for number, folder in enumerate(folders):
            write_job(folder, number, int(2.5 * per_minute * (seconds + 60 + burst_s) / 60 / heads) + 100)
        statuses, took_s, each = run(simulator, folders, seconds)
    granted, turned_away, fair = statuses.count(200), statuses.count(429), sum(each) / heads
    print(
        f"{heads} heads, {per_minute:,} requests a minute, a bucket of {burst_s} s, {took_s:.0f} s:"
        f" {granted / (per_minute / 60 * took_s):.1%} of the limit; {turned_away:,} of {len(statuses):,} answered 429"
        f" ({turned_away / len(statuses):.2%}); least {min(each) / fair:.2f}, most {max(each) / fair:.2f}"
    )


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--real"]
    main(in_processes if "--real" in sys.argv else in_one_process, *map(int, given))
