"""Processes that start at once: forked from one that has the imports behind it, which take a second of CPU each time.

Everything else is as `subprocess.Popen` does it: processes of their own, which can be killed, with their own arguments,
folder, environment, streams and exit code. What the interpreter itself listens to, such as PYTHONUTF8 or LC_ALL, a
forked process would not hear: a command that is given any of these is started in the usual way.
"""

import atexit
import contextlib
import fcntl
import gc
import io
import os
import runpy
import select
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

IMPORTED = (
    "batchrun.cli.run_job",
    "batchrun.cli.commands.plan",
    "batchrun.cli.commands.submit",
    "batchrun.planning.weighing",
    "batchrun.workers.child",
    "batchrun.documents.formats.plain_text",
    "aiohttp",
    "duckdb",
    "lxml.etree",
    "pypdfium2",
    "selectolax.lexbor",
)
INTERPRETER = ("PYTHON", "LC_", "LANG", "TQDM_")
"""How the names of variables begin that are read when Python starts or a module is imported."""
AT_START = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("ANTHROPIC_", "BATCHRUN_")) and name != "PYTHONDONTWRITEBYTECODE"
}
OPTIONS = {"stdin", "stdout", "stderr", "cwd", "env", "text", "pass_fds", "start_new_session"}
"""The options of `Popen` that a forked process can have."""
STARTING = threading.Lock()
SERVE = "import forked, sys; forked.serve(int(sys.argv[1]))"
_FREE = 200
"""Descriptors from here on are no process's own when it begins."""


def popen(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start `python -m MODULE …` or `python -c CODE …`, forked if that makes no difference to the process."""
    env = options.get("env", os.environ)
    differs = any(env.get(name) != AT_START.get(name) for name in {*env, *AT_START} if is_interpreters(name))
    if sys.platform == "linux" and command[0] == sys.executable and not differs and options.keys() <= OPTIONS:
        return Forked(command, **options)
    return subprocess.Popen(command, **options)


def is_interpreters(name: str) -> bool:
    """Whether Python itself listens to the variable. PYTHONPATH is not meant: a forked process follows it."""
    return name.startswith(INTERPRETER) and name not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}


class Forked(subprocess.Popen[Any]):
    """A process whose parent is the forking one: that one is asked how the process ended."""

    def _execute_child(
        self, args: Any, _exe: Any, _pre: Any, _close: Any, pass_fds: Any, cwd: Any, env: Any, *more: Any
    ) -> None:
        pipes, start_new_session = more[3:9], more[14]
        theirs = {0: pipes[0], 1: pipes[3], 2: pipes[5], **{number: number for number in pass_fds}}
        self.pid = server().fork(
            {
                "args": list(args)[1:],
                "cwd": os.fspath(cwd or Path.cwd()),
                "env": dict(os.environ if env is None else env),
                "is_leader": bool(start_new_session),
            },
            {number: number if at == -1 else at for number, at in theirs.items()},
        )
        self._child_created = True
        self._close_pipe_fds(*pipes)
        self._gone = os.pidfd_open(self.pid)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if not select.select([self._gone], [], [], 0 if wait_flags else None)[0]:
            return 0, 0
        os.close(self._gone)
        return self.pid, server().ask({"reap": self.pid})

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self._waitpid_lock.acquire(blocking=False):
            try:
                pid, status = (0, 0) if self.returncode is not None else self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


class Server:
    """The process that forks."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(theirs.fileno())],
                env=AT_START | {"PYTHONPATH": os.pathsep.join(map(str, (here, here.parent)))},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._socket = ours
        self._connection = Connection(os.dup(ours.fileno()))
        self._lock = threading.Lock()

    def fork(self, order: Mapping[str, Any], descriptors: Mapping[int, int]) -> int:
        """Start a process; return its number. `descriptors`: by the number that each has in the process."""
        return self.ask({**order, "descriptors": list(descriptors)}, list(descriptors.values()))

    def ask(self, order: Mapping[str, Any], descriptors: Sequence[int] = ()) -> int:
        """One message each way."""
        with self._lock:
            self._connection.send(order)
            if descriptors:
                socket.send_fds(self._socket, [b"."], descriptors)
            return int(self._connection.recv())

    def stop(self) -> None:
        """End the process that forks, and no other."""
        self._socket.close()
        self._connection.close()
        self.process.wait()


def server() -> Server:
    """The process that forks, started when first needed by any thread."""
    with STARTING:
        return _server()


@cache
def _server() -> Server:
    started = Server()
    atexit.register(started.stop)
    return started


# --- in the process that forks


def serve(descriptor: int) -> None:
    """Fork until the other end is closed. In a forked process, be that process."""
    from batchrun.estimation.tokenizer import count_tokens
    from batchrun.providers.anthropic.provider import AnthropicFactory

    path = [folder for folder in sys.path if folder not in {"", *os.environ["PYTHONPATH"].split(os.pathsep)}]
    for name in IMPORTED:
        import_module(name)
    AnthropicFactory(base_url="http://127.0.0.1", api_key="none").check()  # has imports of its own
    count_tokens("")  # reads a vocabulary
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads cannot be forked"
    gc.freeze()
    asking = socket.socket(fileno=descriptor)
    connection = Connection(os.dup(descriptor))
    while True:
        try:
            order = connection.recv()
        except EOFError:
            return
        if "reap" in order:
            connection.send(os.waitpid(order["reap"], 0)[1])
            continue
        given = socket.recv_fds(asking, 1, 16)[1]
        if pid := os.fork():
            for one in given:
                os.close(one)
            connection.send(pid)
            continue
        asking.close()
        connection.close()
        os._exit(ended(become, order, given, path))


def ended(run: Callable[..., None], *args: Any) -> int:
    """Run the code of a process to its end, and do what Python does then. Returns the exit code.

    Only the memory is not given back piece by piece: every page that the process shares would be copied for that.
    """
    code: object = 0
    try:
        run(*args)
    except SystemExit as exit_:
        code = exit_.code
    except BaseException:  # noqa: BLE001 - as Python does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    if isinstance(code, str):
        print(code, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads any more
            stream.flush()
    return int(isinstance(code, str)) if not isinstance(code, int) else code


def become(order: Mapping[str, Any], given: Sequence[int], path: Sequence[str]) -> None:
    """Take over what a new process would have, and run its code."""
    moved = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _FREE) for one in given]
    for one in given:
        os.close(one)
    for number, one in zip(order["descriptors"], moved, strict=True):
        os.dup2(one, number)
        os.close(one)
    if order["is_leader"]:
        os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    sys.stdin, sys.stdout, sys.stderr = map(anew, (sys.stdin, sys.stdout, sys.stderr))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    how, what, *args = order["args"]
    first = order["cwd"] if how == "-m" else ""
    sys.path[:] = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *path]
    sys.argv[:] = [how, *args]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)


def anew(stream: Any) -> Any:
    """The stream as Python opens it at its start: what it leads to is another file now."""
    number, direct = stream.fileno(), stream.write_through
    raw = open(number, "wb" if number else "rb", buffering=0 if direct and number else -1, closefd=False)  # noqa: SIM115
    by_lines = not direct and (number == 2 or raw.isatty())
    return io.TextIOWrapper(
        raw, stream.encoding, stream.errors, newline="\n", line_buffering=by_lines, write_through=direct
    )
