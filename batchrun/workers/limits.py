"""The limits of a child process, within which one document has to be read."""

import contextlib
import ctypes
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Limits(NamedTuple):
    """What the reading of one document may take."""

    memory_bytes: int = 1_800_000_000
    """The address space of the process."""
    cpu_s: float = 25.0
    """Seconds of processor time."""
    wall_s: float = 45.0
    """Seconds by the clock, which are more, because a machine may be busy."""

    def ending(self, signal_no: int) -> str:
        """Say why a document was not read, by the signal that ended the process; 0 stands for no signal."""
        endings: dict[int, str] = {
            signal.SIGPROF: f"reading it took more than {self.cpu_s:g} seconds of processor time",
            signal.SIGALRM: f"reading it took more than {self.wall_s:g} seconds",
            signal.SIGKILL: "the process that read it was killed, perhaps because memory was short",
            signal.SIGABRT: "the library that reads it gave up, perhaps because it needs too much memory",
        }
        return endings.get(signal_no, "the library that reads it crashed")


PR_SET_PDEATHSIG = 1
KILL = signal.SIGKILL
"""The signal that no process can ignore."""
OUT_OF_TIME = frozenset({signal.SIGPROF, signal.SIGALRM})
"""The signals after which another try would end in the same way."""
CIRCUMSTANCES = frozenset({signal.SIGALRM, signal.SIGKILL})
"""The signals that say as much of the machine as of the document: perhaps the document can be read another day."""


def limit_process(limits: Limits) -> None:
    """Limit the memory of this process, and leave signals of the terminal to the process that started this one.

    On Linux this process ends with the one that started it; elsewhere, when its document is read.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    for kind, most in ((resource.RLIMIT_AS, limits.memory_bytes), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # a lower limit is in force already
            resource.setrlimit(kind, (most, most))


def address_space() -> int:
    """Return the bytes of address space that this process has; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 0


@contextlib.contextmanager
def timed(limits: Limits) -> Iterator[None]:
    """End this process by a signal if the block takes too long. The signals reach foreign code that hangs, too."""
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
