"""Walks a folder for the files that patterns name, in the order of paths, with one folder's names in memory."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from batchrun.documents.glob_patterns import Glob, Trail
from batchrun.file_system import tried


@dataclass(frozen=True, slots=True)
class Found:
    """A path that a pattern names."""

    path: str
    problem: str | None = None
    """Why nobody can look at the path; None for a path that may be a readable file."""
    status: os.stat_result | None = None
    """The status of what the path leads to; None if nothing can be said of it."""


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    wanted: Trail
    unwanted: Trail


@dataclass(frozen=True, slots=True)
class Tree:
    """The files under `root` (or where an absolute pattern points) that `include` names and `exclude` does not."""

    root: Path
    include: Sequence[Glob]
    exclude: Sequence[Glob]

    def walk(self) -> Iterator[Found]:
        """Find every file once. A folder that cannot be listed is found too, with its problem."""
        for start in self._starts():
            if not self.confines(start):
                yield Found(start, leads_out(start))
            elif _is_folder(start):
                yield from self._below(_Folder(start, Trail.to(start, self.include), Trail.to(start, self.exclude)))

    def confines(self, path: str) -> bool:
        """Whether a path, links resolved, stays within the root or a folder that an absolute pattern names."""
        real = os.path.realpath(path)
        outside = [glob.folder for glob in self.include if not _is_within(glob.folder, str(self.root))]
        return any(_is_within(real, os.path.realpath(folder)) for folder in [str(self.root), *outside])

    def _starts(self) -> list[str]:
        """Return the folders where patterns begin, none inside another."""
        starts: list[str] = []
        for folder in sorted({glob.folder for glob in self.include}, key=lambda path: path + "/"):
            if not starts or not _is_within(folder, starts[-1]):
                starts.append(folder)
        return starts

    def _below(self, start: _Folder) -> Iterator[Found]:
        levels = [self._inside(start)]  # a list instead of recursion: a tree may be deeper than Python's stack
        while levels:
            step = next(levels[-1], None)
            if step is None:
                levels.pop()
            elif isinstance(step, _Folder):
                levels.append(self._inside(step))
            else:
                yield step

    def _inside(self, folder: _Folder) -> Iterator[Found | _Folder]:
        try:
            listing = tried(lambda: _list(folder), folder.path)
        except (FileNotFoundError, NotADirectoryError):  # the folder has gone since its name was read
            return
        except OSError as error:
            yield Found(folder.path, f"this folder cannot be listed: {error.strerror}")
            return
        for name, linked, status in listing:
            path = f"{folder.path.rstrip('/')}/{name}".rstrip("/")
            if name.endswith("/"):
                yield from self._enter(folder, path, linked=linked)
            else:
                yield Found(path, status=status)

    def _enter(self, folder: _Folder, path: str, *, linked: bool) -> Iterator[Found | _Folder]:
        name = path.rpartition("/")[2]
        if linked and not self.confines(path):
            yield Found(path, leads_out(path))
        elif (wanted := folder.wanted.into(name, linked=linked)).goes_on:
            yield _Folder(path, wanted, folder.unwanted.into(name))


def leads_out(path: str) -> str:
    """Return the problem of a link out of the project, which is not followed."""
    return f"a symbolic link out of the project, to {os.path.realpath(path)}; not followed"


_Listed = tuple[str, bool, os.stat_result | None]


def _list(folder: _Folder) -> list[_Listed]:
    """Return the wanted names, which are links, and the status of files, sorted as paths are.

    A folder's name ends with a slash.
    """
    names: list[_Listed] = []
    with os.scandir(folder.path) as entries:
        for entry in entries:
            ahead = folder.wanted.into(entry.name)
            if not ahead.rests or folder.unwanted.into(entry.name).arrived:
                continue
            linked = entry.is_symlink()
            is_folder = _is_folder(entry.path) if linked else entry.is_dir(follow_symlinks=False)
            if is_folder and ahead.goes_on:
                names.append((entry.name + "/", linked, None))
            elif not is_folder and ahead.arrived:
                names.append((entry.name, linked, _status(entry)))
    return sorted(names, key=itemgetter(0))


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:  # reading the path will meet, and report, the same error
        return None


def _is_folder(path: str) -> bool:
    try:
        return tried(lambda: stat.S_ISDIR(Path(path).stat().st_mode), path)
    except OSError:  # reading the path will meet, and report, the same error
        return False


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
