"""What is found out about an answer, besides the answer."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from batchrun.answers.field_problems import field_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about an answer, besides the answer."""

    attempts: int = 0
    """How many replies the answer took, those that were no row included."""
    repairs: int = 0
    """How many of the replies were repairs."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why fields are null that had another value in the reply, by field."""
    originals: Mapping[str, Any] = field(default_factory=dict)
    """The values as the reply had them, by path, where the output has another spelling."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Where the document says so, by field."""
    votes: int = 0
    """How many votes the values were chosen from; 0 for a job without votes."""
    agreement: Mapping[str, float] = field(default_factory=dict)
    """The share of the votes that agree with the value, by field; empty for a job without votes."""

    def about(self, fields: Collection[str]) -> "Findings":
        """Return the findings about some of the fields."""
        return replace(
            self,
            problems=_about(fields, self.problems),
            originals=_about(fields, self.originals),
            evidence=_about(fields, self.evidence),
            agreement=_about(fields, self.agreement),
        )

    @property
    def as_json(self) -> str | None:
        """The findings as JSON, without what is empty. None if there is nothing to be told of the only reply."""
        if self == Findings(attempts=1):
            return None
        return json.dumps({name: value for name, value in asdict(self).items() if value}, ensure_ascii=False)

    @classmethod
    def of(cls, found: str | None) -> "Findings":
        """Read what the ledger has of an answer."""
        return cls(**json.loads(found)) if found else cls(attempts=1)


def _about(fields: Collection[str], found: Mapping[str, T]) -> dict[str, T]:
    return {path: one for path, one in found.items() if field_of(path) in fields}
