"""What runs on a worker of a cluster: the comparison of the node with the machine that asks, and then the call."""

import hashlib
import os
import pickle
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import batchrun
from batchrun.documents import NeedsChild
from batchrun.documents.formats import all_readers
from batchrun.workers.children import Children
from batchrun.workers.greeting import PYTHON, Greeting, refusal
from batchrun.workers.pool import WorkerRefused
from batchrun.workers.workers import refuse

LIBRARIES = ("tiktoken", "duckdb", "lxml", "charset-normalizer")
"""The packages on which the bytes of requests depend, beside those in the names of readers."""
CHILD = Children(1)
"""The process that reads what may end a process. It lives as long as this worker."""


def carry_out(greeting: Greeting, packed: bytes) -> bytes:
    """Make a call, given as pickled `(fn, args, given_up)`, if this node may; return what `pool.result_of` reads.

    A document that may end the process is read in a child with limits, as on one machine.
    """
    try:
        _compare(greeting)
        fn, args, given_up = pickle.loads(packed)  # noqa: S301 (the head made it)
        weigher = getattr(fn, "__self__", None)
        if weigher and greeting[2] and weigher.fingerprint != greeting[2]:
            _refuse("fingerprint of the job", greeting[2], weigher.fingerprint)
        return pickle.dumps(("result", _called(fn, args, given_up)))
    except Exception as error:  # noqa: BLE001 (the head raises it)
        return pickle.dumps(("error", error))


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """Name what decides the bytes of requests, in its versions here."""
    code = hashlib.sha256()
    for path in sorted(Path(batchrun.__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    named = [
        ("Python", PYTHON),
        ("batchrun", batchrun.__version__),
        ("installation of batchrun", code.hexdigest()[:16]),
    ]
    return *named, ("set of readers", all_readers()), *((name, version(name)) for name in LIBRARIES)


def _refuse(name: str, there: str, here: str) -> NoReturn:
    message, hint = refusal(name, there, here)
    raise WorkerRefused(message, hint=hint)


@cache
def _compare(greeting: Greeting) -> None:
    """Raise WorkerRefused if this node differs, or does not see the documents. Nothing is compared twice."""
    asked, canary, _ = greeting
    for (name, there), (_, here) in zip(asked, versions(), strict=True):
        if there != here:
            _refuse(name, there, here)
    if canary and (problem := _difference(*canary)):
        raise WorkerRefused(
            f"the node {platform.node()} does not see the documents: {canary[0]}: {problem}.",
            hint="mount the folder of the documents there at the same path, or say --workers auto",
        )


def _difference(path: str, size: int, mtime_ns: int) -> str | None:
    """Return how a file differs here. Returns None for the same file."""
    try:
        status = os.stat(path)  # noqa: PTH116 (the path is a text)
    except OSError as error:
        return error.strerror
    return None if (status.st_size, status.st_mtime_ns) == (size, mtime_ns) else "another file is there"


def _called(fn: Any, args: tuple[Any, ...], given_up: Any) -> Any:
    if not CHILD.started:
        try:
            return fn(*args, refuse)
        except NeedsChild:
            pass
    return CHILD.submit(fn, *args, given_up=given_up).result()
