"""A batch run that is killed at chosen moments and started again until it is settled, and what must be true then.

The processes are real ones, forked by `submits`; the moments are those of `killing/sitecustomize.py`.
"""

import asyncio
import json
import os
import select
import shutil
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Self

from command_line import KEY, REPOSITORY, UNLIMITED, clean_environment, talking_to
from submits import Submit, SubmitServer
from trial_project import TrialProject

from batchrun.errors import ExitCode
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.simulator.batches.batch import Bill
from batchrun.simulator.batches.life import ServiceTerms
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.books import Entry
from batchrun.workflow.batch_recovery import resend
from batchrun.workflow.open_job import open_store

DOCUMENTS = 7
BRISK = 'poll_interval = "0.05s"\nmax_poll_interval = "0.05s"\nreconcile_wait = "0.3s"\n'
SPEED = 1000.0
INPUT_NUSD, OUTPUT_NUSD = 1_000, 5_000  # of the trial's model, streamed
MOST_SUBMITS = 60


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way a batch run goes when nobody kills it."""

    name: str
    script: Sequence[str] = ()
    """What goes wrong at the API."""
    job: Mapping[str, str] = field(default_factory=lambda: {"batch": "max_requests = 3"})
    environment: Mapping[str, str] = field(default_factory=dict)
    life_s: float = 0.001
    """How long a batch takes; by default it has ended when it is asked for, so that the same moments always come."""
    kills: int = 1
    """How many processes are killed in a row."""
    every: int = 3
    """The moments that are tried by default."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Outcomes besides succeeded, when all is settled."""
    strangers: bool = False
    """Somebody else creates a batch of the same size whenever we are killed."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one case."""

    kills: int
    double_bills: int
    broken: Sequence[str]
    """Promises, in words."""


class Case:
    """A project, an API of its own, and processes."""

    def __init__(self, variant: Variant, server: SubmitServer, root: Path) -> None:
        self._variant, self._server, self._root = variant, server, root
        self._submits = 0
        self._strangers: set[str] = set()
        self.kills = 0
        self.broken: list[str] = []

    def __enter__(self) -> Self:
        self._project = TrialProject(self._root)
        self._project.documents(DOCUMENTS)
        sections = {"run": 'route = "batch"'} | dict(self._variant.job)
        self._project.job(**sections | {"batch": BRISK + sections["batch"]})
        self.api = SimulatorServer(
            Simulator(
                PROFILES["calm"],
                speed=SPEED,
                limits=UNLIMITED,
                latency=INSTANT,
                terms=ServiceTerms(median_s=self._variant.life_s * SPEED, per_request_s=0.0, spread=0.0),
                script=self._variant.script,
            )
        )
        self.api.start_in_thread()
        return self

    def __exit__(self, *_: object) -> None:
        self.api.stop()
        shutil.rmtree(self._root)

    def submit(self, *, kill_at: int = 0) -> tuple[int, str]:
        """`batchrun submit` in a process of its own; returns its exit code and what it said on stderr."""
        self._submits += 1
        environment = {
            **talking_to(self.api),
            **self._variant.environment,
            "KILL_AT": str(kill_at),
            "MOMENTS": str(self._moments),
        }
        code, _, err = self._server.submit(self._project.root, environment).end()
        killed = code == -signal.SIGKILL
        self.kills += killed
        ends = {ExitCode.OK, ExitCode.SOME_FAILED, ExitCode.UNFINISHED, ExitCode.AMBIGUOUS}
        self._expect(killed or code in ends, f"exit code {code}")
        self._expect("Traceback" not in err, err)
        if killed and self._variant.strangers:
            self._strangers.add(create_somewhere_else(self.api, requests=3))
        self._check_the_cap()
        return code, err

    def settle(self) -> None:
        """Submit until nothing is left to do."""
        for _ in range(MOST_SUBMITS):
            code, err = self.submit()
            if code in {ExitCode.OK, ExitCode.SOME_FAILED} or self.broken:
                self._expect(code == (ExitCode.SOME_FAILED if self._variant.failures else ExitCode.OK), err)
                return
            if code == ExitCode.AMBIGUOUS:
                self._give_up()
            time.sleep(0.02)
        self._expect(False, f"it never ends: {err}")

    def _give_up(self) -> None:
        """A person gives up what the list does not prove never to have been created, and what does not exist."""
        known = {batch_id for (batch_id,) in self._ask("select batch_id from batches where batch_id is not null")}
        created = {batch.id for batch in self.api.simulator.batches.all}
        self._expect(created - self._strangers <= known, "a batch that exists was not found")
        with open_store(self._project.root / "jobs/trial.toml", simulated=False) as opened:
            api = AnthropicFactory(base_url=self.api.base_url, api_key=KEY)
            asyncio.run(resend(opened, provider=api, pay_again=True))

    def moments(self) -> list[str]:
        """The names of those that came in the latest process."""
        return self._moments.read_text("utf-8").splitlines()

    def check(self) -> int:
        """Hold the ledger and the output against the API's own books; returns how many requests were billed twice."""
        doubles = self._check_bills()
        if not self.broken:
            self._check_documents()
            self._check_batches()
        return doubles

    @property
    def _moments(self) -> Path:
        """Where the latest process names its moments."""
        return self._root / f"{self._submits}.moments"

    def _expect(self, kept: bool, promise: str) -> None:
        if not kept:
            self.broken.append(promise)

    def _ask(self, query: str) -> list[tuple[object, ...]]:
        return self._project.ask(query)

    def _check_the_cap(self) -> None:
        if not self._project.ledger_path.exists() or not self._ask("select 1 from sqlite_master where name = 'runs'"):
            return
        self._expect(not self._ask("select 1 from runs where committed_nusd > cap_nusd"), "the cap was passed")

    def _check_documents(self) -> None:
        statuses = Counter(self._project.statuses().values())
        wanted = {"succeeded": DOCUMENTS - sum(self._variant.failures.values()), **self._variant.failures}
        self._expect(statuses == wanted, f"documents: {dict(statuses)}")
        twice = self._ask("select 1 from attempts where outcome is not null group by request_no having count(*) > 1")
        self._expect(not twice, "a document was settled twice")
        rows = [doc_id.removeprefix("docs/") for (doc_id,) in self._project.rows()]
        succeeded = sorted(name for name, status in self._project.statuses().items() if status == "succeeded")
        self._expect(rows == succeeded, f"rows: {rows}")

    def _check_bills(self) -> int:
        batched = [bill for bill in self.api.books.bills() if bill.batch_id not in self._strangers]
        streamed = [entry for entry in self.api.books.entries if entry.billed]
        times = Counter(one.sha256 for one in (*batched, *streamed))
        doubles = sum(count > 1 for count in times.values())
        self._expect(doubles == 0, f"{doubles} requests were billed twice")
        bill = sum(-(-full_price(one) // 2) for one in batched) + sum(full_price(one) for one in streamed)
        ((booked, held, unknown, committed, cap),) = self._ask(
            "select (select sum(cost_nusd) from attempts),"
            " (select coalesce(sum(reserved_nusd), 0) from attempts where cause = 'batch gone'),"
            " (select count(*) from attempts where cost_nusd is null and cause is not 'batch gone'),"
            " sum(committed_nusd), min(cap_nusd) from runs"
        )
        self._expect(bill == booked, f"billed {bill}, booked {booked}")
        self._expect(committed == booked + held, f"booked {booked}, held {held}, committed {committed}")
        self._expect(unknown == 0, f"{unknown} attempts are open or unknown")
        self._expect(bill <= int(str(cap)), f"{bill} was billed and the cap is {cap}")
        return doubles

    def _check_batches(self) -> None:
        known = {batch_id for (batch_id,) in self._ask("select batch_id from batches where batch_id is not null")}
        created = {batch.id for batch in self.api.simulator.batches.all}
        self._expect(known == created - self._strangers, f"batches: {created} at the API, {known} in the ledger")
        still_open = self._ask("select state from batches where state not in ('collected', 'abandoned')")
        self._expect(not still_open, f"batches are {still_open}")


def full_price(bill: Bill | Entry) -> int:
    """The cost of one answer, streamed."""
    return INPUT_NUSD * bill.input_tokens + OUTPUT_NUSD * bill.output_tokens


def create_somewhere_else(api: SimulatorServer, *, requests: int) -> str:
    """Another program with the same key creates a batch; returns its id."""
    params = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}
    body = {"requests": [{"custom_id": f"theirs-{number}", "params": params} for number in range(requests)]}
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    address = f"{api.base_url}/v1/messages/batches"
    with urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers)) as answer:
        return str(json.load(answer)["id"])


