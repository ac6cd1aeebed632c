"""Hosts with a ledger each share one cap by a lease service. They are killed at random; so is the service.

    python tests/benchmarks/leases.py                           ten hosts, three minutes
    python tests/benchmarks/leases.py --hosts 3 --seconds 10    a short one
    python tests/benchmarks/leases.py --seed 7                  other moments

Each host is a process, `batchrun submit`, killed with SIGKILL after a random time and started again; one API, a
simulator, answers all of them. The service is a process too, killed with SIGKILL now and then, in a folder that stays.
Every tenth of a second, and at the end, what the simulator has billed is at most what the books of the service say, and
the books at most the cap. Then every host runs once more: what it has leased is what it has used.
"""

import argparse
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import _paths  # noqa: F401 - finds the tests' own modules
from command_line import process, serving, talking_to
from trial_project import TrialProject

from batchrun.budget.caps import Cap, Origin, Per
from batchrun.leases.books import Books
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import Latency

INPUT_NUSD, OUTPUT_NUSD = 1_000, 5_000
"""The price of a token of claude-haiku-4-5, in nano-USD."""
DOCUMENTS = 300
SERVICE_KILLED_EVERY_S = 8.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def billed_nusd(api: SimulatorServer) -> int:
    return sum(
        entry.input_tokens * INPUT_NUSD + entry.output_tokens * OUTPUT_NUSD
        for entry in list(api.books.entries)
        if entry.billed
    )


@dataclass
class Trial:
    """The organisation: hosts, the service and what is seen of both."""

    folder: Path
    api: SimulatorServer
    hosts: int
    cap_nusd: int
    seed: int
    longest_s: float
    codes: Counter[int] = field(default_factory=Counter)
    kills: int = 0
    service_kills: int = 0
    problems: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.service = self.folder / "service"
        self.service.mkdir()
        (self.service / "batchrun.toml").write_text(f"[budget]\nmax_cost_per_day_usd = {self.cap_nusd / 1e9}\n")
        cap = Cap(Per.DAY, self.cap_nusd, "budget.max_cost_per_day_usd", Origin.PROJECT)
        self.books = Books(self.service / ".batchrun" / "leases.sqlite3", [cap])
        self.environment = talking_to(self.api) | {"BATCHRUN_LEASES": f"http://127.0.0.1:{self.port}"}
        self.projects = [self._project(number) for number in range(self.hosts)]

    def _project(self, number: int) -> TrialProject:
        project = TrialProject(self.folder / f"host{number}")
        rows = [f'{{"id": "{number}-{row}", "text": "host {number} text {row}"}}' for row in range(DOCUMENTS)]
        (project.root / "docs" / "all.jsonl").write_text("\n".join(rows))
        source = 'type = "table"\npath = "docs/all.jsonl"\nid = "id"\ntext = "text"'
        project.job(source=source, run="max_concurrency = 8")
        return project

    def serve(self) -> "subprocess.Popen[str]":
        command = f"leases serve --port {self.port}"
        return process(command, cwd=self.service, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def submit(self, number: int, *, after_s: float | None) -> int:
        """Run a host's job, and kill it after so many seconds; None lets it end."""
        command = "-q submit jobs/trial.toml --partial --route stream --pay-again"
        root, nowhere = self.projects[number].root, subprocess.DEVNULL
        with (
            (root / "stderr.txt").open("w") as errors,
            process(command, cwd=root, environment=self.environment, stdout=nowhere, stderr=errors) as running,
        ):
            try:
                return running.wait(after_s)
            except subprocess.TimeoutExpired:
                running.kill()
                return running.wait()

    def host(self, number: int) -> None:
        """Live and die, again and again."""
        rng = random.Random(f"{self.seed} {number}")
        while not self.over.is_set():
            code = self.submit(number, after_s=rng.uniform(0.3, self.longest_s))
            self.codes[code] += 1
            self.kills += code == -9
            if code not in {-9, 4, 75}:
                said = (self.projects[number].root / "stderr.txt").read_text()
                self.problems.append(f"host {number} ended with {code}: {said[-600:]}")
            if code in {4, 75}:
                time.sleep(rng.uniform(0.1, 1.0))

    def check(self) -> tuple[int, int]:
        """What is billed, and what the books say afterwards; a request is billed only after its lease is granted."""
        billed = billed_nusd(self.api)
        granted = sum(one.granted for one in self.books.grants(now=time.time()))
        if not billed <= granted <= self.cap_nusd:
            self.problems.append(f"billed {billed}, granted {granted}, cap {self.cap_nusd}")
        return billed, granted

    def run(self, seconds: float) -> None:
        threads = [threading.Thread(target=self.host, args=[number]) for number in range(self.hosts)]
        rng, service = random.Random(self.seed), self.serve()
        until, dies_at, said_at = time.monotonic() + seconds, time.monotonic() + SERVICE_KILLED_EVERY_S, 0.0
        try:
            for thread in threads:
                thread.start()
            while time.monotonic() < until:
                time.sleep(0.1)
                billed, granted = self.check()
                if time.monotonic() > said_at + 10:
                    said_at = time.monotonic()
                    print(f"billed ${billed / 1e9:.6f}  leased ${granted / 1e9:.6f}  kills {self.kills}", flush=True)
                if time.monotonic() > dies_at:
                    service.kill()
                    service.wait()
                    self.service_kills += 1
                    time.sleep(rng.uniform(0.0, 1.0))
                    service, dies_at = self.serve(), time.monotonic() + rng.uniform(0.5, 2) * SERVICE_KILLED_EVERY_S
            self.over.set()
            for thread in threads:
                thread.join()
            ends = [self.submit(number, after_s=120) for number in range(self.hosts)]
        finally:
            self.over.set()
            service.kill()
            service.wait()
        billed, granted = self.check()
        used = sum(one.used for one in self.books.grants(now=time.time()))
        if granted != used:
            self.problems.append(f"at the end {granted} is leased, and {used} is used")
        print(f"ended with {ends}; exit codes before {dict(self.codes)}")
        holders = len(self.books.grants(now=time.time()))
        print(f"{self.kills} hosts and {self.service_kills} services killed, {holders} holders")
        print(f"cap ${self.cap_nusd / 1e9:.6f}, leased ${granted / 1e9:.6f}, billed ${billed / 1e9:.6f}"
              f" ({billed / self.cap_nusd:.1%} of the cap)")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--cap", type=float, default=0.05, help="in dollars")
    parser.add_argument("--longest", type=float, default=20.0, help="the longest life of a host, in seconds")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(latency=Latency(0.2, 100.0)) as api:
        trial = Trial(Path(folder), api, chosen.hosts, round(chosen.cap * 1e9), chosen.seed, chosen.longest)
        trial.run(chosen.seconds)
    for problem in trial.problems[:20]:
        print("PROBLEM", problem)
    return bool(trial.problems)


if __name__ == "__main__":
    sys.exit(main())
