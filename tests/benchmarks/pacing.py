"""How much of a rate limit is used, and how many requests are turned away: batchrun beside what people write by hand.

    python tests/benchmarks/pacing.py                 every case, two minutes each, in virtual time
    python tests/benchmarks/pacing.py --only WORDS    cases whose name has the words
    python tests/benchmarks/pacing.py --hidden        servers that say nothing of their limits, ten minutes each
    python tests/benchmarks/pacing.py --real          in real time over HTTP, batchrun only

The simulator keeps token buckets on its side, which hold a full minute's or one second's worth. Latencies are
log-normal, token counts are off by 30% with a bias of 25%. `steady` is the second minute's use of the binding limit,
`whole` that of the whole run, over all that the server would have granted, what its bucket held at first included.
With another client that takes 30% from half-time on, both are over what it leaves. `fair` is the longest that a request
waited at the gate, over the time in which the limit lets pass what was in front of it: first come, first served.
"""

import argparse
import asyncio
import contextlib
import math
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import _paths  # noqa: F401 - finds the tests' own modules
from aiolimiter import AsyncLimiter
from silent_provider import Gate, SilentProvider
from simulated_provider import Arrival, SimulatedProvider
from trial_project import Unpublished
from virtual_time import VirtualTimeLoop, answered_by_a_thread, run

from batchrun.estimation.text_class import TextClass, factor
from batchrun.execution import ledger_writer
from batchrun.execution.run import Caller, ProviderFactory
from batchrun.execution.stop_conditions import Tolerance
from batchrun.execution.stream.rate_limiter import RateLimiter
from batchrun.planning.selection import Selection
from batchrun.providers import AttemptError
from batchrun.providers.anthropic.provider import AnthropicFactory
from batchrun.request import Request
from batchrun.simulator.faults.outages import NOBODY, OtherClient, Outage
from batchrun.simulator.faults.profiles import PROFILES
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import Latency
from batchrun.simulator.requests.token_count import count_text
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits
from batchrun.workflow.open_job import OpenJob, open_job
from batchrun.workflow.submit import submit

SECONDS = 120.0
HIDDEN_S = 600.0
"""How long a case takes whose limits have to be found out."""
NOISE = 0.3
MODEL = "claude-sonnet-5-5"
JOB = """
[job]
name = "pacing"
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
[budget]
max_cost_usd = 100_000
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the server allows, and what it meets."""

    name: str
    limits: Limits
    binding: str
    """requests, input_tokens or output_tokens."""
    burst_s: float
    bias: float = 1.25
    characters: int = 1_500
    """Median length of a document."""
    others: float = 0.0
    outage_s: float = 0.0
    stated: bool = True
    """Whether the job file states the limits, or they have to be learnt."""
    headers_at: str = "completion"
    first_token_s: float = 0.8
    server: "Callable[[], Gate] | None" = None
    """A server that says nothing of its limits; `limits` and `binding` are what it keeps to."""

    @property
    def per_minute(self) -> int:
        """The binding limit."""
        return int(getattr(self.limits, f"{self.binding}_per_minute"))

    def simulator(self, seconds: float) -> Simulator:
        """The server's side."""
        outages = [Outage(seconds / 4, seconds / 4 + self.outage_s)] if self.outage_s else []
        return Simulator(
            PROFILES["calm"],
            limits=self.limits,
            burst_s=self.burst_s,
            latency=Latency(first_token_s=self.first_token_s),
            others=OtherClient(share=self.others, from_s=seconds / 2) if self.others else NOBODY,
            outages=outages,
            headers_at=self.headers_at,
        )


PLENTY = 10**9
BINDING = {
    "requests": (Limits(1_000, PLENTY, PLENTY), 1_500),
    "input_tokens": (Limits(10_000, 2_000_000, PLENTY), 5_000),
    "output_tokens": (Limits(10_000, PLENTY, 60_000), 1_500),
}


def cases() -> list[Case]:
    """Every limit in turn, every burst, and what else the issue names."""
    found = []
    for binding, (limits, characters) in BINDING.items():
        for burst_s in (60.0, 1.0):
            name = f"{binding.replace('_', ' ')}, burst {burst_s:g} s"
            case = Case(name=name, limits=limits, binding=binding, burst_s=burst_s, characters=characters)
            found += [
                case,
                varied(case, "estimates 25% low", bias=0.75, headers_at="admission"),
                varied(case, "learnt", stated=False),
                varied(case, "30% taken", others=0.3),
                varied(case, "outage 60 s", outage_s=60.0),
            ]
    return found


