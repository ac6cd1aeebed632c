"""Trials without end, until so many processes have died: which projects, which faults and which kills, by one seed."""

import multiprocessing
import os
import platform
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path

from batchrun import __version__
from batchrun.errors import EnvironmentProblem
from batchrun.job.provider_sections import ANTHROPIC
from batchrun.proof.audit import Breach, Promise
from batchrun.proof.moments import RANDOM
from batchrun.proof.process import Command, prepare
from batchrun.proof.trial import Kill, Trial, Variant, Verdict
from batchrun.simulator.replies.latency import Latency

_STREAM_FAULTS = {
    **dict.fromkeys(("rate_limited", "rate_limited_http_date", "overloaded", "server_error", "bad_gateway"), 0.02),
    **dict.fromkeys(("ramp_limit", "gateway_timeout", "request_timeout", "unavailable"), 0.01),
    **dict.fromkeys(("reset_before", "reset_after"), 0.03),
    **dict.fromkeys(("refused", "truncated", "invalid_json", "schema_violation", "empty"), 0.01),
}
_BATCH_FAULTS = {
    **dict.fromkeys(("batch_overloaded", "batch_rate_limited", "batch_reset_before", "batch_error_after"), 0.05),
    "batch_reset_after": 0.1,
    **dict.fromkeys(("batch_poll_error", "batch_list_error", "batch_results_error"), 0.05),
    "batch_results_cut": 0.15,
    **dict.fromkeys(("batch_request_errored", "batch_request_overloaded", "batch_request_expired"), 0.03),
    "batch_request_invalid_json": 0.02,
}
_OF_MONEY = r"(messages|batches[^:]*|files)$"
_AMID = (
    RANDOM,
    "before a commit of the ledger",
    "after a commit of the ledger",
    f"before a request is sent: .*{_OF_MONEY}",
    f"amid a request: .*{_OF_MONEY}",
    f"after a request is sent: .*{_OF_MONEY}",
    f"after an answer began: .*{_OF_MONEY}",
)
_IN_BATCHES = "after a spool is written"
_AT_THE_END = ("before a commit of the output", "after a commit of the output", "before a (file|removal)")
_LONGEST_S = 0.4
"""A submit of so few documents takes about as long."""
_LONGEST_FOLDER = 70
"""The most bytes of the path of the temporary folder: with what `multiprocessing` adds, a socket's path has 104."""


def variant(number: int, rng: random.Random, provider: str = ANTHROPIC) -> Variant:
    """Draw a project: every second one is sent in batches, and every fourth has a budget that may not be enough.

    All projects of another provider than the API of Anthropic are sent in batches.
    """
    streams, documents = number % 2 == 0 and provider == ANTHROPIC, rng.randint(8, 24)
    cap_usd = documents * rng.choice([0.0001, 0.0003])  # an answer costs half of that or less, and at worst twice
    return Variant(
        route="stream" if streams else "batch",
        provider=provider,
        documents=documents,
        job={"budget": f"max_cost_usd = {cap_usd:.4f}\npartial = true"} if number % 4 > 1 else {},
        environment={} if streams or rng.random() < 0.7 else {"BATCHRUN_SUBMIT_NO_WAIT": "1"},
        faults=_STREAM_FAULTS | _BATCH_FAULTS if rng.random() < 0.8 else {},
        seed=rng.randrange(2**32),
        life_s=rng.choice([0.001, 0.05, 0.2]),
        latency=Latency(rng.choice([0.002, 0.01, 0.04]), 1_000),
    )


def kills(route: str, rng: random.Random) -> list[Kill]:
    """Draw how one process after the other dies: first those that leave work, then some that leave rows at most."""
    amid = _AMID if route == "stream" else (*_AMID, _IN_BATCHES)
    drawn = [*rng.choices(amid, k=rng.randint(4, 14)), *rng.choices(_AT_THE_END, k=4)]
    return [
        Kill(after_s=rng.uniform(0, _LONGEST_S)) if only == RANDOM else Kill(int(7 ** rng.random()), only)
        for only in drawn
    ]


