"""Documents that are files, which patterns find below the project's root."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from batchrun.document import Document, DocumentRef, Unreadable
from batchrun.documents import FoundFile, Guard, Shard, grouped, scan, unguarded
from batchrun.documents.encoding import Undecodable, decode
from batchrun.documents.glob_patterns import Glob
from batchrun.documents.path_escaping import actual, shown
from batchrun.documents.tree import Found, Tree, leads_out
from batchrun.errors import Refused
from batchrun.file_system import FILE_FAULTS, other_kind, tried

MAX_BYTES = 32_000_000
"""The API takes no larger request, so a larger text is not even read."""


class _Unfit(Exception):
    """There is nothing to read at a path; the message is the reason."""


class FileSource:
    """The files that `include` names and `exclude` does not, in the order of their paths.

    Links are followed within the root (a `**` goes through no linked folder), never out of it.
    """

    page = 8
    parallel = True
    columns: frozenset[str] | None = None

    def __init__(
        self,
        *,
        root: Path,
        include: Sequence[str],
        exclude: Sequence[str] = (),
        encoding: str = "auto",
        id_from: Literal["relpath", "stem"] = "relpath",
    ) -> None:
        self._root = root.resolve()
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._encoding = encoding
        self._id_from = id_from
        # Whatever lies below an excluded folder is excluded too.
        without = [pattern for text in exclude for pattern in (text, f"{text}/**")]
        self._tree = Tree(
            root=self._root,
            include=[Glob.parse(text, self._root) for text in include],
            exclude=[Glob.parse(text, self._root, hidden=True) for text in without],
        )

    def scan(self) -> Iterator[Document | Unreadable]:
        """Read every file once. Raises Refused when there is none."""
        return scan(self)

    def shards(self) -> Iterator[Shard]:
        """List the files, without opening any. Raises Refused when there is none."""
        nothing = True
        for number, files in enumerate(grouped(map(self._found, self._tree.walk()), lambda file: file.size)):
            nothing = False
            placed = (file._replace(position=position) for position, file in enumerate(files))
            yield Shard(number, None, sum(file.size for file in files), tuple(placed))
        if nothing:
            raise self._no_documents()

    def read_shard(self, shard: Shard, guard: Guard = unguarded) -> Iterator[Document | Unreadable]:
        """Read the files of a shard, each once."""
        for file in shard.files:
            yield self._unreadable(file.path, file.problem) if file.problem else self._load(file.path)

    def read(self, refs: Sequence[DocumentRef], guard: Guard = unguarded) -> list[Document | Unreadable]:
        """Read these files as they are now."""
        return [self._load(str(self._root / actual(ref.source))) for ref in refs]

    def _found(self, found: Found) -> FoundFile:
        status, source = found.status, self._shown(found.path)
        if status is None:
            return FoundFile(found.path, source, 0, 0, 0, 0, found.problem)
        return FoundFile(found.path, source, status.st_size, status.st_mtime_ns, status.st_ino, 0, found.problem)

    def _load(self, path: str) -> Document | Unreadable:
        try:
            data = tried(lambda: self._bytes(path), path)
        except _Unfit as finding:
            return self._unreadable(path, str(finding))
        except OSError as error:
            return self._unreadable(path, _reason(error, path))
        bytes_sha = hashlib.sha256(data).hexdigest()
        try:
            decoded = decode(data, self._encoding)
        except Undecodable as finding:
            return replace(self._unreadable(path, str(finding)), bytes_sha=bytes_sha)
        return Document(self._id(path), self._shown(path), decoded.text, note=decoded.note, bytes_sha=bytes_sha)

    def _bytes(self, path: str) -> bytes:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            status = Path(path).stat()
            if not self._tree.confines(path):
                raise _Unfit(leads_out(path))
        _require_readable(status)
        # A pipe may have taken the file's place since; without O_NONBLOCK, opening the pipe would hang. A file object
        # would make twice as many system calls, and threads change places at each system call.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            _require_readable(status)
            return _all_of(file, status.st_size)
        finally:
            os.close(file)

    def _unreadable(self, path: str, reason: str) -> Unreadable:
        return Unreadable(self._id(path), self._shown(path), reason)

    def _shown(self, path: str) -> str:
        return shown(path.removeprefix(f"{str(self._root).rstrip('/')}/"))

    def _id(self, path: str) -> str:
        return shown(PurePosixPath(path).stem) if self._id_from == "stem" else self._shown(path)

    def _no_documents(self) -> Refused:
        patterns = ", ".join(self._include)
        but = f", or exclude ({', '.join(self._exclude)}) leaves nothing of it" if self._exclude else ""
        return Refused(f"no documents: nothing matches {patterns} below {self._root}{but}", hint=self._nearest())

    def _nearest(self) -> str:
        first = self._tree.include[0]
        if (self._root / first.text).is_dir():
            return f'{first.text} is a folder; for the files in it write "{first.text.rstrip("/")}/**"'
        folder = Path(first.folder)
        while not folder.is_dir():
            folder = folder.parent
        return f"the nearest folder there is: {folder}, {_some_names(folder)}"


def _require_readable(status: os.stat_result) -> None:
    if kind := other_kind(status.st_mode):
        raise _Unfit(f"{kind}, not a file")
    _require_size(status.st_size)


def _all_of(file: int, size: int) -> bytes:
    data = os.read(file, size + 1)
    while len(data) != size:  # the file is growing, has no known size, or comes in parts
        more = os.read(file, MAX_BYTES)
        data += more
        _require_size(len(data))
        if not more:
            break
    return data


def _require_size(size: int) -> None:
    if size > MAX_BYTES:
        raise _Unfit(too_large(size))


def _reason(error: OSError, path: str) -> str:
    if isinstance(error, FileNotFoundError) and Path(path).is_symlink():
        return "a symbolic link to nothing"
    return FILE_FAULTS.get(error.errno or 0, f"cannot be read: {error.strerror or error}")


def _some_names(folder: Path) -> str:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name + "/" * entry.is_dir() for entry in entries if entry.name[0] != ".")
    except OSError as error:
        return f"which cannot be listed: {error.strerror}"
    if not names:
        return "which is empty"
    return f"which holds {', '.join(map(shown, names[:5]))}{' …' if len(names) > 5 else ''}"


def too_large(size: int) -> str:
    """Return the reason why a text of so many bytes is not read."""
    return f"{size / 1e6:,.1f} MB: more than the {MAX_BYTES / 1e6:.0f} MB that a request may have"
