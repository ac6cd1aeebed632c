"""Imports a pydantic class of the user, for its JSON Schema. The import runs the user's code, in this process."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from batchrun.job.problems import did_you_mean
from batchrun.job.schema_definitions import NoSchemaError

_LONGEST_MESSAGE = 300
"""The most characters of a message of the user's code that a problem repeats."""


def schema_of_class(reference: str, *, folders: Sequence[Path]) -> dict[str, Any]:
    """Import `package.module:Class`, also from the folders, and return the JSON Schema of the class.

    Raises NoSchemaError. What the user's code prints goes to standard error: standard output is for programs.
    """
    module_name, colon, class_name = reference.partition(":")
    if not (colon and all(part.isidentifier() for part in (*module_name.split("."), class_name))):
        hint = 'such as "schemas:Contract" for the class Contract in schemas.py'
        raise NoSchemaError("input should be package.module:Class", hint=hint)
    folders = list(dict.fromkeys(folders))
    with _importable(folders), redirect_stdout(sys.stderr):
        try:
            return _class_in(importlib.import_module(module_name), class_name).model_json_schema()
        except NoSchemaError:
            raise
        except (Exception, SystemExit) as error:
            raise _told(error, module_name, folders) from error


def _class_in(module: ModuleType, name: str) -> type[BaseModel]:
    found = getattr(module, name, None)
    if found is None:
        close = did_you_mean(name, vars(module))
        hint = f"did you mean {close}?" if close else f"looked in {module.__file__}"
        raise NoSchemaError(f"{module.__name__} has no class {name}", hint=hint)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise NoSchemaError(f"{name} is no pydantic model", hint="derive the class from pydantic.BaseModel")
    return found


@contextmanager
def _importable(folders: Sequence[Path]) -> Iterator[None]:
    """Let modules be imported from the folders, and forget these modules afterwards.

    A module of another project can have the same name, and a module that batchrun imports later too. A package that is
    installed inside a folder, as in a virtual environment there, stays: some packages cannot be imported twice.
    """
    path, modules = list(sys.path), set(sys.modules)
    sys.path[:0] = map(str, folders)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        installed = [Path(entry) for entry in path if _is_in(folders, entry) and Path(entry) not in folders]
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if _is_in(folders, file) and not _is_in(installed, file):
                del sys.modules[name]


def _is_in(folders: Sequence[Path], file: str | None) -> bool:
    return file is not None and any(Path(file).is_relative_to(folder) for folder in folders)


def _told(error: BaseException, module: str, folders: Sequence[Path]) -> NoSchemaError:
    match error:
        case ModuleNotFoundError(name=str(name)) if module == name or module.startswith(f"{name}."):
            return NoSchemaError(f"there is no module {name}", hint=f"looked in {' and '.join(map(str, folders))}")
        case ModuleNotFoundError(name=str(name)):
            package = name.partition(".")[0]
            hint = f"install it where batchrun is installed: pip install {package}"
            where = _where(error, folders) or module
            return NoSchemaError(f"{where}: the package {package} is not installed", hint=hint)
        case PydanticInvalidForJsonSchema():
            return NoSchemaError(_said(error), hint="only types that JSON has can be asked for")
        case _:
            where = _where(error, folders) or module
            return NoSchemaError(f"{where}: {_said(error)}", hint=f"put it right in {module}")


def _said(error: BaseException) -> str:
    """Return the error's first line, within bounds."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:_LONGEST_MESSAGE]}"


def _where(error: BaseException, folders: Sequence[Path]) -> str | None:
    """Return the last line of the user's own code that took part in an error. Returns None if no such line did."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    own = [frame for frame in extract_tb(error.__traceback__) if _is_in(folders, frame.filename)]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else None
