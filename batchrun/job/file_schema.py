"""The JSON Schema of job files and of batchrun.toml, for editors: what a person may write, with a sentence on each key.

The schema is made from the sections, and the sentences are the docstrings of their keys, which are read only for this.
"""

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from batchrun.job.field_types import SHORT_TYPES
from batchrun.job.fields import FULL_DIALECT
from batchrun.job.project import ProjectSpec
from batchrun.job.spec import JobSpec
from batchrun.job.units import typed_duration, typed_size
from batchrun.job.value_errors import matching

_ONE_OF = {
    "OutputSection": ("fields", "schema_file", "model"),
    "PromptSection": ("user", "user_file"),
    "ExampleSection": ("document", "document_file"),
    "CheckSection": ("sql", "type"),
}
"""Keys that stand instead of each other, by the class of the section: a file has exactly one of them."""
_TYPED: dict[str, Callable[[Any], str]] = {"duration": typed_duration, "size": typed_size}
JOB = (JobSpec, "A job file of batchrun")
PROJECT = (ProjectSpec, "batchrun.toml, the file of a project")
"""The models of the two files, with their titles."""


def file_schema(root: type[BaseModel], title: str) -> dict[str, Any]:
    """Make the schema of a whole file from its model."""
    schema = root.model_json_schema(schema_generator=_AsWritten)
    return {"$schema": FULL_DIALECT, **schema, "title": title}


class _AsWritten(GenerateJsonSchema):
    """Makes the schema of what stands in a file, before any value is converted. TOML has no null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        found = super().function_after_schema(schema)
        check: Any = schema["function"]["function"]
        pattern = getattr(check.fits, "__self__", None) if isinstance(check, matching) else None
        if not isinstance(pattern, re.Pattern):
            return found
        is_whole = check.fits.__name__ == "fullmatch"
        return {**found, "pattern": f"^(?:{pattern.pattern})$" if is_whole else pattern.pattern}

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        members = super().tagged_union_schema(schema)["oneOf"]
        short = [{"enum": list(SHORT_TYPES)}] if "<text>" in schema["choices"] else []
        return {"anyOf": [*short, *members]}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        found = {key: value for key, value in inner.items() if key not in {"ge", "le"}}  # of what the text stands for
        default = schema.get("default")
        if default in (None, "", ()) or isinstance(default, BaseModel):
            return found
        written = [found, *found.get("anyOf", ())]
        typed = next((_TYPED[one["title"]] for one in written if one.get("title") in _TYPED), None)
        return {**found, "default": typed(default) if typed else self.encode_default(default)}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found, model = super().model_schema(schema), schema["cls"]
        said = dict(_key_docs(model))
        for name, info in model.model_fields.items():
            written = found["properties"][info.alias or name]
            if name in said:
                written["description"] = said[name]
            if info.examples:  # lines of a file
                written["examples"] = [*tomllib.loads(str(info.examples[0]).partition("`")[0]).values()]
        if keys := _ONE_OF.get(model.__name__):
            found["required"] = [key for key in found.get("required", ()) if key not in keys]
            found["oneOf"] = [{"required": [key]} for key in keys]
        header = re.match(r"\[+[a-z.]+\]+", model.__doc__ or "")
        return {**found, "title": header[0] if header else model.__name__}


def _key_docs(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield the docstring of each key of a section, those of the classes above first."""
    for one in reversed(model.__mro__):
        if issubclass(one, BaseModel) and one is not BaseModel:
            yield from _docs_of_module(one.__module__).get(one.__name__, {}).items()


@cache
def _docs_of_module(name: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: dict(_docs(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docs(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for key, behind in pairwise(node.body):
        match key, behind:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                yield name, " ".join(said.split())
