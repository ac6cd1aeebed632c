"""However `batchrun prove` ends, nothing that it started goes on."""

import os
import signal
import time
from pathlib import Path

import pytest
from command_line import process

pytestmark = pytest.mark.slow

PATIENCE_S = 240


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    proof = process(
        "prove --kills 1000000 --seed 1 --at-once 2", cwd=tmp_path, environment=environment, start_new_session=True
    )
    wait_until(lambda: list(tmp_path.glob("batchrun-prove-*/*/err")), "a submit has begun")
    os.kill(proof.pid, number)
    _, err = proof.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    wait_until(lambda: not is_alive(proof.pid), "every process has ended")


def wait_until(come: object, words: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not come():  # type: ignore[operator]
        assert time.monotonic() < deadline, words
        time.sleep(0.05)


def is_alive(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
