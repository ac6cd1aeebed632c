"""Documents per second of `batchrun submit` beside the same loop written directly on the SDK.

    python tests/benchmarks/throughput.py [documents] [concurrency]

Both read the same files and talk to the same simulator, a process of its own that answers at once and never says 429,
so what is compared is the client's own work: planning, ledger and DuckDB included on our side, nothing but the calls
and a list of parsed answers on the other. Machines are noisy: the two take turns, and only the ratio
of the best rounds, the least disturbed, is worth quoting.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROUNDS = 5
SERVER = """
from batchrun.simulator.usage.rate_limits import Limits
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.simulator import Simulator
open_wide = Limits(10**9, 10**12, 10**12)
simulator = Simulator(PROFILES["calm"], limits=open_wide, latency=INSTANT)
SimulatorServer(simulator).serve_forever(when_ready=lambda url: print(url, flush=True))
"""
JOB = """
[job]
name = "bench"
[source]
type = "files"
include = ["documents/*.txt"]
[model]
name = "claude-sonnet-5-5"
max_tokens = 512
effort = "low"
[prompt]
user = "Extract the terms of this contract.\\n{{ doc.text }}"
[output.fields]
party_a = { type = "string" }
governing_law = { type = "string?" }
term_months = { type = "integer?", minimum = 0 }
[run]
max_concurrency = CONCURRENCY
[limits]
requests_per_minute = 100_000_000
input_tokens_per_minute = 100_000_000_000
output_tokens_per_minute = 100_000_000_000
[budget]
max_cost_usd = 100_000
"""


@contextmanager
def served():
    """The simulator in a process of its own; yields its base URL."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def write_project(folder, documents, concurrency):
    """A project with one-kilobyte contracts."""
    (folder / "documents").mkdir(parents=True)
    for number in range(documents):
        text = f"Contract {number} between Alpha {number} Ltd and Beta, for {number % 60} months, law of Delaware. "
        (folder / "documents" / f"{number:06}.txt").write_text((text * 12)[:1024])
    (folder / "pyproject.toml").touch()
    (folder / "bench.toml").write_text(JOB.replace("CONCURRENCY", str(concurrency)))


def ours(folder, url):
    """Wall and CPU seconds of one submit, in a process of its own, start and end included."""
    environment = {**os.environ, "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "benchmark"}
    command = [sys.executable, "-m", "batchrun", "-q", "submit", str(folder / "bench.toml")]
    return timed(command, environment)


def direct(folder, url, concurrency):
    """Wall and CPU seconds of the loop below, in a process of its own."""
    return timed([sys.executable, __file__, "--direct", str(folder), url, str(concurrency)], os.environ)


def timed(command, environment):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


async def direct_loop(folder, url, concurrency):
    """What one would write without batchrun: a pool of workers around `messages.create`."""
    from anthropic import AsyncAnthropic, DefaultAioHttpClient

    from batchrun.job.load import load_job

    schema = load_job(folder / "bench.toml").fields.api_schema
    answers = []
    paths = iter(sorted((folder / "documents").iterdir()))
    async with AsyncAnthropic(
        api_key="benchmark", base_url=url, max_retries=0, http_client=DefaultAioHttpClient()
    ) as client:

        async def work():
            for path in paths:
                message = await client.messages.create(
                    model="claude-sonnet-5-5",
                    max_tokens=512,
                    messages=[{"role": "user", "content": f"Extract the terms of this contract.\n{path.read_text()}"}],
                    output_config={"format": {"type": "json_schema", "schema": schema}, "effort": "low"},
                )
                text = "".join(block.text for block in message.content if block.type == "text")
                answers.append((path.name, json.loads(text), message.usage))

        await asyncio.gather(*(work() for _ in range(concurrency)))
    assert answers


def round_of(folder, url, documents, concurrency):
    """One turn of each: its name, wall and CPU seconds."""
    write_project(folder, documents, concurrency)
    yield "direct", *direct(folder, url, concurrency)
    yield "batchrun", *ours(folder, url)


def main(documents=2_000, concurrency=64):
    rates = {"direct": [], "batchrun": []}
    cpu = {"direct": [], "batchrun": []}
    with served() as url, tempfile.TemporaryDirectory() as temporary:
        for number in range(ROUNDS):
            for name, wall, spent in round_of(Path(temporary) / str(number), url, documents, concurrency):
                rates[name].append(documents / wall)
                cpu[name].append(1e3 * spent / documents)
                print(f"{name:9} {documents / wall:7.0f} documents/s   {1e3 * spent / documents:.2f} ms CPU each")
    speed, work = max(rates["batchrun"]) / max(rates["direct"]), min(cpu["batchrun"]) / min(cpu["direct"])
    print(
        f"{documents} documents, concurrency {concurrency}, the best of {ROUNDS} each: batchrun has {speed:.0%}"
        f" of the direct loop's speed, {work:.2f} x its CPU per document"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--direct"]:
        asyncio.run(direct_loop(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    else:
        main(*map(int, sys.argv[1:]))
