"""Turns the errors that pydantic finds in a job file into problems, in people's words and at the right place."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from batchrun.answers.field_problems import path_of
from batchrun.job.credentials import is_at_provider, masked
from batchrun.job.problems import Problem, did_you_mean
from batchrun.job.schema_lookup import (
    example_of,
    field_kinds_with,
    homes_of,
    keys_of,
    place_of,
    required_examples,
    sections,
    table_at,
)
from batchrun.job.spec import JobSpec
from batchrun.job.toml_file import TomlText
from batchrun.job.toml_positions import KeyPath
from batchrun.job.value_errors import REFUSAL

_REMOVED = frozenset({"temperature", "top_p", "top_k"})
_LONGEST_VALUE = 60
_OTHER_NAMES = {"text": "string", "float": "number", "decimal": "number", "list": "array", "timestamp": "datetime"}
_INSTEAD: dict[KeyPath, KeyPath] = {("model", "name"): ("model", "tier")}
"""Required keys, each with the key that may stand in its place."""
_WRITTEN_AS: dict[KeyPath, KeyPath] = {("output",): ("output", "fields")}
"""Required tables, each with the table below that a job file must have."""

_EXPECTED = {
    "string_type": "be text in quotes",
    "int_type": "be a whole number",
    "int_from_float": "be a whole number",
    "float_type": "be a number",
    "finite_number": "be a finite number",
    "bool_type": "be true or false",
    "tuple_type": "be a list",
    "dict_type": "be a table",
    "model_type": "be a table",
    "model_attributes_type": "be a table",
    "union_tag_not_found": "be a table",
    "greater_than": "be more than {gt:g}",
    "greater_than_equal": "be at least {ge:g}",
    "less_than_equal": "be at most {le:g}",
    "too_short": "not be empty",
}


def explain(
    error: ValidationError, text: TomlText, *, root: type[BaseModel] = JobSpec, told: tuple[KeyPath, ...] = ()
) -> Iterator[Problem]:
    """Turn every validation error into a problem, but for those that follow from a misspelt or forbidden key.

    `told` are places of which a problem is known already.
    """
    faults = [_Fault(text=text, detail=detail, root=root) for detail in error.errors(include_url=False)]
    faults = [
        fault for fault in faults if not any(fault.place[: len(path)] == path for path in (*text.credentials, *told))
    ]
    meant = [path for fault in faults if fault.kind == "extra_forbidden" for path in fault.meant]
    for fault in faults:
        if fault.kind == "extra_forbidden":
            yield fault.unknown_key()
        elif fault.kind == "missing":
            places = [fault.place, _INSTEAD.get(fault.place, fault.place)]
            if not any(path[: len(place)] == place for path in meant for place in places):
                yield fault.missing_key()
        elif fault.kind == "literal_error":
            yield fault.wrong_word(re.findall(r"'([^']*)'", fault.context["expected"]))
        elif fault.context.get("allowed"):
            yield fault.wrong_word(list(fault.context["allowed"]))
        else:
            yield fault.wrong_value()


def credential_problems(text: TomlText) -> Iterator[Problem]:
    """Make a problem of every API key and the like in the file."""
    for place in text.credentials:
        named = 'name the variable that has the key: api_key_env = "NAME"'
        instead = named if is_at_provider(place) else "set ANTHROPIC_API_KEY"
        message = f"`{path_of(place)}`: keys never belong in a job file; {instead}"
        yield text.at_key(place, message, hint="take it out, and revoke it if anyone else has seen this file")


@dataclass(frozen=True)
class _Fault:
    """One validation error, and the file that the error is about."""

    text: TomlText
    detail: ErrorDetails
    root: type[BaseModel]
    """The model of the whole file."""

    @property
    def kind(self) -> str:
        return self.detail["type"]

    @cached_property
    def context(self) -> dict[str, Any]:
        return self.detail.get("ctx", {})

    @cached_property
    def place(self) -> KeyPath:
        place, key = place_of(self.detail["loc"]), self.context.get("key") or ()
        way: tuple[str, ...] = (key,) if isinstance(key, str) else key
        values = self.text.get((*place, *way[:-1]))
        return (*place, *way) if way and isinstance(values, dict) and way[-1] in values else place

    @property
    def key(self) -> str:
        return str(self.place[-1])

    @property
    def table(self) -> str:
        above = self.place[:-1]
        return f"[{path_of(above)}]" if above in self.tables or above[:1] == ("providers",) else f"`{path_of(above)}`"

    @cached_property
    def tables(self) -> set[KeyPath]:
        """The places of tables that people write with a header."""
        return {("output", "fields"), *((name,) for name in sections(self.root))}

    @cached_property
    def known(self) -> tuple[str, ...]:
        """The keys of the same table."""
        return keys_of(table_at(self.detail["loc"][:-1], self.root))

    @cached_property
    def sibling(self) -> str | None:
        """The key of the same table that was probably meant."""
        return did_you_mean(self.key, self.known)

    @cached_property
    def homes(self) -> dict[str, KeyPath]:
        """The tables that know an unknown key: if a table lacks the key and needs it, only such tables."""
        known = homes_of(self.key, self.root)
        lacking = {
            words: path
            for words, path in known.items()
            if self.text.get(path) is None and example_of(table_at(path[:-1], self.root), self.key)
        }
        return lacking or known

    @cached_property
    def meant(self) -> list[KeyPath]:
        """The places that an unknown key was probably meant for."""
        homes = list(self.homes.values())
        if homes:
            return homes if len(homes) == 1 else []
        return [(*self.place[:-1], self.sibling)] if self.sibling else []

    def unknown_key(self) -> Problem:
        if self.key in _REMOVED:
            message = f"`{path_of(self.place)}`: this parameter was removed from the API for current models"
            return self.text.at_key(self.place, message, hint="use `effort`")
        if len(self.place) > 1:
            what = f"unknown key `{self.key}` in {self.table}"
        elif isinstance(self.text.get(self.place), dict):
            what = f"unknown table [{self.key}]"
        else:
            what = f"unknown key `{self.key}` outside of a table"
        return self.text.at_key(self.place, what, hint=self._unknown_hint())

    def _unknown_hint(self) -> str:
        is_definition = self.place[:2] == ("output", "fields")
        if is_definition and (kinds := field_kinds_with(self.key)):
            return f"`{self.key}` is for {' and '.join(kinds)} fields"
        if not is_definition and self.homes:
            return f"it belongs in {' or '.join(self.homes)}"
        if self.sibling:
            is_table = len(self.place) == 1 and (self.sibling,) in self.tables
            return f"did you mean [{self.sibling}]?" if is_table else f"did you mean `{self.sibling}`?"
        return f"known here: {', '.join(self.known)}"

    def missing_key(self) -> Problem:
        if self.place in self.tables:
            examples = required_examples(sections(self.root)[str(self.place[0])][0])
            needs = f"it needs {' and '.join(f'`{line}`' for line in examples)}"
            table = path_of(_WRITTEN_AS.get(self.place, self.place))
            return self.text.at_key(self.place, f"missing table [{table}]", hint=needs)
        example = example_of(table_at(self.detail["loc"][:-1], self.root), self.key)
        hint = f"such as `{example}`" if example else None
        return self.text.at_key(self.place[:-1], f"missing key `{self.key}` in {self.table}", hint=hint)

    def wrong_word(self, allowed: list[str]) -> Problem:
        given = self.text.get(self.place)
        words = [json.dumps(word) for word in allowed]
        expected = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        message = f"`{path_of(self.place)}`: input should be {expected or self.context['expected']}, got {_toml(given)}"
        hint = None
        if isinstance(given, str):
            bare = given.removesuffix("?")
            close = did_you_mean(_OTHER_NAMES.get(bare.lower(), bare), allowed)
            hint = f'did you mean "{close}{given[len(bare) :] if self.key == "type" else ""}"?' if close else None
        return self.text.at_value(self.place, message, hint=hint)

    def wrong_value(self) -> Problem:
        given = self.text.get(self.place)
        if self.kind == REFUSAL:
            sentence = str(self.context["sentence"])
            got = f", got {_toml(given)}" if self.context.get("show_value") else ""
            hint = self.context.get("hint")
        else:
            expected = _EXPECTED.get(self.kind)
            sentence = f"input should {expected.format(**self.context)}" if expected else self.detail["msg"].lower()
            got = f", got {_toml(given)}" if given or self.kind != "too_short" else ""
            hint = self._type_hint(given)
        message = f"`{path_of(self.place)}`: {sentence}"
        if self.detail["loc"][-1] == "[key]":
            return self.text.at_key(self.place, f"{message}, got {_toml(self.key)}", hint=hint)
        at = self.text.at_key if isinstance(given, dict) else self.text.at_value
        return at(self.place, message + got, hint=hint)

    def _type_hint(self, given: object) -> str | None:
        if self.kind == "string_type":
            return "put it in quotes"
        is_numeric = isinstance(given, str) and re.fullmatch(r"[+-]?[\d_.]+", given) is not None
        return "remove the quotes" if self.kind in {"int_type", "float_type"} and is_numeric else None


def _toml(value: object) -> str:
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool() | str():
            shown = masked(json.dumps(value, ensure_ascii=False))
        case _:
            shown = str(value)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"
