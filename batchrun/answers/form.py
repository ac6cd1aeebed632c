"""The form of an answer: what is asked for, in which way, and by which rules a reply is judged."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

ModeName = Literal["json_schema", "tool", "xml", "text"]
DEFAULT_MODE: ModeName = "json_schema"


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
