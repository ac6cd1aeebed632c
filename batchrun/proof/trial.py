"""One project whose submits are killed again and again until it is settled, and the simulator that it talks to."""

import contextlib
import io
import math
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from batchrun.errors import ExitCode
from batchrun.job.provider_sections import ANTHROPIC
from batchrun.proof.audit import Audit, Books, Promise, audit_death, audit_end, unknown_batches
from batchrun.proof.moments import CAP_PASSED, RANDOM, Moments
from batchrun.proof.process import Answering, Command, fork
from batchrun.simulator.batches.life import ServiceTerms
from batchrun.simulator.faults.profiles import Profile
from batchrun.simulator.http.server import SimulatorServer
from batchrun.simulator.replies.latency import INSTANT, Latency
from batchrun.simulator.simulator import Simulator
from batchrun.simulator.usage.rate_limits import Limits

_SPEED = 1000.0  # of the simulator's clock
_UNLIMITED = Limits(10_000_000, 10_000_000_000, 10_000_000_000)
_SETTLED = (ExitCode.OK, ExitCode.SOME_FAILED)
_ENDS = (*_SETTLED, ExitCode.STOPPED)
"""The exit codes after which nothing is left to do, or no money."""
_GOES_ON = (ExitCode.UNFINISHED, ExitCode.AMBIGUOUS)
_MOST_SUBMITS = 200
_SECTIONS = {
    "job": 'name = "trial"',
    "source": 'type = "files"\ninclude = ["docs/*.txt"]',
    "model": 'name = "claude-haiku-4-5"\nmax_tokens = 100',
    "prompt": 'user = "{{ doc.text }}"',
    "output": "max_repairs = 0",  # so that every request has one body, by whose digest the books know the request
    "output.fields": 'title = "string"',
    "run": "max_concurrency = 4",
    "limits": "requests_per_minute = 600_000\ninput_tokens_per_minute = 900_000_000\n"
    "output_tokens_per_minute = 900_000_000",
    "batch": "max_requests = 3",
    "budget": "max_cost_usd = 1.0",
    "retry": 'max_attempts = 6\ninitial_delay = "0.001s"\nmax_delay = "0.002s"',
    "store": 'database = "results/out.duckdb"',
}
_BRISK = 'poll_interval = "0.05s"\nmax_poll_interval = "0.05s"\nreconcile_wait = "0.3s"\n'
_COMPILED = set[Command]()
"""The command, once this process has the compiled patterns and schemas of a job."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way a run goes when nobody kills it."""

    route: str = "batch"
    provider: str = ANTHROPIC
    """The type of the provider; one in whose form requests are not named is asked in batches only."""
    documents: int = 7
    job: Mapping[str, str] = field(default_factory=dict)
    """Sections of the job file that are not the usual ones."""
    environment: Mapping[str, str] = field(default_factory=dict)
    script: Sequence[str] = ()
    faults: Mapping[str, float] = field(default_factory=dict)
    """What goes wrong at the API: in order, and then how often."""
    seed: int = 0
    """The seed of the faults."""
    life_s: float = 0.001
    """How long a batch takes."""
    latency: Latency = INSTANT
    then: Callable[[str], object] | None = None
    """What else happens to the API, at its base URL, after each death."""


@dataclass(frozen=True, slots=True)
class Kill:
    """How one process dies: at a moment that it comes to, or else after a time."""

    moment: int = 0
    only: str = ""
    """A pattern of the moments that count."""
    after_s: float = math.inf


@dataclass(kw_only=True)
class Verdict:
    """What came of one trial."""

    deaths: Counter[str] = field(default_factory=Counter)
    """The deaths, by the kind of moment."""
    submits: int = 0
    decisions: int = 0
    """How often a person had to say what became of a batch."""
    audit: Audit = field(default_factory=Audit)
    """That of the end, or that of the death at which something was wrong."""
    moments: list[str] = field(default_factory=list)
    """Those of the last process."""


