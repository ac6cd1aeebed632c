"""Processes that start at once: forked from one that has the imports behind it, and has no thread and no connection.

Everything else is as if the command were typed: a process of its own, its own environment, its own streams.
"""

import gc
import multiprocessing
import os
import signal
import ssl
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partialmethod
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Self

from batchrun.errors import ExitCode
from batchrun.estimation.tokenizer import count_tokens
from batchrun.execution import ledger_writer
from batchrun.execution.batch import collect
from batchrun.planning.planner import Planner
from batchrun.providers.anthropic.provider import AnthropicFactory

Command = Callable[[list[str]], int]
"""Runs a command line and returns its exit code."""

SPOKEN = ("ANTHROPIC_", "OPENAI_", "BATCHRUN_", "_BATCHRUN")
"""How the names of variables begin that the program and the SDK listen to."""

LONGEST_LIFE_S = 120
"""A process that nobody ends is ended by the system."""
_LOOKS_EVERY_S = 2.0


def prepare() -> None:
    """Do once what every process would do at its start, and what would take many projects too much space.

    Nothing in the environment that the program listens to reaches the processes, such as a key or a proxy.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGALRM, _end_if_alone)
    signal.setitimer(signal.ITIMER_REAL, _LOOKS_EVERY_S, _LOOKS_EVERY_S)
    for name in [name for name in os.environ if name.upper().startswith(SPOKEN) or name.upper().endswith("_PROXY")]:
        del os.environ[name]
    count_tokens("")  # its vocabulary takes longer to read than a submit takes
    AnthropicFactory(base_url="http://127.0.0.1", api_key="none").check()  # has imports of its own
    # Nothing here speaks TLS, and each client would read all of the machine's certificates first.
    ssl.SSLContext.load_verify_locations = lambda *_, **__: None  # type: ignore[method-assign]
    ledger_writer.BALLAST_BYTES = 4096
    collect.GROUP = 2  # several commits for the results of one batch
    # More counts of tokens prove nothing more.
    Planner.plan = partialmethod(Planner.plan, online=1)  # type: ignore[method-assign, assignment]
    gc.freeze()


def _end_if_alone(*_: object) -> None:
    """End with the command: a process of a pool would wait for work for ever."""
    command = multiprocessing.parent_process()
    if command and not command.is_alive():
        os._exit(1)


def fork(
    command: Command,
    args: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    out: Path,
    err: Path,
    watch: Callable[[], None] = lambda: None,
) -> int:
    """Start a command in a folder; return the number of its process. `watch` is called in the process first."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = int(ExitCode.BUG)
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LONGEST_LIFE_S)
        os.chdir(folder)
        os.environ.update(environment)
        for number, path in enumerate((Path(os.devnull), out, err)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        watch()
        code = command(list(args))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing may lead back into the code of the process that was forked
        traceback.print_exc()
    finally:
        os._exit(code)


class Answering:
    """An object in a process of its own, which answers as long as the process that made the object lives."""

    def __init__(self, make: Callable[[], Callable[[], Any]]) -> None:
        """`make` is called in the process, and then what it returned is called for each question."""
        self._make = make

    def __enter__(self) -> Self:
        self._ours, theirs = Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._ours.close()
            try:
                answer = self._make()
                while True:
                    theirs.recv()
                    theirs.send(answer())
            except (EOFError, OSError):
                os._exit(0)
            except BaseException:  # noqa: BLE001 - as above
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._ours.close()

    def ask(self) -> Any:
        """Ask."""
        self._ours.send(None)
        return self._ours.recv()
