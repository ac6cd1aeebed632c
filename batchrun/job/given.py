"""A job that a program gives as a dictionary, read as the text of a job file is: problems name keys, and no lines."""

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from batchrun.answers.field_problems import path_of
from batchrun.job.credentials import find_credentials
from batchrun.job.problems import JobFileError, Problem, TextFile, path_of_given
from batchrun.job.toml_file import TomlText
from batchrun.job.toml_positions import KeyPath, Positions, Span

_TOML = (str, int, float, datetime, date, time)
"""The values that TOML has besides lists and tables."""
_DEEPEST = 100
"""How deeply tables and lists may be nested."""


def given_text(values: Mapping[str, Any], root: Path) -> TomlText:
    """Read a dictionary. Raises JobFileError, with all places, for values that a job file cannot have."""
    file, positions = TextFile(path_of_given(root), ""), Positions("")
    problems: list[Problem] = []

    def plain(value: Any, path: KeyPath) -> Any:
        positions.number(path)
        if isinstance(value, _TOML):
            return value
        if len(path) <= _DEEPEST and isinstance(value, list | tuple):
            return [plain(one, (*path, number)) for number, one in enumerate(value)]
        if len(path) <= _DEEPEST and isinstance(value, Mapping):
            return {str(key): plain(one, (*path, str(key))) for key, one in value.items()}
        what = "nested too deeply" if len(path) > _DEEPEST else f"a {type(value).__name__} is no value of a job file"
        hint = "leave the key out to leave the choice to batchrun" if value is None else None
        problems.append(Problem(f"`{path_of(path)}`: {what}", file, Span(len(problems), 0), hint))
        return None

    read = plain(values, ())
    if problems or not isinstance(read, dict):
        raise JobFileError(problems or [Problem("the job is no dictionary", file, Span(0, 0))], file=file)
    return TomlText(file, read, positions, tuple(find_credentials(read)))
