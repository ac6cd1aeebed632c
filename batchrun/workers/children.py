"""Child processes as a pool: each runs one call at a time, and is replaced when it dies."""

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from batchrun.documents import Unfit, unguarded
from batchrun.documents.buckets import fetched
from batchrun.errors import BatchrunError
from batchrun.masking import without_keys
from batchrun.workers.limits import KILL, Limits
from batchrun.workers.pool import Pool, WorkerDied

START = """
import sys
sys.path[:] = {path!r}
from batchrun.workers.child import main
from batchrun.workers.limits import Limits
main({descriptor}, {limits!r})
"""
"""What a child process runs. It has the import path of this process, and nothing of its main module."""
CLOSING_S = 5.0
STARTS = 20
"""How often a process is started for one call if it is killed before it has read the call: no document is at fault."""
ORDINARY = Limits()


class KilledEarly(WorkerDied):
    """A child process was killed before it had read the call."""


class Child:
    """One child process, started when first needed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def call(self, message: bytes) -> Any:
        """Send a call and wait for its result. Raises WorkerDied, and what the call raises."""
        begun, reading = False, None
        connection = self._connection or self._start()
        try:
            connection.send_bytes(message)
            while True:
                word, value = connection.recv()
                if word == "fetch":
                    connection.send(_contents(value))
                elif word == "reading":
                    reading = value
                elif word == "begun":
                    begun = True
                else:
                    break
        except (EOFError, OSError):
            signal_no = max(0, -self.stop())
            died = KilledEarly if signal_no == KILL and not begun else WorkerDied
            raise died(reading, signal_no, self._limits.ending(signal_no)) from None
        if word == "error":
            raise value
        return value

    def stop(self) -> int:
        """Close the connection and wait for the end of the process, or end it. Returns the exit status."""
        if self._connection:
            self._connection.close()
        process, self._process, self._connection = self._process, None, None
        if process is None:
            return 0
        try:
            return process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self) -> None:
        """End the process at once."""
        if self._process:
            self._process.kill()

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            start = START.format(path=sys.path, descriptor=theirs.fileno(), limits=self._limits)
            command = [sys.executable, "-c", start]
            self._process = subprocess.Popen(  # noqa: S603
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=without_keys()
            )
            self._connection = Connection(ours.detach())
        return self._connection


def _contents(addresses: Sequence[str]) -> list[bytes | Unfit] | BatchrunError:
    """Read files in buckets for a child, which has no credentials."""
    try:
        return list(fetched(addresses, unguarded))
    except BatchrunError as error:
        return error


class Children(Pool):
    """Runs calls in child processes, as many at once as the machine has cores. Nothing is started before a call."""

    name = "processes"

    def __init__(self, number: int | None = None, limits: Limits = ORDINARY, *, takes_all: bool = False) -> None:
        self._limits = limits
        self._number = number or len(os.sched_getaffinity(0))
        self.takes_all = takes_all
        self._calls = SimpleQueue[tuple[Future[Any], bytes] | None]()
        self._children = list[Child]()
        self._threads = list[threading.Thread]()
        self._closed = False
        self._lock = threading.Lock()

    @property
    def number(self) -> int:
        """How many child processes there are at most."""
        return self._number

    @property
    def started(self) -> bool:
        """Whether a call was made."""
        return bool(self._children)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Run `fn(*args, guard)` in a child. The only named argument is `given_up`, a mapping from source to reason."""
        call = Future[Any](), pickle.dumps((fn, args, named.get("given_up", {})))
        with self._lock:
            if self._closed:
                raise RuntimeError("the child processes have been ended")
            self._calls.put(call)
            if len(self._children) < self._number:
                self._begin()
        return call[0]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """End the child processes, whatever they do. What is still to be called is canceled."""
        with self._lock:
            self._closed = True
        for child in self._children:
            child.kill()
            self._calls.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _begin(self) -> None:
        child = Child(self._limits)
        thread = threading.Thread(target=self._serve, args=(child,), daemon=True)
        thread.start()
        self._children.append(child)
        self._threads.append(thread)

    def _called(self, child: Child, message: bytes) -> Any:
        for _ in range(STARTS):
            try:
                return child.call(message)
            except KilledEarly as early:
                died = early
                if self._closed:
                    break
        raise died

    def _serve(self, child: Child) -> None:
        while (call := self._calls.get()) is not None:
            future, message = call
            if self._closed:
                future.cancel()
                continue
            try:
                result = self._called(child, message)
            except BaseException as error:  # noqa: BLE001 (it belongs to whoever waits for the result)
                future.set_exception(error)
            else:
                future.set_result(result)
        child.stop()
