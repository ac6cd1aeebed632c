"""The project's folder, where relative paths start and where the ledger is unless a job file names another.

The search changes nothing. Whoever can read ledgers chooses between several possible folders: see `store/job_files.py`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

PROJECT_FILE = "batchrun.toml"
STATE_FOLDER = ".batchrun"
LEDGER = f"{STATE_FOLDER}/ledger.sqlite3"
"""The ledger's path below the project, unless a job file names another."""
OUR_MARKS = (PROJECT_FILE, STATE_FOLDER)
"""What marks a project."""
OTHER_MARKS = (".git", "pyproject.toml")
"""What stands for a mark where a project has none, as in a fresh clone."""


def roots_of_job(job_path: Path, *, here: Path) -> list[Path]:
    """List the folders that may be the project of a job file, the nearest first; the last is the job file's own folder.

    `here` is the current directory. Marked folders come first: above the job file, then above the current directory.
    """
    ours = [*_marked(job_path.parents, OUR_MARKS), *_marked([here, *here.parents], OUR_MARKS)]
    others = list(_marked(job_path.parents, OTHER_MARKS))[:1]
    return list(dict.fromkeys([*ours, *others, job_path.parent]))


def root_here(here: Path) -> Path:
    """Find the project that a command without a job file is about; the directory itself if nothing is marked."""
    folders = [here, *here.parents]
    return next(iter([*_marked(folders, OUR_MARKS), *_marked(folders, OTHER_MARKS)]), here)


def mark_of(root: Path) -> str | None:
    """Return what marks a folder as a project. Returns None for a folder that is one for want of another."""
    return next((mark for mark in (*OUR_MARKS, *OTHER_MARKS) if _has(root, mark)), None)


def where_looked(*starts: Path) -> str:
    """Say where marks were looked for: `batchrun.toml, .batchrun/, .git or pyproject.toml in /srv/jobs, /srv and /`."""
    folders = list(dict.fromkeys(str(folder) for start in starts for folder in (start, *start.parents)))
    listed = " and ".join(filter(None, [", ".join(folders[:-1]), folders[-1]]))
    return f"{PROJECT_FILE}, {STATE_FOLDER}/, {' or '.join(OTHER_MARKS)} in {listed}"


def root_note(job_path: Path, root: Path, *, nearest: Path) -> str | None:
    """Say what a person may not expect of a job file's project. Returns None if it is the one marked folder above.

    `nearest` is the first of `roots_of_job`. A `batchrun.toml` that does not count has caps that do not hold.
    """
    if not job_path.is_relative_to(root):
        return f"{root}, the project of the current directory: the job file is below no {' or '.join(OUR_MARKS)}"
    if mark_of(root) is None:
        return f"{root}, the job file's own folder: there is no {where_looked(job_path.parent)}"
    if root != nearest:
        return f"{root}, whose ledger has runs of the job file: {mark_of(nearest)} in {nearest} does not count"
    above = next(_marked(root.parents, [PROJECT_FILE]), None)
    if above and not _has(root, PROJECT_FILE) and _has(root, STATE_FOLDER):
        return f"{root}, which {STATE_FOLDER} marks: {PROJECT_FILE} in {above} does not count"
    return None


def new_root(job_path: Path, *, here: Path) -> Path:
    """Find the project of a new job file: one that exists, else the current directory, else the file's own folder."""
    root = roots_of_job(job_path, here=here)[0]
    return root if mark_of(root) else here if job_path.is_relative_to(here) else job_path.parent


def _marked(folders: Iterable[Path], marks: Iterable[str]) -> Iterator[Path]:
    return (folder for folder in folders if any(_has(folder, mark) for mark in marks))


def _has(folder: Path, mark: str) -> bool:
    try:
        return (folder / mark).exists()
    except PermissionError:  # a folder that nobody may look into is no project of this person
        return False
