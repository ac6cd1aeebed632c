"""Patterns such as `contracts/**/*.txt`, followed one folder at a time so that no other folder is looked into."""

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one name of a path has to look like."""

    name: re.Pattern[str]
    repeats: bool = False
    """Whether the part stands for any number of folders: `**`."""


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern, whose parts begin at the root of the file system."""

    text: str
    folder: str
    """The part before the first wildcard."""
    parts: tuple[Part, ...]
    """The whole pattern, `folder` included."""

    @classmethod
    def parse(cls, text: str, root: Path, *, hidden: bool = False) -> "Glob":
        """Read a pattern below `root` or an absolute one. With `hidden`, wildcards also match names like `.git`."""
        names = PurePosixPath(os.path.normpath(text)).parts or (".",)
        base, names = ("/", names[1:]) if text.startswith("/") else (str(root), names)
        literal = next((i for i, name in enumerate(names[:-1]) if _is_wild(name)), len(names) - 1)
        folder = os.path.normpath(str(PurePosixPath(base, *names[:literal])))
        wild = [*names[literal:], "*"] if names[-1] == "**" else names[literal:]
        parts = [_part(glob.escape(name), hidden=True) for name in PurePosixPath(folder).parts[1:]]
        parts += [_part(name, hidden=hidden) for name in wild]
        return cls(text=text, folder=folder, parts=tuple(parts))

    @classmethod
    def of_address(cls, text: str, *, hidden: bool = False) -> "Glob":
        """Read a pattern for files in a bucket. `folder` is the text before the first wildcard, perhaps half a name."""
        names = PurePosixPath(f"{text}/*" if text.endswith("/**") else text).parts
        return cls(text, re.split(r"[*?\[]", text)[0], tuple(_part(name, hidden=hidden) for name in names))


@dataclass(frozen=True, slots=True)
class Trail:
    """How far some patterns have been followed: the parts that each pattern still asks for."""

    rests: tuple[tuple[Part, ...], ...]

    @classmethod
    def to(cls, folder: str, globs: Iterable[Glob]) -> "Trail":
        """Follow the patterns from the root of the file system into `folder`."""
        trail = cls(tuple(pattern.parts for pattern in globs))
        for name in PurePosixPath(folder).parts[1:]:
            trail = trail.into(name)
        return trail

    @property
    def arrived(self) -> bool:
        """Whether a pattern ends here."""
        return () in self.rests

    @property
    def goes_on(self) -> bool:
        """Whether a pattern asks for something below."""
        return any(self.rests)

    def into(self, name: str, *, linked: bool = False) -> "Trail":
        """Take one step. A `**` does not go through a linked folder; a name or `*` does."""
        rests = [after for rest in self.rests for after in _after(rest, name, linked=linked)]
        return Trail(tuple(dict.fromkeys(rests) if len(rests) > 1 else rests))


def _after(rest: tuple[Part, ...], name: str, *, linked: bool) -> Iterator[tuple[Part, ...]]:
    if not rest:
        return
    head = rest[0]
    if head.repeats:
        if not linked and head.name.match(name):
            yield rest
        yield from _after(rest[1:], name, linked=linked)
    elif head.name.match(name):
        yield rest[1:]


def _is_wild(name: str) -> bool:
    return any(char in name for char in "*?[")


def _part(name: str, *, hidden: bool) -> Part:
    not_hidden = "" if hidden or name.startswith(".") else r"(?!\.)"
    if name == "**":
        return Part(re.compile(not_hidden + r"(?s:.+)\Z"), repeats=True)
    return Part(re.compile(not_hidden + fnmatch.translate(name)))
