"""A pool on a cluster. The cluster's own library runs in a child process, the driver, and never in this process.

Ray ends the process that uses it a minute after the cluster's head node is lost, whatever that process has in flight;
Ray and Dask print to its standard output, and Ray takes over its signals. The driver has a session of its own, so that
Ctrl-C reaches no process of a local cluster, and ends a local cluster when the connection to this process closes.
"""

import contextlib
import importlib
import itertools
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import IO, Any

from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control
from batchrun.masking import without_keys
from batchrun.workers.greeting import Greeting
from batchrun.workers.limits import KILL
from batchrun.workers.pool import Pool, WorkerDied, result_of

START = "from batchrun.workers.cluster_pool import drive; drive({descriptor}, {name!r})"
START_S = 120.0
"""How long a cluster may take to start, or to be reached. A busy machine takes 20 seconds to start Ray."""
CLOSING_S = 20.0
COUNTED_S = 5.0
"""How often the driver looks how many calls the cluster runs at once."""
ADDRESSES = {"ray": "RAY_ADDRESS", "dask": "DASK_SCHEDULER_ADDRESS"}
LONGEST = 500
"""The characters of what a cluster's library says of a failure."""
SETTINGS = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Else Ray would build an environment anew on every node because this command was begun by `uv run`."""


class ClusterPool(Pool):
    """Runs calls on a cluster of `ray` or `dask`, which is started or connected with the first call."""

    def __init__(self, name: str, greet: Callable[[], Greeting]) -> None:
        self.name = name
        self._greet = greet
        self._number = 0
        self._calls: dict[int, Future[Any]] = {}
        self._call_nos = itertools.count(1)
        self._driver: tuple[subprocess.Popen[bytes], Connection, threading.Thread] | None = None
        self._lost: EnvironmentProblem | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def number(self) -> int:
        """How many calls run at once; 1 until the cluster has answered."""
        return max(1, self._number)

    @property
    def started(self) -> bool:
        """Whether a call was made."""
        return self._driver is not None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Run `fn(*args, guard)` on a node. The result raises EnvironmentProblem, too, if the cluster is lost."""
        future, call_no = Future[Any](), next(self._call_nos)
        call = call_no, self._greet(), pickle.dumps((fn, args, named.get("given_up", {})))
        with self._lock:
            if self._closed:
                raise RuntimeError("the connection to the cluster has been closed")
            if self._lost:
                future.set_exception(self._lost)
                return future
            self._driver = self._driver or self._start()
            self._calls[call_no] = future
            with contextlib.suppress(OSError):  # `_listen` says why
                self._driver[1].send(call)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Leave the cluster, and end the cluster if it was started here. What is still to be called is canceled."""
        self._closed = True
        if self._driver is None:
            return
        process, connection, listener = self._driver
        if not self._number:
            process.kill()  # it waits for the cluster, and not for this process
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)
        if wait:
            listener.join()

    def _start(self) -> tuple["subprocess.Popen[bytes]", Connection, threading.Thread]:
        ours, theirs = socket.socketpair()
        said = tempfile.TemporaryFile()  # noqa: SIM115 (`_listen` closes the file)
        with ours, theirs:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", START.format(descriptor=theirs.fileno(), name=self.name)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=without_keys() | SETTINGS | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
                cwd="/",  # Ray lets workers import from the folder of the driver
                start_new_session=True,
            )
            connection = Connection(ours.detach())
        listener = threading.Thread(target=self._listen, args=(process, connection, said), daemon=True)
        listener.start()
        return process, connection, listener

    def _listen(self, process: "subprocess.Popen[bytes]", connection: Connection, said: IO[bytes]) -> None:
        """Settle calls until the driver ends, and then those that are left."""
        lost: EnvironmentProblem | None = None
        with connection, contextlib.suppress(EOFError, OSError):
            if not connection.poll(START_S):
                lost = problem(self.name, f"did not answer within {START_S:g} seconds")
                process.kill()
            while True:
                call_no, self._number, answer = connection.recv()
                if call_no:
                    settle(self._calls.pop(call_no), partial(result_of, answer))
                else:
                    lost = answer
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(CLOSING_S)
        if process.returncode != 0:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, KILL)  # what the driver could not end any more
            process.wait()
        with self._lock, said:
            self._lost = lost or problem(self.name, f"is lost: {_last_line(said)}")
        for call in self._calls.values():
            if not (self._closed and call.cancel()):
                settle(call, partial(_raise, self._lost))


def problem(name: str, text: str) -> EnvironmentProblem:
    """Say what happened to a cluster."""
    return EnvironmentProblem(
        f"the cluster of {name} {escape_control(' '.join(text.split()))[:LONGEST].rstrip('.')}.",
        hint=f"see whether the cluster runs and {ADDRESSES[name]} names it, or read on this machine: --workers auto",
    )


def _last_line(said: IO[bytes]) -> str:
    end = said.seek(0, os.SEEK_END)
    said.seek(max(0, end - LONGEST))
    lines = said.read().decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "the process that speaks to the cluster ended")


def settle(call: Future[Any], outcome: Callable[[], Any]) -> None:
    """Give a call what `outcome` returns or raises, unless nobody waits for the call any more."""
    if call.set_running_or_notify_cancel():
        try:
            call.set_result(outcome())
        except Exception as error:  # noqa: BLE001 (it belongs to whoever waits for the result)
            call.set_exception(error)


def _raise(error: Exception) -> None:
    raise error


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connection to a cluster, in the driver. The cluster tries nothing again."""

    number: Callable[[], int]
    """Returns how many calls run at once."""
    call: Callable[[Greeting, bytes], "Future[bytes]"]
    """Has `greeting.receive` called on a node."""
    end: Callable[[], None]
    """Leaves the cluster, and ends the cluster if it was started here."""
    died: tuple[type[BaseException], ...]
    """The failures of a call that say that its worker died."""


