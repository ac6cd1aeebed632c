"""The form of an answer: what is asked for, in which way, and by which rules a reply is judged."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

ModeName = Literal["json_schema", "tool", "xml", "text"]
Unsupported = Literal["keep", "null", "fail"]
DEFAULT_MODE: ModeName = "json_schema"
KEPT_FORMS = 1_000
"""How many forms of some of the fields are kept: a job has few choices of fields, and asks for each again and again."""


@dataclass(frozen=True, slots=True)
class PageRule:
    """How a long list is asked for in pages."""

    size: int
    """How many entries one answer has at most."""
    complete: str
    """The name that asks whether the list is complete."""
    count: str | None = None
    """The field that has the number of entries; None if no field has."""


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
    groups: tuple[tuple[str, ...], ...] = ()
    """The fields that are asked for together, if not all are."""
    pages: Mapping[str, PageRule] = field(default_factory=dict)
    """The lists that are asked for in pages, by field."""
    quotes: Mapping[str, str] = field(default_factory=dict)
    """The name that asks for the quote of each field with evidence, by field."""
    entry_quotes: Mapping[str, str] = field(default_factory=dict)
    """The name in every entry that asks for the quote of the entry, by field: the objects of a list are quoted each."""
    quoted: tuple[str, ...] = ()
    """The fields whose values are quotes themselves."""
    unsupported: Unsupported = "keep"
    """What becomes of a value whose quote is not believed."""
    votes: int = 1
    """How many votes a request has at most, an odd number; 1 for an answer without votes."""

    @cached_property
    def as_json(self) -> str:
        """The form as JSON, which `from_json` takes. The JSON of a form without votes is that of earlier versions."""
        return json.dumps({name: one for name, one in asdict(self).items() if name != "votes" or one > 1})

    @property
    def least_votes(self) -> int:
        """How many votes are asked whatever they say: more than half of all."""
        return self.votes // 2 + 1

    @cached_property
    def sha(self) -> str:
        """The SHA-256 over the form, as hexadecimal characters."""
        return hashlib.sha256(self.as_json.encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> "AnswerForm":
        """Read a form. Earlier versions kept the full schema alone."""
        values = json.loads(text)
        if "full_schema" not in values:
            return cls(full_schema=values)
        groups = tuple(map(tuple, values["groups"]))
        pages = {name: PageRule(**rule) for name, rule in values["pages"].items()}
        return cls(**{**values, "groups": groups, "pages": pages, "quoted": tuple(values["quoted"])})

    @property
    def has_problems(self) -> bool:
        """Whether a row may tell problems: of values that became null, or of lists that may not be whole."""
        return self.null_fields or self.unsupported == "null" or bool(self.pages)

    @property
    def has_evidence(self) -> bool:
        """Whether quotes are looked for in the document."""
        return bool(self.quotes or self.entry_quotes or self.quoted)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of the answer, in their order; what is asked only to locate or to continue them is no field."""
        companions = {*self.quotes.values(), *(rule.complete for rule in self.pages.values())}
        return tuple(name for name in self.full_schema.get("properties", {}) if name not in companions)

    def missing(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that are asked for next when these values are answered; none if nothing is missing."""
        for group in self.groups or (self.fields,):
            if missing := tuple(name for name in group if name not in values):
                return missing
        return ()

    def unchanged(self, earlier: "AnswerForm") -> tuple[str, ...]:
        """Return the fields that an earlier form asks for in the same words."""
        if earlier.mode != self.mode:
            return ()
        return tuple(name for name in self.fields if self.words_of(name) == earlier.words_of(name))

    def words_of(self, name: str) -> tuple[object, ...] | None:
        """Return all that is asked for the sake of a field; None if the form does not have the field."""
        properties = self.api_schema.get("properties", {})
        if name not in properties:
            return None
        quote, rule = self.quotes.get(name), self.pages.get(name)
        return properties[name], properties.get(quote or ""), rule

    def only(self, fields: Sequence[str]) -> "AnswerForm":
        """Return the form that asks for some of the fields, with what is asked to locate and to continue them."""
        return self._of_fields(frozenset(fields))

    @cached_property
    def _of_fields(self) -> Callable[[frozenset[str]], "AnswerForm"]:
        @lru_cache(maxsize=KEPT_FORMS)
        def form_of(fields: frozenset[str]) -> AnswerForm:
            names = fields | {self.quotes[name] for name in fields if name in self.quotes}
            names |= {self.pages[name].complete for name in fields if name in self.pages}
            api, full = (restricted(schema, names) for schema in (self.api_schema, self.full_schema))
            return replace(self, api_schema=api, full_schema=full)

        return form_of


def restricted(schema: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the schema of an object with only the properties of these names, in their order."""
    if not schema:
        return {}
    properties = {name: one for name, one in schema.get("properties", {}).items() if name in names}
    return {**schema, "properties": properties, "required": [one for one in schema.get("required", ()) if one in names]}
