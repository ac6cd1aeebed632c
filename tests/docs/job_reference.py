"""Writes batchrun/docs/job-file-reference.md from the JSON Schema of the job file and of batchrun.toml.

Run it after a change of a section:  python tests/docs/job_reference.py
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batchrun.job.file_schema import JOB, PROJECT, file_schema

PAGE = Path(__file__).parents[2] / "batchrun" / "docs" / "job-file-reference.md"
INTRODUCTION = """\
# The job file, key by key

Every table and key of a job file, and of `batchrun.toml`. [The job file](job-file.md) explains how they work together;
`batchrun schema` prints the same for editors.

- A duration is text such as `"500ms"`, `"30s"`, `"10m"` or `"2h"`; a size is text such as `"256MB"` or `"500KB"`, or a
  number of bytes, and a KB is a thousand bytes; dollars are a number such as `5.00`.
- A key without a default may be left out unless it is required. A key that is not listed is a problem of the file.
- Relative paths start at the project's folder.
"""
KINDS = {
    "TextField": "string",
    "NumberField": "integer and number",
    "PlainField": "boolean, date and datetime",
    "EnumField": "enum",
    "ArrayField": "array",
    "ObjectField": "object",
}
SIMPLE = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
Schema = Mapping[str, Any]


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, *_file(file_schema(*JOB)), "# batchrun.toml\n", *_file(file_schema(*PROJECT))]
    return "\n".join(parts)


def _file(schema: Schema) -> Iterator[str]:
    models: dict[str, Schema] = dict(schema["$defs"])
    plain = {name: one for name, one in schema["properties"].items() if not any(_models(one))}
    if plain:
        yield "## Above all tables\n"
        yield _table(plain, schema)
    seen = set(KINDS)
    for one in schema["properties"].values():
        for name in _models(one):
            yield from _sections(name, models, seen)


def _sections(name: str, models: Mapping[str, Schema], seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    model = models[name]
    sources = {one for one in models if one.endswith("SourceSection")}
    common = _common([models[one] for one in sorted(sources)])
    if name in sources and seen & sources == {name}:
        yield "## [source], whatever its type\n"
        yield _table(common, {})
    own = {key: one for key, one in model["properties"].items() if not (name in sources and key in common)}
    yield _heading(model)
    yield _table(own, model)
    for one in own.values():
        for below in _models(one):
            yield from _sections(below, models, seen)
    if name == "OutputSection":
        yield from _fields({kind: models[kind] for kind in KINDS})


def _fields(kinds: Mapping[str, Schema]) -> Iterator[str]:
    common = _common(list(kinds.values()))
    types = ", ".join(f"`{name}`" for names in KINDS.values() for name in names.replace(" and ", ", ").split(", "))
    yield "## [output.fields]: the keys of a field\n\nOne column for each field. Its name has letters, digits and `_`."
    yield f'The type is one of {types}; with `?` the value may be null.\n`name = "string"` is short for'
    yield '`name = { type = "string" }`, and `enum` needs no type.\n'
    yield _table({"type": {"type": "string", "description": _said(kinds["TextField"], "type")}, **common}, {})
    for name, model in kinds.items():
        own = {key: one for key, one in model["properties"].items() if key not in common and key != "type"}
        if own:
            yield f"### Fields of type {KINDS[name]}\n"
            yield _table(own, model)


def _common(models: list[Schema]) -> dict[str, Schema]:
    first, *others = [model["properties"] for model in models] or [{}]
    return {key: one for key, one in first.items() if all(other.get(key) == one for other in others)}


def _said(model: Schema, key: str) -> str:
    return str(model["properties"][key]["description"])


def _heading(model: Schema) -> str:
    title, _, said = model["description"].partition(": ")
    return f"## {title}\n\n{said[0].upper()}{said[1:]}\n"


def _table(keys: Mapping[str, Schema], model: Schema) -> str:
    lines = ["| key | value | default | |", "|---|---|---|---|"]
    for key, one in keys.items():
        needed = "required" if key in model.get("required", ()) else _default(one)
        lines.append(f"| `{key}` | {_value(one)} | {needed} | {_cell(one.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _default(one: Schema) -> str:
    return f"`{_cell(json.dumps(one['default'], ensure_ascii=False))}`" if "default" in one else ""


def _value(one: Schema) -> str:
    """Say in words what may be written."""
    if (any(_models(one)) or one.get("type") == "object") and "anyOf" not in one:
        return "table" if one.get("type") != "array" else "tables"
    if words := one.get("enum") or ([one["const"]] if "const" in one else []):
        return " ".join(f"`{json.dumps(word)}`" for word in words)
    if any(part.get("enum") for part in one.get("anyOf", ())) and any(_models(one)):
        return "type or table"
    if "anyOf" in one:
        return " or ".join(dict.fromkeys(map(_value, one["anyOf"])))
    if one["type"] == "array":
        return f"list of {_value(one['items'])}"
    return one.get("title") or SIMPLE[one["type"]] + _bounds(one)


def _bounds(one: Schema) -> str:
    low, high = one.get("minimum"), one.get("maximum")
    above = f" above {one['exclusiveMinimum']:g}" if "exclusiveMinimum" in one else ""
    if high is None or high >= 10**12:
        return above if low is None else f", at least {low:,}"
    return f", {low:,} to {high:,}" if low is not None else f"{above}, at most {high:,}"


def _models(one: Schema) -> Iterator[str]:
    """Yield the names of the models that a schema names, itself or in its parts."""
    if "$ref" in one:
        yield one["$ref"].rpartition("/")[2]
    below = [one.get("items"), one.get("additionalProperties"), *one.get("patternProperties", {}).values()]
    for part in [*one.get("anyOf", ()), *below]:
        if isinstance(part, dict):
            yield from _models(part)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
