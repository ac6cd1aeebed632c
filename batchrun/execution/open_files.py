"""The operating system's limit of open files, and how many connections it leaves."""

import contextlib
import resource
from pathlib import Path

OPEN_MAX = 10_240
"""What macOS allows a process whose limit is called infinite."""
OWN_FILES = 48
"""Files that a run opens after it has counted: three connections to the ledger with three files each, the output with
its log, a document, a spool, name servers, and modules that are imported late."""
WITHOUT_LIMIT = 1_000_000


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard limit: the soft one may be 256, and each connection is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_MAX if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # a kernel may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections(*, files_each: int) -> int:
    """Return how many connections there is room for, at least one, when each is so many files of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return WITHOUT_LIMIT
    return max(1, (soft - len(list(Path("/dev/fd").iterdir())) - OWN_FILES) // files_each)