@dataclass
class SharedServer(SubmitServer):
    """May be asked by several threads: who waits for a process lets others ask."""

    lock: RLock = field(default_factory=RLock)

    def submit(self, root: Path, environment: Mapping[str, str]) -> Submit:
        with self.lock:
            return super().submit(root, environment)

    def ask(self, **asked: object) -> int:
        if "wait" in asked:
            wait_for_death(int(str(asked["wait"])))
        with self.lock:
            return super().ask(**asked)


def wait_for_death(pid: int) -> None:
    """Return when the process is dead, though it is not ours to be reaped."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()  # `select.select` takes no descriptor above 1,023
        poll.register(descriptor, select.POLLIN)
        poll.poll()
    finally:
        os.close(descriptor)


class Squad:
    """Kills in many places at the same time."""

    def __init__(self, server: SubmitServer, pool: Executor, root: Path) -> None:
        self._server, self._pool, self._root = server, pool, root
        self._names = count(1)

    def moments(self, variant: Variant) -> list[str]:
        """The moments of an unharmed run, by name."""
        with self._case(variant) as case:
            case.settle()
            assert not case.broken, case.broken
            return case.moments()

    def kill(self, variant: Variant, cases: Sequence[Sequence[int]]) -> list[Verdict]:
        """The verdicts of cases: the moments at which one process after the other is killed."""
        return list(self._pool.map(lambda moments: self._kill_or_earlier(variant, moments), cases))

    def _kill_or_earlier(self, variant: Variant, moments: Sequence[int]) -> Verdict:
        verdict = self._kill(variant, moments)
        if verdict.kills or verdict.broken:
            return verdict
        # A busy machine asks the API less often than in the unharmed run, and then late moments never come.
        return self._kill(variant, [max(1, moment // 2) for moment in moments])

    def _kill(self, variant: Variant, moments: Sequence[int]) -> Verdict:
        with self._case(variant) as case:
            for moment in moments:
                case.submit(kill_at=moment)
            case.settle()
            return Verdict(kills=case.kills, double_bills=case.check(), broken=case.broken)

    def _case(self, variant: Variant) -> Case:
        return Case(variant, self._server, self._root / str(next(self._names)))


@contextmanager
def squad(root: Path, *, size: int) -> Iterator[Squad]:
    """A squad, for as long as the block lasts."""
    killing = Path(__file__).parent / "killing"
    environment = clean_environment(root) | {"PYTHONPATH": f"{killing}:{REPOSITORY}"}
    with SharedServer(environment, root) as server, ThreadPoolExecutor(size) as pool:
        yield Squad(server, pool, root / "cases")