def varied(case: Case, what: str, **changes: object) -> Case:
    """The same with something else about it."""
    return Case(**{**case.__dict__, "name": f"{case.name}, {what}", **changes})  # type: ignore[arg-type]


def hidden_cases() -> list[Case]:
    """Limits that no header tells: windows, buckets, tokens, and requests in parallel."""
    found = []
    for per_minute in (10, 30, 60, 300, 2_000):
        limits = Limits(per_minute, PLENTY, PLENTY)
        gates = {
            "fixed minute": lambda most=per_minute: Gate(window_s=60, most=most),
            "sliding minute": lambda most=per_minute: Gate(window_s=60, most=most, rolls=True),
        }
        found += [
            Case(
                name=f"hidden, {per_minute} a {words}",
                limits=limits,
                binding="requests",
                burst_s=60.0,
                stated=False,
                server=gate,
            )
            for words, gate in gates.items()
        ]
        found += [
            Case(
                name=f"hidden, {per_minute} a minute, burst {burst_s:g} s",
                limits=limits,
                binding="requests",
                burst_s=burst_s,
                stated=False,
                server=lambda: None,
            )
            for burst_s in (60.0, 1.0)
        ]
    for burst_s in (60.0, 5.0):
        limits = Limits(PLENTY, 300_000, PLENTY)
        found.append(
            Case(
                name=f"hidden, 300k input tokens, burst {burst_s:g} s",
                limits=limits,
                binding="input_tokens",
                burst_s=burst_s,
                characters=5_000,
                stated=False,
                server=lambda: None,
            )
        )
    for parallel in (1, 4, 20):
        limits = Limits(round(60 / 1.43 * parallel), PLENTY, PLENTY)
        found.append(
            Case(
                name=f"hidden, {parallel} in parallel",
                limits=limits,
                binding="requests",
                burst_s=0.0,
                stated=False,
                server=lambda parallel=parallel: Gate(parallel=parallel),
            )
        )
    return found


@dataclass
class Measured:
    """What one client made of one case."""

    arrivals: list[Arrival] = field(default_factory=list)
    fair: float | None = None


# --- the documents, and how they are counted


