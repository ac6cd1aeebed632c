"""A plan as JSON, which is kept with its run and read again by this version or by another one.

The keys are the names of the fields. A key that a later version wrote is passed over. A field that is added must have
a default, so that older plans can be read. A field that is renamed makes every older plan unreadable.
"""

import json
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from batchrun.errors import EnvironmentProblem
from batchrun.strategy.plan import Kind, Plan
from batchrun.strategy.routes import Route

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record")
VERSION = 1
"""The version of the JSON. It is raised when a key gets another meaning, for readers that have to distinguish."""
MOST_CHARACTERS, MOST_ENTRIES = 2_000, 1_000
"""The longest text, and the longest list or mapping, that is kept: documents and the API may write anything."""


class BrokenRecord(EnvironmentProblem):
    """What the ledger remembers of a run cannot be read."""


def plan_from_json(text: str) -> Plan:
    """Read a plan that `to_json` wrote. Raises BrokenRecord. Leaves out kinds and routes that this version lacks."""
    found = _parsed(Plan, text)
    if isinstance(found, dict):
        known: dict[str, type[Kind | Route]] = {"counts": Kind, "caching": Route}
        for key, names in known.items():
            if isinstance(entries := found.get(key), dict):
                found[key] = {name: entry for name, entry in entries.items() if name in list(names)}
        if isinstance(counts := found.get("counts"), dict):
            found["counts"] = dict.fromkeys(Kind, 0) | counts
    plan: Plan = _validated(Plan, found)
    return plan


def to_json(record: "DataclassInstance") -> str:
    """Write a record of plain values, enumerations and other records."""
    return json.dumps({"version": VERSION, **_bounded(asdict(record))})


def from_json(kind: type[Record], text: str) -> Record:
    """Read a record that `to_json` wrote. Raises BrokenRecord."""
    record: Record = _validated(kind, _parsed(kind, text))
    return record


def _parsed(kind: type, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _broken(kind, str(error)) from error


def _validated(kind: Any, found: Any) -> Any:
    try:
        return _adapter(kind).validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise _broken(kind, f"{where}: {first['msg']}") from error


def _broken(kind: type, why: str) -> BrokenRecord:
    return BrokenRecord(f"the ledger's {kind.__name__} is not as it was written: {why}")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _bounded(value: Any) -> Any:
    """Cut the value to what a ledger should keep, and replace characters that no other program can read."""
    match value:
        case str():
            return value[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        case dict():
            return {key: _bounded(entry) for key, entry in list(value.items())[:MOST_ENTRIES]}
        case list() | tuple():
            return [_bounded(entry) for entry in value[:MOST_ENTRIES]]
        case _:
            return value
