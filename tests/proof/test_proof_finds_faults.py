"""A program that breaks a promise is found out, without a kill; one that keeps them all is not accused."""

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import faulty_programs
import pytest

from batchrun.cli import run
from batchrun.cli.commands.prove import LANES_IMPORT
from batchrun.proof.audit import Promise
from batchrun.proof.campaign import lanes
from batchrun.proof.process import Command
from batchrun.proof.trial import Kill, Trial, Variant, Verdict

pytestmark = pytest.mark.slow

STREAM = Variant(route="stream", documents=8)
SCARCE = Variant(route="stream", documents=20, job={"budget": "max_cost_usd = 0.003\npartial = true"})
LOST_CREATE = Variant(script=("batch_reset_after",))
LOST_ELSEWHERE = Variant(script=("batch_reset_after",), provider="openai")


@pytest.fixture
def pool() -> Iterator[Executor]:
    """A process of the test's own, since a faulty program changes the process that it runs in."""
    with lanes(1, LANES_IMPORT) as pool:
        yield pool


def carried_out(command: Command, variant: Variant, kills: list[Kill], root: Path) -> Verdict:
    with Trial(variant, command, root) as trial:
        return trial.carry_out(kills)


@pytest.mark.parametrize(
    ("command", "variant", "promise"),
    [
        (faulty_programs.does_not_look_for_lost_batches, LOST_CREATE, Promise.BATCH_TWICE),
        (faulty_programs.does_not_look_for_lost_batches, LOST_CREATE, Promise.BOOKS),
        (faulty_programs.does_not_look_for_lost_batches, LOST_ELSEWHERE, Promise.BATCH_TWICE),
        (faulty_programs.forgets_answers, STREAM, Promise.REPEATED),
        (faulty_programs.leaves_out_a_row, STREAM, Promise.LOST),
        (faulty_programs.asks_no_cap, SCARCE, Promise.CAP),
        (faulty_programs.has_a_bug, STREAM, Promise.ENDING),
    ],
)
def test_a_broken_promise(pool: Executor, tmp_path: Path, command: Command, variant: Variant, promise: Promise) -> None:
    verdict = pool.submit(carried_out, command, variant, [], tmp_path / "trial").result()
    assert promise in {breach.promise for breach in verdict.audit.breaches}


@pytest.mark.parametrize("variant", [STREAM, SCARCE, LOST_CREATE, LOST_ELSEWHERE])
def test_promises_that_are_kept(pool: Executor, tmp_path: Path, variant: Variant) -> None:
    verdict = pool.submit(carried_out, run, variant, [], tmp_path / "trial").result()
    assert not verdict.audit.breaches
    assert not verdict.deaths


def test_a_process_dies_at_the_chosen_moment(pool: Executor, tmp_path: Path) -> None:
    moments = ["after a commit of the ledger", "after a request is sent", "before a commit of the output"]
    kills = [Kill(2, f"{moment}:") for moment in moments] + [Kill(after_s=0.0)]
    verdict = pool.submit(carried_out, run, STREAM, kills, tmp_path / "trial").result()
    assert verdict.deaths == {**dict.fromkeys(moments, 1), "at a random time": 1}
    assert verdict.submits == 5
    assert not verdict.audit.breaches
    assert verdict.audit.repeats <= len(verdict.audit.in_flight)
    assert not (tmp_path / "trial").exists()