def drive(descriptor: int, name: str) -> None:
    """Connect to a cluster and make calls there, until the other end is closed."""
    with Connection(descriptor) as connection, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            cluster: Cluster = importlib.import_module(f"batchrun.workers.{name}_pool").connect()
        except Exception as error:  # noqa: BLE001 (the other process raises it)
            connection.send((0, 0, problem(name, f"cannot be used: {str(error) or type(error).__name__}")))
            return
        try:
            Driver(name, connection, cluster).run()
        finally:
            cluster.end()


class Driver:
    """Makes calls on a cluster for another process."""

    def __init__(self, name: str, connection: Connection, cluster: Cluster) -> None:
        self._name, self._connection, self._cluster = name, connection, cluster
        self._number = cluster.number()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Make calls until the other end is closed. Raises EOFError and OSError."""
        threading.Thread(target=self._count, daemon=True).start()
        while True:
            call_no, greeting, packed = self._connection.recv()
            self._cluster.call(greeting, packed).add_done_callback(partial(self._answer, call_no))

    def _count(self) -> None:
        with contextlib.suppress(Exception):  # calls say what happened to the cluster
            while True:
                self._send(0, None)
                time.sleep(COUNTED_S)
                self._number = self._cluster.number()

    def _answer(self, call_no: int, call: "Future[bytes]") -> None:
        try:
            answer = call.result()
        except self._cluster.died:
            answer = pickle.dumps(("error", WorkerDied(None)))
        except Exception as error:  # noqa: BLE001 (the other process raises it)
            answer = pickle.dumps(("error", problem(self._name, f"failed: {str(error) or type(error).__name__}")))
        with contextlib.suppress(OSError):  # nobody waits for the answer any more
            self._send(call_no, answer)

    def _send(self, call_no: int, answer: bytes | None) -> None:
        with self._lock:
            self._connection.send((call_no, self._number, answer))
