"""The form of an answer: what is asked for, in which way, and by which rules a reply is judged."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

ModeName = Literal["json_schema", "tool", "xml", "text"]
DEFAULT_MODE: ModeName = "json_schema"
_KEPT_FORMS = 1_000
"""So many forms of some of the fields are kept; documents lack the same few selections of fields."""


@dataclass(frozen=True)
class AnswerForm:
    """All that is needed to judge a reply, kept in the ledger: a later job file does not change what was asked."""

    full_schema: Mapping[str, Any]
    """JSON Schema 2020-12 with every rule; replies are held against it."""
    api_schema: Mapping[str, Any] = field(default_factory=dict)
    """The schema as it is asked for, in the subset that the API takes. Empty for forms of earlier versions."""
    mode: ModeName = DEFAULT_MODE
    normalise: bool = True
    """Whether common spellings of values are rewritten before a reply is held against the schema."""
    null_fields: bool = False
    """Whether a field that fails becomes null, instead of the whole reply being invalid."""

    @cached_property
    def as_json(self) -> str:
        """The form as JSON, which `from_json` takes."""
        return json.dumps(asdict(self))

    @cached_property
    def sha(self) -> str:
        """The SHA-256 over the form, as hexadecimal characters."""
        return hashlib.sha256(self.as_json.encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> "AnswerForm":
        """Read a form. Earlier versions kept the full schema alone."""
        values = json.loads(text)
        return cls(**values) if "full_schema" in values else cls(full_schema=values)

    def only(self, fields: Sequence[str]) -> "AnswerForm":
        """Return the form of some of the fields, in the order of this form."""
        return self._of_fields(frozenset(fields))

    @cached_property
    def _of_fields(self) -> Callable[[frozenset[str]], "AnswerForm"]:
        @lru_cache(maxsize=_KEPT_FORMS)
        def restricted(fields: frozenset[str]) -> AnswerForm:
            full, api = _restricted(self.full_schema, fields), _restricted(self.api_schema, fields)
            return replace(self, full_schema=full, api_schema=api)

        return restricted


def _restricted(schema: Mapping[str, Any], fields: frozenset[str]) -> Mapping[str, Any]:
    if not schema:
        return schema
    properties = {name: inner for name, inner in schema["properties"].items() if name in fields}
    required = [name for name in schema.get("required", ()) if name in fields]
    return {**schema, "properties": properties, "required": required}
