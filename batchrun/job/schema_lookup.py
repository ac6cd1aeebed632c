"""Which keys there are and which table each belongs to: what the help of a problem is made from."""

import typing
from collections.abc import Iterator

from pydantic import BaseModel

from batchrun.job import field_types, spec
from batchrun.job.toml_positions import KeyPath

_TAGGED: dict[str | int, type[BaseModel]] = {
    "<files>": spec.FilesSourceSection,
    "<duckdb>": spec.DuckdbSourceSection,
    "<text>": field_types.TextField,
    "<number>": field_types.NumberField,
    "<plain>": field_types.PlainField,
    "<enum>": field_types.EnumField,
    "<array>": field_types.ArrayField,
    "<object>": field_types.ObjectField,
}
_FIELD_KINDS: dict[str, type[BaseModel]] = {
    "string": field_types.TextField,
    "integer and number": field_types.NumberField,
    "enum": field_types.EnumField,
    "array": field_types.ArrayField,
    "object": field_types.ObjectField,
}


def place_of(location: KeyPath) -> KeyPath:
    """Return the path in the file for the location of a validation error, which also names kinds of tables."""
    return tuple(step for step in location if step not in _TAGGED and step != "[key]")


def table_at(location: KeyPath, root: type[BaseModel] = spec.JobSpec) -> type[BaseModel]:
    """Return the model of the table at the location of a validation error."""
    if not location:
        return root
    return _TAGGED.get(location[-1]) or _inside(sections(root)[str(location[0])][0], location[1:])


def _inside(table: type[BaseModel], steps: KeyPath) -> type[BaseModel]:
    """Go down into tables of tables, such as [budget.models.NAME]."""
    for step in steps:
        info = table.model_fields.get(str(step))
        inner = list(_models_in(info.annotation)) if info else []
        table = inner[0] if len(inner) == 1 else table
    return table


def sections(root: type[BaseModel] = spec.JobSpec) -> dict[str, tuple[type[BaseModel], ...]]:
    """Return each top-level table with its model; [source] has one for each type."""
    found = {name: tuple(_models_in(info.annotation)) for name, info in root.model_fields.items()}
    return {name: models for name, models in found.items() if models}


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys of a table as the file spells them."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def required_examples(model: type[BaseModel]) -> tuple[str, ...]:
    """Return a sample line for each key that a table must have, or must mostly have."""
    return tuple(str(info.examples[0]) for info in model.model_fields.values() if info.examples)


def example_of(model: type[BaseModel], key: str) -> str | None:
    """Return a sample line for a key."""
    return next((line for line in required_examples(model) if line.startswith(f"{key} =")), None)


def homes_of(key: str, root: type[BaseModel] = spec.JobSpec) -> dict[str, KeyPath]:
    """Return the tables that know a key, as people would call them, with its place in each."""
    homes: dict[str, KeyPath] = {}
    for section, models in sections(root).items():
        is_in_all = all(key in keys_of(model) for model in models)
        for model in models:
            if key in keys_of(model):
                kind = "" if is_in_all else f" with {example_of(model, 'type')}"
                homes[f"[{section}]{kind}"] = (section, key)
    return homes


def field_kinds_with(key: str) -> tuple[str, ...]:
    """Return the kinds of output fields that take a key."""
    return tuple(kind for kind, model in _FIELD_KINDS.items() if key in keys_of(model))


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