class Trial:
    """A project, a simulator of its own, and processes."""

    def __init__(self, variant: Variant, command: Command, root: Path) -> None:
        self._variant, self._command, self._root = variant, command, root
        self._api = Answering(partial(_serve, variant))
        self.verdict = Verdict()

    def __enter__(self) -> Self:
        (self._root / "docs").mkdir(parents=True)
        (self._root / "batchrun.toml").touch()  # here the project ends, whatever is above
        for number in range(self._variant.documents):
            (self._root / "docs" / f"{number:04}.txt").write_text(f"text {number}")
        sections = _SECTIONS | dict(self._variant.job)
        sections["provider"] = f'type = "{self._variant.provider}"'
        sections["run"] += f'\nroute = "{self._variant.route}"'
        sections["batch"] = _BRISK + sections["batch"]
        body = "\n".join(f"[{name}]\n{text}\n" for name, text in sections.items())
        (self._root / "trial.toml").write_text(f"version = 1\n{body}")
        if self._command not in _COMPILED:  # what every process would compile, it inherits
            _COMPILED.add(self._command)
            with contextlib.redirect_stdout(io.StringIO()):
                self._command(["plan", str(self._root / "trial.toml")])
        self._api.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._api.__exit__()
        shutil.rmtree(self._root)

    def carry_out(self, kills: Sequence[Kill]) -> Verdict:
        """Kill one submit after the other, submit until nothing is left to do, and look at what came of it."""
        verdict, code = self.verdict, 0
        for kill in [*kills, *[Kill()] * _MOST_SUBMITS]:
            code = self._submit(kill)
            if verdict.audit.breaches:
                return verdict
            if code in _ENDS:
                in_flight, complete = verdict.audit.in_flight, code in _SETTLED
                verdict.audit = audit_end(self._root, self._api.ask(), in_flight=in_flight, complete=complete)
                return verdict
            if code == ExitCode.AMBIGUOUS:
                self._decide()
            elif code == ExitCode.UNFINISHED:
                time.sleep(0.02)
        verdict.audit.expect(Promise.ENDING, None, f"it never ends: {self._said()}")
        return verdict

    def _decide(self) -> None:
        """Adopt the batch in doubt as a person does who looks at the API, or give the batch up if there is none."""
        self.verdict.decisions += 1
        ours = unknown_batches(self._root, self._api.ask())
        os.waitpid(
            self._start(["batches", "trial", *(["--adopt", ours[0]] if ours else ["--resend", "--pay-again"])]), 0
        )

    def _submit(self, kill: Kill) -> int:
        """Run `batchrun submit` in a process of its own; return its exit code."""
        verdict = self.verdict
        verdict.submits += 1
        moments = self._root / "moments"
        moments.unlink(missing_ok=True)
        pid = self._start(
            ["submit", "trial.toml"], watch=lambda: Moments(moments, kill_at=kill.moment, only=kill.only).watch()
        )
        if kill.after_s < math.inf:
            time.sleep(kill.after_s)
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        verdict.moments = moments.read_text().splitlines() if moments.exists() else []
        if code == -signal.SIGKILL:
            self._died(RANDOM if kill.after_s < math.inf else verdict.moments[-1].partition(":")[0])
        elif code not in (*_ENDS, *_GOES_ON):
            promise = Promise.CAP if CAP_PASSED in self._said() else Promise.ENDING
            verdict.audit.expect(promise, None, f"exit code {code}: {self._said()}")
        return code

    def _start(self, args: Sequence[str], *, watch: Callable[[], None] = lambda: None) -> int:
        """Start a command in a process of its own; return the number of the process."""
        return fork(
            self._command,
            args,
            folder=self._root,
            environment={
                "HOME": str(self._root),
                "ANTHROPIC_BASE_URL": self._api.ask().base_url,
                "ANTHROPIC_API_KEY": "simulated",
                "OPENAI_BASE_URL": self._api.ask().base_url + "/v1",
                "OPENAI_API_KEY": "simulated",
                **self._variant.environment,
            },
            out=self._root / "out",
            err=self._root / "err",
            watch=watch,
        )

    def _died(self, moment: str) -> None:
        verdict, books = self.verdict, self._api.ask()
        verdict.deaths[moment] += 1
        found = audit_death(self._root, books)
        found.in_flight |= verdict.audit.in_flight
        verdict.audit = found
        if self._variant.then:
            self._variant.then(books.base_url)

    def _said(self) -> str:
        return (self._root / "err").read_text("utf-8", "replace")


def _serve(variant: Variant) -> Callable[[], Books]:
    """Start a simulator in this process; return what reads its books."""
    server = SimulatorServer(
        Simulator(
            Profile(variant.faults),
            seed=variant.seed,
            speed=_SPEED,
            limits=_UNLIMITED,
            latency=variant.latency,
            script=variant.script,
            terms=ServiceTerms(median_s=variant.life_s * _SPEED, per_request_s=0.0, spread=0.0),
        )
    )
    base_url = server.start_in_thread()
    return lambda: Books.of(server, base_url, variant.provider)