def write_documents(folder: Path, case: Case, count: int) -> list[str]:
    """Contracts of log-normal lengths."""
    rng = random.Random(7)
    folder.mkdir(parents=True)
    texts = []
    for number in range(count):
        length = int(case.characters * math.exp(rng.gauss(0, 0.5)))
        text = f"Contract {number} between Alpha {number} Ltd and Beta, for {number % 60} months, law of Delaware. "
        texts.append((text * (length // len(text) + 1))[:length])
        (folder / f"{number:06}.txt").write_text(texts[-1])
    return texts


def counted(text: str, bias: float) -> int:
    """A count that is off, always in the same way for the same text."""
    noise = math.exp(random.Random(text[:200]).gauss(0, NOISE) - NOISE**2 / 2)
    return max(1, round(count_text(text, "new") / factor("new", TextClass.PROSE).mean * bias * noise))


def enough(case: Case, seconds: float) -> int:
    """How many documents no client can finish in the time."""
    if case.server:
        return int(1.2 * case.per_minute * (seconds / 60 + 2) / (1_200 if case.binding == "input_tokens" else 1)) + 50
    per_minute = {"requests": 1_000, "input_tokens": 1_500, "output_tokens": 2_200}[case.binding]
    return int(per_minute * (seconds + case.burst_s) / 60 * 1.3)


# --- the clients


def ours(case: Case, seconds: float) -> Measured:
    """A whole submit in virtual time: plan, ledger and all."""
    provider = provider_of(case, seconds)
    with in_virtual_time(), watched_rate_limiter(case) as waits:
        submit_once(case, seconds, provider)
    return Measured(provider.arrivals, fair=max(waits, default=1.0))


def provider_of(case: Case, seconds: float) -> SimulatedProvider:
    """The API of a case, in memory."""
    if case.server is None:
        return SimulatedProvider(case.simulator(seconds))
    gate = case.server()
    wide = varied(case, "", limits=Limits(PLENTY, PLENTY, PLENTY), burst_s=60.0) if gate else case
    return SilentProvider(wide.simulator(seconds), gate=gate)


def ours_in_real_time(case: Case, seconds: float) -> Measured:
    """The same in real time, over HTTP, with the SDK between."""
    server = SimulatorServer(case.simulator(seconds))
    factory = AnthropicFactory(base_url=server.start_in_thread(), api_key="benchmark")
    with mock.patch.object(OpenJob, "output", return_value=Unpublished()), watched_rate_limiter(case) as waits:
        submit_once(case, seconds, factory)
    entries = server.books.entries
    server.stop()
    began_s = entries[0].arrived_s
    arrivals = [
        Arrival(
            at_s=entry.arrived_s - began_s,
            in_flight=entry.in_flight,
            status=entry.status,
            input_tokens=entry.input_tokens,
            output_tokens=entry.output_tokens,
            done_s=entry.arrived_s - began_s,
        )
        for entry in entries
    ]
    return Measured(arrivals, fair=max(waits, default=1.0))


def submit_once(case: Case, seconds: float, provider: ProviderFactory) -> None:
    """Submit more documents than can be done in the time, and stop when it is over."""
    with tempfile.TemporaryDirectory(dir=shared_memory()) as temporary:
        root = Path(temporary)
        write_documents(root / "documents", case, enough(case, seconds))
        (root / "pyproject.toml").touch()
        (root / "pacing.toml").write_text(JOB + limits_section(case))
        with (
            mock.patch("batchrun.planning.planner.count_tokens", lambda text: counted(text, case.bias)),
            open_job(root / "pacing.toml", simulated=False, to_run=True) as opened,
            mock.patch("batchrun.workflow.submit.tolerance_of", return_value=Tolerance(max_run_time_s=seconds)),
        ):
            caller = Caller(provider=provider, listener=lambda _: None)
            asyncio.run(submit(opened, Selection(), caller, show=lambda _: None))


def semaphore(case: Case, seconds: float) -> Measured:
    """Thirty-two at once, and each one retries after what the API says: the SDK's way, with ten retries."""

    async def send(provider: SimulatedProvider, request: Request, rng: random.Random) -> None:
        for attempt in range(11):
            try:
                await provider.send(request)
            except AttemptError as error:
                backoff = min(8.0, 0.5 * 2**attempt) * rng.uniform(0.75, 1)
                await asyncio.sleep(error.failure.retry_after_s or backoff)
            else:
                return

    return by_hand(case, seconds, workers=32, send=send)


def aiolimiter(case: Case, seconds: float) -> Measured:
    """Three limiters a minute as its documentation shows them, charged with the estimate."""
    limits = case.limits
    requests = AsyncLimiter(limits.requests_per_minute, 60)
    inputs, outputs = (
        AsyncLimiter(limits.input_tokens_per_minute, 60),
        AsyncLimiter(limits.output_tokens_per_minute, 60),
    )

    async def send(provider: SimulatedProvider, request: Request, rng: random.Random) -> None:
        tokens = counted(request.body.decode(), case.bias) * factor("new", TextClass.PROSE).mean
        await requests.acquire()
        await inputs.acquire(min(tokens, limits.input_tokens_per_minute))
        await outputs.acquire(min(60 * case.bias, limits.output_tokens_per_minute))
        for attempt in range(6):
            try:
                await provider.send(request)
            except AttemptError as error:
                await asyncio.sleep(error.failure.retry_after_s or 0.5 * 2**attempt * rng.uniform(0.5, 1))
            else:
                return

    return by_hand(case, seconds, workers=64, send=send)


def by_hand(case: Case, seconds: float, *, workers: int, send: Callable[..., object]) -> Measured:
    """A pool of workers over a list of requests."""
    with tempfile.TemporaryDirectory(dir=shared_memory()) as temporary:
        root = Path(temporary)
        write_documents(root / "documents", case, enough(case, seconds))
        (root / "pyproject.toml").touch()
        (root / "pacing.toml").write_text(JOB)
        with open_job(root / "pacing.toml", simulated=False, to_run=False) as opened:
            builder = opened.planner().builder
            requests = [builder.build(document).request for document in opened.source.scan()]  # type: ignore[arg-type]
    provider = provider_of(case, seconds)

    async def scenario() -> None:
        rng, waiting = random.Random(3), iter(requests)

        async def work() -> None:
            for request in waiting:
                await send(provider, request, rng)  # type: ignore[misc]

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(work() for _ in range(workers)))

    run(scenario())
    return Measured(provider.arrivals)


# --- around them


def limits_section(case: Case) -> str:
    """The limits as a job file states them."""
    if not case.stated:
        return ""
    lines = [f"{key} = {getattr(case.limits, key)}" for key in Limits.__slots__]
    return "\n".join(["[limits]", *lines])


@contextlib.contextmanager
def in_virtual_time():
    """Every `asyncio.run` in virtual time, without an output file."""
    with (
        mock.patch.object(asyncio.events, "new_event_loop", VirtualTimeLoop),
        mock.patch.object(ledger_writer.LedgerWriter, "write", answered_by_a_thread(ledger_writer.LedgerWriter.write)),
        mock.patch.object(OpenJob, "output", return_value=Unpublished()),
    ):
        yield


@contextlib.contextmanager
def watched_rate_limiter(case: Case):
    """Note how long each request waited at the gate, over what the limit needs for all that was in front of it."""
    waits: list[float] = []
    in_front = 0.0
    admit = RateLimiter.admit

    async def noted(self: RateLimiter, *, input_tokens: float, output_tokens: float, ahead: bool = False):
        nonlocal in_front
        amount = {"requests": 1.0, "input_tokens": input_tokens, "output_tokens": output_tokens}[case.binding]
        in_front += amount
        clock, ahead = asyncio.get_running_loop().time, in_front
        began = clock()
        try:
            return await admit(self, input_tokens=input_tokens, output_tokens=output_tokens, ahead=ahead)
        finally:
            in_front -= amount
            fair_s = ahead / (case.per_minute / 60 * (1 - case.others))
            if clock() - began > 2.0:
                waits.append((clock() - began) / (fair_s + 1.0 + case.outage_s))

    with mock.patch.object(RateLimiter, "admit", noted):
        yield waits


def shared_memory() -> str | None:
    """A folder in memory, where there is one: what is measured is not the disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


# --- what is said of them


def report(case: Case, name: str, measured: Measured, seconds: float) -> str:
    """One line."""
    arrivals = measured.arrivals
    turned_away = sum(arrival.status == 429 for arrival in arrivals)
    fair = f"{measured.fair:5.2f}" if measured.fair is not None else "     "
    failed = sum(arrival.status not in {200, 429} and arrival.done_s is not None for arrival in arrivals)
    return (
        f"{case.name:44} {name:10} steady {share(case, arrivals, seconds / 2, seconds, seconds):6.1%}"
        f"  whole {share(case, arrivals, 0.0, seconds, seconds):6.1%}"
        f"  429 {turned_away:6,} {turned_away / len(arrivals):6.2%}"
        f"  fair {fair}" + (f"  failed {failed}" if failed else "")
    )


def share(case: Case, arrivals: list[Arrival], begin: float, end: float, seconds: float) -> float:
    """The share of what the server would have granted between two moments."""
    used = 0.0
    for arrival in arrivals:
        if arrival.status != 200:
            continue
        moment = arrival.done_s if case.binding == "output_tokens" else arrival.at_s
        if moment is not None and begin <= moment < end:
            used += 1 if case.binding == "requests" else getattr(arrival, case.binding)
    out = overlap(begin, end, seconds / 4, seconds / 4 + case.outage_s)
    others = case.others * overlap(begin, end, seconds / 2, seconds)
    granted_s = end - begin - out - others + (case.burst_s if begin == 0 else 0.0)
    return used / (case.per_minute / 60 * granted_s)


def overlap(begin: float, end: float, other_begin: float, other_end: float) -> float:
    """Seconds that two stretches share."""
    return max(0.0, min(end, other_end) - max(begin, other_begin))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--alone", action="store_true", help="batchrun only")
    parser.add_argument("--real", action="store_true", help="in real time over HTTP, batchrun only")
    parser.add_argument("--hidden", action="store_true", help="servers that say nothing of their limits")
    given = parser.parse_args()
    clients = {"batchrun": ours, "semaphore": semaphore, "aiolimiter": aiolimiter}
    if given.real:
        clients = {"real time": ours_in_real_time}
    elif given.alone:
        clients = {"batchrun": ours}
    seconds = HIDDEN_S if given.hidden else SECONDS
    for case in hidden_cases() if given.hidden else cases():
        if given.only in case.name:
            for name, client in clients.items():
                print(report(case, name, client(case, seconds), seconds), flush=True)


if __name__ == "__main__":
    main()
