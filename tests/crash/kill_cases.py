"""A batch run that is killed at chosen moments and started again until it is settled, many at the same time."""

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from batchrun import cli
from batchrun.cli.commands.prove import LANES_IMPORT
from batchrun.proof.audit import Promise
from batchrun.proof.campaign import lanes
from batchrun.proof.trial import Kill, Trial, Variant, Verdict


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way a batch run goes, and where it is killed."""

    name: str
    variant: Variant = field(default_factory=Variant)
    only: str = ""
    """A pattern of the moments to die at."""
    kills: int = 1
    """How many processes are killed in a row."""
    every: int = 9
    """The moments that are tried by default."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Outcomes besides succeeded, when all is settled."""


class Squad:
    """Kills in many places at the same time."""

    def __init__(self, pool: Executor, root: Path) -> None:
        self._pool, self._root = pool, root
        self._names = count(1)

    def moments(self, case: Case) -> list[str]:
        """The moments of an unharmed run, by name; 0 is a moment that no process comes to."""
        (verdict,) = self.kill(case, [[0]])
        assert not verdict.audit.breaches, verdict.audit.breaches
        return verdict.moments

    def kill(self, case: Case, places: Sequence[Sequence[int]]) -> list[Verdict]:
        """The verdicts of trials: the moments at which one process after the other is killed."""
        roots = (self._root / str(number) for number in self._names)
        return list(self._pool.map(kill, [case] * len(places), places, roots))


def kill(case: Case, moments: Sequence[int], root: Path) -> Verdict:
    """Carry out one trial."""
    verdict = carried_out(case, moments, root)
    if verdict.deaths or verdict.audit.breaches or moments == [0]:
        return verdict
    # A busy machine asks the API less often than in the unharmed run, and then late moments never come.
    return carried_out(case, [max(1, moment // 2) for moment in moments], root)


def carried_out(case: Case, moments: Sequence[int], root: Path) -> Verdict:
    with Trial(case.variant, cli.run, root) as trial:
        verdict = trial.carry_out([Kill(moment, case.only) for moment in moments])
    audit, wanted = verdict.audit, case.variant.documents - sum(case.failures.values())
    if not audit.breaches:
        # What a person gave up without proof stays held at its worst case, which may leave too little for the rest.
        is_held = verdict.decisions > 0
        is_scarce = is_held and "budget" in case.variant.job
        is_settled = audit.statuses == {"succeeded": wanted, **case.failures}
        audit.expect(Promise.LOST, is_settled or is_scarce, f"{audit.statuses}")
        audit.expect(Promise.BOOKS, is_held or not audit.unknown, f"{audit.unknown} attempts are open or unknown")
    return verdict


def create_somewhere_else(base_url: str) -> None:
    """Another program with the same key creates a batch of the size that ours have."""
    params = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}
    body = {"requests": [{"custom_id": f"theirs-{number}", "params": params} for number in range(3)]}
    bearer = {"authorization": "Bearer simulated", "anthropic-version": "2023-06-01"}
    headers = {**bearer, "content-type": "application/json"}
    address = f"{base_url}/v1/messages/batches"
    urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers)).close()


@contextmanager
def squad(root: Path, *, size: int) -> Iterator[Squad]:
    """A squad, for as long as the block lasts."""
    with lanes(size, LANES_IMPORT) as pool:
        yield Squad(pool, root)
