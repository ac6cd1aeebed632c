"""Documents per second of `batchrun submit` on one core, beside the same loop on the SDK and on aiohttp alone.

    python tests/benchmarks/throughput.py [documents] [concurrency] [rounds]

All three read the same files and post to the same server, a process of its own that answers at once with a message that
never changes. The server has the last core for itself and the client has the first one, so that the client's own work
is compared: planning, ledger and DuckDB included on our side, the calls and a list of answers on the others'.
Machines are noisy: the three take turns, the best of each counts, and CPU says more than the wall clock does. A submit
of one document is measured too: what that takes is what a submit takes to start and to end.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

KEY = "sk-ant-api03-" + "benchmark" * 10
INSTANT_SERVER = Path(__file__).with_name("_instant_server.py")
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
def served(*command):
    """The simulator, or another server, in a process of its own; yields its base URL."""
    server = subprocess.Popen([sys.executable, *(command or ("-c", SERVER))], stdout=subprocess.PIPE, text=True)
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
    environment = {**os.environ, "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}
    before, began = used(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "batchrun", "-q", "submit", folder / "bench.toml"]
    subprocess.run(command, env=environment, check=True)
    return time.perf_counter() - began, used(resource.RUSAGE_CHILDREN) - before


def loop(name, folder, url, concurrency):
    """Wall and CPU seconds of one of the loops below, without its start, in a process of its own."""
    told = subprocess.check_output([sys.executable, __file__, name, folder, url, str(concurrency)])
    return tuple(map(float, told.split()))


def run_loop(name, folder, url, concurrency):
    """Print how long one of the loops below takes."""
    parameters = list(parameters_of(Path(folder)))
    before, began = used(resource.RUSAGE_SELF), time.perf_counter()
    answers = asyncio.run(LOOPS[name](parameters, url, int(concurrency)))
    print(time.perf_counter() - began, used(resource.RUSAGE_SELF) - before)
    assert len(answers) == len(parameters)


def used(who):
    spent = resource.getrusage(who)
    return spent.ru_utime + spent.ru_stime


def parameters_of(folder):
    """Yield the name of each document, and the parameters of its request."""
    from batchrun.job.load import load_job

    schema = load_job(folder / "bench.toml").fields.api_schema
    for path in sorted((folder / "documents").iterdir()):
        yield (
            path.name,
            {
                "model": "claude-sonnet-5-5",
                "max_tokens": 512,
                "messages": [{"role": "user", "content": f"Extract the terms of this contract.\n{path.read_text()}"}],
                "output_config": {"format": {"type": "json_schema", "schema": schema}, "effort": "low"},
            },
        )


async def sdk_loop(parameters, url, concurrency):
    """What one would write without batchrun: a pool of workers around `messages.create`."""
    from anthropic import AsyncAnthropic, DefaultAioHttpClient

    wanted, answers = iter(parameters), []
    async with AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0, http_client=DefaultAioHttpClient()) as client:

        async def work():
            for name, asked in wanted:
                message = await client.messages.create(**asked)
                text = "".join(block.text for block in message.content if block.type == "text")
                answers.append((name, json.loads(text), message.usage))

        await asyncio.gather(*(work() for _ in range(concurrency)))
    return answers


async def aiohttp_loop(parameters, url, concurrency):
    """The least that a client in Python can do: a pool of workers around `session.post`."""
    import aiohttp

    wanted, answers = iter(parameters), []
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def work():
            for name, asked in wanted:
                async with session.post(f"{url}/v1/messages", data=json.dumps(asked)) as response:
                    message = json.loads(await response.read())
                    answers.append((name, json.loads(message["content"][0]["text"])))

        await asyncio.gather(*(work() for _ in range(concurrency)))
    return answers


LOOPS = {"aiohttp": aiohttp_loop, "sdk": sdk_loop}


def round_of(folder, url, documents, concurrency):
    """One turn of each: its name, wall and CPU seconds. The start of each process counts, and is known for a submit."""
    write_project(folder / "one", 1, concurrency)
    write_project(folder / "all", documents, concurrency)
    yield "start", *ours(folder / "one", url)
    for name in LOOPS:
        yield name, *loop(name, folder / "all", url, concurrency)
    yield "batchrun", *ours(folder / "all", url)


def pin(core):
    """Keep this process, and those that it starts from now on, on one core, where the system can do so."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def main(documents=6_000, concurrency=64, rounds=3):
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    walls, cpus = defaultdict(list), defaultdict(list)
    pin(cores[-1])
    with served(str(INSTANT_SERVER)) as url, tempfile.TemporaryDirectory() as temporary:
        pin(cores[0])
        for number in range(rounds):
            for name, wall, cpu in round_of(Path(temporary) / str(number), url, documents, concurrency):
                walls[name].append(wall)
                cpus[name].append(cpu)
                print(f"{name:9} {wall:7.2f} s   {cpu:6.2f} s CPU", flush=True)
    best = {name: (min(walls[name]), min(cpus[name])) for name in walls}
    start = best.pop("start")
    best["started"] = tuple(all_of_it - of_start for all_of_it, of_start in zip(best["batchrun"], start, strict=True))
    print(f"{documents} documents, concurrency {concurrency}, the best of {rounds}; `started` is batchrun without")
    print(f"the {start[1]:.2f} s of CPU that a submit of one document takes")
    for name, (wall, cpu) in best.items():
        print(f"{name:9} {documents / wall:7.0f} documents/s   {1e3 * cpu / documents:.3f} ms CPU each")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in LOOPS:
        run_loop(*sys.argv[1:])
    else:
        main(*map(int, sys.argv[1:]))
