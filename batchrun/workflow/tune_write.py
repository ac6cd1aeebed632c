"""The setting that a tune has named, written into the job file."""

import contextlib
import os
import shutil
import tempfile
from codecs import BOM_UTF8
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from batchrun.errors import BatchrunError, EnvironmentProblem, UsageProblem
from batchrun.job.load import load_job
from batchrun.quality.tune.job_text import written
from batchrun.quality.tune.settings import Setting, variant
from batchrun.workflow.tune_plan import OpenTune


@dataclass(frozen=True, slots=True)
class Edit:
    """What became of the job file."""

    diff: tuple[str, ...] = ()
    """The lines of a unified diff. Empty if the job has the setting already, or if no setting is named."""
    is_written: bool = False
    problem: BatchrunError | None = None
    """Why the job file could not be changed."""


def edit_job(tune: OpenTune, setting: Setting, *, writes: bool) -> Edit:
    """Give the job file a setting; the file is written if `writes` says so. What goes wrong is part of the edit."""
    before, name = tune.content.decode("utf-8-sig"), os.path.relpath(tune.job.path)
    mark = BOM_UTF8 if tune.content.startswith(BOM_UTF8) else b""
    diff = tuple[str, ...]()
    try:
        after = written(before, tune.job, setting)
        diff = tuple(unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=2))
        if writes and diff:
            _write(tune, setting, mark + after.encode("utf-8"))
    except BatchrunError as problem:
        return Edit(diff, problem=problem)
    return Edit(diff, is_written=writes and bool(diff))


def _write(tune: OpenTune, setting: Setting, content: bytes) -> None:
    """Replace the job file, all at once. Raises UsageProblem if the file has changed, or would not have the setting."""
    path = tune.job.path
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        with contextlib.ExitStack() as undone:
            undone.callback(Path(name).unlink, missing_ok=True)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _check(tune, Path(name), setting)
            shutil.copymode(path, name)
            with path.open("r+b") as current:  # fails if the file is read-only
                if current.read() != tune.content:
                    raise UsageProblem(
                        f"{tune.job.text.file.shown_path} has changed since the tune began, and is left as it is.",
                        hint="type the same command again: what is answered is not paid twice",
                    )
            Path(name).replace(path)
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be written: {error.strerror}.", hint="check the permissions of the file and its folder"
        ) from error


def _check(tune: OpenTune, path: Path, setting: Setting) -> None:
    """Raise UsageProblem if the new job file does not load, or asks something else than the setting did."""
    found, wanted = load_job(path, choose_root=lambda *_: tune.job.root), variant(tune.job, setting)
    keys = ("name", "effort", "thinking", "budget_tokens", "max_tokens")
    same = all(getattr(found.spec.model, key) == getattr(wanted.spec.model, key) for key in keys)
    if not same or [str(part) for part in found.user.parts] != [str(part) for part in wanted.user.parts]:
        raise UsageProblem(
            f"{tune.job.text.file.shown_path} cannot be given the setting by a program, and is left as it is.",
            hint=f"write it by hand: {setting.words}",
        )
