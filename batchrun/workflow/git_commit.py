"""The commit of git in which files were changed last, and whether the files still are as they were committed.

Git tells only what it has recorded, so that no program runs that a repository names, such as a filter.
"""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.masking import without_keys

TIMEOUT_S = 3.0
"""How long one question to git may take, in seconds: in a huge repository nobody waits for a commit."""
ALONE = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
"""Git asks nobody, fetches nothing and writes nothing."""
SHA1_DIGITS = 40
"""How many digits the name of a blob has, unless the repository names blobs by SHA-256."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit in which one of several files was changed last."""

    sha: str
    at: str
    """The time of the commit, as in 2026-11-30T12:00:00+00:00."""
    has_changes: bool
    """Whether one of the files is not as committed."""


def last_commit(files: Sequence[Path]) -> Commit | None:
    """Find the commit in which one of the files was changed last; the first file says which repository is meant.

    Returns None without git, without a repository, without such a commit, and if git takes too long.
    """
    real = [path.resolve() for path in files]
    told = _git(real[0].parent, "log", "-1", "--no-show-signature", "--format=%H %cI", "--", *map(str, real))
    if not told:
        return None
    sha, _, at = told.partition(" ")
    return Commit(sha, at, has_changes=not all(map(_is_committed, real)))


def _is_committed(path: Path) -> bool:
    """Whether the commit that is checked out has a file with these bytes."""
    blob = _git(path.parent, "rev-parse", "--verify", "--quiet", f"HEAD:./{path.name}")
    try:
        content = path.read_bytes()
    except OSError:
        return False
    digest = hashlib.sha1(usedforsecurity=False) if len(blob) == SHA1_DIGITS else hashlib.sha256()
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest() == blob


def _git(folder: Path, *words: str) -> str:
    """Return what git says in a folder; nothing if git is not there, fails, or takes too long."""
    command = ["git", "--literal-pathspecs", "-C", os.fspath(folder), *words]
    try:
        told = subprocess.run(  # noqa: S603 - fixed words, and paths behind them
            command, capture_output=True, env=without_keys() | ALONE, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.decode("utf-8", "replace").strip() if told.returncode == 0 else ""
