"""Which keys there are and which table each key belongs to: the help of a problem is made from this."""

import typing
from collections.abc import Iterator

from pydantic import BaseModel

from batchrun.job import field_types, source_sections
from batchrun.job.toml_positions import KeyPath


def _by_tag(union: object) -> dict[str | int, type[BaseModel]]:
    """Return the models of a union of tagged models."""
    members = map(typing.get_args, typing.get_args(typing.get_args(union)[0]))
    return {tag.tag: model for model, tag in members}


_TAGGED = _by_tag(source_sections.Source) | _by_tag(field_types.FieldSpec)
_FIELD_KINDS: dict[str, type[BaseModel]] = {
    "string": field_types.TextField,
    "integer and number": field_types.NumberField,
    "enum": field_types.EnumField,
    "array": field_types.ArrayField,
    "object": field_types.ObjectField,
}


def place_of(location: KeyPath) -> KeyPath:
    """Return the path in the file for the location of a validation error, which also has the tags of models."""
    return tuple(step for step in location if step not in _TAGGED and step != "[key]")


def table_at(location: KeyPath, root: type[BaseModel]) -> type[BaseModel]:
    """Return the model of the table at the location of a validation error."""
    table = root
    for step in location:
        info = table.model_fields.get(str(step))
        below = _models_in(info.annotation) if info else iter(())
        table = _TAGGED.get(step) or next(below, table)
    return table


def sections(root: type[BaseModel]) -> dict[str, tuple[type[BaseModel], ...]]:
    """Return each top-level table with its models; only [source] has several, a model for each type."""
    found = {name: tuple(_models_in(info.annotation)) for name, info in root.model_fields.items()}
    return {name: models for name, models in found.items() if models}


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys of a table as the file spells them."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def required_examples(model: type[BaseModel]) -> tuple[str, ...]:
    """Return a sample line for each key that a table must have, or mostly has."""
    return tuple(str(info.examples[0]) for info in model.model_fields.values() if info.examples)


def example_of(model: type[BaseModel], key: str) -> str | None:
    """Return a sample line for a key. Returns None if the table may do without the key."""
    return next((line for line in required_examples(model) if line.startswith(f"{key} =")), None)


def homes_of(key: str, root: type[BaseModel]) -> dict[str, KeyPath]:
    """Return the tables that know a key, as people would call the tables, with the place of the key in each."""
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
