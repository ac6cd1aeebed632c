"""What a request asks its answer by, in words of no API: a provider writes an asking into the body of a request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

ToolChoice = Literal["forced", "auto"]
"""Whether the model has to call the tool; with `auto` the model may answer in text instead."""


@dataclass(frozen=True, slots=True)
class StructuredAsking:
    """The reply is JSON that the API holds to a schema."""

    schema: Mapping[str, Any]
    words: ClassVar[str] = ""
    """The words at the end of the user message; none here."""

    @property
    def rendered(self) -> str:
        """What the API renders for the model beside the prompt, as compact JSON, for counting its tokens."""
        return _compact(self.schema)


@dataclass(frozen=True, slots=True)
class ToolAsking:
    """The reply is a call of the one tool that there is, with the answer as the tool's input."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """The schema of the input, to which the API holds the call."""
    choice: ToolChoice
    words: ClassVar[str] = ""
    """The words at the end of the user message; none here."""

    @property
    def rendered(self) -> str:
        """What the API renders for the model beside the prompt, as compact JSON, for counting its tokens."""
        return _compact([self.name, self.description, self.schema])


@dataclass(frozen=True, slots=True)
class WordsAsking:
    """The reply is text, as words at the end of the user message ask for, behind the document."""

    words: str
    rendered: ClassVar[str] = ""
    """What the API renders for the model beside the prompt; nothing here."""


Asking = StructuredAsking | ToolAsking | WordsAsking


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
