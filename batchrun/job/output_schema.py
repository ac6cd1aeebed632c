"""Reads the fields of a job from a JSON Schema or a pydantic class, if the job file names one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.file_system import TooLargeError, read_bounded
from batchrun.job.model_class import schema_of_class
from batchrun.job.problems import Problem
from batchrun.job.project import ProjectFile
from batchrun.job.project_root import PROJECT_FILE
from batchrun.job.schema_definitions import NoSchemaError, definitions_of
from batchrun.job.toml_file import TomlText
from batchrun.job.toml_positions import KeyPath

FIELDS: KeyPath = ("output", "fields")
_SPELLINGS = ("schema_file", "model")
"""The keys of [output] that stand instead of `fields`."""
MAX_FILE_BYTES = 1_000_000
"""The most bytes of a schema file: ten times the largest schema that is ever sent."""


@dataclass(frozen=True)
class SchemaText(TomlText):
    """A job file whose fields come from a schema. Problems of fields stand at the key that names the schema."""

    key: KeyPath
    pointers: Mapping[KeyPath, str]

    def at_key(self, path: KeyPath, message: str, *, hint: str | None = None) -> Problem:
        """Make the problem of a key."""
        if path[:2] != FIELDS:
            return super().at_key(path, message, hint=hint)
        return super().at_value(self.key, message + self._origin(path), hint=hint)

    def at_value(self, path: KeyPath, message: str, *, hint: str | None = None) -> Problem:
        """Make the problem of a value."""
        if path[:2] != FIELDS:
            return super().at_value(path, message, hint=hint)
        return self.at_key(path, message, hint=hint)

    def _origin(self, path: KeyPath) -> str:
        known = (path[:length] for length in range(len(path), len(FIELDS), -1))
        pointer = next((self.pointers[place] for place in known if place in self.pointers), None)
        return f" ({pointer} in the schema)" if pointer else ""


@dataclass(frozen=True)
class OutputSchema:
    """The job file with its fields, however the job file spells them."""

    text: TomlText
    problems: tuple[Problem, ...] = ()
    unread: tuple[KeyPath, ...] = ()
    """Places that nothing more is to be said about: the schema that fills them in has problems."""


def read_output_schema(text: TomlText, *, path: Path, root: Path, project: ProjectFile) -> OutputSchema:
    """Fill in the fields from the schema. The classes of the job file refuse a name of a schema that is no text."""
    given = [key for key in ("fields", *_SPELLINGS) if text.get(("output", key)) is not None]
    if len(given) > 1:
        message = f"`output.{given[1]}`: give `{given[0]}` or `{given[1]}`, not both"
        unread = () if given[0] == "fields" else (FIELDS,)
        return OutputSchema(text, (text.at_key(("output", given[1]), message),), unread)
    if not given or given[0] == "fields":
        return OutputSchema(text)
    key: KeyPath = ("output", given[0])
    named = text.get(key)
    if not isinstance(named, str) or not named.strip() or (given[0] == "model" and _is_unknown(project)):
        return OutputSchema(text, unread=(FIELDS,))
    try:
        schema = _class_schema(named, path.parent, root, project) if given[0] == "model" else _file_schema(root / named)
    except NoSchemaError as error:
        return OutputSchema(text, (text.at_value(key, f"`output.{given[0]}`: {error}", hint=error.hint),), (FIELDS,))
    return _filled_in(text, key, schema)


def _is_unknown(project: ProjectFile) -> bool:
    """Whether nobody knows what the project allows: the problems of the project's file are told anyway."""
    return bool(project.unreadable or project.problems)


def _class_schema(named: str, job_folder: Path, root: Path, project: ProjectFile) -> dict[str, Any]:
    """Return the schema of a class. A project speaks for the code in its own folder, not for a job file's elsewhere."""
    if not project.spec.allow_code:
        hint = f"write allow_code = true in {PROJECT_FILE}, above all tables, if you trust this module"
        raise NoSchemaError("this runs code of the project, and the project does not allow code", hint=hint)
    return schema_of_class(named, folders=(job_folder, root) if job_folder.is_relative_to(root) else (root,))


def _file_schema(path: Path) -> object:
    looked = f"looked at {path}"
    try:
        content = read_bounded(path, most_bytes=MAX_FILE_BYTES)
        return json.loads(content, object_pairs_hook=_each_key_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise NoSchemaError(f"this file is not JSON: {error.msg.lower()} ({place})", hint=looked) from None
    except TooLargeError as error:
        raise NoSchemaError(str(error), hint=looked) from None
    except RecursionError:
        raise NoSchemaError("nested too deeply to be read", hint=looked) from None
    except OSError as error:
        raise NoSchemaError((error.strerror or str(error)).lower(), hint=looked) from None
    except ValueError as error:
        raise NoSchemaError(f"this file is not JSON: {error}", hint=looked) from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _filled_in(text: TomlText, key: KeyPath, schema: object) -> OutputSchema:
    found = definitions_of(schema)
    if found.faults:
        problems = (
            text.at_value(key, f"`{key[0]}.{key[1]}`: {fault.pointer}: {fault.message}", hint=fault.hint)
            for fault in found.faults
        )
        return OutputSchema(text, tuple(problems), (FIELDS,))
    values = {**text.values, "output": {**text.values["output"], "fields": found.fields}}
    filled = SchemaText(text.file, values, text.positions, text.credentials, key=key, pointers=found.pointers)
    return OutputSchema(filled)