def run_trial(command: Command, provider: str, seed: int, number: int, root: Path) -> tuple[str, Verdict]:
    """Run the trial of a number; return its route too."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - a seed should give the same again
    drawn = variant(number, rng, provider)
    with Trial(drawn, command, root / str(number)) as trial:
        return drawn.route, trial.carry_out(kills(drawn.route, rng))


@dataclass(kw_only=True)
class Record:
    """What a proof found, with what is needed to repeat it."""

    seed: int
    provider: str = ANTHROPIC
    version: str = __version__
    python: str = platform.python_version()
    platform: str = platform.platform()
    cores: int = os.cpu_count() or 1
    trials: int = 0
    submits: int = 0
    deaths: int = 0
    deaths_at: dict[str, Counter[str]] = field(default_factory=lambda: {"stream": Counter(), "batch": Counter()})
    """The deaths, by route and kind of moment."""
    documents: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """What went wrong at the API by intention."""
    in_flight: int = 0
    """Streamed requests that were under way at a death."""
    decisions: int = 0
    """How often a person had to say what became of a batch: no list proved that the batch was never created."""
    repeats: int = 0
    """Answers that were sent a second time, each because the first was in flight at a death."""
    broken: Counter[Promise] = field(default_factory=lambda: Counter(dict.fromkeys(Promise, 0)))
    exact: int = 0
    """Trials whose bill is the ledger's to the last nano-dollar, for nothing was lost on the way."""
    breaches: dict[int, list[Breach]] = field(default_factory=dict)
    """The broken promises, by the number of the trial."""
    seconds: float = 0.0

    def add(self, number: int, route: str, verdict: Verdict) -> None:
        """Add what came of a trial."""
        audit = verdict.audit
        self.trials += 1
        self.submits += verdict.submits
        self.decisions += verdict.decisions
        self.deaths += verdict.deaths.total()
        self.deaths_at[route] += verdict.deaths
        self.documents += audit.statuses.total()
        self.faults += audit.faults
        self.in_flight += len(audit.in_flight)
        self.repeats += audit.repeats
        self.exact += not audit.unknown
        if audit.breaches:
            self.breaches[number] = audit.breaches
            self.broken.update({breach.promise for breach in audit.breaches})


@contextmanager
def lanes(count: int, preload: Sequence[str]) -> Iterator[ProcessPoolExecutor]:
    """Processes that run trials, forked from one that has imported the modules and has no threads.

    Raises EnvironmentProblem if the temporary folder cannot have the socket by which the processes are asked for.
    """
    if (length := len(os.fsencode(tempfile.gettempdir()))) > _LONGEST_FOLDER:
        raise EnvironmentProblem(
            f"the path of the temporary folder has {length} bytes, and no socket fits in.",
            hint=f"set TMPDIR to a folder whose path has at most {_LONGEST_FOLDER} bytes, such as /tmp",
        )
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    with ProcessPoolExecutor(count, mp_context=context, initializer=prepare) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def prove(
    command: Command,
    *,
    preload: Sequence[str],
    seed: int,
    provider: str = ANTHROPIC,
    least_deaths: int,
    only: int | None,
    at_once: int | None,
    progress: Callable[[Record, int], None],
) -> Record:
    """Run trials until so many processes have died, or only the trial of one number.

    `progress` is told the record and the number of each trial that has ended.
    """
    record, began = Record(seed=seed, provider=provider), time.monotonic()
    numbers = iter([only]) if only else count(1)
    size = 1 if only else at_once or 4 * record.cores  # a lane waits for disks and answers most of the time
    with tempfile.TemporaryDirectory(prefix="batchrun-prove-") as folder, lanes(size, preload) as pool:

        def begin(some: int) -> dict[Future[tuple[str, Verdict]], int]:
            trial = partial(run_trial, command, provider, seed)
            return {pool.submit(trial, one, Path(folder)): one for one in islice(numbers, some)}

        running = begin(size)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                record.add(number := running.pop(future), *future.result())
                record.seconds = time.monotonic() - began
                progress(record, number)
                if record.deaths < least_deaths:
                    running |= begin(1)
    return record
