"""Batches at Bedrock and at Vertex AI never pay twice: the process is killed around every write and every call.

BATCHRUN_KILLS=all tries every moment of every case; by default it is some of them.
"""

import os
import random
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import pytest
from cloud_trials import CloudCase, carried_out

from batchrun.cli.commands.prove import LANES_IMPORT
from batchrun.proof.campaign import lanes

pytestmark = pytest.mark.slow

ALL = os.environ.get("BATCHRUN_KILLS") == "all"
CASES = [
    case
    for provider in ("bedrock", "vertex")
    for case in (
        CloudCase(provider=provider, name="plain"),
        CloudCase(provider=provider, name="answers are lost", faults=("ok", "lost", "lost", "500"), every=90),
        CloudCase(provider=provider, name="calls never arrive", faults=("ok", "never", "never", "429")),
        CloudCase(provider=provider, name="downloads break", cuts=(100, 700, 300)),
        CloudCase(provider=provider, name="jobs take their time", takes_s=0.1),
        CloudCase(provider=provider, name="killed three times", faults=("lost",), kills=3),
    )
    if case.every or ALL
]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with lanes(2, LANES_IMPORT) as some:
        yield some


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider}: {case.name}")
def test_nothing_is_lost_or_billed_twice(pool: Executor, tmp_path: Path, case: CloudCase) -> None:
    unharmed = pool.submit(carried_out, case, [0], tmp_path / "0").result()
    assert not unharmed.audit.breaches, unharmed.audit.breaches
    names = unharmed.moments
    assert len(names) > 20, names
    rng = random.Random(case.name)
    every = range(1, len(names) + 1, 1 if ALL else case.every)
    places = [[place, *(rng.randint(1, len(names)) for _ in range(case.kills - 1))] for place in every]
    roots = [tmp_path / str(number) for number in range(1, len(places) + 1)]
    verdicts = list(pool.map(carried_out, [case] * len(places), places, roots))
    broken = [
        (place, names[place[0] - 1], verdict.audit.breaches)
        for place, verdict in zip(places, verdicts, strict=True)
        if verdict.audit.breaches
    ]
    deaths, decisions = (sum(count) for count in zip(*((v.deaths.total(), v.decisions) for v in verdicts), strict=True))
    print(f"\n{case.provider}: {case.name}: {len(names)} moments, {deaths} deaths, {decisions} decisions")
    assert not broken, f"{len(broken)} of {len(places)}: {broken}"
    assert deaths >= 0.7 * len(places), "moments that never came"
