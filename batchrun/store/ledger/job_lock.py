"""One process a job at a time, by a lock file: the operating system releases the lock when the process dies."""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from batchrun.errors import Busy, EnvironmentProblem
from batchrun.file_system import command_of, make_folder


@contextlib.contextmanager
def job_lock(ledger: Path, job: str) -> Iterator[None]:
    """Lock the job of a ledger. Raises Busy, which says who has the lock."""
    path = lock_file(ledger, job)
    try:
        make_folder(path.parent)
        file = path.open("ab+", buffering=0)
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be written: {error.strerror}.", hint="check the folder's permissions and the disk"
        ) from error
    with file:
        if not taken(file):
            raise Busy(
                f"the job {job} is being run by {holder(path)}.", hint="wait for it, or look at it: batchrun status"
            )
        with contextlib.suppress(OSError):  # the text only informs others, and a full disk is reported by the ledger
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}).encode())
        yield


def taken(file: IO[bytes]) -> bool:
    """Take the lock. Tries for a moment, because `is_locked` takes the lock for an instant too."""
    for _ in range(10):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.03)
        else:
            return True
    return False


def lock_file(ledger: Path, job: str) -> Path:
    """Name the lock file of a job. A simulated run has a ledger of its own, so that the real job need not wait."""
    return ledger.with_name(f"{ledger.stem}.{job}.lock")


def is_locked(ledger: Path, job: str) -> bool:
    """Whether a living process has the lock of the job."""
    try:
        with lock_file(ledger, job).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(path: Path) -> str:
    """Say who wrote the lock file."""
    try:
        owner = json.loads(path.read_text("utf-8"))
        since = datetime.fromtimestamp(owner["since"], UTC)
        here = owner["host"] == socket.gethostname()
        command = command_of(int(owner["pid"])) if here else None
        named = f"process {owner['pid']}" + (f" ({command})" if command else "")
        return f"{named} on {owner['host']}, since {since:%Y-%m-%d %H:%M} UTC"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
