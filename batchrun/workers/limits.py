"""The limits of a child process, within which one document has to be read."""

import contextlib
import resource
import signal
from collections.abc import Iterator, Mapping

MEMORY_BYTES = 1_800_000_000
"""The address space of a child process."""
CPU_S, WALL_S = 25.0, 45.0
"""How long the reading of one document may take: of processor time, and by the clock, as a machine may be busy."""
ENDINGS: Mapping[int, str] = {
    signal.SIGPROF: f"reading it took more than {CPU_S:g} seconds of processor time",
    signal.SIGALRM: f"reading it took more than {WALL_S:g} seconds",
    signal.SIGKILL: "the process that read it was killed, perhaps because memory was short",
    signal.SIGABRT: "the library that reads it gave up, perhaps because it needs too much memory",
}
"""Why a document was not read, by the signal that ended the process."""
CRASHED = "the library that reads it crashed"
"""Why a document was not read, for every other end of the process."""
OUT_OF_TIME = frozenset({signal.SIGPROF, signal.SIGALRM})
"""The signals after which another try would end in the same way."""


def limit_process() -> None:
    """Limit the memory of this process, and leave signals of the terminal to the process that started this one."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):  # a lower limit is in force already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def timed() -> Iterator[None]:
    """End this process by a signal if the block takes too long. The signals reach foreign code that hangs, too."""
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.setitimer(signal.ITIMER_REAL, WALL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
