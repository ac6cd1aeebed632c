"""What tests have nodes of a cluster do, and what they look for among processes."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from batchrun.documents import Guard

PATIENCE_S = 120
Value = TypeVar("Value")


def nap(told: str, seconds: float, guard: Guard) -> None:
    """Write down which process sleeps."""
    path = Path(told)
    path.with_suffix(".tmp").write_text(str(os.getpid()))
    path.with_suffix(".tmp").rename(path)
    time.sleep(seconds)


def variables(guard: Guard) -> dict[str, str]:
    return dict(os.environ)


def descendants(pid: int) -> dict[int, str]:
    """The processes that descend from one, with their command lines."""
    found, parents = dict[int, str](), [pid]
    while parents:
        for children in Path(f"/proc/{parents.pop()}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                parents.append(child)
    return found


def drivers() -> list[int]:
    """The processes that speak to clusters for this one, which may have other clusters for its tests beside."""
    return [pid for pid, command in descendants(os.getpid()).items() if "cluster_pool import drive" in command]


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(come: Callable[[], Value]) -> Value:
    """Return what has come, when it has."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := come()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value
