"""However `batchrun prove` ends, nothing that it started goes on."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import process

pytestmark = pytest.mark.slow

PATIENCE_S = 240


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_goes_on(folder: Path, number: signal.Signals) -> None:
    environment = {"TMPDIR": str(folder)}
    proof = process(
        "prove --kills 1000000 --seed 1 --at-once 2", cwd=folder, environment=environment, start_new_session=True
    )
    wait_until(lambda: proof.poll() or list(folder.glob("batchrun-prove-*/*/err")), "a submit has begun")
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
