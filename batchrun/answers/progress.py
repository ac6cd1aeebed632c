"""How far the answer to a request has come: the turn that is asked next, and what turns and votes have answered.

The ledger keeps the progress of every request that has several turns.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from batchrun.answers.findings import Findings
from batchrun.answers.votes import Vote


@dataclass(frozen=True, slots=True)
class Turn:
    """What the next attempt asks; by default the request as it is."""

    fields: tuple[str, ...] = ()
    """The fields that are asked for. Empty for all fields of the form."""
    repairs: int = 0
    """How many replies to this turn were shown to the model with their problems."""
    shows: int | None = None
    """The number of the attempt whose reply stands in the conversation; None without such a reply."""
    said: str = ""
    """What is said behind the reply that is shown."""
    max_tokens: int | None = None
    """The `max_tokens` of the turn, if they are not the request's."""
    first: int | None = None
    """The number of the first entry that is asked for; None unless the turn continues a list."""
    goes_on: str = ""
    """What says where a page of a list begins; empty for the first page. A repair of the page repeats the words."""
    lists: tuple[str, ...] = ()
    """The lists that go on when the list of this turn is complete."""

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> "Turn":
        """Read a turn from its JSON; an empty object is the request as it is."""
        return cls(**{**asked, **{name: tuple(asked.get(name, ())) for name in ("fields", "lists")}})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the answer to a request has come."""

    turn: Turn = Turn()
    values: Mapping[str, Any] = field(default_factory=dict)
    """What earlier turns have answered, by field; of a job with votes, the earlier turns of this vote."""
    findings: Findings = field(default_factory=Findings)
    votes: tuple[Vote, ...] = ()
    """The votes that are over. Empty for a job without votes."""

    @property
    def replies(self) -> int:
        """How many replies to the request there are so far."""
        return self.findings.attempts + sum(vote.findings.attempts for vote in self.votes)

    @property
    def turn_json(self) -> str | None:
        """The turn as JSON, by which turns are compared too; None for the request as it is."""
        return None if self.turn == Turn() else json.dumps(asdict(self.turn), ensure_ascii=False)

    @property
    def partial_json(self) -> str | None:
        """The values, findings and votes as JSON; None if there are none."""
        if not self.values and not self.votes and self.findings == Findings():
            return None
        partial: dict[str, Any] = {"values": self.values, "findings": asdict(self.findings)}
        if self.votes:
            partial["votes"] = [asdict(vote) for vote in self.votes]
        return json.dumps(partial, ensure_ascii=False)

    @classmethod
    def of(cls, turn: str | None, partial: str | None) -> "Progress":
        """Read what the ledger has of a request."""
        if turn is None and partial is None:
            return BEGINNING
        answered = json.loads(partial) if partial else {}
        return cls(
            Turn.of(json.loads(turn) if turn else {}),
            answered.get("values", {}),
            Findings(**answered.get("findings", {})),
            tuple(map(Vote.of, answered.get("votes", ()))),
        )


BEGINNING = Progress()
"""The progress of a request of which nothing is answered yet."""
