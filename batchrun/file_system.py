"""What the operating system says of a file: its kind, who holds it, and whether the file or the machine is at fault."""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control

T = TypeVar("T")
FILE_FAULTS = {
    errno.ENOENT: "it is no longer there",
    errno.ENOTDIR: "it is no longer there",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ELOOP: "a symbolic link that leads back to itself",
    errno.EISDIR: "a folder, not a file",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EILSEQ: "its name cannot be read here",
    errno.EINVAL: "it cannot be read as a file",
    errno.ENXIO: "a named pipe, a socket or a device, not a file",
    errno.ENODEV: "a device, not a file",
    errno.EOVERFLOW: "it is too large",
}
"""The errors that are a file's own, with the reason. Every other error is the machine's, whose files are as good as
before: too many open files (EMFILE, ENFILE), no memory (ENOMEM), a disk or a network drive that fails (EIO, ESTALE)."""
LONGEST_COMMAND = 200
PAUSES_S = (0.1, 0.4, 1.5)
"""How long to wait before each new try after a fault of the machine."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class MachineFault(EnvironmentProblem):
    """The machine failed while a file was used; nothing is known of the file."""


class TooLargeError(ValueError):
    """A file is larger than what may be read of it."""


def machine_fault(error: Exception) -> MachineFault | None:
    """Return the problem of a machine that failed. Returns None for any other error."""
    if not isinstance(error, OSError) or isinstance(error, ConnectionError):
        return None
    if error.errno is None or error.errno in FILE_FAULTS or error.errno < 0:
        return None
    hint = "see to the disk, the drive or the memory, and run the same command again: documents stay pending"
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        hint = "allow more open files (ulimit -n 4096), or lower [run] max_concurrency, and run the same command again"
    return MachineFault(f"{error.filename or 'a file'} cannot be used now: {error.strerror}.", hint=hint)


def tried(call: Callable[[], T], path: Path | str) -> T:
    """Ask the operating system for something, and again while the machine fails.

    Raises OSError for a fault of the file, and MachineFault when the machine still fails after the last pause.
    """
    for pause_s in (*PAUSES_S, None):
        try:
            return call()
        except OSError as error:
            error.filename = error.filename or path
            fault = machine_fault(error)
            if fault is None:
                raise
            if pause_s is None:
                raise fault from error
        time.sleep(pause_s)
    raise AssertionError("the last try returns or raises")


def read_bounded(path: Path, *, most_bytes: int) -> bytes:
    """Read a whole file. Raises OSError, and TooLargeError for more than `most_bytes`."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise TooLargeError(f"this file is larger than {most_bytes:,} bytes")
    return content


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, in place of one that is there; its folder is made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def other_kind(mode: int) -> str | None:
    """Say what a path leads to, by the mode of its status. Returns None for an ordinary file."""
    if stat.S_ISREG(mode):
        return None
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")


def replace_file(path: Path, parts: Iterable[str]) -> None:
    """Write a text to a file whole or not at all, and make the folders above the file. Raises EnvironmentProblem."""
    draft = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        if path.exists() and (kind := other_kind(path.stat().st_mode)):
            raise EnvironmentProblem(f"{path} cannot be written: it is {kind}.", hint="name another file")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.writelines(parts)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be written: {error.strerror}.", hint="name another file") from error


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, which Git ignores. A folder that is there stays as it is."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # another process was faster
        path.mkdir(mode=0o700)
        (path / ".gitignore").write_text("*\n", encoding="utf-8")
    path.mkdir(exist_ok=True)


def command_of(pid: int) -> str | None:
    """Return how the command of a process of this machine begins; later words may be secret. None if unknown."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    return escape_control(" ".join(words[:4]))[:LONGEST_COMMAND].strip() or None


def lock_owner(*paths: Path) -> int | None:
    """Return the process that has one of these files locked for writing. Returns None if the system does not say."""
    inodes = {str(path.stat().st_ino) for path in paths if path.exists()}
    for fields in _table("/proc/locks"):
        if "WRITE" in fields and fields[-3].rpartition(":")[2] in inodes:
            return int(fields[-4])
    return None


def file_system_of(folder: Path) -> str | None:
    """Return the kind of the file system of a folder, such as `ext4`. Returns None if the system does not say."""
    mounts = [(Path(point), kind) for _, point, kind, *_ in _table("/proc/self/mounts")]
    around = [(len(point.parts), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(around)[1] if around else None


def _table(path: str) -> list[list[str]]:
    """Read a table of the system by its words. Returns no lines where the system has no such table."""
    try:
        return [line.split() for line in Path(path).read_text("utf-8", "replace").splitlines()]
    except OSError:
        return []
